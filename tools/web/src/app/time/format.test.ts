// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatBytes, formatDate, formatDuration, formatTime, offsetText, type TimeStyle } from './format';

const before = process.env.TZ;
beforeAll(() => {
  process.env.TZ = 'Europe/Berlin';
});
afterAll(() => {
  process.env.TZ = before;
});

const now = Date.parse('2026-11-29T12:00:00Z');
const local: TimeStyle = { zone: 'local', language: 'en', now };
const utc: TimeStyle = { ...local, zone: 'utc' };

test('a time has its zone', () => {
  expect(formatTime('2026-02-23T18:55:59Z', local)).toBe('23 Feb 19:55:59 +01:00');
  expect(formatTime('2026-02-23T18:55:59Z', utc)).toBe('23 Feb 18:55:59 UTC');
  expect(formatTime('2026-02-23T18:55:59.479314314Z', { ...utc, milliseconds: true })).toBe('23 Feb 18:55:59.479 UTC');
  expect(formatTime('2026-02-23T18:55:59Z', { ...local, language: 'zh' })).toBe('2月23日 19:55:59 +01:00');
});

test('the hour that comes twice is told apart', () => {
  expect(formatTime('2026-10-25T00:30:00Z', local)).toBe('25 Oct 02:30:00 +02:00');
  expect(formatTime('2026-10-25T01:30:00Z', local)).toBe('25 Oct 02:30:00 +01:00');
  expect(offsetText(Date.parse('2026-07-01T00:00:00Z'), 'local')).toBe('+02:00');
});

test('another year is told', () => {
  expect(formatDate('2020-02-23T18:55:59Z', utc)).toBe('23 Feb 2020');
  // In Berlin it is this year already.
  expect(formatDate('2025-12-31T23:30:00Z', local)).toBe('1 Jan');
  expect(formatDate('2020-02-23T18:55:59Z', { ...utc, language: 'zh' })).toBe('2020年2月23日');
});

test('what is no time is a dash', () => {
  expect(formatTime('never', utc)).toBe('–');
});

test.each([
  [0, '0 s'],
  [0.004, '4 µs'],
  [41, '41 ms'],
  [3500, '3.5 s'],
  [9000, '9 s'],
  [41_900, '41 s'],
  [60_000, '1 min'],
  [754_000, '12 min 34 s'],
  [3_600_000 * 5, '5 h'],
  [3_600_000 * (13 * 24 + 4) + 59_000, '13 d 4 h'],
])('%d ms are %s', (millis, text) => {
  expect(formatDuration(millis, 'en')).toBe(text);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [21474836480, '20 GiB'],
  [1024 ** 4 * 1.25, '1.3 TiB'],
  [8.6 * 1024 ** 2, '8.6 MiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
