// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, test } from 'vitest';
import { fakeApi, type Call } from '../api/fake_api';
import { session } from '../app/session/session.svelte';
import { Recovery } from './recovery.svelte';

let calls: Call[];
let answers: (call: Call) => unknown;

const stamp = { lsn: 42, time: '2026-11-29T18:15:31.5Z', time_utc: '2026-11-29T18:15:31.5Z' };
const volume = { id: 'a', name: 'shop', size_bytes: 1 << 20, backing: '', created: stamp, checkpoint_lsn: 1 };
const posted = (path: string) => calls.filter((call) => call.method === 'POST' && call.path === path);

beforeEach(() => {
  session.current = { user: 'alice', roles: ['operator', 'restorer'], sees_data: true, by: 'session', csrf_token: 'c' };
  calls = fakeApi((call) => {
    if (call.path.endsWith('/points')) return { volume, point: stamp, first: stamp, last: stamp, notices: [] };
    if (call.path === '/api/status') return { volumes: [], journal: {}, alerts: [], rpo_objective_ns: 0 };
    return answers(call);
  });
});

async function opened(...others: string[]): Promise<Recovery> {
  const recovery = new Recovery('shop');
  for (const other of others) recovery.choose(other, true);
  await recovery.point.take('2026-11-29T18:15:33.999999999Z');
  return recovery;
}

test('all volumes go to the place in history that the point has for the first one', async () => {
  answers = ({ body }) => ({ ...volume, name: body['name'], uris: [] });
  const recovery = await opened('log');
  await recovery.run();
  expect(posted('/api/volumes').map(({ body }) => body)).toEqual([
    { name: 'shop-recovered', origin: { volume: 'shop', at: 'lsn:42' } },
    { name: 'log-recovered', origin: { volume: 'log', at: 'lsn:42' } },
  ]);
  expect(recovery.outcome?.made.map(({ name }) => name)).toEqual(['shop-recovered', 'log-recovered']);
  expect(recovery.point.last).toBe(Date.UTC(2026, 10, 29, 18, 15, 33) / 1000);
});

test('what was made is not made again, and what may have been is asked for with the same key', async () => {
  let fails = true;
  answers = ({ body }) => {
    if (body['name'] === 'log-recovered' && fails) throw new TypeError('the network is gone');
    return { ...volume, name: body['name'], uris: [] };
  };
  const recovery = await opened('log');
  await recovery.run();
  expect(recovery.error?.failure).toBe('unreachable');
  expect(recovery.outcome).toBeUndefined();
  fails = false;
  await recovery.run();
  expect(recovery.outcome?.made).toHaveLength(2);
  const [shop, first, second, ...more] = posted('/api/volumes');
  expect([shop?.body['name'], first?.body['name'], second?.body['name'], more.length]).toEqual([
    'shop-recovered',
    'log-recovered',
    'log-recovered',
    0,
  ]);
  expect(first?.key).toBeTruthy();
  expect(first?.key).toBe(second?.key);
  expect(first?.key).not.toBe(shop?.key);
});

test('a rollback is hindered until it is known who is connected, and that nobody has it mounted', async () => {
  let writers = 1;
  answers = ({ body }) => ({
    point: stamp,
    volumes: [{ name: 'shop', id: 'a', size_bytes: 1 << 20, writers, changed_bytes: 4096 }],
    dry_run: body['dry_run'] === true,
    ...(body['dry_run'] ? {} : { undo: 'lsn:50', writers_refused: body['disconnect'] }),
  });
  const recovery = await opened();
  recovery.way = 'rollback';
  expect(recovery.hindrance).toBe('looking');
  await recovery.look();
  expect(recovery.hindrance).toBe('stillMounted');
  recovery.isUnmounted = true;
  expect(recovery.hindrance).toBe('stillConnected');
  writers = 0;
  await recovery.look();
  expect(recovery.hindrance).toBe('stillConnected');
  await recovery.look(true);
  expect(recovery.hindrance).toBeUndefined();
  await recovery.run();
  const acts = posted('/api/rollbacks').map(({ body }) => body);
  expect(acts.at(-1)).toEqual({ volumes: ['shop'], at: 'lsn:42', disconnect: false });
  expect(acts.slice(0, -1).every((body) => body['dry_run'] === true)).toBe(true);
  expect(recovery.outcome).toMatchObject({ undo: 'lsn:50', refusesWriters: false });
});

test('nothing is begun without a right, a volume, a point or a name', async () => {
  const recovery = new Recovery('shop');
  expect(recovery.hindrance).toBe('notYet');
  await recovery.point.take('lsn:42');
  expect(recovery.hindrance).toBeUndefined();
  recovery.names['shop'] = 'not a name';
  expect(recovery.hindrance).toBe('wrongName');
  recovery.choose('shop', false);
  expect(recovery.hindrance).toBe('noVolume');
  session.current = { user: 'eve', roles: ['viewer'], sees_data: false, by: 'session' };
  const hers = await opened();
  expect(hers.hindrance).toBe('notAllowed');
});
