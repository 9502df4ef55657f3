// SPDX-License-Identifier: Apache-2.0
//
// Where what is on the strip, in pixels from its top.
export type LaneName = 'flags' | 'writes' | 'discards' | 'entropy' | 'axis';

export interface Lane {
  readonly top: number;
  readonly height: number;
}
export type Lanes = Readonly<Record<LaneName, Lane>>;

const kFlags = 26;
const kAxis = 26;
const kBetween = 8;

export function lanesOf(height: number): Lanes {
  const left = height - kFlags - kAxis - 3 * kBetween;
  const tall = Math.round(left * 0.38);
  const writes = kFlags + kBetween;
  const discards = writes + tall + kBetween;
  const entropy = discards + tall + kBetween;
  return {
    flags: { top: 0, height: kFlags },
    writes: { top: writes, height: tall },
    discards: { top: discards, height: tall },
    entropy: { top: entropy, height: left - 2 * tall },
    axis: { top: height - kAxis, height: kAxis },
  };
}
