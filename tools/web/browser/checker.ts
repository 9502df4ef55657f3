// SPDX-License-Identifier: Apache-2.0
//
// hindsight-check, started for each check of a point as systemd would; where the programs have it.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programs } from './appliance.ts';

const kAcceptLoop = process.env.HINDSIGHT_ACCEPT_LOOP ?? fileURLToPath(new URL('../../../tests/system/accept_loop.py', import.meta.url));

// In a chroot the kernel makes no user namespace, which it wants.
export function hasChecker(): boolean {
  const namespaces = spawnSync('unshare', ['--user', '--mount', '--pid', '--fork', 'true']);
  return existsSync(join(programs(), 'hindsight-check')) && existsSync(kAcceptLoop) && namespaces.status === 0;
}

// Another command stands in for a checker that behaves otherwise.
export async function startChecker(socket: string, command = [join(programs(), 'hindsight-check')]): Promise<() => void> {
  const loop: ChildProcess = spawn('setpriv', ['--pdeathsig', 'TERM', 'python3', kAcceptLoop, socket, ...command], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  await new Promise<void>((resolve, reject) => {
    loop.stdout?.once('data', () => resolve());
    loop.once('exit', () => reject(new Error('nobody listens for checks')));
  });
  return () => loop.kill();
}
