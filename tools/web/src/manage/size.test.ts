// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { bytesOf, typedSize } from './size';

test('what was typed is what is meant', () => {
  expect(bytesOf('20', 'GiB')).toBe(20 * 2 ** 30);
  expect(bytesOf(' 1,5 ', 'GiB')).toBe(1.5 * 2 ** 30);
  expect(bytesOf('1', 'MiB')).toBe(2 ** 20);
  for (const wrong of ['', ' ', '0', '-1', 'many', '0.5', '1e30']) expect(bytesOf(wrong, 'MiB'), wrong).toBeUndefined();
});

test.each([2 ** 20, 512 * 2 ** 20, 3 * 2 ** 30, 2 ** 40, 2 ** 20 + 4096])('%d bytes are shown so that they come back', (bytes) => {
  const { amount, unit } = typedSize(bytes);
  expect(bytesOf(amount, unit)).toBe(bytes);
});
