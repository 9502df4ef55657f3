// SPDX-License-Identifier: Apache-2.0
import { clockTime } from '../time/index.svelte';
import type { Condition } from './condition';
import { t } from './messages';

export function conditionText(condition: Condition): string {
  const since = condition.since === undefined ? '' : clockTime(condition.since, { seconds: false });
  switch (condition.kind) {
    case 'hydrating':
    case 'paused':
      return t(condition.kind, { percent: condition.percent ?? 0 });
    case 'gap':
    case 'rolledBack':
      return t(condition.kind, { since });
    default:
      return t(condition.kind);
  }
}
