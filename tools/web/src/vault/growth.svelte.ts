// SPDX-License-Identifier: Apache-2.0
//
// How the vault grew day by day, by its segments, which the overview and the vault's page both tell: asked for once in a
// while, however many volumes there are.
import type { Status } from '../app/live.svelte';
import { date, duration, millisOf } from '../app/time/index.svelte';
import { fullInMillis, growthOf, type Growth } from './capacity';
import { appendedSince } from './segments';
import { t } from './messages';

export const kGrowthDays = 30;
const kDayMillis = 86_400_000;
const kFreshMillis = 10 * 60_000;
export const kDaysLeast = 0.25;
const kForeseenMillis = 50 * 365 * kDayMillis;

class VaultGrowth {
  known = $state.raw<Growth>();
  #askedAt = 0;

  want(status: Status): void {
    if (Date.now() - this.#askedAt < kFreshMillis) return;
    this.#askedAt = Date.now();
    void this.#ask(status);
  }

  async #ask(status: Status): Promise<void> {
    try {
      const now = Date.now();
      const { appended, since } = await appendedSince(now - kGrowthDays * kDayMillis);
      this.known = growthOf(appended, Math.max(since, millisOf(status.vault.created)), now, kGrowthDays);
    } catch {
      this.#askedAt = 0;
    }
  }

  forecast(status: Status): string {
    if (this.known === undefined || status.vault.free_bytes === undefined) return '–';
    const millis = fullInMillis(status.vault.free_bytes, this.known.bytesPerDay);
    if (millis === undefined) return t('forecastNever');
    if (this.known.daysMeasured < kDaysLeast) return t('forecastEarly');
    if (millis > kForeseenMillis) return t('forecastFar');
    const days = Math.max(1, Math.round(this.known.daysMeasured));
    return t('forecastAt', { span: duration(millis), date: date(Date.now() + millis), days });
  }
}

export const vaultGrowth = new VaultGrowth();
