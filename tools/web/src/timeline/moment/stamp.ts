// SPDX-License-Identifier: Apache-2.0
//
// Times of the API ("2020-02-23T10:55:59.999999999Z") as whole seconds and nanoseconds: a double
// holds no nanosecond of this century.

export interface Instant {
  // Whole seconds since 1970, rounded down.
  readonly seconds: number;
  readonly nanos: number;
}

const kTime = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)$/;

// Undefined where the text is not a time with an offset.
export function parseInstant(text: string): Instant | undefined {
  const found = kTime.exec(text);
  if (!found) return undefined;
  const [, year, month, day, hour, minute, second, fraction, offset] = found;
  const wall = wallOf(Number(year), Number(month), Number(day), Number(hour), Number(minute), Number(second ?? 0));
  if (wall === undefined) return undefined;
  return {
    seconds: wall - offsetSeconds(offset ?? 'Z'),
    nanos: fraction ? Number(fraction.padEnd(9, '0')) : 0,
  };
}

// Whole seconds of a time of the API, which is always one. Times in UTC, which come by the thousand, take no pattern.
export function secondsOf(text: string): number {
  if (text.length >= 20 && text[4] === '-' && text[10] === 'T' && text.endsWith('Z')) {
    const number = (at: number) => (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;
    const year = number(0) * 100 + number(2);
    const days = daysBefore(year, number(5)) + number(8) - 1;
    const seconds = days * 86400 + number(11) * 3600 + number(14) * 60 + number(17);
    if (Number.isFinite(seconds)) return seconds;
  }
  const instant = parseInstant(text);
  if (!instant) throw new Error(`not a time: ${text}`);
  return instant.seconds;
}

let knownMonth = Number.NaN;
let knownDays = 0;
// From 1970 to the begin of a month; most times are of the same one as the time before.
function daysBefore(year: number, month: number): number {
  const key = year * 12 + month;
  if (key !== knownMonth) {
    knownDays = Date.UTC(year, month - 1) / 86_400_000;
    knownMonth = key;
  }
  return knownDays;
}

// Wall seconds of a date; undefined where the calendar has no such.
export function wallOf(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(ms);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return ms / 1000;
}

function offsetSeconds(text: string): number {
  if (text === 'Z') return 0;
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.slice(1).replace(':', '');
  return sign * (Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60);
}

// As the API takes it, in UTC.
export function instantText({ seconds, nanos }: Instant): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return nanos === 0 ? `${whole}Z` : `${whole}.${String(nanos).padStart(9, '0').replace(/0+$/, '')}Z`;
}

// The last moment before a second begins.
export function justBefore(second: number): Instant {
  return { seconds: second - 1, nanos: 999_999_999 };
}
