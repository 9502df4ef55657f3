// SPDX-License-Identifier: Apache-2.0
//
// By how much the vault grows, and when it will be full.
export type Day = { begin: number; bytes: number };
export type Growth = { days: Day[]; bytesPerDay: number; daysMeasured: number };

const kDayMillis = 86_400_000;
const kDaysForRate = 7;

// `appended` is what was appended from moments on; days without any are there, too, but none before `sinceMillis`. The
// rate is that of the last week, or of what is known.
export function growthOf(appended: readonly Day[], sinceMillis: number, nowMillis: number, days: number): Growth {
  const dayOf = (millis: number) => Math.floor(millis / kDayMillis);
  const sums = new Map<number, number>();
  for (const { begin, bytes } of appended) sums.set(dayOf(begin), (sums.get(dayOf(begin)) ?? 0) + bytes);
  const last = dayOf(nowMillis);
  const all: Day[] = [];
  for (let day = Math.max(last - days + 1, dayOf(sinceMillis)); day <= last; day += 1) all.push({ begin: day * kDayMillis, bytes: sums.get(day) ?? 0 });
  const recent = all.slice(-kDaysForRate);
  const spanMillis = Math.min(nowMillis - Math.max(sinceMillis, recent[0]?.begin ?? sinceMillis), kDaysForRate * kDayMillis);
  const total = recent.reduce((sum, day) => sum + day.bytes, 0);
  const daysMeasured = spanMillis / kDayMillis;
  return { days: all, bytesPerDay: spanMillis <= 0 ? 0 : total / daysMeasured, daysMeasured };
}

export function fullInMillis(freeBytes: number, bytesPerDay: number): number | undefined {
  return bytesPerDay <= 0 ? undefined : (freeBytes / bytesPerDay) * kDayMillis;
}
