// SPDX-License-Identifier: Apache-2.0
//
// How a volume is, in the order of what an operator has to know first.
import type { Schemas } from '../../api/client';
import type { IconName } from '../../ui/icons';
import type { Tone } from '../../ui/tone';

type Volume = Schemas['Volume'];
type Event = Pick<Schemas['TimelineEvent'], 'kind' | 'time_utc'>;

export type ConditionKind =
  | 'unavailable'
  | 'fenced'
  | 'gap'
  | 'refusing'
  | 'lagging'
  | 'paused'
  | 'hydrating'
  | 'rolledBack'
  | 'protected'
  | 'removed';
export type Condition = { kind: ConditionKind; percent?: number; since?: string };

export const conditionLook: Record<ConditionKind, { tone: Tone; icon: IconName }> = {
  unavailable: { tone: 'danger', icon: 'stop' },
  fenced: { tone: 'danger', icon: 'stop' },
  gap: { tone: 'danger', icon: 'gap' },
  refusing: { tone: 'warning', icon: 'rollback' },
  lagging: { tone: 'warning', icon: 'clock' },
  paused: { tone: 'warning', icon: 'hydrate' },
  hydrating: { tone: 'info', icon: 'hydrate' },
  rolledBack: { tone: 'info', icon: 'rollback' },
  protected: { tone: 'ok', icon: 'shield' },
  removed: { tone: 'neutral', icon: 'close' },
};

// How old the oldest change is that a crash now would lose.
export function rpoMillis(volume: Pick<Volume, 'lag_ns'>): number {
  return (volume.lag_ns ?? 0) / 1e6;
}

export function hydratedPercent(hydration: NonNullable<Volume['hydration']>): number {
  const all = hydration.remaining_bytes + hydration.hydrated_bytes;
  // 100 is for what is done.
  return all === 0 ? 0 : Math.min(99, Math.floor((100 * hydration.hydrated_bytes) / all));
}

// The gravest first. No objective is 0. `events` are those of its recent history, where they are known.
export function conditionsOf(volume: Volume, rpoObjectiveNs: number, events: readonly Event[] = []): Condition[] {
  if (volume.removed !== undefined || volume.state === undefined) {
    return [{ kind: 'removed', since: volume.removed?.time_utc }];
  }
  const conditions: Condition[] = [];
  if (volume.state === 'unavailable' || volume.state === 'fenced') conditions.push({ kind: volume.state });
  if (volume.gap !== undefined) conditions.push({ kind: 'gap', since: volume.gap.begin.time_utc });
  const rollback = events.findLast((event) => event.kind === 'rollback');
  if (volume.writers_refused === true) conditions.push({ kind: 'refusing', since: rollback?.time_utc });
  if (rpoObjectiveNs > 0 && (volume.lag_ns ?? 0) > rpoObjectiveNs) conditions.push({ kind: 'lagging' });
  if (volume.state === 'hydrating' && volume.hydration !== undefined) {
    const kind = volume.hydration.problem === undefined ? 'hydrating' : 'paused';
    conditions.push({ kind, percent: hydratedPercent(volume.hydration) });
  }
  if (rollback !== undefined && volume.writers_refused !== true) {
    conditions.push({ kind: 'rolledBack', since: rollback.time_utc });
  }
  if (volume.state === 'protected' && !conditions.some(({ kind }) => kind === 'gap' || kind === 'lagging')) {
    conditions.push({ kind: 'protected' });
  }
  return conditions;
}
