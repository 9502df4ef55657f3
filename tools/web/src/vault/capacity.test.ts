// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { fullInMillis, growthOf } from './capacity';

const day = 86_400_000;
const now = Date.parse('2026-11-29T12:00:00Z');

test('days without writes are there, and the rate is that of the last week', () => {
  const stored = [
    { begin: now - 20 * day, bytes: 1e12 },
    { begin: now - 2 * day, bytes: 3e9 },
    { begin: now, bytes: 1e9 },
    { begin: now - 3_600_000, bytes: 1e9 },
  ];
  const growth = growthOf(stored, now - 30 * day, now, 30);
  expect(growth.days).toHaveLength(30);
  expect(growth.days.at(-1)).toEqual({ begin: Date.parse('2026-11-29T00:00:00Z'), bytes: 2e9 });
  expect(growth.days.filter(({ bytes }) => bytes === 0)).toHaveLength(27);
  // Six whole days, and half of today.
  expect(growth.daysMeasured).toBe(6.5);
  expect(growth.bytesPerDay).toBeCloseTo(5e9 / 6.5);
});

test('a vault of two hours is measured by two hours', () => {
  const growth = growthOf([{ begin: now - 3_600_000, bytes: 1e9 }], now - 2 * 3_600_000, now, 30);
  expect(growth.days).toHaveLength(1);
  expect(growth.bytesPerDay).toBeCloseTo(12e9);
  expect(fullInMillis(24e9, growth.bytesPerDay)).toBeCloseTo(2 * day);
  expect(fullInMillis(24e9, 0)).toBeUndefined();
});
