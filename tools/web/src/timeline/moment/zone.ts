// SPDX-License-Identifier: Apache-2.0
//
// Time zones as a function from an instant to an offset. Instants are whole seconds since 1970; a
// wall time is what a clock on the wall shows, as seconds since 1970 of a clock that runs in UTC.

export interface Zone {
  // Of the IANA database, or UTC.
  readonly name: string;
  // Seconds east of UTC.
  offsetAt(instant: number): number;
}

export const utc: Zone = { name: 'UTC', offsetAt: () => 0 };

// No zone has changed its offset but at a multiple of a quarter of an hour.
const kQuarter = 900;
const kRemembered = 4096;

// A zone of the IANA database; throws a RangeError where there is none of that name.
export function zoneNamed(name: string): Zone {
  if (name === 'UTC') return utc;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const known = new Map<number, number>();
  const look = (instant: number): number => {
    const field: Record<string, number> = {};
    for (const part of format.formatToParts(instant * 1000)) field[part.type] = Number(part.value);
    const wall = Date.UTC(
      field.year ?? 0,
      (field.month ?? 1) - 1,
      field.day ?? 1,
      field.hour ?? 0,
      field.minute ?? 0,
      field.second ?? 0,
    );
    return wall / 1000 - instant;
  };
  return {
    name,
    offsetAt(instant) {
      const quarter = Math.floor(instant / kQuarter);
      let offset = known.get(quarter);
      if (offset === undefined) {
        offset = look(quarter * kQuarter);
        if (known.size >= kRemembered) known.clear();
        known.set(quarter, offset);
      }
      return offset;
    },
  };
}

let local: Zone | undefined;
export function localZone(): Zone {
  local ??= zoneNamed(Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC');
  return local;
}

// As the page's setting has it.
export function zoneOf(setting: 'local' | 'utc'): Zone {
  return setting === 'utc' ? utc : localZone();
}

const kDay = 86400;

// The instants at which a wall clock in the zone shows this: one; none where the clock was put
// forward over it; two, the earlier first, where it was put back.
export function instantsOf(wall: number, zone: Zone): number[] {
  const offsets = new Set([zone.offsetAt(wall - kDay), zone.offsetAt(wall + kDay)]);
  const instants: number[] = [];
  for (const offset of offsets) {
    const instant = wall - offset;
    if (zone.offsetAt(instant) === offset) instants.push(instant);
  }
  return instants.sort((a, b) => a - b);
}

// Whether another instant shows the same on the wall, so that only the offset tells them apart.
export function isInFold(instant: number, zone: Zone): boolean {
  return instantsOf(instant + zone.offsetAt(instant), zone).length > 1;
}
