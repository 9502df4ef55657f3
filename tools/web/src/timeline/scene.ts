// SPDX-License-Identifier: Apache-2.0
//
// What a picture of the strip is made of.
import type { Columns } from './columns';
import type { Happening } from './happenings';
import type { Tick } from './ticks';
import type { Bounds, Viewport } from './viewport';

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
