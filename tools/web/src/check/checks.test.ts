// SPDX-License-Identifier: Apache-2.0
import { beforeEach, expect, test } from 'vitest';
import { fakeApi, problem, type Call } from '../api/fake_api';
import { live, type Job } from '../app/live.svelte';
import { Checks } from './checks.svelte';
import type { Check } from './verdict';

const early = { text: 'lsn:7', lsn: 7 };
const late = { text: 'lsn:9', lsn: 9 };
const running = (id: number, volume: string): Job => ({ id, kind: 'check', state: 'running', volume, by: 'alice', began: '', done_bytes: 0 });
function done(id: number, volume: string, lsn: number): Job {
  const check: Check = {
    point: { lsn, time: '', time_utc: '' },
    size_bytes: 1,
    partition_table: null,
    file_systems: [{ offset: 0, bytes: 1, type: 'ext4', outcome: 'clean' }],
    nothing_known: false,
    notices: [],
  };
  return { ...running(id, volume), state: 'done', check };
}
let calls: Call[];
let answer: (call: Call) => unknown;

beforeEach(() => {
  live.forget();
  let id = 0;
  answer = ({ path }) => running(++id, path.split('/')[3] ?? '');
  calls = fakeApi((call) => answer(call));
});

test('a check belongs to the point and the volume that it was made for', async () => {
  const checks = new Checks();
  await checks.begin('shop', early);
  expect(calls.map(({ method, path, body }) => [method, path, body])).toEqual([['POST', '/api/volumes/shop/checks', { at: 'lsn:7' }]]);
  expect(checks.of('shop', early)?.state).toBe('running');
  live.takeJob(done(1, 'shop', 7));
  expect(checks.of('shop', early)?.check?.file_systems).toHaveLength(1);
  expect(checks.of('shop', late)).toBeUndefined();
  expect(checks.of('log', early)).toBeUndefined();
});

test('what is known of the same point from before is shown, and of another one is not', () => {
  live.takeJob(done(1, 'shop', 7));
  live.takeJob({ ...done(2, 'shop', 7), state: 'done' });
  live.takeJob(done(3, 'log', 7));
  const checks = new Checks();
  expect(checks.of('shop', early)?.id).toBe(2);
  expect(checks.of('shop', late)).toBeUndefined();
});

test('where no checker listens it is said in the words of the daemon, and tried again when one wants', async () => {
  const checks = new Checks();
  answer = () => problem(503, 'no checker listens at /run/hindsight/check.sock');
  await checks.begin('shop', early);
  expect(checks.unavailable?.detail).toBe('no checker listens at /run/hindsight/check.sock');
  expect(checks.failureOf('shop', early)).toBeUndefined();
  answer = () => running(5, 'shop');
  await checks.begin('shop', early);
  expect(checks.unavailable).toBeUndefined();
  expect(checks.of('shop', early)?.id).toBe(5);
});

test('a failure is told of what failed, and an answer that was lost is asked for with the same key', async () => {
  const checks = new Checks();
  answer = () => {
    throw new TypeError('the network is gone');
  };
  await checks.begin('shop', early);
  expect(checks.failureOf('shop', early)?.failure).toBe('unreachable');
  expect([checks.failureOf('shop', late), checks.failureOf('log', early), checks.isStarting('shop', early)]).toEqual([undefined, undefined, false]);
  answer = () => running(1, 'shop');
  await checks.begin('shop', early);
  expect(checks.failureOf('shop', early)).toBeUndefined();
  expect(calls[0]?.key).toBe(calls[1]?.key);
});

test('one that runs is cancelled by its job', async () => {
  const checks = new Checks();
  await checks.begin('shop', early);
  answer = ({ path }) => ({ ...running(Number(path.split('/').at(-1)), 'shop'), state: 'cancelled' });
  await checks.cancel(checks.of('shop', early) as Job);
  expect(calls.at(-1)).toMatchObject({ method: 'DELETE', path: '/api/jobs/1' });
  expect(checks.of('shop', early)?.state).toBe('cancelled');
});
