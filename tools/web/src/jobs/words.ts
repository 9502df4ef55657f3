// SPDX-License-Identifier: Apache-2.0
import type { Job } from '../app/live.svelte';
import { bytes, clock, duration, millisOf } from '../app/time/index.svelte';
import { t as checkText } from '../check/messages';
import { verdictLook, verdictOf, type Check } from '../check/verdict';
import type { Tone } from '../ui/tone';
import { t } from './messages';

export type Outcome = { text: string; tone: Tone };

export function outcomeOf(job: Job): Outcome {
  switch (job.state) {
    case 'running':
      return { text: job.is_being_cancelled === true ? t('cancelling') : t('running'), tone: 'info' };
    case 'done':
      if (job.verification?.ok === false) return { text: t('problemsFound'), tone: 'danger' };
      if (job.check !== undefined) return checkOutcome(job.check);
      return { text: t('done'), tone: 'ok' };
    case 'failed':
      return { text: t('failed'), tone: 'danger' };
    case 'cancelled':
      return { text: t('cancelled'), tone: 'neutral' };
    case 'interrupted':
      return { text: t('interrupted'), tone: 'warning' };
  }
}

function checkOutcome(check: Check): Outcome {
  const verdict = verdictOf(check);
  return { text: checkText(verdict), tone: verdictLook[verdict].tone };
}

export const kindText = (job: Job): string => t(job.kind);

export function percentOf(job: Job): number | undefined {
  if (job.total_bytes === undefined || job.total_bytes === 0) return undefined;
  return Math.min(100, (100 * job.done_bytes) / job.total_bytes);
}

export function progressText(job: Job): string {
  // A check reads what it needs, and nobody knows how much that is.
  if (job.kind === 'check' && job.total_bytes === undefined && job.done_bytes === 0) return '';
  const done = bytes(job.done_bytes);
  const parts = [job.total_bytes === undefined ? t('soFar', { done }) : t('ofTotal', { done, total: bytes(job.total_bytes) })];
  if (job.state === 'running') {
    if (job.bytes_per_second) parts.push(t('rate', { rate: bytes(job.bytes_per_second) }));
    if (job.seconds_left !== undefined) parts.push(t('left', { span: duration(job.seconds_left * 1000) }));
  }
  return parts.join(', ');
}

export function spanMillis(job: Job): number {
  return Math.max(0, (job.ended === undefined ? clock.now : millisOf(job.ended)) - millisOf(job.began));
}
