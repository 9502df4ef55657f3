// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { concerns, detailOf, detailParts, outcomeOf } from './entry';

const shop = { name: 'shop', id: '64e6e4bd' };

test('an outcome is what the status says', () => {
  expect([200, 201, 202, 401, 403, 409, 500, 503].map((status) => outcomeOf({ status }))).toEqual([
    'done', 'done', 'done', 'refused', 'refused', 'refused', 'failed', 'failed',
  ]);
});

test('details are told without the request', () => {
  const detail = detailOf({ detail: '{"request":"8b51","volumes":["a","b"],"at":"lsn:7","dry_run":true}' });
  expect(detailParts(detail)).toEqual([['volumes', 'a, b'], ['at', 'lsn:7'], ['dry_run', 'true']]);
  expect(detailParts(detailOf({ detail: 'no JSON' }))).toEqual([['detail', 'no JSON']]);
});

test('acts on a volume are found by every way of naming it', () => {
  expect(concerns({ volume: 'shop', at: 'now' }, shop)).toBe(true);
  expect(concerns({ volumes: ['other', 'id:64e6e4bd'] }, shop)).toBe(true);
  expect(concerns({ name: 'shop2', origin: { volume: 'shop', at: '18:56' } }, shop)).toBe(true);
  expect(concerns({ name: 'shop', size_bytes: 1 }, shop)).toBe(true);
  expect(concerns({ volume: 'shop2' }, shop)).toBe(false);
  expect(concerns({}, shop)).toBe(false);
});
