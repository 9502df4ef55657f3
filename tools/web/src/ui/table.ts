// SPDX-License-Identifier: Apache-2.0
//
// What Table needs to know of a list, and the order and choice of its rows.
import type { Snippet } from 'svelte';

export type Cell = string | number;
export type Column<T> = {
  key: string;
  title: string;
  // Sorted and filtered by; without it, neither.
  value?: (row: T) => Cell | undefined;
  // Where what is read differs from what is sorted by.
  text?: (row: T) => string;
  cell?: Snippet<[T]>;
  align?: 'end';
  // A name for a screen reader alone, such as of a column of buttons.
  hidden?: boolean;
};
export type Order = { key: string; descending: boolean };

export function cellText<T>(column: Column<T>, row: T): string {
  return column.text?.(row) ?? String(column.value?.(row) ?? '');
}

// Every word of the filter is in some column.
export function matches<T>(columns: readonly Column<T>[], row: T, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = columns.map((column) => cellText(column, row)).join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

export function sorted<T>(columns: readonly Column<T>[], rows: readonly T[], order: Order | undefined): readonly T[] {
  const value = columns.find((column) => column.key === order?.key)?.value;
  if (order === undefined || value === undefined) return rows;
  const names = new Intl.Collator(undefined, { numeric: true });
  const sign = order.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    // What is not known comes last, either way.
    if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
    if (typeof left === 'number' && typeof right === 'number') return sign * (left - right);
    return sign * names.compare(String(left), String(right));
  });
}
