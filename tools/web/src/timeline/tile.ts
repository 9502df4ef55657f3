// SPDX-License-Identifier: Apache-2.0
//
// A tile: what happened in its steps, each figure in a typed array of its own. Steps in which
// nothing happened are zeroes, and a tile in which nothing happened has no arrays.
import { secondsOf } from './moment';
import { levelAt, tileSeconds } from './levels';

// A step as the API tells it.
export interface ApiStep {
  begin: string;
  writes: number;
  written_bytes: number;
  zeroed_bytes: number;
  trimmed_bytes: number;
  overwritten_percent?: number;
  entropy_percent?: number;
  p99_us?: number;
  p99_is_more?: boolean;
}

// What happened in a step; what is missing is not known.
export interface Activity {
  writes: number;
  written: number;
  zeroed: number;
  trimmed: number;
  overwritten?: number;
  entropy?: number;
  p99Us?: number;
  p99IsMore?: boolean;
}

export const kUnknown = 255;
// Steps of which the largest figures are kept too, so that a column of many is found at once.
export const kBlock = 60;

interface Figures {
  readonly writes: Float64Array;
  readonly written: Float64Array;
  readonly zeroed: Float64Array;
  readonly trimmed: Float64Array;
  readonly overwritten: Uint8Array;
  readonly entropy: Uint8Array;
  readonly p99Us: Uint32Array;
  readonly p99IsMore: Uint8Array;
  readonly blocks: Blocks;
}

interface Blocks {
  readonly written: Float64Array;
  readonly zeroed: Float64Array;
  readonly trimmed: Float64Array;
  readonly entropy: Uint8Array;
  readonly overwritten: Uint8Array;
}

function figuresOf(steps: number): Figures {
  const sums = () => new Float64Array(steps);
  const blocks = Math.ceil(steps / kBlock);
  return {
    writes: sums(),
    written: sums(),
    zeroed: sums(),
    trimmed: sums(),
    overwritten: new Uint8Array(steps).fill(kUnknown),
    entropy: new Uint8Array(steps).fill(kUnknown),
    p99Us: new Uint32Array(steps),
    p99IsMore: new Uint8Array(steps),
    blocks: {
      written: new Float64Array(blocks),
      zeroed: new Float64Array(blocks),
      trimmed: new Float64Array(blocks),
      entropy: new Uint8Array(blocks),
      overwritten: new Uint8Array(blocks),
    },
  };
}

const kEmptyBytes = 64;
const kBytesOfStep = 4 * 8 + 2 + 4 + 1;

export class Tile {
  readonly level: number;
  readonly begin: number;
  readonly step: number;
  readonly steps: number;
  figures: Figures | undefined;
  // Up to here it is complete: history had not gone further when it was asked for.
  knownUntil: number;

  constructor(level: number, begin: number) {
    const { step, steps } = levelAt(level);
    this.level = level;
    this.begin = begin;
    this.step = step;
    this.steps = steps;
    this.knownUntil = begin;
  }

  get end(): number {
    return this.begin + this.step * this.steps;
  }
  get isComplete(): boolean {
    return this.knownUntil >= this.end;
  }
  get bytes(): number {
    return kEmptyBytes + (this.figures ? this.steps * kBytesOfStep : 0);
  }

  // Takes what the API told of [from, until), which replaces what was known of that.
  take(told: readonly ApiStep[], from: number, until: number, knownUntil: number): void {
    const first = Math.max(0, Math.floor((from - this.begin) / this.step));
    const last = Math.min(this.steps, Math.ceil((until - this.begin) / this.step));
    if (this.figures) this.clear(first, last);
    for (const step of told) {
      const index = (secondsOf(step.begin) - this.begin) / this.step;
      if (index < first || index >= last) continue;
      this.figures ??= figuresOf(this.steps);
      this.put(index, step);
    }
    if (this.figures) this.sumUp(first, last);
    this.knownUntil = Math.max(this.knownUntil, Math.min(knownUntil, this.end));
  }

  activity(index: number): Activity | undefined {
    const all = this.figures;
    if (!all) return undefined;
    const found: Activity = {
      writes: all.writes[index] ?? 0,
      written: all.written[index] ?? 0,
      zeroed: all.zeroed[index] ?? 0,
      trimmed: all.trimmed[index] ?? 0,
    };
    if (found.writes + found.written + found.zeroed + found.trimmed === 0) return undefined;
    const overwritten = all.overwritten[index] ?? kUnknown;
    if (overwritten !== kUnknown) found.overwritten = overwritten;
    const entropy = all.entropy[index] ?? kUnknown;
    if (entropy !== kUnknown) found.entropy = entropy;
    const p99 = all.p99Us[index] ?? 0;
    if (p99 > 0) found.p99Us = p99;
    if (all.p99IsMore[index]) found.p99IsMore = true;
    return found;
  }

  private clear(first: number, last: number): void {
    const all = this.figures as Figures;
    for (const sums of [all.writes, all.written, all.zeroed, all.trimmed, all.p99Us, all.p99IsMore])
      sums.fill(0, first, last);
    all.overwritten.fill(kUnknown, first, last);
    all.entropy.fill(kUnknown, first, last);
  }

  private put(index: number, step: ApiStep): void {
    const all = this.figures as Figures;
    all.writes[index] = step.writes;
    all.written[index] = step.written_bytes;
    all.zeroed[index] = step.zeroed_bytes;
    all.trimmed[index] = step.trimmed_bytes;
    if (step.overwritten_percent !== undefined) all.overwritten[index] = step.overwritten_percent;
    if (step.entropy_percent !== undefined) all.entropy[index] = step.entropy_percent;
    if (step.p99_us !== undefined) all.p99Us[index] = step.p99_us;
    if (step.p99_is_more) all.p99IsMore[index] = 1;
  }

  private sumUp(first: number, last: number): void {
    const all = this.figures as Figures;
    const { blocks } = all;
    const end = Math.ceil(last / kBlock);
    for (let block = Math.floor(first / kBlock); block < end; block++) {
      const from = block * kBlock;
      const until = Math.min(from + kBlock, this.steps);
      blocks.written[block] = largest(all.written, from, until);
      blocks.zeroed[block] = largest(all.zeroed, from, until);
      blocks.trimmed[block] = largest(all.trimmed, from, until);
      blocks.entropy[block] = largestKnown(all.entropy, from, until);
      blocks.overwritten[block] = largestKnown(all.overwritten, from, until);
    }
  }
}

function largest(of: Float64Array, from: number, until: number): number {
  let found = 0;
  for (let i = from; i < until; i++) if ((of[i] as number) > found) found = of[i] as number;
  return found;
}

// kUnknown where nothing in it is known.
function largestKnown(of: Uint8Array, from: number, until: number): number {
  let found = -1;
  for (let i = from; i < until; i++) {
    const value = of[i] as number;
    if (value !== kUnknown && value > found) found = value;
  }
  return found < 0 ? kUnknown : found;
}

// The begin of the tile that a second is in.
export function tileBegin(level: number, second: number): number {
  const length = tileSeconds(levelAt(level));
  return Math.floor(second / length) * length;
}
