// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Schemas } from '../api/client';
import { activityOf } from './activity.svelte';

test('silence is zero, and a write is where it was', () => {
  const now = Date.parse('2026-11-29T18:30:30Z');
  const step = { writes: 1, flushes: 0, written_bytes: 6e6, zeroed_bytes: 0, trimmed_bytes: 0, unique_bytes: 0, stored_bytes: 0 };
  const timeline = {
    steps: [
      { ...step, begin: '2026-11-29T18:00:00.000000000Z', written_bytes: 1e6 },
      { ...step, begin: '2026-11-29T18:29:00.000000000Z' },
    ],
    events: [],
  } as unknown as Schemas['Timeline'];
  const activity = activityOf(timeline, now);
  expect(activity.times).toHaveLength(61);
  expect(activity.bytes.filter(Boolean)).toEqual([1e6, 6e6]);
  expect(activity.times[activity.bytes.indexOf(1e6)]).toBe(Date.parse('2026-11-29T18:00:00Z') / 1000);
});
