// SPDX-License-Identifier: Apache-2.0
//
// Draws what stands beside activity: gaps, marks, rollbacks, crashes, and the numbers of what stands out.
import { flagsOf, gapsOf, type Flag } from './happenings';
import type { Lanes } from './lanes';
import type { Colours, Scene } from './scene';
import { pixelAt } from './viewport';

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

export function paintGaps(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  const { top } = lanes.writes;
  const height = lanes.axis.top - top;
  for (const { left, right } of gapsOf(scene.happenings, scene.view, width, scene.bounds)) {
    const x0 = Math.max(-2, left);
    const across = Math.min(width + 2, right) - x0;
    context.fillStyle = colours.gap;
    context.globalAlpha = 0.12;
    context.fillRect(x0, top, across, height);
    context.globalAlpha = 1;
    context.fillStyle = hatchOf(context, colours.gap) ?? colours.gap;
    context.fillRect(x0, top, across, height);
  }
}

// Over the bars, which at a distance leave no room between them; and the cause, where it has room.
export function paintGapEdges(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  lanes: Lanes,
  colours: Colours,
): void {
  const { top } = lanes.writes;
  const height = lanes.axis.top - top;
  context.textAlign = 'left';
  context.fillStyle = colours.gap;
  const gaps = gapsOf(scene.happenings, scene.view, width, scene.bounds);
  const flags = flagsOf(scene.happenings, scene.view, width);
  const taken = [...gaps.map(({ left }) => left), ...flags.map(({ x }) => x - 8)];
  for (const { left, right, of } of gaps) {
    const x0 = Math.max(-2, left);
    const x1 = Math.min(width + 2, right);
    context.fillRect(x0, top, 1, height);
    if (x1 - x0 > 6) context.fillRect(x1 - 1, top, 1, height);
    context.fillRect(x0, top - 4, x1 - x0, 4);
    const room = Math.min(width, ...taken.filter((x) => x > left)) - Math.max(0, x0);
    if (context.measureText(of.text).width + 8 < room)
      context.fillText(of.text, Math.max(4, x0 + 2), lanes.flags.height - 8);
  }
}

export function paintStandouts(
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

export function paintFlags(
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
