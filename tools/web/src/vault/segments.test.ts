// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { fakeApi } from '../api/fake_api';
import { appendedSince } from './segments';

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
