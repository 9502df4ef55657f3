// SPDX-License-Identifier: Apache-2.0
//
// How the vault grew day by day, which the overview and the vault's page both tell: asked for once in a while.
import type { Status } from '../app/live.svelte';
import { date, duration, millisOf } from '../app/time/index.svelte';
import { fullInMillis, growthOf, type Growth } from './capacity';
import { storedByDay } from './stored';
import { t } from './messages';

export const kGrowthDays = 30;
// One request each.
const kVolumesMax = 200;
const kFreshMillis = 10 * 60_000;
const kDaysLeast = 0.25;
const kForeseenMillis = 50 * 365 * 86_400_000;

class VaultGrowth {
  known = $state.raw<Growth>();
  #askedAt = 0;

  want(status: Status): void {
    if (status.volumes.length > kVolumesMax || Date.now() - this.#askedAt < kFreshMillis) return;
    this.#askedAt = Date.now();
    void this.#ask(status);
  }

  async #ask(status: Status): Promise<void> {
    try {
      const stored = await storedByDay(status.volumes, kGrowthDays);
      this.known = growthOf(stored, millisOf(status.vault.created), Date.now(), kGrowthDays);
    } catch {
      this.#askedAt = 0;
    }
  }

  forecast(status: Status): string {
    if (status.volumes.length > kVolumesMax) return t('forecastTooMany', { count: kVolumesMax });
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
