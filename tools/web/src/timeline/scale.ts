// SPDX-License-Identifier: Apache-2.0
//
// Bytes on a logarithmic scale: a busy second of a database and the discard of a whole volume are
// five powers of ten apart, and both are to be seen. One block is at the bottom.

const kLeast = 4096;

// 0 for nothing, 1 for `max`; a single block is seen already.
export function logShare(bytes: number, max: number): number {
  if (bytes <= 0) return 0;
  const range = Math.log2(Math.max(max, kLeast * 2) / kLeast);
  return 0.06 + (0.94 * Math.log2(Math.max(bytes, kLeast) / kLeast)) / range;
}

// The top of the scale: a power of four, so that it does not change with every frame.
export function scaleTop(bytesMax: number): number {
  const least = 1 << 20;
  if (bytesMax <= least) return least;
  return 4 ** Math.ceil(Math.log2(bytesMax) / 2);
}

// Where lines are: powers of 32 below the top, from 32 KiB on.
export function scaleLines(top: number): number[] {
  const lines: number[] = [];
  for (let bytes = 32 << 10; bytes < top; bytes *= 32) lines.push(bytes);
  return lines;
}
