// SPDX-License-Identifier: Apache-2.0
//
// Draws the strip: everything that is on it, for a viewport, in one pass.
import { lanesOf, type Lanes } from './lanes';
import { paintColumns, paintLaneNames, paintScaleLines, paintScaleNames } from './paint_columns';
import { paintFlags, paintGapEdges, paintGaps, paintStandouts } from './paint_happenings';
import { scaleTop } from './scale';
import type { Colours, Scene } from './scene';
import { pixelAt, type Viewport } from './viewport';

const kFont = '12px "Red Hat Text", sans-serif';

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
  paintScaleLines(context, lanes, width, top, colours);
  paintGaps(context, scene, width, lanes, colours);
  context.setTransform(1, 0, 0, 1, 0, 0);
  paintColumns(context, scene.columns, lanes, top, pixelRatio, colours);
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  paintGapEdges(context, scene, width, lanes, colours);
  paintLaneNames(context, scene, lanes, colours);
  paintScaleNames(context, scene, lanes, width, top, colours);
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
