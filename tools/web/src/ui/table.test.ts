// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { matches, sorted, type Column } from './table';

type Row = { name: string; size: number | undefined; at: number };
const rows: Row[] = [
  { name: 'vol10', size: 3, at: 1 },
  { name: 'vol9', size: undefined, at: 2 },
  { name: 'Vol2', size: 1, at: 3 },
];
const columns: Column<Row>[] = [
  { key: 'name', title: 'Name', value: ({ name }) => name },
  { key: 'size', title: 'Size', value: ({ size }) => size },
  { key: 'at', title: 'At', value: ({ at }) => at, text: ({ at }) => `${at} Nov` },
];
const names = (key: string, descending: boolean) => sorted(columns, rows, { key, descending }).map(({ name }) => name);

test('numbers in names count, and what is not known comes last either way', () => {
  expect(names('name', false)).toEqual(['Vol2', 'vol9', 'vol10']);
  expect(names('name', true)).toEqual(['vol10', 'vol9', 'Vol2']);
  expect(names('size', false)).toEqual(['Vol2', 'vol10', 'vol9']);
  expect(names('size', true)).toEqual(['vol10', 'Vol2', 'vol9']);
  expect(sorted(columns, rows, undefined)).toBe(rows);
  expect(names('no such column', false)).toEqual(rows.map(({ name }) => name));
});

test('every word has to be somewhere, as it is read', () => {
  const found = (filter: string) => rows.filter((row) => matches(columns, row, filter)).map(({ name }) => name);
  expect(found('vol2')).toEqual(['Vol2']);
  expect(found('nov vol')).toEqual(['vol10', 'vol9', 'Vol2']);
  expect(found('2 nov')).toEqual(['vol9', 'Vol2']);
  expect(found('vol9 3')).toEqual([]);
  expect(found('   ')).toHaveLength(3);
});
