// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stepsOf } from './gather';
import { fromInput, toInput } from './local_input';

const before = process.env.TZ;
beforeAll(() => {
  process.env.TZ = 'Asia/Shanghai';
});
afterAll(() => {
  process.env.TZ = before;
});

test('an input says the wall of the zone, and is read as it was written', () => {
  const at = Date.parse('2020-02-23T10:56:00Z');
  expect(toInput(at, 'local')).toBe('2020-02-23T18:56:00');
  expect(toInput(at, 'utc')).toBe('2020-02-23T10:56:00');
  expect(fromInput('2020-02-23T18:56', 'local')).toBe(at);
  expect(fromInput('2020-02-23T10:56:00', 'utc')).toBe(at);
  expect(fromInput('', 'utc')).toBeUndefined();
});

test('steps have no holes, and destruction is what became zeroes', () => {
  const step = { writes: 1, flushes: 0, written_bytes: 5, zeroed_bytes: 2, trimmed_bytes: 3, unique_bytes: 0, stored_bytes: 0 };
  const steps = stepsOf({
    since: '2020-02-23T10:56:01.5Z',
    until: '2020-02-23T10:57:00Z',
    step_seconds: 20,
    steps: [{ ...step, begin: '2020-02-23T10:56:20.000000000Z' }],
  });
  expect(steps.map(({ written, destroyed }) => [written, destroyed])).toEqual([[0, 0], [5, 5], [0, 0], [0, 0]]);
  expect(steps[1]?.begin).toBe(Date.parse('2020-02-23T10:56:20Z'));
});
