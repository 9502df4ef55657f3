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
  lag_ns: 0,
};
const objective = 5e9;
const behind: Schemas['Volume'] = { ...shop, lag_ns: 7.5e9 };
const kinds = (...wanted: Parameters<typeof conditionsOf>) => conditionsOf(...wanted).map(({ kind }) => kind);

test('what a crash would lose is told by the volume, and grave only beyond the objective', () => {
  expect([rpoMillis({}), rpoMillis(shop), rpoMillis(behind)]).toEqual([0, 0, 7500]);
  expect(kinds(behind, objective)).toEqual(['lagging']);
  expect(kinds({ ...shop, lag_ns: objective }, objective)).toEqual(['protected']);
  // No objective was set.
  expect(kinds(behind, 0)).toEqual(['protected']);
});

test('protected is said of what is, and of nothing that has a hole in it', () => {
  expect(kinds(shop, objective)).toEqual(['protected']);
  const gap = { cause: 'the vault was away', begin: stamp };
  expect(conditionsOf({ ...shop, gap }, objective)).toEqual([{ kind: 'gap', since: stamp.time_utc }]);
  expect(kinds({ ...behind, gap }, objective)).toEqual(['gap', 'lagging']);
  // One that is over is history.
  expect(kinds(shop, objective, [{ kind: 'gap', time_utc: stamp.time_utc }])).toEqual(['protected']);
  expect(kinds({ ...shop, state: 'fenced', problem: 'EIO' }, objective)).toEqual(['fenced']);
});

test('the gravest comes first', () => {
  const hydration = { remaining_bytes: 59, hydrated_bytes: 41 };
  const rollback = { kind: 'rollback' as const, time_utc: stamp.time_utc };
  const volume: Schemas['Volume'] = { ...shop, state: 'hydrating', hydration };
  expect(conditionsOf(volume, objective)).toEqual([{ kind: 'hydrating', percent: 41 }]);
  expect(kinds({ ...volume, lag_ns: 7.5e9 }, objective, [rollback])).toEqual(['lagging', 'hydrating', 'rolledBack']);
  expect(kinds({ ...volume, writers_refused: true }, objective, [rollback])).toEqual(['refusing', 'hydrating']);
  expect(kinds({ ...volume, hydration: { ...hydration, problem: 'EIO' } }, objective)).toEqual(['paused']);
});

test('100 % is for what is done', () => {
  expect(hydratedPercent({ remaining_bytes: 1, hydrated_bytes: 1e12 })).toBe(99);
  expect(hydratedPercent({ remaining_bytes: 0, hydrated_bytes: 0 })).toBe(0);
});
