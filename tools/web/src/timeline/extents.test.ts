// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { cellsOf, largestExtents, type Extent } from './extents';
import { shareText, beforeText, nearMarkText } from './words';

const extents: Extent[] = [
  { offset: 0, bytes: 4096, becomes: 'data' },
  { offset: 8192, bytes: 16384, becomes: 'zeroes' },
  { offset: 65536, bytes: 8192, becomes: 'data' },
];

test('the largest extents come first', () => {
  expect(largestExtents(extents, 2).map(({ offset }) => offset)).toEqual([8192, 65536]);
});

test('cells of the volume have the share of them that changed', () => {
  const cells = cellsOf(extents, 131072, 8);
  expect(cells[0]).toEqual({ data: 0.25, zeroes: 0.5 });
  expect(cells[1]).toEqual({ data: 0, zeroes: 0.5 });
  expect(cells[4]).toEqual({ data: 0.5, zeroes: 0 });
  expect(cells.reduce((sum, { data, zeroes }) => sum + data + zeroes, 0) * 16384).toBe(4096 + 16384 + 8192);
});

test('a share is never rounded to all or nothing', () => {
  expect([
    shareText(1, 1e12),
    shareText(999, 1000),
    shareText(1000, 1000),
    shareText(0, 5),
    shareText(55, 1000),
  ]).toEqual(['< 0.1 %', '99 %', '100 %', '0 %', '5.5 %']);
});

test('a point is told by what comes after it', () => {
  const discard = { kind: 'destroyed', begin: 100, end: 101, trimmed: 1 << 30, zeroed: 0, written: 0 } as const;
  expect(beforeText(99, discard, 1 << 30)).toBe('1 s before a discard of 100 % of the volume');
  expect(beforeText(40, discard, 2 ** 31)).toBe('1 min before a discard of 50 % of the volume');
});

test('a mark is before or after a point', () => {
  const mark = { label: 'upgrade', author: 'alice', volume: 'shop', lsn: 1, time: '', time_utc: '', distance: '' };
  expect(nearMarkText({ ...mark, distance_ns: 3.3e9 })).toBe('“upgrade”, 3.3 s before it');
  expect(nearMarkText({ ...mark, distance_ns: -61e9 })).toBe('“upgrade”, 1 min 1 s after it');
  expect(nearMarkText(undefined)).toBe('none');
});
