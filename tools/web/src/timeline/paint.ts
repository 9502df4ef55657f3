// SPDX-License-Identifier: Apache-2.0
//
// Draws the strip: everything that is on it, for a viewport, in one pass.
import type { Columns } from './columns';
import { Made } from './columns';
import { flagsOf, gapsOf, type Flag, type Happening } from './happenings';
import { lanesOf, type Lane, type Lanes } from './lanes';
import { logShare, scaleLines, scaleTop } from './scale';
import type { Tick } from './ticks';
import { kUnknown } from './tile';
import { pixelAt, type Bounds, type Viewport } from './viewport';

export const kColours = [
  'text',
  'subtle',
  'line',
  'surface',
  'beside',
  'writes',
  'trimmed',
  'zeroed',
  'entropy',
  'overwritten',
  'gap',
  'mark',
  'crash',
  'rollback',
  'other',
  'point',
  'compared',
] as const;
export type Colours = Readonly<Record<(typeof kColours)[number], string>>;

export interface Words {
  readonly writes: string;
  readonly discards: string;
  readonly entropy: string;
  readonly noHistory: string;
  bytes(count: number): string;
  tick(tick: Tick): string;
}

export interface Scene {
  readonly view: Viewport;
  readonly bounds: Bounds;
  readonly columns: Columns;
  readonly happenings: readonly Happening[];
  readonly standouts: readonly { readonly begin: number; readonly isDestruction: boolean }[];
  readonly ticks: readonly Tick[];
  readonly cursor: number | undefined;
  readonly point: number | undefined;
  readonly compared: number | undefined;
  readonly words: Words;
}

const kFont = '12px "Red Hat Text", RedHatText, sans-serif';

// `width` and `height` are CSS pixels; the columns have one for each pixel of the device.
export function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  height: number,
  pixelRatio: number,
  colours: Colours,
): void {
  const lanes = lanesOf(height);
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  context.fillStyle = colours.surface;
  context.fillRect(0, 0, width, height);
  context.font = kFont;
  context.textBaseline = 'middle';
  paintBeside(context, scene, width, lanes, colours);
  paintTicks(context, scene, width, lanes, colours);
  const top = scaleTop(scene.columns.bytesMax);
  paintScale(context, scene, lanes, width, top, colours);
  context.setTransform(1, 0, 0, 1, 0, 0);
  paintColumns(context, scene.columns, lanes, top, pixelRatio, colours);
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  paintGaps(context, scene, width, lanes, colours);
  paintLaneNames(context, scene, lanes, colours);
  paintFlags(context, scene, width, lanes, colours);
  paintLine(context, scene.view, scene.compared, width, lanes, colours.compared, [5, 4]);
  paintLine(context, scene.view, scene.cursor, width, lanes, colours.subtle, [2, 3]);
  paintLine(context, scene.view, scene.point, width, lanes, colours.point, []);
  paintStandouts(context, scene, width, lanes, colours);
}

function paintBeside(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  const { view, bounds, words } = scene;
  const first = Math.round(pixelAt(view, bounds.first, width));
  const last = Math.round(pixelAt(view, bounds.last + 1, width));
  const { top } = lanes.writes;
  const height = lanes.axis.top - top;
  context.fillStyle = colours.beside;
  if (first > 0) context.fillRect(0, top, first, height);
  if (last < width) context.fillRect(last, top, width - last, height);
  context.fillStyle = colours.subtle;
  context.textAlign = 'right';
  if (first > context.measureText(words.noHistory).width + 16) {
    context.fillText(words.noHistory, first - 8, lanes.discards.top + lanes.discards.height / 2);
  }
}

function paintTicks(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  const middle = lanes.axis.top + lanes.axis.height / 2 + 2;
  context.textAlign = 'center';
  let free = -Infinity;
  for (const tick of scene.ticks) {
    const x = Math.round(pixelAt(scene.view, tick.second, width));
    context.fillStyle = colours.line;
    context.fillRect(x, lanes.writes.top, 1, lanes.axis.top + 5 - lanes.writes.top);
    const text = scene.words.tick(tick);
    const half = context.measureText(text).width / 2;
    if (x - half < free || x - half < 2 || x + half > width - 2) continue;
    context.fillStyle = tick.isMajor ? colours.text : colours.subtle;
    context.fillText(text, x, middle);
    free = x + half + 10;
  }
  context.fillStyle = colours.line;
  context.fillRect(0, lanes.axis.top, width, 1);
}

function paintScale(
  context: CanvasRenderingContext2D,
  scene: Scene,
  lanes: Lanes,
  width: number,
  top: number,
  colours: Colours,
): void {
  context.textAlign = 'right';
  for (const lane of [lanes.writes, lanes.discards]) {
    for (const bytes of scaleLines(top)) {
      const y = Math.round(lane.top + lane.height * (1 - logShare(bytes, top)));
      context.fillStyle = colours.line;
      context.fillRect(0, y, width, 1);
      context.fillStyle = colours.subtle;
      context.fillText(scene.words.bytes(bytes), width - 4, y - 8);
    }
    context.fillStyle = colours.line;
    context.fillRect(0, lane.top + lane.height, width, 1);
  }
}

function paintLaneNames(context: CanvasRenderingContext2D, { words }: Scene, lanes: Lanes, colours: Colours): void {
  context.textAlign = 'left';
  for (const name of ['writes', 'discards', 'entropy'] as const) {
    const y = lanes[name].top + 8;
    const { width } = context.measureText(words[name]);
    context.globalAlpha = 0.8;
    context.fillStyle = colours.surface;
    context.fillRect(2, y - 9, width + 8, 17);
    context.globalAlpha = 1;
    context.fillStyle = colours.text;
    context.fillText(words[name], 6, y);
  }
}

// In pixels of the device. Neighbours that are alike are one rectangle.
function paintColumns(
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

const hatches = new Map<string, CanvasPattern | null>();
function hatchOf(context: CanvasRenderingContext2D, colour: string): CanvasPattern | null {
  const known = hatches.get(colour);
  if (known !== undefined) return known;
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d');
  if (!pen) return null;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const x of [-8, 0, 8]) {
    pen.moveTo(x - 1, 9);
    pen.lineTo(x + 9, -1);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  hatches.set(colour, pattern);
  return pattern;
}

function paintGaps(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  const top = lanes.writes.top;
  const height = lanes.axis.top - top;
  context.textAlign = 'left';
  for (const { left, right, of } of gapsOf(scene.happenings, scene.view, width, scene.bounds)) {
    const x0 = Math.max(-2, left);
    const x1 = Math.min(width + 2, right);
    context.fillStyle = colours.gap;
    context.globalAlpha = 0.12;
    context.fillRect(x0, top, x1 - x0, height);
    context.globalAlpha = 1;
    context.fillStyle = hatchOf(context, colours.gap) ?? colours.gap;
    context.fillRect(x0, top, x1 - x0, height);
    context.fillStyle = colours.gap;
    context.fillRect(x0, top, 1, height);
    context.fillRect(x1 - 1, top, 1, height);
    context.fillRect(x0, top - 3, x1 - x0, 3);
    if (x1 - x0 < 60) continue;
    context.save();
    context.beginPath();
    context.rect(x0, 0, x1 - x0, lanes.flags.height);
    context.clip();
    context.fillText(of.text, Math.max(4, x0 + 4), lanes.flags.height - 6);
    context.restore();
  }
}

function paintStandouts(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  context.textAlign = 'center';
  scene.standouts.forEach(({ begin, isDestruction }, index) => {
    // Beside the line of a point that is right before it.
    const x = pixelAt(scene.view, begin, width) + 13;
    if (x < 0 || x > width + 10) return;
    const y = (isDestruction ? lanes.discards : lanes.writes).top + 10;
    context.fillStyle = isDestruction ? colours.trimmed : colours.entropy;
    context.beginPath();
    context.arc(x, y, 9, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = colours.surface;
    context.lineWidth = 1.5;
    context.stroke();
    context.fillStyle = colours.surface;
    context.fillText(String(index + 1), x, y + 0.5);
  });
}

function paintFlags(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  const flags = flagsOf(scene.happenings, scene.view, width);
  flags.forEach((flag, index) => {
    const kind = flag.of[0]?.kind ?? '';
    const colour = colourOf(kind, colours);
    context.fillStyle = colour;
    context.globalAlpha = 0.5;
    context.fillRect(Math.round(flag.x), lanes.flags.height - 2, 1, lanes.axis.top - lanes.flags.height + 2);
    context.globalAlpha = 1;
    paintSign(context, kind, flag.x, lanes.flags.height - 8);
    const next = flags[index + 1];
    paintFlagText(context, flag, (next ? next.x - 8 : width) - flag.x - 9, lanes.flags.height - 8, colours);
  });
}

function paintFlagText(context: CanvasRenderingContext2D, flag: Flag, room: number, y: number, colours: Colours): void {
  const text =
    flag.of.length > 1 ? String(flag.of.length) : flag.of[0]?.kind === 'mark' ? (flag.of[0]?.text ?? '') : '';
  if (text === '' || room < context.measureText(text).width) return;
  context.fillStyle = colours.text;
  context.textAlign = 'left';
  context.fillText(text, flag.x + 8, y);
}

// A shape for each kind, as colours alone tell nothing to some.
function paintSign(context: CanvasRenderingContext2D, kind: string, x: number, y: number): void {
  context.beginPath();
  if (kind === 'mark') {
    context.moveTo(x - 5, y - 6);
    context.lineTo(x + 5, y - 6);
    context.lineTo(x, y + 6);
  } else if (kind === 'crash') {
    for (const turn of [Math.PI / 4, -Math.PI / 4]) {
      const dx = Math.cos(turn);
      const dy = Math.sin(turn);
      context.moveTo(x - 6 * dx - dy, y - 6 * dy + dx);
      context.lineTo(x + 6 * dx - dy, y + 6 * dy + dx);
      context.lineTo(x + 6 * dx + dy, y + 6 * dy - dx);
      context.lineTo(x - 6 * dx + dy, y - 6 * dy - dx);
      context.closePath();
    }
  } else if (kind === 'rollback') {
    context.moveTo(x + 5, y - 6);
    context.lineTo(x + 5, y + 6);
    context.lineTo(x - 5, y);
  } else if (kind === 'created' || kind === 'removed') {
    context.rect(x - 4, y - 4, 8, 8);
  } else {
    context.moveTo(x, y - 6);
    context.lineTo(x + 6, y);
    context.lineTo(x, y + 6);
    context.lineTo(x - 6, y);
  }
  context.fill();
}

function colourOf(kind: string, colours: Colours): string {
  switch (kind) {
    case 'mark':
      return colours.mark;
    case 'crash':
      return colours.crash;
    case 'rollback':
      return colours.rollback;
    default:
      return colours.other;
  }
}

function paintLine(
  context: CanvasRenderingContext2D,
  view: Viewport,
  second: number | undefined,
  width: number,
  lanes: Lanes,
  colour: string,
  dashes: number[],
): void {
  if (second === undefined) return;
  const x = Math.round(pixelAt(view, second, width)) + 0.5;
  if (x < -2 || x > width + 2) return;
  context.strokeStyle = colour;
  context.lineWidth = dashes.length === 0 ? 2 : 1;
  context.setLineDash(dashes);
  context.beginPath();
  context.moveTo(x, lanes.flags.height - 4);
  context.lineTo(x, lanes.axis.top + 4);
  context.stroke();
  context.setLineDash([]);
  if (dashes.length > 0) return;
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, lanes.axis.top + 3, 5, 0, 2 * Math.PI);
  context.fill();
}
