// SPDX-License-Identifier: Apache-2.0
//
// The same in the zone and language that were chosen, and a clock that components can depend on.
import { preferences } from '../preferences.svelte';
import { formatBytes, formatClock, formatDate, formatDuration, formatTime, millisOf, offsetText } from './format';
import type { TimeStyle } from './format';

class Clock {
  // To the second; whole pages need no finer one.
  now = $state(Date.now());

  constructor() {
    if (typeof window !== 'undefined') setInterval(() => (this.now = Date.now()), 1000);
  }
}

export const clock = new Clock();

// Re-rendering every time at each second would be for nothing: only the year of "now" matters to a style.
const year = $derived.by(() => new Date(clock.now).getFullYear());

function style(more: Partial<TimeStyle> = {}): TimeStyle {
  const now = Date.UTC(year, 6, 1);
  return { zone: preferences.zone, language: preferences.language, now, ...more };
}

type Moment = string | number | Date;
export const time = (at: Moment, more?: Partial<TimeStyle>): string => formatTime(at, style(more));
export const date = (at: Moment, more?: Partial<TimeStyle>): string => formatDate(at, style(more));
export const clockTime = (at: Moment, more?: Partial<TimeStyle>): string => formatClock(at, style(more));
export const offset = (at: Moment): string => offsetText(millisOf(at), preferences.zone);
export const duration = (millis: number): string => formatDuration(millis, preferences.language);
export const bytes = formatBytes;
export { millisOf };
