// SPDX-License-Identifier: Apache-2.0
//
// What is on volumes, by clients that know nothing of Hindsight: Debian's libnbd, qemu and e2fsprogs.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Appliance } from './appliance.ts';

const run = promisify(execFile);
// libnbd's Python module belongs to Debian's own interpreter, which another may hide.
const env = { ...process.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

// Of all bytes of a device.
export async function digestOf(uri: string): Promise<string> {
  const { stdout } = await run('bash', ['-c', 'set -o pipefail; nbdcopy "$1" - | sha256sum', 'digest', uri]);
  return stdout.slice(0, 64);
}

// A file system with files in it, on a volume of that size; made without a mount.
export async function fillWithFiles(appliance: Appliance, volume: string, sizeMib: number): Promise<void> {
  const tree = join(appliance.directory, 'tree');
  mkdirSync(tree, { recursive: true });
  for (let i = 0; i < 24; i++) writeFileSync(join(tree, `ledger-${i}`), Buffer.alloc(1 << 20, `entry ${i} of the ledger\n`));
  const image = join(appliance.directory, `${volume}.ext4`);
  await run('mkfs.ext4', ['-q', '-F', '-L', volume, '-d', tree, image, `${sizeMib}M`]);
  await run('nbdcopy', ['--destination-is-zero', '--flush', image, appliance.nbd(volume)]);
}

// What e2fsck thinks of a device; it changes nothing. Empty where it is clean.
export async function complaintsOfFsck(appliance: Appliance, uri: string): Promise<string> {
  const image = join(appliance.directory, 'examined.ext4');
  await run('nbdcopy', [uri, image]);
  const { stdout } = await run('e2fsck', ['-fn', image]).catch((error: unknown) => error as { stdout: string });
  return /: \d+\/\d+ files .* blocks\s*$/.test(stdout) ? '' : stdout;
}

// A client that stays connected and may write; it ends when it is told, or cut off.
export async function holdWriter(uri: string): Promise<{ end: () => Promise<void> }> {
  const client = spawn('nbdsh', ['-u', uri, '-c', 'import sys; h.pread(512, 0); print("here", flush=True); sys.stdin.read()'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env,
  });
  const ended = new Promise<void>((resolve) => client.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    client.stdout.once('data', () => resolve());
    client.once('exit', () => reject(new Error(`nbdsh could not connect to ${uri}`)));
  });
  return {
    end: async () => {
      client.stdin.end();
      await ended;
    },
  };
}

export async function mayWrite(uri: string): Promise<boolean> {
  const writing = run('nbdsh', ['-u', uri, '-c', 'h.pwrite(b"x" * 512, 0); h.flush()'], { env });
  return writing.then(
    () => true,
    () => false,
  );
}
