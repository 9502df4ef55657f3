// SPDX-License-Identifier: Apache-2.0
//
// A hindsightd of the test's own, in a temporary directory, on loopback: HINDSIGHT_BIN is the directory of the programs.
// Whatever happens to the test, it ends with it, and the directory goes.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync, closeSync } from 'node:fs';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kPatience } from './patience.ts';

const run = promisify(execFile);

export const kPassword = 'correct horse battery staple';

export function programs(): string {
  const directory = process.env.HINDSIGHT_BIN;
  if (!directory) throw new Error('HINDSIGHT_BIN has to name the directory of hindsightd and hindsight');
  return directory;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export type Answer = { status: number; headers: Record<string, string | string[] | undefined>; text: string };

function send(options: RequestOptions & { ca?: string }, isTls: boolean, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? undefined : JSON.stringify(body);
    const headers = { ...options.headers, ...(data === undefined ? {} : { 'Content-Type': 'application/json' }) };
    const make = isTls ? httpsRequest : httpRequest;
    const request = make({ ...options, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(data);
  });
}

export type User = { name: string; roles: string[]; seesData: boolean };

export class Appliance {
  readonly directory = mkdtempSync(join(tmpdir(), 'hindsight-page.'));
  readonly tls = join(this.directory, 'tls');
  readonly state = join(this.directory, 'state');
  port = 0;
  nbdPort = 0;
  #daemon: ChildProcess | undefined;
  #atExit = () => this.#abandon();

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }
  get log(): string {
    return readFileSync(join(this.directory, 'log'), 'utf8');
  }
  // The one-time code of the first start.
  get code(): string {
    const code = /with the code ([2-9A-Z-]+)/.exec(this.log)?.[1];
    if (code === undefined) throw new Error(`the daemon tells no code:\n${this.log}`);
    return code;
  }

  async start(options: string[] = []): Promise<this> {
    if (this.port === 0) {
      this.port = await freePort();
      this.nbdPort = await freePort();
      await run(join(programs(), 'hindsight'), ['tls', 'init', '--directory', this.tls, '--name', '127.0.0.1', '--name', 'localhost']);
      writeFileSync(
        join(this.directory, 'hindsight.toml'),
        `[tls]\ncertificate = "${this.tls}/server.crt"\nkey = "${this.tls}/server.key"\nclient_ca = "${this.tls}/ca.crt"\n` +
          `[nbd]\nlisten = ["unix:${this.state}/nbd.sock", "tcp:127.0.0.1:${this.nbdPort}"]\n` +
          `[http]\nlisten = "127.0.0.1:${this.port}"\n`,
      );
      process.on('exit', this.#atExit);
    }
    const log = openSync(join(this.directory, 'log'), 'a');
    const wanted = ['--vault', join(this.directory, 'vault'), '--state', this.state];
    this.#daemon = spawn(
      'setpriv',
      ['--pdeathsig', 'TERM', join(programs(), 'hindsightd'), ...wanted, '--config', join(this.directory, 'hindsight.toml'), ...options],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    for (const until = Date.now() + kPatience; Date.now() < until; ) {
      if (this.#daemon.exitCode !== null) break;
      const answer = await this.local('GET', '/healthz').catch(() => undefined);
      if (answer?.status === 200) return this;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the daemon does not answer:\n${this.log}`);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon === undefined || daemon.exitCode !== null) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill(signal);
    const late = setTimeout(() => daemon.kill('SIGKILL'), kPatience);
    await ended;
    clearTimeout(late);
  }

  async end(): Promise<void> {
    await this.stop();
    process.off('exit', this.#atExit);
    await this.#remove();
  }

  // As root at the control socket: an operator and restorer who sees data.
  local(method: string, path: string, body?: unknown): Promise<Answer> {
    return send({ method, path, socketPath: join(this.state, 'control.sock') }, false, body);
  }
  async command(...wanted: string[]): Promise<string> {
    const env = { ...process.env, HINDSIGHT_SERVER: `unix:${this.state}/control.sock` };
    return (await run(join(programs(), 'hindsight'), wanted, { env, maxBuffer: 64 << 20 })).stdout;
  }
  nbd(volume: string): string {
    return `nbd+unix:///${volume}?socket=${this.state}/nbd.sock`;
  }

  async remote(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const ca = readFileSync(join(this.tls, 'ca.crt'), 'utf8');
    return send({ method, path, host: '127.0.0.1', port: this.port, ca, headers }, true, body);
  }
  // Opens what never ends, and gives what ends it.
  stream(path: string, headers: Record<string, string>): () => void {
    const ca = readFileSync(join(this.tls, 'ca.crt'), 'utf8');
    const request = httpsRequest({ path, host: '127.0.0.1', port: this.port, ca, headers, agent: false }, (response) => response.resume());
    request.on('error', () => undefined);
    request.end();
    return () => request.destroy();
  }
  // Begins what nobody reads, as root at the control socket, and gives what ends it.
  hold(path: string): () => void {
    const request = httpRequest({ path, socketPath: join(this.state, 'control.sock'), agent: false }, (response) => response.pause());
    request.on('error', () => undefined);
    request.end();
    return () => request.destroy();
  }
  // Adds a setting, which the daemon takes as it runs.
  configure(section: string, setting: string): void {
    const file = join(this.directory, 'hindsight.toml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(section, `${section}\n${setting}`));
    this.#daemon?.kill('SIGHUP');
  }
  // As a machine that is too busy to answer.
  pause(): void {
    this.#daemon?.kill('SIGSTOP');
  }
  resume(): void {
    this.#daemon?.kill('SIGCONT');
  }
  // The first user, who may everything, and more of them.
  async setUp(name: string, others: User[] = []): Promise<void> {
    expectStatus(201, await this.remote('POST', '/api/setup', { code: this.code, name, password: kPassword }));
    const signedIn = expectStatus(200, await this.remote('POST', '/api/session', { name, password: kPassword }));
    const { csrf_token } = JSON.parse(signedIn.text) as { csrf_token: string };
    const cookie = String(signedIn.headers['set-cookie']).split(';')[0] ?? '';
    const headers = { Cookie: cookie, 'X-CSRF-Token': csrf_token };
    for (const user of others) {
      const made = { name: user.name, password: kPassword, roles: user.roles, sees_data: user.seesData };
      expectStatus(201, await this.remote('POST', '/api/users', made, headers));
    }
    const all = { roles: ['admin', 'operator', 'restorer'], sees_data: true };
    expectStatus(200, await this.remote('PATCH', `/api/users/${name}`, all, headers));
  }

  #abandon(): void {
    this.#daemon?.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
  async #remove(): Promise<void> {
    // A vault makes its sealed segments immutable, which is to stop exactly what comes next.
    await run('chattr', ['-R', '-f', '-i', this.directory]).catch(() => undefined);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

export function expectStatus(status: number, answer: Answer): Answer {
  if (answer.status !== status) throw new Error(`expected ${status}, got ${answer.status} ${answer.text}`);
  return answer;
}

// Writes by an independent client: each is a command of qemu-io, such as "write -P 0x5a 0 4M" or "discard 0 64M".
export async function write(appliance: Appliance, volume: string, ...commands: string[]): Promise<void> {
  const wanted = commands.flatMap((command) => ['-c', command]);
  await run('qemu-io', ['-f', 'raw', '-d', 'unmap', ...wanted, appliance.nbd(volume)], { maxBuffer: 16 << 20 });
}
