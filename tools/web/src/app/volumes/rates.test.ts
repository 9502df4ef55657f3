// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { WriteRates } from './rates';

const told = (...samples: [at: number, bytes: number][]) => {
  const rates = new WriteRates();
  for (const [at, written_bytes] of samples) rates.take({ id: 'a', written_bytes }, at);
  return (now: number) => rates.of('a', now);
};

test('the rate is that of the last five seconds, and silence lets it fall to nothing', () => {
  const rate = told([0, 0], [1000, 100], [2000, 200], [3000, 300], [4000, 400], [5000, 500], [6000, 600]);
  expect(rate(6000)).toBe(100);
  expect(rate(8000)).toBe(60);
  expect(rate(11_000)).toBe(0);
});

test('what is written after a silence was written lately, not over all of it', () => {
  const rate = told([0, 0], [60_000, 5000]);
  expect(rate(60_000)).toBe(1000);
});

test('one sample is no rate, and a counter that falls begins anew', () => {
  expect(told([0, 1e12])(500)).toBe(0);
  expect(told([0, 1e12])(9000)).toBe(0);
  expect(told([0, 1e12], [1000, 50])(3000)).toBe(0);
  expect(told([0, 1e12], [1000, 50], [3000, 250])(3000)).toBe(100);
});

test('few samples are kept, however many come', () => {
  const rates = new WriteRates();
  for (let at = 0; at <= 60_000; at += 5) rates.take({ id: 'a', written_bytes: at * 100 }, at);
  expect(rates.countOf('a')).toBeLessThan(15);
  expect(rates.of('a', 60_000)).toBeCloseTo(100_000, -4);
});

test('a volume that does not count writes nothing, as one that is not known', () => {
  const rates = new WriteRates();
  rates.take({ id: 'a' }, 0);
  expect([rates.of('a', 9000), rates.of('b', 9000)]).toEqual([0, 0]);
});
