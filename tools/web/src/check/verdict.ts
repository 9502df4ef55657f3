// SPDX-License-Identifier: Apache-2.0
//
// What a check of a point comes to, in one word for all that was found there.
import type { Schemas } from '../api/client';
import type { IconName } from '../ui/icons';
import type { Tone } from '../ui/tone';

export type Check = NonNullable<Schemas['Job']['check']>;
export type FileSystem = Check['file_systems'][number];
export type Outcome = FileSystem['outcome'];
export type Verdict = Outcome | 'nothing_known' | 'no_file_system';

// Whichever of them there is decides.
const kGravestFirst: readonly Outcome[] = ['damaged', 'needs_mount', 'not_checked', 'recovered', 'clean'];

export function verdictOf(check: Pick<Check, 'nothing_known' | 'file_systems'>): Verdict {
  if (check.nothing_known) return 'nothing_known';
  return kGravestFirst.find((outcome) => check.file_systems.some((found) => found.outcome === outcome)) ?? 'no_file_system';
}

export const verdictLook: Record<Verdict, { tone: Tone; icon: IconName }> = {
  clean: { tone: 'ok', icon: 'ok' },
  recovered: { tone: 'ok', icon: 'ok' },
  damaged: { tone: 'danger', icon: 'danger' },
  needs_mount: { tone: 'info', icon: 'info' },
  not_checked: { tone: 'info', icon: 'info' },
  nothing_known: { tone: 'warning', icon: 'warning' },
  no_file_system: { tone: 'info', icon: 'info' },
};
