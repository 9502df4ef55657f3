// SPDX-License-Identifier: Apache-2.0
import type { Schemas } from '../api/client';

export type AuditEntry = Schemas['AuditEntry'];
export type Outcome = 'done' | 'refused' | 'failed';
export type Detail = Record<string, unknown>;

export function outcomeOf(entry: Pick<AuditEntry, 'status'>): Outcome {
  if (entry.status < 400) return 'done';
  return entry.status < 500 ? 'refused' : 'failed';
}

export function detailOf(entry: Pick<AuditEntry, 'detail'>): Detail {
  try {
    const detail: unknown = JSON.parse(entry.detail);
    return typeof detail === 'object' && detail !== null ? (detail as Detail) : {};
  } catch {
    return { detail: entry.detail };
  }
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(valueText).join(', ');
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).map(([name, part]) => `${name} ${valueText(part)}`).join(', ');
  }
  return String(value);
}

// Without the request's id, which has its own place.
export function detailParts(detail: Detail): [string, string][] {
  return Object.entries(detail)
    .filter(([name]) => name !== 'request')
    .map(([name, value]) => [name, valueText(value)]);
}

// Whether an act was on a volume, by its name or id.
export function concerns(detail: Detail, volume: Pick<Schemas['Volume'], 'name' | 'id'>): boolean {
  const names = new Set([volume.name, `id:${volume.id}`]);
  const origin = detail['origin'];
  const originVolume = typeof origin === 'object' && origin !== null ? (origin as Detail)['volume'] : undefined;
  const volumes = Array.isArray(detail['volumes']) ? (detail['volumes'] as unknown[]) : [];
  return [detail['volume'], detail['name'], originVolume, ...volumes].some(
    (value) => typeof value === 'string' && names.has(value),
  );
}
