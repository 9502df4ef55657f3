// SPDX-License-Identifier: Apache-2.0
//
// What somebody types for a point: a time in the zone that is shown, a time with an offset, a mark,
// an LSN, or how long ago.
import { instantsOf, type Zone } from './zone';
import { instantText, parseInstant, wallOf } from './stamp';

export type TypedPoint =
  | { readonly kind: 'second'; readonly second: number }
  // The clock was put back: the same was on the wall twice.
  | { readonly kind: 'fold'; readonly seconds: readonly number[] }
  // The clock was put forward over it.
  | { readonly kind: 'skipped' }
  // A point that the API resolves by itself.
  | { readonly kind: 'named'; readonly at: string }
  | { readonly kind: 'unknown' };

const kClock = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/;
const kDate = /^(\d{4})-(\d{1,2})-(\d{1,2})$/;
const kAgo = /^(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|秒|分钟|小时|天)\s*(ago|前)$/;
const kSecondsOf: Record<string, number> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86400,
  秒: 1,
  分: 60,
  小: 3600,
  天: 86400,
};
const kDaysBack: Record<string, number> = { today: 0, yesterday: 1, 今天: 0, 昨天: 1 };

// `now` is the newest second of history, from which a clock time without a date looks back.
export function parseTyped(text: string, zone: Zone, now: number): TypedPoint {
  const typed = text.trim().replace(/\s+/g, ' ');
  if (/^(now|first)$/i.test(typed)) return { kind: 'named', at: typed.toLowerCase() };
  if (/^lsn:\d+$/i.test(typed)) return { kind: 'named', at: typed.toLowerCase() };
  if (/^mark:.+$/.test(typed)) return { kind: 'named', at: typed };
  const absolute = parseInstant(typed);
  if (absolute) {
    // A whole second is what is clicked too; anything finer is a moment of its own.
    if (absolute.nanos === 0) return { kind: 'second', second: absolute.seconds };
    return { kind: 'named', at: instantText(absolute) };
  }
  const ago = kAgo.exec(typed.toLowerCase());
  if (ago) {
    const unit = kSecondsOf[ago[2]?.charAt(0) ?? ''] ?? 1;
    return { kind: 'second', second: now - Number(ago[1]) * unit };
  }
  return parseWall(typed, zone, now);
}

function parseWall(typed: string, zone: Zone, now: number): TypedPoint {
  const parts = typed.replace('T', ' ').split(' ');
  const clock = kClock.exec(parts.at(-1) ?? '');
  const words = clock ? parts.slice(0, -1) : parts;
  if (words.length > 1) return { kind: 'unknown' };
  const time = clock ? [Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0)] : [0, 0, 0];
  const [hour = 0, minute = 0, second = 0] = time;
  const word = words[0];
  if (word !== undefined) {
    const date = kDate.exec(word);
    const back = kDaysBack[word.toLowerCase()];
    if (date) {
      const [, year, month, day] = date;
      return atWall(wallOf(Number(year), Number(month), Number(day), hour, minute, second), zone);
    }
    if (back === undefined) return { kind: 'unknown' };
    return atWall(onDay(now, back, zone, hour, minute, second), zone);
  }
  if (!clock) return { kind: 'unknown' };
  // The newest such time that has been.
  const today = atWall(onDay(now, 0, zone, hour, minute, second), zone);
  const earliest = today.kind === 'second' ? today.second : today.kind === 'fold' ? today.seconds[0] : undefined;
  if (earliest === undefined || earliest <= now) return today;
  return atWall(onDay(now, 1, zone, hour, minute, second), zone);
}

function onDay(
  now: number,
  daysBack: number,
  zone: Zone,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  const day = new Date((now + zone.offsetAt(now) - daysBack * 86400) * 1000);
  return wallOf(day.getUTCFullYear(), day.getUTCMonth() + 1, day.getUTCDate(), hour, minute, second);
}

function atWall(wall: number | undefined, zone: Zone): TypedPoint {
  if (wall === undefined) return { kind: 'unknown' };
  const instants = instantsOf(wall, zone);
  if (instants.length === 0) return { kind: 'skipped' };
  if (instants.length > 1) return { kind: 'fold', seconds: instants };
  return { kind: 'second', second: instants[0] as number };
}
