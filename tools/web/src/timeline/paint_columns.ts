// SPDX-License-Identifier: Apache-2.0
//
// Draws activity: the bars of its lanes, their names and their scale.
import { Made, type Columns } from './columns';
import type { Lane, Lanes } from './lanes';
import { logShare, scaleLines } from './scale';
import type { Colours, Scene } from './scene';
import { kUnknown } from './tile';

export function paintScaleLines(
  context: CanvasRenderingContext2D,
  lanes: Lanes,
  width: number,
  top: number,
  colours: Colours,
): void {
  context.fillStyle = colours.line;
  for (const lane of [lanes.writes, lanes.discards]) {
    for (const bytes of scaleLines(top)) context.fillRect(0, lineHeight(lane, bytes, top), width, 1);
    context.fillRect(0, lane.top + lane.height, width, 1);
  }
}

// In pixels of the device. Neighbours that are alike are one rectangle.
export function paintColumns(
  context: CanvasRenderingContext2D,
  columns: Columns,
  lanes: Lanes,
  top: number,
  pixelRatio: number,
  colours: Colours,
): void {
  const scaled = (lane: Lane) => ({ top: lane.top * pixelRatio, height: lane.height * pixelRatio });
  const bytesBars = (values: Float64Array, lane: Lane, colour: string, beneath?: Float64Array): void => {
    const { top: laneTop, height } = scaled(lane);
    context.fillStyle = colour;
    for (let x = 0; x < columns.width;) {
      const value = values[x] as number;
      const below = beneath ? (beneath[x] as number) : 0;
      const made = columns.made[x] as number;
      let end = x + 1;
      while (
        end < columns.width &&
        values[end] === value &&
        columns.made[end] === made &&
        (!beneath || beneath[end] === below)
      )
        end++;
      if (value > 0) {
        // What is in the same column beneath stays to be seen: both are measured from the bottom.
        const share = Math.min(1, logShare(value, top));
        const bar = Math.max(pixelRatio, share * height);
        context.globalAlpha = made === Made.ofSteps ? 1 : 0.45;
        context.fillRect(x, laneTop + height - bar, end - x, bar);
      }
      x = end;
    }
  };
  bytesBars(columns.written, lanes.writes, colours.writes);
  bytesBars(columns.trimmed, lanes.discards, colours.trimmed);
  paintZeroed(context, columns, scaled(lanes.discards), top, colours.zeroed);
  const { top: entropyTop, height } = scaled(lanes.entropy);
  context.fillStyle = colours.entropy;
  for (let x = 0; x < columns.width; x++) {
    const entropy = columns.entropy[x] as number;
    if (entropy === kUnknown) continue;
    const bar = Math.max(pixelRatio, (entropy / 100) * height);
    context.globalAlpha = columns.made[x] === Made.ofSteps ? 0.35 + (0.65 * entropy) / 100 : 0.3;
    context.fillRect(x, entropyTop + height - bar, 1, bar);
  }
  context.globalAlpha = 1;
  context.fillStyle = colours.overwritten;
  const dot = Math.max(2, Math.round(1.5 * pixelRatio));
  for (let x = 0; x < columns.width; x++) {
    const overwritten = columns.overwritten[x] as number;
    if (overwritten === kUnknown) continue;
    context.fillRect(x, entropyTop + (1 - overwritten / 100) * (height - dot), 1, dot);
  }
}

// Zeroes stand in the lane of discards; where both are in a column the smaller one is in front.
function paintZeroed(
  context: CanvasRenderingContext2D,
  columns: Columns,
  lane: Lane,
  top: number,
  colour: string,
): void {
  context.fillStyle = colour;
  for (let x = 0; x < columns.width; x++) {
    const zeroed = columns.zeroed[x] as number;
    if (zeroed === 0) continue;
    const trimmed = columns.trimmed[x] as number;
    const bar = Math.max(2, Math.min(1, logShare(zeroed, top)) * lane.height);
    const under = zeroed > trimmed ? Math.min(1, logShare(trimmed, top)) * lane.height : 0;
    context.globalAlpha = columns.made[x] === Made.ofSteps ? 1 : 0.45;
    context.fillRect(x, lane.top + lane.height - bar, 1, bar - under);
  }
  context.globalAlpha = 1;
}

export function paintScaleNames(
  context: CanvasRenderingContext2D,
  { words }: Scene,
  lanes: Lanes,
  width: number,
  top: number,
  colours: Colours,
): void {
  for (const lane of [lanes.writes, lanes.discards]) {
    for (const bytes of scaleLines(top)) {
      const y = lineHeight(lane, bytes, top);
      const text = words.bytes(bytes);
      if (y - lane.top > 6) paintName(context, text, width - 6 - context.measureText(text).width, y, colours);
    }
  }
}

export function paintLaneNames(
  context: CanvasRenderingContext2D,
  { words }: Scene,
  lanes: Lanes,
  colours: Colours,
): void {
  for (const name of ['writes', 'discards', 'entropy'] as const) {
    paintName(context, words[name], 6, lanes[name].top + 8, colours);
  }
}

function lineHeight(lane: Lane, bytes: number, top: number): number {
  return Math.round(lane.top + lane.height * (1 - logShare(bytes, top)));
}

// Text over whatever is drawn there.
function paintName(context: CanvasRenderingContext2D, text: string, left: number, y: number, colours: Colours): void {
  context.textAlign = 'left';
  context.globalAlpha = 0.8;
  context.fillStyle = colours.surface;
  context.fillRect(left - 4, y - 8, context.measureText(text).width + 8, 16);
  context.globalAlpha = 1;
  context.fillStyle = colours.text;
  context.fillText(text, left, y);
}
