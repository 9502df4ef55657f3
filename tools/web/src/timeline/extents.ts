// SPDX-License-Identifier: Apache-2.0
//
// What a difference of two points comes to: its largest extents, and where in the volume it lies.
export interface Extent {
  readonly offset: number;
  readonly bytes: number;
  readonly becomes: 'data' | 'zeroes';
}

export function largestExtents(extents: readonly Extent[], count: number): Extent[] {
  return extents.toSorted((a, b) => b.bytes - a.bytes || a.offset - b.offset).slice(0, count);
}

export interface Cell {
  // Shares of the cell's bytes.
  data: number;
  zeroes: number;
}

// The volume in `count` cells of one size.
export function cellsOf(extents: readonly Extent[], volumeBytes: number, count: number): Cell[] {
  const cells = Array.from({ length: count }, (): Cell => ({ data: 0, zeroes: 0 }));
  const length = volumeBytes / count;
  for (const { offset, bytes, becomes } of extents) {
    const last = Math.min(count - 1, Math.ceil((offset + bytes) / length) - 1);
    for (let i = Math.floor(offset / length); i <= last; i++) {
      const cell = cells[i];
      if (!cell) continue;
      const inside = Math.min(offset + bytes, (i + 1) * length) - Math.max(offset, i * length);
      cell[becomes] += inside / length;
    }
  }
  return cells;
}
