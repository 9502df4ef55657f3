// SPDX-License-Identifier: Apache-2.0
//
// What stands on the timeline beside activity: marks, rollbacks, gaps, crashes; and kinds that a
// newer appliance may tell of, which are shown by their text.
import { secondsOf } from './moment';
import { pixelAt, type Bounds, type Viewport } from './viewport';

export interface ApiEvent {
  kind: string;
  text: string;
  lsn: number;
  time_utc: string;
  until?: string;
}

export interface Happening {
  readonly kind: string;
  readonly text: string;
  readonly lsn: number;
  readonly second: number;
  // Of a gap: where it ends; undefined while it goes on.
  readonly until?: number;
  readonly hasLength: boolean;
}

export function happeningsOf(events: readonly ApiEvent[]): Happening[] {
  return events.map((event) => ({
    kind: event.kind,
    text: event.text,
    lsn: event.lsn,
    second: secondsOf(event.time_utc),
    hasLength: event.kind === 'gap',
    ...(event.until === undefined ? {} : { until: secondsOf(event.until) }),
  }));
}

// Those that would be drawn over one another are drawn as one.
export interface Flag {
  readonly x: number;
  readonly of: readonly Happening[];
}

const kFlagPixels = 12;

export function flagsOf(all: readonly Happening[], view: Viewport, width: number): Flag[] {
  const flags: { x: number; of: Happening[] }[] = [];
  const lastOfKind = new Map<string, { x: number; of: Happening[] }>();
  for (const happening of all) {
    if (happening.hasLength) continue;
    const x = pixelAt(view, happening.second, width);
    if (x < -kFlagPixels || x > width + kFlagPixels) continue;
    const last = lastOfKind.get(happening.kind);
    if (last && x - last.x < kFlagPixels) {
      last.of.push(happening);
      continue;
    }
    const flag = { x, of: [happening] };
    lastOfKind.set(happening.kind, flag);
    flags.push(flag);
  }
  return flags;
}

export interface GapSpan {
  readonly left: number;
  readonly right: number;
  readonly of: Happening;
}

// A gap of a second is seen in a year, too.
export function gapsOf(all: readonly Happening[], view: Viewport, width: number, bounds: Bounds): GapSpan[] {
  const spans: GapSpan[] = [];
  for (const of of all) {
    if (!of.hasLength) continue;
    const left = pixelAt(view, of.second, width);
    const right = Math.max(left + 3, pixelAt(view, of.until ?? bounds.last + 1, width));
    if (right >= 0 && left <= width) spans.push({ left, right, of });
  }
  return spans;
}

// The ones that a second is in, or next to, nearest first.
export function near(all: readonly Happening[], second: number, within: number, bounds: Bounds): Happening[] {
  const distance = ({ hasLength, second: begin, until }: Happening): number => {
    const end = hasLength ? (until ?? bounds.last) : begin;
    if (second >= begin && second <= end) return 0;
    return Math.min(Math.abs(second - begin), Math.abs(second - end));
  };
  return all.filter((happening) => distance(happening) <= within).sort((a, b) => distance(a) - distance(b));
}
