// SPDX-License-Identifier: Apache-2.0
//
// A size as it is typed: an amount and a unit.
export const kSizeUnits = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
export type SizeUnit = keyof typeof kSizeUnits;
const kSizeMin = 2 ** 20;

export function bytesOf(amount: string, unit: SizeUnit): number | undefined {
  const bytes = Math.round(Number(amount.trim().replace(',', '.') || NaN) * kSizeUnits[unit]);
  return Number.isSafeInteger(bytes) && bytes >= kSizeMin ? bytes : undefined;
}

// The largest unit of which it is a whole number, or else as exact as it is.
export function typedSize(bytes: number): { amount: string; unit: SizeUnit } {
  const units: SizeUnit[] = ['TiB', 'GiB', 'MiB'];
  const unit = units.find((each) => bytes % kSizeUnits[each] === 0) ?? 'MiB';
  return { amount: String(bytes / kSizeUnits[unit]), unit };
}
