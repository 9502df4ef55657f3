// SPDX-License-Identifier: Apache-2.0
//
// Moments as <input type="datetime-local"> has them, on the wall of the zone that was chosen.
import type { Zone } from '../app/preferences.svelte';

export function toInput(millis: number, zone: Zone): string {
  const shift = zone === 'utc' ? 0 : new Date(millis).getTimezoneOffset() * 60_000;
  return new Date(millis - shift).toISOString().slice(0, 19);
}

export function fromInput(text: string, zone: Zone): number | undefined {
  const millis = Date.parse(zone === 'utc' ? `${text}Z` : text);
  return Number.isNaN(millis) ? undefined : millis;
}
