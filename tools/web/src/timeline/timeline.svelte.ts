// SPDX-License-Identifier: Apache-2.0
//
// The state of one timeline: what is shown of which volume, what is known of it, and where the pointer is.
import type { Schemas } from '../api/client';
import { asApiError, type ApiError } from '../api/error';
import { stepAt } from './columns';
import { happeningsOf, near, type Happening } from './happenings';
import { levelAt, levelFor } from './levels';
import { secondsOf } from './moment';
import { askEnds, askTimeline, toldOf } from './source';
import { findStandouts, type Standout } from './standouts';
import { TileCache } from './tile_cache';
import { around, between, endOf, follows, newest, pan, reveal, zoom, type Bounds, type Viewport } from './viewport';

type ApiEvent = Schemas['TimelineEvent'];

const kDay = 86400;
const kGlideMillis = 260;
const kSearchAfterMillis = 350;
const kSearchAgainSeconds = 30;

export class TimelineModel {
  bounds = $state.raw<Bounds>();
  view = $state.raw<Viewport>({ begin: 0, span: kDay });
  happenings = $state.raw<readonly Happening[]>([]);
  standouts = $state.raw<readonly Standout[]>();
  isSearching = $state(false);
  // The begin of the step that the pointer or the keys are at.
  cursor = $state<number>();
  volumeBytes = $state(0);
  // Counts what has changed in the cache.
  news = $state(0);
  error = $state.raw<ApiError>();
  isBroken = $state(false);
  // Pixels of the strip.
  width = 1000;
  readonly cache: TileCache;
  #events = new Map<string, ApiEvent>();
  #glide: { from: Viewport; to: Viewport; since: number } | undefined;
  #search: AbortController | undefined;
  #searched = '';
  #searchTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly volume: string) {
    this.cache = new TileCache((from, until, step, signal) => this.#ask(from, until, step, signal), {
      changed: () => {
        this.news++;
        this.isBroken = false;
      },
      headAt: (second) => this.#headAt(second),
      failed: () => (this.isBroken = true),
    });
  }

  // Of the last day, as the API tells them: what the volume's state is derived from.
  get eventsLately(): ApiEvent[] {
    const since = (this.bounds?.last ?? 0) - kDay;
    const isLate = ({ second, until, hasLength }: Happening) => second >= since || (hasLength && until === undefined);
    const late = new Set(this.happenings.filter(isLate).map(({ kind, lsn }) => `${kind}:${lsn}`));
    return [...this.#events].filter(([key]) => late.has(key)).map(([, event]) => event);
  }

  get level(): number {
    return levelFor(this.view.span / this.width);
  }
  get step(): number {
    return levelAt(this.level).step;
  }

  async open(): Promise<void> {
    try {
      const ends = await askEnds(this.volume);
      this.volumeBytes = ends.volume.size_bytes;
      const first = secondsOf(ends.first.time_utc);
      this.bounds = { first, last: Math.max(first, secondsOf(ends.last.time_utc)) };
      this.show(newest(this.bounds, kDay));
      this.error = undefined;
      // All that happened, and the newest second, in steps that cost little.
      const all = await askTimeline(this.volume, first, undefined, kDay);
      this.#takeEvents(all.events);
      this.#headAt(toldOf(all).until);
    } catch (problem) {
      this.error = asApiError(problem);
    }
  }

  close(): void {
    this.cache.close();
    this.#search?.abort();
    clearTimeout(this.#searchTimer);
  }

  // Once a second: what is at the end of history, if that is shown.
  tick(): void {
    this.want();
  }

  want(): void {
    if (!this.bounds) return;
    this.cache.want(this.level, this.view.begin, endOf(this.view), this.bounds);
    this.#searchSoon();
  }

  // --- Moving ---

  show(view: Viewport): void {
    this.#glide = undefined;
    this.view = view;
  }

  glideTo(to: Viewport): void {
    const isStill = typeof matchMedia !== 'undefined' && matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (isStill) this.show(to);
    else this.#glide = { from: this.view, to, since: performance.now() };
  }

  // Before each frame; true while it moves by itself.
  advance(now: number): boolean {
    if (!this.#glide) return false;
    const { from, to, since } = this.#glide;
    const part = Math.min(1, Math.max(0, (now - since) / kGlideMillis));
    this.view = between(from, to, 1 - (1 - part) ** 3);
    if (part >= 1) this.#glide = undefined;
    return this.#glide !== undefined;
  }

  zoomBy(factor: number, anchor: number): void {
    if (this.bounds) this.show(zoom(this.view, factor, anchor, this.bounds));
  }
  glideBy(factor: number): void {
    if (!this.bounds) return;
    const { cursor, view } = this;
    const isThere = cursor !== undefined && cursor >= view.begin && cursor <= endOf(view);
    this.glideTo(zoom(view, factor, isThere ? (cursor - view.begin) / view.span : 0.5, this.bounds));
  }
  panBy(share: number): void {
    if (this.bounds) this.show(pan(this.view, share * this.view.span, this.bounds));
  }
  glideAlong(share: number): void {
    if (this.bounds) this.glideTo(pan(this.view, share * this.view.span, this.bounds));
  }
  showNewest(span: number): void {
    if (this.bounds) this.glideTo(newest(this.bounds, span));
  }
  showAround(second: number, span: number): void {
    if (this.bounds) this.glideTo(around(second, span, this.bounds));
  }

  // --- The pointer ---

  stepBegin(second: number): number {
    return Math.floor(second / this.step) * this.step;
  }

  pointAt(share: number | undefined): void {
    this.cursor =
      share === undefined || !this.bounds ? undefined : this.#clamped(this.view.begin + share * this.view.span);
  }

  moveCursor(steps: number): void {
    if (!this.bounds) return;
    const from = this.cursor ?? this.stepBegin(this.view.begin + this.view.span / 2);
    this.cursor = this.#clamped(from + steps * this.step);
    this.show(reveal(this.view, this.cursor, this.bounds));
  }

  cursorTo(second: number): void {
    if (!this.bounds) return;
    this.cursor = this.#clamped(second);
    this.show(reveal(this.view, this.cursor, this.bounds));
  }

  #clamped(second: number): number {
    const { first, last } = this.bounds as Bounds;
    return this.stepBegin(Math.min(Math.max(second, first), last));
  }

  // What is known of the step that begins there.
  lookAt(second: number) {
    return stepAt(this.cache, this.level, second);
  }

  happeningsAt(second: number): Happening[] {
    if (!this.bounds) return [];
    const within = Math.max(this.step, (this.view.span / this.width) * 5);
    return near(this.happenings, second, within, this.bounds);
  }

  // The second that a click on a step means: where something in it was destroyed, that one's.
  async secondOfClick(second: number): Promise<number> {
    const begin = this.stepBegin(second);
    const end = begin + this.step;
    const known = this.standouts?.find((standout) => standout.begin >= begin && standout.begin < end);
    if (known) return known.begin;
    const activity = this.lookAt(begin)?.activity;
    if (this.step === 1 || !activity || activity.trimmed + activity.zeroed === 0) return begin;
    const found = await this.#findIn(begin, end, new AbortController().signal);
    const inside = found.filter((standout) => standout.begin >= begin && standout.begin < end);
    return inside.length === 0 ? begin : Math.min(...inside.map((standout) => standout.begin));
  }

  // --- What stands out ---

  #findIn(from: number, until: number, signal: AbortSignal): Promise<Standout[]> {
    const { first, last } = this.bounds as Bounds;
    return findStandouts(
      (since, end, step) => this.#ask(Math.max(since, first), end > last ? undefined : end, step, signal),
      Math.max(from, first),
      Math.min(until, last + 1),
      signal,
    );
  }

  // Around a second, for who does not see the strip.
  async lookAround(second: number): Promise<void> {
    if (!this.bounds) await this.open();
    if (!this.bounds) return;
    try {
      this.standouts = await this.#findIn(second - 600, second + 3600, new AbortController().signal);
    } catch {
      // The point is chosen all the same.
    }
  }

  // In what is shown once it has come to rest.
  #searchSoon(): void {
    const { begin, span } = this.view;
    const precision = Math.max(1, span / 20);
    const head =
      this.bounds && follows(this.view, this.bounds) ? Math.floor(this.bounds.last / kSearchAgainSeconds) : 0;
    const key = `${Math.round(begin / precision)}:${Math.round(span / precision)}:${head}`;
    if (key === this.#searched) return;
    this.#searched = key;
    clearTimeout(this.#searchTimer);
    this.#searchTimer = setTimeout(() => void this.#searchNow(), kSearchAfterMillis);
  }

  async #searchNow(): Promise<void> {
    this.#search?.abort();
    const abort = new AbortController();
    this.#search = abort;
    this.isSearching = true;
    try {
      const found = await this.#findIn(Math.floor(this.view.begin), Math.ceil(endOf(this.view)), abort.signal);
      if (!abort.signal.aborted) this.standouts = found;
    } catch {
      if (!abort.signal.aborted) this.#searched = '';
    } finally {
      if (!abort.signal.aborted) this.isSearching = false;
    }
  }

  // --- What the appliance tells ---

  async #ask(from: number, until: number | undefined, step: number, signal: AbortSignal) {
    const timeline = await askTimeline(this.volume, from, until, step, signal);
    this.#takeEvents(timeline.events);
    this.volumeBytes = timeline.volume.size_bytes;
    return toldOf(timeline);
  }

  #takeEvents(events: readonly ApiEvent[]): void {
    let isNews = false;
    for (const event of events) {
      const key = `${event.kind}:${event.lsn}`;
      const known = this.#events.get(key);
      if (known && known.until === event.until && known.text === event.text) continue;
      this.#events.set(key, event);
      isNews = true;
    }
    if (isNews) this.happenings = happeningsOf([...this.#events.values()].sort((a, b) => a.lsn - b.lsn));
  }

  #headAt(second: number): void {
    const { bounds } = this;
    if (!bounds || second <= bounds.last) return;
    const wasFollowing = !this.#glide && follows(this.view, bounds);
    this.bounds = { first: bounds.first, last: second };
    if (wasFollowing) this.view = pan(this.view, second - bounds.last, this.bounds);
  }
}
