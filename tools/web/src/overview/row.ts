// SPDX-License-Identifier: Apache-2.0
import type { Schemas } from '../api/client';
import type { Condition } from '../app/volumes/condition';
import { conditionLook } from '../app/volumes/condition';
import type { Activity } from './activity.svelte';

export type VolumeRow = {
  volume: Schemas['Volume'];
  conditions: Condition[];
  activity: Activity | undefined;
};

export type Choice = 'all' | 'attention' | 'progress' | 'ok';

const kGravity = { danger: 0, warning: 1, info: 2, neutral: 3, ok: 4 } as const;

// Smaller is graver.
export function gravity(row: VolumeRow): number {
  return Math.min(...row.conditions.map(({ kind }) => kGravity[conditionLook[kind].tone]));
}

export function isChosen(row: VolumeRow, choice: Choice): boolean {
  const grave = gravity(row);
  if (choice === 'attention') return grave <= kGravity.warning;
  if (choice === 'progress') return grave === kGravity.info;
  if (choice === 'ok') return grave > kGravity.info;
  return true;
}
