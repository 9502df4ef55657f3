// SPDX-License-Identifier: Apache-2.0
//
// The alerts that hold and those that are over, asked again when the status says that others hold.
import { api, ask, type Schemas } from '../api/client';
import { live } from '../app/live.svelte';
import { Resource } from '../app/resource.svelte';

export type Alert = Schemas['Alert'];

// The appliance calls an alert over when it has not held for a while; its status knows at once.
const kAgainMillis = 5000;

export type Holding = { alerts: readonly Alert[]; texts: readonly string[] };

// What holds now, by the texts of the status: the alerts that are known, and the texts of which nothing more is.
export function holdingOf(told: readonly Alert[], texts: readonly string[]): Holding {
  const alerts = told.filter((alert) => isActive(alert) && texts.includes(alert.message));
  return { alerts, texts: texts.filter((text) => !alerts.some(({ message }) => message === text)) };
}

// For a component, as long as it is there.
export function watchAlerts(): Resource<readonly Alert[]> {
  const told = new Resource<readonly Alert[]>(async () => (await ask(api.GET('/api/alerts'))).alerts);
  const holding = $derived(live.status?.alerts.join('\n'));
  $effect(() => {
    if (holding !== undefined) void told.reload();
  });
  const isOld = $derived(told.data !== undefined && live.status !== undefined && told.data.filter(isActive).length !== live.status.alerts.length);
  $effect(() => {
    if (!isOld) return;
    const again = setInterval(() => void told.reload(), kAgainMillis);
    return () => clearInterval(again);
  });
  return told;
}

export const isActive = ({ ended }: Alert): boolean => ended === undefined;
export const alertKey = ({ kind, volume_id, since, message }: Alert): string => [kind, volume_id, since, message].join(' ');
