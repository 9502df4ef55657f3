// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseTyped } from './parse';
import { instantText, justBefore, parseInstant, secondsOf } from './stamp';
import { instantsOf, isInFold, utc, zoneNamed } from './zone';

const newYork = zoneNamed('America/New_York');
const shanghai = zoneNamed('Asia/Shanghai');
const kolkata = zoneNamed('Asia/Kolkata');
const lordHowe = zoneNamed('Australia/Lord_Howe');

describe('a zone', () => {
  it('has the offset of the instant, on both sides of a clock change', () => {
    // 2020-11-01 06:00 UTC: 02:00 EDT becomes 01:00 EST.
    const change = secondsOf('2020-11-01T06:00:00Z');
    expect(newYork.offsetAt(change - 1)).toBe(-4 * 3600);
    expect(newYork.offsetAt(change)).toBe(-5 * 3600);
    expect(shanghai.offsetAt(change)).toBe(8 * 3600);
    expect(kolkata.offsetAt(change)).toBe(19800);
  });
  it('knows one instant, none, or two of a time on the wall', () => {
    const wall = (text: string) => secondsOf(text + 'Z');
    expect(instantsOf(wall('2020-11-01T01:30:00'), newYork)).toEqual([
      secondsOf('2020-11-01T01:30:00-04:00'),
      secondsOf('2020-11-01T01:30:00-05:00'),
    ]);
    expect(instantsOf(wall('2020-03-08T02:30:00'), newYork)).toEqual([]);
    expect(instantsOf(wall('2020-03-08T03:00:00'), newYork)).toEqual([secondsOf('2020-03-08T03:00:00-04:00')]);
    // Half an hour is put back there.
    expect(instantsOf(wall('2020-04-05T01:45:00'), lordHowe)).toHaveLength(2);
    expect(instantsOf(wall('2020-04-05T02:15:00'), lordHowe)).toHaveLength(1);
  });
  it('tells whether a time is in a fold', () => {
    expect(isInFold(secondsOf('2020-11-01T01:59:59-04:00'), newYork)).toBe(true);
    expect(isInFold(secondsOf('2020-11-01T02:00:00-05:00'), newYork)).toBe(false);
  });
  it('refuses a name that is none', () => expect(() => zoneNamed('Mars/Olympus')).toThrow(RangeError));
});

describe('a time of the API', () => {
  it('is read to the nanosecond and written again', () => {
    const text = '2020-02-23T10:56:05.999999999Z';
    expect(parseInstant(text)).toEqual({ seconds: 1582455365, nanos: 999_999_999 });
    expect(instantText(parseInstant(text)!)).toBe(text);
    expect(parseInstant('2020-02-23T18:56:05.5+08:00')).toEqual({ seconds: 1582455365, nanos: 500_000_000 });
    expect(instantText(justBefore(1582455366))).toBe(text);
  });
  it('is the same however it is written', () => {
    for (let at = -2e9; at < 4e9; at += 7_654_321) {
      const text = instantText({ seconds: at, nanos: 0 });
      expect(secondsOf(text)).toBe(at);
      expect(secondsOf(text.replace('Z', '.5Z'))).toBe(at);
      expect(parseInstant(text)?.seconds).toBe(at);
    }
    expect(() => secondsOf('not a time at all, Z')).toThrow('not a time');
  });
  it('is refused where the calendar has no such day', () => {
    expect(parseInstant('2021-02-29T00:00:00Z')).toBeUndefined();
    expect(parseInstant('2020-02-23T24:00:00Z')).toBeUndefined();
    expect(parseInstant('2020-02-23T18:56:05')).toBeUndefined();
  });
});

describe('what is typed', () => {
  const now = secondsOf('2020-02-23T19:30:00+08:00');
  const typed = (text: string, zone = shanghai) => parseTyped(text, zone, now);
  const second = (text: string) => ({ kind: 'second', second: secondsOf(text) });
  it('is a time of the zone that is shown', () => {
    expect(typed('2020-02-23 18:56:06')).toEqual(second('2020-02-23T18:56:06+08:00'));
    expect(typed('2020-02-23T18:56')).toEqual(second('2020-02-23T18:56:00+08:00'));
    expect(typed('2020-02-23 18:56', utc)).toEqual(second('2020-02-23T18:56:00Z'));
    expect(typed('2020-02-23 18:56:06+01:00')).toEqual(second('2020-02-23T18:56:06+01:00'));
  });
  it('looks back where there is no date', () => {
    expect(typed('18:56')).toEqual(second('2020-02-23T18:56:00+08:00'));
    expect(typed('19:31')).toEqual(second('2020-02-22T19:31:00+08:00'));
    expect(typed('yesterday 18:56:01')).toEqual(second('2020-02-22T18:56:01+08:00'));
    expect(typed('昨天 18:56')).toEqual(second('2020-02-22T18:56:00+08:00'));
    expect(typed('5 minutes ago')).toEqual(second('2020-02-23T19:25:00+08:00'));
    expect(typed('2 小时前')).toEqual(second('2020-02-23T17:30:00+08:00'));
  });
  it('may be a name that the API resolves', () => {
    expect(typed('mark:before upgrade')).toEqual({ kind: 'named', at: 'mark:before upgrade' });
    expect(typed('LSN:42')).toEqual({ kind: 'named', at: 'lsn:42' });
    expect(typed('2020-02-23T10:56:05.25Z')).toEqual({ kind: 'named', at: '2020-02-23T10:56:05.25Z' });
  });
  it('in a fold has two meanings, and in a skipped hour none', () => {
    expect(parseTyped('2020-11-01 01:30', newYork, now)).toEqual({
      kind: 'fold',
      seconds: [secondsOf('2020-11-01T01:30:00-04:00'), secondsOf('2020-11-01T01:30:00-05:00')],
    });
    expect(parseTyped('2020-03-08 02:30', newYork, now)).toEqual({ kind: 'skipped' });
  });
  it.each(['', 'yesteryear', '25:00', '2020-02-30 10:00', '2020-02-23 18:56 x', 'tomorrow 10:00'])(
    'is not understood: %s',
    (text) => expect(typed(text)).toEqual({ kind: 'unknown' }),
  );
});
