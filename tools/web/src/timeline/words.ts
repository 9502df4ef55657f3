// SPDX-License-Identifier: Apache-2.0
//
// The timeline in words: what a second was, what stands out, and where a point lies.
import type { Schemas } from '../api/client';
import { bytes, clockTime, date, duration, offset, time } from '../app/time/index.svelte';
import type { Happening } from './happenings';
import { t } from './messages';
import type { Standout } from './standouts';
import type { Activity } from './tile';

// A share of the volume: never 0 % of something, nor 100 % of less than all.
export function shareText(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return '0 %';
  const percent = (part / whole) * 100;
  if (percent >= 100) return '100 %';
  if (percent < 0.1) return '< 0.1 %';
  return `${percent >= 10 ? Math.min(99, Math.round(percent)) : Number(percent.toFixed(1))} %`;
}

export function stepTimeText(begin: number, seconds: number): string {
  const from = begin * 1000;
  if (seconds <= 1) return time(from);
  const until = (begin + seconds) * 1000;
  const isSameDay = date(from) === date(until) && offset(from) === offset(until);
  return t('fromTo', {
    from: time(from, { bare: isSameDay }),
    to: isSameDay ? `${clockTime(until)} ${offset(until)}` : time(until),
  });
}

// As the language separates them.
export function joined(parts: readonly string[]): string {
  return parts.reduce((one, other) => t('and', { one, other }));
}

export function activityText(activity: Activity | undefined, volumeBytes: number): string {
  if (!activity) return t('nothing');
  const { written, writes, zeroed, trimmed, overwritten, entropy, p99Us, p99IsMore } = activity;
  const parts: string[] = [];
  if (trimmed > 0) parts.push(t('discardedShare', { bytes: bytes(trimmed), share: shareText(trimmed, volumeBytes) }));
  if (zeroed > 0) parts.push(t('zeroedShare', { bytes: bytes(zeroed), share: shareText(zeroed, volumeBytes) }));
  if (written > 0) parts.push(t('wroteIn', { bytes: bytes(written), writes }));
  if (overwritten !== undefined) parts.push(t('overData', { percent: overwritten }));
  if (entropy !== undefined) parts.push(t('looksLikeNoise', { percent: entropy }));
  if (p99Us !== undefined) parts.push(t(p99IsMore ? 'latencyMore' : 'latency', { time: duration(p99Us / 1000) }));
  return joined(parts);
}

export function happeningText({ kind, text }: Happening): string {
  switch (kind) {
    case 'mark':
      return t('eventMark', { text });
    case 'crash':
      return t('eventCrash', { text });
    case 'rollback':
      return t('eventRollback', { text });
    case 'gap':
      return t('eventGap', { text });
    case 'created':
      return t('eventCreated');
    case 'removed':
      return t('eventRemoved');
    default:
      return t('eventOther', { kind, text });
  }
}

export function standoutText(standout: Standout, volumeBytes: number): string {
  const { kind, trimmed, zeroed, written, entropy } = standout;
  if (kind === 'scrambled') return t('scramblingOf', { bytes: bytes(written), percent: entropy ?? 0 });
  const share = shareText(trimmed + zeroed, volumeBytes);
  const of = { bytes: bytes(trimmed + zeroed), share };
  return zeroed === 0 ? t('discardOf', of) : trimmed === 0 ? t('zeroingOf', of) : t('destructionOf', of);
}

function standoutAsNoun({ kind, trimmed, zeroed, written }: Standout, volumeBytes: number): string {
  if (kind === 'scrambled') return t('aScrambling', { bytes: bytes(written) });
  const share = shareText(trimmed + zeroed, volumeBytes);
  return t(zeroed === 0 ? 'aDiscard' : trimmed === 0 ? 'aZeroing' : 'aDestruction', { share });
}

// "1 s before a discard of 100 % of the volume"; the point is the end of the second before `second`.
export function beforeText(second: number, standout: Standout, volumeBytes: number): string {
  const what = standoutAsNoun(standout, volumeBytes);
  const away = standout.begin - second;
  return away <= 0 ? t('rightBefore', { what }) : t('beforeOf', { time: duration(away * 1000), what });
}

export function nearMarkText(mark: Schemas['NearMark'] | undefined): string {
  if (!mark) return t('noMark');
  const { label, distance_ns } = mark;
  const distance = duration(Math.abs(distance_ns) / 1e6);
  if (distance_ns === 0) return t('markThere', { label });
  // Negative where the point is before it, as of a gap.
  return t(distance_ns > 0 ? 'markBefore' : 'markAfter', { label, distance });
}

export function nearGapText(gap: Schemas['NearGap']): string {
  const { cause, distance_ns } = gap;
  const distance = duration(Math.abs(distance_ns) / 1e6);
  if (distance_ns === 0) return t('gapThere', { cause });
  return t(distance_ns < 0 ? 'gapAfter' : 'gapBefore', { cause, distance });
}
