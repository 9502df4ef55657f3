// SPDX-License-Identifier: Apache-2.0
//
// What the timeline asks of the API.
import { api, ask, type Schemas } from '../api/client';
import { instantText, justBefore, secondsOf } from './moment';
import type { Told } from './tile_cache';

export type Points = Schemas['Points'];
export type Diff = Schemas['Diff'];
type Timeline = Schemas['Timeline'];

// Steps from `from` up to `until` (or the end of history), and what happened beside them.
export async function askTimeline(
  volume: string,
  from: number,
  until: number | undefined,
  step: number,
  signal?: AbortSignal,
): Promise<Timeline> {
  const query = {
    since: instantText({ seconds: from, nanos: 0 }),
    step,
    ...(until === undefined ? {} : { until: instantText(justBefore(until)) }),
  };
  return ask(
    api.GET('/api/volumes/{volume}/timeline', { params: { path: { volume }, query }, signal: signal ?? null }),
  );
}

export function toldOf(timeline: Timeline): Told {
  return { steps: timeline.steps, until: secondsOf(timeline.until) };
}

export function askEnds(volume: string): Promise<Points> {
  return ask(api.GET('/api/volumes/{volume}/points', { params: { path: { volume } } }));
}

export function resolvePoint(volume: string, at: string, signal?: AbortSignal): Promise<Points> {
  return ask(
    api.GET('/api/volumes/{volume}/points', { params: { path: { volume }, query: { at } }, signal: signal ?? null }),
  );
}

// The first extents of it, which are many where a volume was written at random.
const kExtentsMost = 20_000;

export function askDiff(volume: string, from: string, to: string, signal?: AbortSignal): Promise<Diff> {
  return ask(
    api.GET('/api/volumes/{volume}/diff', {
      params: { path: { volume }, query: { from, to, limit: kExtentsMost } },
      signal: signal ?? null,
    }),
  );
}
