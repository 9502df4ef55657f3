// SPDX-License-Identifier: Apache-2.0
//
// How finely the timeline is asked for. A level has steps of one length; what is asked at once is a
// tile of steps, at a multiple of its length since 1970, so that every look asks for the same tiles.

export interface Level {
  // Seconds of a step.
  readonly step: number;
  // Steps of a tile.
  readonly steps: number;
}

const kMinute = 60;
const kHour = 3600;
const kDay = 86400;

// The appliance keeps pulses of seconds, minutes, hours and days, and adds up the longest that a
// step is a multiple of. No tile is made of more than some ten thousand of them.
export const kLevels: readonly Level[] = [
  { step: 1, steps: 900 },
  { step: 10, steps: 540 },
  { step: kMinute, steps: 720 },
  { step: 10 * kMinute, steps: 1008 },
  { step: kHour, steps: 1008 },
  { step: 6 * kHour, steps: 1008 },
  { step: kDay, steps: 1008 },
];

export const kCoarsest = kLevels.length - 1;

export function levelAt(index: number): Level {
  return kLevels[Math.max(0, Math.min(kCoarsest, index))] as Level;
}

export function tileSeconds(level: Level): number {
  return level.step * level.steps;
}

// A bar is at least so wide, so that each step has a pixel column of its own.
const kBarPixels = 1;

// The finest level whose steps are still to be seen one by one.
export function levelFor(secondsPerPixel: number): number {
  const found = kLevels.findIndex(({ step }) => step >= secondsPerPixel * kBarPixels);
  return found < 0 ? kCoarsest : found;
}
