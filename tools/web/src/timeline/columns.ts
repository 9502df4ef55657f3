// SPDX-License-Identifier: Apache-2.0
//
// What the strip shows in each column of pixels: of all steps that fall into it the largest, so that
// no peak is lost however narrow it is. Filled anew for each frame, into arrays that stay.
import { kCoarsest, levelAt, levelFor, tileSeconds } from './levels';
import { kBlock, Tile, tileBegin, kUnknown } from './tile';
import { endOf, type Bounds, type Viewport } from './viewport';

export interface TileSource {
  find(level: number, begin: number): Tile | undefined;
}

// What a column is made of.
export const Made = {
  // Nothing: it is not known yet, or lies beside history.
  ofNothing: 0,
  // Steps of another length, until those are there that were asked for.
  ofOthers: 1,
  ofSteps: 2,
} as const;
type Making = (typeof Made)[keyof typeof Made];

export class Columns {
  width = 0;
  level = 0;
  written = new Float64Array(0);
  zeroed = new Float64Array(0);
  trimmed = new Float64Array(0);
  entropy = new Uint8Array(0);
  overwritten = new Uint8Array(0);
  made = new Uint8Array(0);
  // The largest of all written, zeroed and trimmed.
  bytesMax = 0;

  private view: Viewport = { begin: 0, span: 1 };

  fill(view: Viewport, width: number, bounds: Bounds, tiles: TileSource): void {
    this.reset(width);
    this.view = view;
    this.level = levelFor(view.span / width);
    const length = tileSeconds(levelAt(this.level));
    const from = Math.max(view.begin, bounds.first);
    const until = Math.min(endOf(view), bounds.last + 1);
    for (let begin = tileBegin(this.level, from); begin < until; begin += length) {
      const tile = tiles.find(this.level, begin);
      // Of a tile at the end of history, what is not known yet is of the last few seconds.
      if (tile) this.add(tile, begin, begin + length, Made.ofSteps);
      else this.addOthers(begin, begin + length, tiles);
    }
  }

  private reset(width: number): void {
    if (width !== this.width) {
      this.width = width;
      this.written = new Float64Array(width);
      this.zeroed = new Float64Array(width);
      this.trimmed = new Float64Array(width);
      this.entropy = new Uint8Array(width);
      this.overwritten = new Uint8Array(width);
      this.made = new Uint8Array(width);
    } else {
      this.written.fill(0);
      this.zeroed.fill(0);
      this.trimmed.fill(0);
      this.made.fill(Made.ofNothing);
    }
    this.entropy.fill(kUnknown);
    this.overwritten.fill(kUnknown);
    this.bytesMax = 0;
  }

  // A coarser tile has all of it; finer ones have what was looked at before.
  private addOthers(from: number, until: number, tiles: TileSource): void {
    const begin = Math.max(from, this.view.begin);
    const end = Math.min(until, endOf(this.view));
    for (let level = this.level + 1; level <= kCoarsest; level++) {
      const length = tileSeconds(levelAt(level));
      const all: Tile[] = [];
      let at = tileBegin(level, begin);
      for (; at < end; at += length) {
        const tile = tiles.find(level, at);
        if (!tile) break;
        all.push(tile);
      }
      if (at < end) continue;
      for (const tile of all) this.add(tile, begin, end, Made.ofOthers);
      return;
    }
    for (let level = this.level - 1; level >= 0; level--) {
      const length = tileSeconds(levelAt(level));
      for (let at = tileBegin(level, begin); at < end; at += length) {
        const tile = tiles.find(level, at);
        if (tile) this.add(tile, begin, end, Made.ofOthers);
      }
    }
  }

  private add(tile: Tile, from: number, until: number, made: Making): void {
    const { view, width } = this;
    const scale = width / view.span;
    const begin = Math.max(tile.begin, from, view.begin);
    const end = Math.min(tile.end, until, endOf(view));
    const firstColumn = Math.max(0, Math.floor((begin - view.begin) * scale));
    const lastColumn = Math.min(width - 1, Math.ceil((end - view.begin) * scale) - 1);
    for (let x = firstColumn; x <= lastColumn; x++) if ((this.made[x] as number) < made) this.made[x] = made;
    const all = tile.figures;
    if (!all) return;
    const usesBlocks = tile.step * kBlock * scale <= 1;
    const figures = usesBlocks ? all.blocks : all;
    const step = usesBlocks ? tile.step * kBlock : tile.step;
    const count = figures.written.length;
    const first = Math.max(0, Math.floor((begin - tile.begin) / step));
    const last = Math.min(count - 1, Math.ceil((end - tile.begin) / step) - 1);
    for (let i = first; i <= last; i++) {
      const written = figures.written[i] as number;
      const zeroed = figures.zeroed[i] as number;
      const trimmed = figures.trimmed[i] as number;
      if (written + zeroed + trimmed === 0) continue;
      const entropy = figures.entropy[i] as number;
      const overwritten = figures.overwritten[i] as number;
      this.bytesMax = Math.max(this.bytesMax, written, zeroed, trimmed);
      const left = (tile.begin + i * step - view.begin) * scale;
      // Neighbours share no column unless they are narrower than one; a step has at least one.
      const x0 = Math.max(0, usesBlocks || step * scale < 1 ? Math.floor(left) : Math.round(left));
      const right = left + step * scale;
      const x1 = Math.min(width, Math.max(x0 + 1, step * scale < 1 ? Math.ceil(right) : Math.round(right)));
      for (let x = x0; x < x1; x++) {
        if (written > (this.written[x] as number)) this.written[x] = written;
        if (zeroed > (this.zeroed[x] as number)) this.zeroed[x] = zeroed;
        if (trimmed > (this.trimmed[x] as number)) this.trimmed[x] = trimmed;
        this.entropy[x] = larger(this.entropy[x] as number, entropy);
        this.overwritten[x] = larger(this.overwritten[x] as number, overwritten);
      }
    }
  }
}

function larger(known: number, other: number): number {
  if (other === kUnknown) return known;
  return known === kUnknown || other > known ? other : known;
}

// The step of that level that a second is in, and what happened in it.
export function stepAt(tiles: TileSource, level: number, second: number) {
  const tile = tiles.find(level, tileBegin(level, second));
  if (!tile) return undefined;
  const index = Math.floor((second - tile.begin) / tile.step);
  const begin = tile.begin + index * tile.step;
  return { begin, seconds: tile.step, activity: tile.activity(index) };
}
