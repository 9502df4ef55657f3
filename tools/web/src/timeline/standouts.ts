// SPDX-License-Identifier: Apache-2.0
//
// What stands out in a stretch of time: where most was discarded or zeroed, and where data was written over with what
// looks like noise. Found in coarse steps first and then in finer ones inside these, so that the second is known after
// a few small questions, whatever the stretch.
import { secondsOf } from './moment';
import type { ApiStep } from './tile';
import type { Told } from './tile_cache';

export type StandoutKind = 'destroyed' | 'scrambled';

export interface Standout {
  kind: StandoutKind;
  // The second in which it began, and the one behind the last.
  begin: number;
  end: number;
  trimmed: number;
  zeroed: number;
  written: number;
  entropy?: number;
  overwritten?: number;
}

export type AskSteps = (from: number, until: number, step: number, signal: AbortSignal) => Promise<Told>;

interface Search {
  kind: StandoutKind;
  // How much of a step speaks for it.
  weight(step: ApiStep): number;
}

const kNoise = 85;
const kOverData = 40;
// Of one block there is no story to tell.
const kLeastBytes = 1 << 20;
const kFound = 3;
// Steps of activity that are this close belong together.
const kPause = 10;
const kSteps = [86400, 3600, 60, 1];
const kStepsMax = 400;

const searches: readonly Search[] = [
  { kind: 'destroyed', weight: (step) => step.zeroed_bytes + step.trimmed_bytes },
  {
    kind: 'scrambled',
    weight: (step) =>
      (step.entropy_percent ?? 0) >= kNoise && (step.overwritten_percent ?? 0) >= kOverData ? step.written_bytes : 0,
  },
];

// The largest first; of equal ones, the newest.
export async function findStandouts(
  ask: AskSteps,
  from: number,
  until: number,
  signal: AbortSignal,
): Promise<Standout[]> {
  const step = kSteps.findLast((length) => (until - from) / length <= kStepsMax) ?? 86400;
  const { steps } = await ask(from, until, step, signal);
  const found: Standout[] = [];
  for (const search of searches) {
    for (const candidate of largest(steps, search)) {
      const seconds = await secondsIn(ask, secondsOf(candidate.begin), step, search, { from, until }, signal);
      for (const burst of burstsOf(seconds, search)) {
        const isKnown = found.some((other) => other.kind === burst.kind && other.begin === burst.begin);
        if (!isKnown) found.push(burst);
      }
    }
  }
  return found.sort((a, b) => weightOf(b) - weightOf(a) || b.begin - a.begin).slice(0, kFound * 2);
}

export function weightOf({ kind, trimmed, zeroed, written }: Standout): number {
  return kind === 'destroyed' ? trimmed + zeroed : written;
}

function largest(steps: readonly ApiStep[], search: Search): ApiStep[] {
  return steps
    .filter((step) => search.weight(step) >= kLeastBytes)
    .sort((a, b) => search.weight(b) - search.weight(a) || secondsOf(b.begin) - secondsOf(a.begin))
    .slice(0, kFound);
}

// The seconds around the largest one in a step, as a burst may have begun before it.
async function secondsIn(
  ask: AskSteps,
  begin: number,
  length: number,
  search: Search,
  limits: { from: number; until: number },
  signal: AbortSignal,
): Promise<ApiStep[]> {
  let at = begin;
  let of = length;
  for (const finer of kSteps.filter((step) => step < length && step > 1)) {
    const { steps } = await ask(Math.max(at, limits.from), Math.min(at + of, limits.until), finer, signal);
    const [most] = largest(steps, search);
    if (most === undefined) break;
    at = secondsOf(most.begin);
    of = finer;
  }
  const first = Math.max(at - 60, limits.from);
  const { steps } = await ask(first, Math.min(at + of + 60, limits.until), 1, signal);
  return [...steps];
}

// Seconds of one burst lie close to each other, and each has a hundredth of the largest at least.
export function burstsOf(seconds: readonly ApiStep[], search: Search | StandoutKind): Standout[] {
  const { kind, weight } =
    typeof search === 'string' ? (searches.find((one) => one.kind === search) as Search) : search;
  const most = Math.max(0, ...seconds.map(weight));
  const bursts: Standout[] = [];
  for (const step of seconds) {
    if (weight(step) === 0 || weight(step) < most / 100) continue;
    const begin = secondsOf(step.begin);
    const last = bursts.at(-1);
    const burst =
      last && begin - last.end <= kPause ? last : { kind, begin, end: begin + 1, trimmed: 0, zeroed: 0, written: 0 };
    if (burst !== last) bursts.push(burst);
    burst.end = begin + 1;
    burst.trimmed += step.trimmed_bytes;
    burst.zeroed += step.zeroed_bytes;
    burst.written += step.written_bytes;
    burst.entropy = larger(burst.entropy, step.entropy_percent);
    burst.overwritten = larger(burst.overwritten, step.overwritten_percent);
  }
  return bursts.filter((burst) => weightOf(burst) >= kLeastBytes);
}

function larger(known: number | undefined, other: number | undefined): number | undefined {
  if (known === undefined || other === undefined) return known ?? other;
  return Math.max(known, other);
}

// The one that a point lies before, within an hour.
export function nextAfter(found: readonly Standout[], second: number): Standout | undefined {
  return found.filter(({ begin }) => begin >= second && begin - second <= 3600).sort((a, b) => a.begin - b.begin)[0];
}
