// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { fakeApi } from '../api/fake_api';
import { appendedSince, joined, type Segment } from './segments';

const hour = 3_600_000;
const newest = Date.parse('2026-11-29T12:00:00Z');

// One segment an hour, the newest of which is number `count`.
function vault(count: number) {
  return fakeApi(({ query }) => {
    const before = Number(query.get('before') ?? count + 1);
    const limit = Number(query.get('limit'));
    const least = Math.max(1, before - limit);
    const segments = Array.from({ length: before - least }, (_, at) => {
      const number = before - 1 - at;
      return { number, epoch: 1, base_lsn: number, bytes: 10, state: 'sealed', created: new Date(newest - (count - number) * hour).toISOString() };
    });
    return { segments, ...(least > 1 ? { before: least } : {}) };
  });
}

test('pages are asked for until they reach back far enough', async () => {
  const calls = vault(5000);
  const { appended, since } = await appendedSince(newest - 1500 * hour);
  expect(calls).toHaveLength(2);
  expect(appended).toHaveLength(2000);
  expect(since).toBe(newest - 1500 * hour);
});

test('room that is not filled yet is no growth', async () => {
  const segment = { number: 1, epoch: 1, base_lsn: 0, bytes: 268435456, created: new Date(newest).toISOString() };
  fakeApi(() => ({ segments: [{ ...segment, number: 2, state: 'open' }, { ...segment, bytes: 10, state: 'cut' }] }));
  const { appended } = await appendedSince(0);
  expect(appended.map(({ bytes }) => bytes)).toEqual([0, 10]);
});

test('a young vault is known from its first segment on', async () => {
  const calls = vault(3);
  const { appended } = await appendedSince(0);
  expect(calls).toHaveLength(1);
  expect(appended.map(({ bytes }) => bytes)).toEqual([10, 10, 10]);
});

test('a vault of very many segments is not read to its beginning, and what is known begins later', async () => {
  const calls = vault(1_000_000);
  const { appended, since } = await appendedSince(0);
  expect(calls).toHaveLength(10);
  expect(since).toBe(appended.at(-1)?.begin);
});

test('pages are joined, the newest first, and a segment that was sealed meanwhile is so', () => {
  const segment = (number: number, state: Segment['state']): Segment => ({ number, state, epoch: 1, base_lsn: 0, bytes: 1, created: '' });
  const known = [segment(3, 'open'), segment(2, 'sealed')];
  const all = joined(joined(known, [segment(1, 'cut')]), [segment(4, 'open'), segment(3, 'sealed')]);
  expect(all.map(({ number, state }) => `${number} ${state}`)).toEqual(['4 open', '3 sealed', '2 sealed', '1 cut']);
});
