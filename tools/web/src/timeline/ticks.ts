// SPDX-License-Identifier: Apache-2.0
//
// Where the axis of time has its lines: at round times of the zone that is shown.
import { instantsOf, type Zone } from './moment';
import { endOf, type Viewport } from './viewport';

export type TickStyle = 'clock' | 'minute' | 'day' | 'month' | 'year';

export interface Tick {
  readonly second: number;
  readonly style: TickStyle;
  // A line of the next larger unit, which names more: the first of a day among hours.
  readonly isMajor: boolean;
}

const kHour = 3600;
const kDay = 86400;
const kEvenSteps = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1800,
  kHour,
  2 * kHour,
  3 * kHour,
  6 * kHour,
  12 * kHour,
];
const kDaySteps = [1, 2, 7];
const kMonthSteps = [1, 2, 3, 6, 12];
const kMonth = 30.4 * kDay;

// At most about `count` of them.
export function ticksOf(view: Viewport, count: number, zone: Zone): Tick[] {
  const least = view.span / Math.max(1, count);
  const even = kEvenSteps.find((step) => step >= least);
  if (even !== undefined) return clockTicks(view, even, zone);
  const days = kDaySteps.find((step) => step * kDay >= least);
  if (days !== undefined) return dayTicks(view, days, zone);
  return monthTicks(view, kMonthSteps.find((step) => step * kMonth >= least) ?? 12, zone);
}

function clockTicks(view: Viewport, step: number, zone: Zone): Tick[] {
  const ticks: Tick[] = [];
  let before = Number.NaN;
  // Each step on the wall, where it is there once, twice, or not at all.
  const offsets = [zone.offsetAt(Math.floor(view.begin)), zone.offsetAt(Math.ceil(endOf(view)))];
  const first = Math.floor((view.begin + Math.min(...offsets)) / step) * step;
  const last = endOf(view) + Math.max(...offsets);
  for (let wall = first; wall <= last; wall += step) {
    for (const second of instantsOf(wall, zone)) {
      if (second < view.begin || second > endOf(view) || second === before) continue;
      before = second;
      const isMidnight = wall % kDay === 0;
      const style = isMidnight ? 'day' : step < 60 ? 'clock' : 'minute';
      ticks.push({ second, style, isMajor: isMidnight });
    }
  }
  return ticks.sort((a, b) => a.second - b.second);
}

function dayTicks(view: Viewport, step: number, zone: Zone): Tick[] {
  const ticks: Tick[] = [];
  const first = wallDate(view.begin, zone);
  for (let back = -1; ; back++) {
    const ms = Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), first.getUTCDate() + back);
    const date = new Date(ms);
    const ofMonth = date.getUTCDate();
    const fits = step === 1 || (step === 7 ? date.getUTCDay() === 1 : ofMonth % step === 1);
    // Looking up an offset takes longer than all else here.
    if (!fits && ms / 1000 < endOf(view) - kDay) continue;
    const second = atWall(ms / 1000, zone);
    if (second > endOf(view)) return ticks;
    if (!fits || second < view.begin) continue;
    ticks.push({ second, style: 'day', isMajor: ofMonth === 1 });
  }
}

function monthTicks(view: Viewport, step: number, zone: Zone): Tick[] {
  const ticks: Tick[] = [];
  const first = wallDate(view.begin, zone);
  for (let month = Math.floor(first.getUTCMonth() / step) * step; ; month += step) {
    const ms = Date.UTC(first.getUTCFullYear(), month);
    const second = atWall(ms / 1000, zone);
    if (second > endOf(view)) return ticks;
    if (second < view.begin) continue;
    ticks.push({ second, style: 'month', isMajor: new Date(ms).getUTCMonth() === 0 });
  }
}

function wallDate(second: number, zone: Zone): Date {
  return new Date((second + zone.offsetAt(Math.floor(second))) * 1000);
}

// Where midnight was skipped, the day began with what the clock was put forward to.
function atWall(wall: number, zone: Zone): number {
  return instantsOf(wall, zone)[0] ?? wall - zone.offsetAt(wall - kDay);
}
