// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Schemas } from '../../api/client';
import { conditionsOf, hydratedPercent, rpoMillis } from './condition';

const stamp = { lsn: 1, time: '2026-11-09T18:56:00Z', time_utc: '2026-11-09T18:56:00Z' };
const shop: Schemas['Volume'] = {
  id: '64e6e4bd-917e-4451-8f8c-d3650f8dfdf4',
  name: 'shop',
  size_bytes: 1 << 30,
  backing: '',
  created: stamp,
  checkpoint_lsn: 1,
  state: 'protected',
  writers_refused: false,
  last_lsn: 100,
};
const durable = { durable_lsn: 100, lag_ns: 0 };
const behind = { durable_lsn: 99, lag_ns: 7.5e9 };
const kinds = (...wanted: Parameters<typeof conditionsOf>) => conditionsOf(...wanted).map(({ kind }) => kind);

test('what is durable is not behind, however far the journal is for others', () => {
  expect(rpoMillis(shop, durable)).toBe(0);
  expect(rpoMillis({ ...shop, last_lsn: 99 }, behind)).toBe(0);
  expect(rpoMillis(shop, behind)).toBe(7500);
});

test('protected is said of what is, and of nothing that has a hole in it', () => {
  expect(kinds(shop, durable)).toEqual(['protected']);
  expect(kinds(shop, behind)).toEqual(['lagging']);
  const gap = { kind: 'gap' as const, time_utc: stamp.time_utc, text: 'the vault was away' };
  expect(kinds(shop, durable, [gap])).toEqual(['gap']);
  expect(kinds(shop, durable, [{ ...gap, until: stamp.time_utc }])).toEqual(['protected']);
  expect(kinds({ ...shop, state: 'fenced', problem: 'EIO' }, durable)).toEqual(['fenced']);
});

test('the gravest comes first', () => {
  const hydration = { remaining_bytes: 59, hydrated_bytes: 41 };
  const rollback = { kind: 'rollback' as const, time_utc: stamp.time_utc, text: 'to LSN 50' };
  const volume: Schemas['Volume'] = { ...shop, state: 'hydrating', hydration };
  expect(conditionsOf(volume, durable)).toEqual([{ kind: 'hydrating', percent: 41 }]);
  expect(kinds(volume, behind, [rollback])).toEqual(['lagging', 'hydrating', 'rolledBack']);
  expect(kinds({ ...volume, writers_refused: true }, durable, [rollback])).toEqual(['refusing', 'hydrating']);
  expect(kinds({ ...volume, hydration: { ...hydration, problem: 'EIO' } }, durable)).toEqual(['paused']);
});

test('100 % is for what is done', () => {
  expect(hydratedPercent({ remaining_bytes: 1, hydrated_bytes: 1e12 })).toBe(99);
  expect(hydratedPercent({ remaining_bytes: 0, hydrated_bytes: 0 })).toBe(0);
});
