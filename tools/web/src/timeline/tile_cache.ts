// SPDX-License-Identifier: Apache-2.0
//
// The tiles that are known, the least recently wanted of which go when there is too much, and those
// that are being asked for. Whoever looks says what is wanted; what no look wants is not waited for.
import { kCoarsest, levelAt, tileSeconds } from './levels';
import { Tile, tileBegin, type ApiStep } from './tile';
import type { Bounds } from './viewport';

export interface Told {
  readonly steps: readonly ApiStep[];
  // The second that history had come to, or that was asked for.
  readonly until: number;
}

// Asks for whole seconds from `from` up to `until`, or up to the end of history.
export type Ask = (from: number, until: number | undefined, step: number, signal: AbortSignal) => Promise<Told>;

export interface CacheEvents {
  changed(): void;
  // History goes on to here.
  headAt(second: number): void;
  failed(problem: unknown): void;
}

interface UnderWay {
  readonly abort: AbortController;
  wanted: number;
}

export const kCacheBytes = 64 << 20;
const kAskedAtOnce = 3;
// Seconds before the end in which more may yet be recorded.
const kSettles = 8;
const kTryAgainMillis = 4000;

export class TileCache {
  private readonly tiles = new Map<string, Tile>();
  private readonly underWay = new Map<string, UnderWay>();
  // Of tiles that are not complete, and of those that could not be had.
  private readonly notBefore = new Map<string, number>();
  private looks = 0;
  private held = 0;

  constructor(
    private readonly ask: Ask,
    private readonly events: CacheEvents,
    private readonly bytesMax = kCacheBytes,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get bytes(): number {
    return this.held;
  }
  get isAsking(): boolean {
    return this.underWay.size > 0;
  }

  find(level: number, begin: number): Tile | undefined {
    return this.tiles.get(keyOf(level, begin));
  }

  // Of that level what lies in [from, until); and of the next coarser one, for zooming out.
  want(level: number, from: number, until: number, bounds: Bounds): void {
    this.looks++;
    this.wantOf(level, from, until, bounds);
    if (level < kCoarsest) this.wantOf(level + 1, from, until, bounds);
    for (const [key, request] of this.underWay) {
      if (request.wanted === this.looks) continue;
      request.abort.abort();
      this.underWay.delete(key);
    }
  }

  // For good.
  close(): void {
    for (const request of this.underWay.values()) request.abort.abort();
    this.underWay.clear();
    this.tiles.clear();
    this.held = 0;
  }

  private wantOf(level: number, from: number, until: number, bounds: Bounds): void {
    const length = tileSeconds(levelAt(level));
    const last = Math.min(until, bounds.last + 1);
    for (let begin = tileBegin(level, Math.max(from, bounds.first)); begin < last; begin += length) {
      const key = keyOf(level, begin);
      const known = this.tiles.get(key);
      if (known) {
        // The order of a map is that of insertion: the last one wanted is the last one to go.
        this.tiles.delete(key);
        this.tiles.set(key, known);
      }
      const request = this.underWay.get(key);
      if (request) request.wanted = this.looks;
      else if (!known?.isComplete) this.begin(key, known ?? new Tile(level, begin), bounds);
    }
  }

  private begin(key: string, tile: Tile, bounds: Bounds): void {
    if (this.underWay.size >= kAskedAtOnce) return;
    if (this.now() < (this.notBefore.get(key) ?? -Infinity)) return;
    const abort = new AbortController();
    this.underWay.set(key, { abort, wanted: this.looks });
    const from = Math.floor(tile.knownUntil / tile.step) * tile.step;
    // The API refuses what lies beside history.
    const since = Math.min(Math.max(from, bounds.first), bounds.last);
    const isAtHead = tile.end > bounds.last;
    const failed = (problem: unknown): void => {
      if (abort.signal.aborted) return;
      this.underWay.delete(key);
      this.notBefore.set(key, this.now() + kTryAgainMillis);
      this.events.failed(problem);
    };
    this.ask(since, isAtHead ? undefined : tile.end, tile.step, abort.signal)
      .then(({ steps, until }) => {
        if (abort.signal.aborted) return;
        this.underWay.delete(key);
        this.notBefore.delete(key);
        const known = isAtHead ? Math.max(tile.begin, until - kSettles) : tile.end;
        this.put(key, tile, () => tile.take(steps, from, tile.end, known));
        if (!tile.isComplete) this.notBefore.set(key, this.now() + againAfterMs(tile.step));
        if (isAtHead) this.events.headAt(until);
        this.events.changed();
      })
      .catch(failed);
  }

  private put(key: string, tile: Tile, take: () => void): void {
    if (this.tiles.delete(key)) this.held -= tile.bytes;
    take();
    this.tiles.set(key, tile);
    this.held += tile.bytes;
    for (const [oldest, other] of this.tiles) {
      if (this.held <= this.bytesMax || oldest === key) break;
      this.tiles.delete(oldest);
      this.notBefore.delete(oldest);
      this.held -= other.bytes;
    }
  }
}

// A bar of an hour need not grow each second.
function againAfterMs(step: number): number {
  return Math.min(15_000, Math.max(900, step * 250));
}

function keyOf(level: number, begin: number): string {
  return `${level}:${begin}`;
}
