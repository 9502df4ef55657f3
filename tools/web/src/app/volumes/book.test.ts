// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Schemas } from '../../api/client';
import { VolumeBook } from './book';

const stamp = { lsn: 1, time: '', time_utc: '' };
const volume = (id: string, more: Partial<Schemas['Volume']> = {}): Schemas['Volume'] => ({
  id,
  name: id,
  size_bytes: 1,
  backing: '',
  created: stamp,
  checkpoint_lsn: 1,
  ...more,
});
const names = (book: VolumeBook) => book.all.map(({ name }) => name);

test('volumes come, change in their place and go', () => {
  const book = new VolumeBook();
  for (const id of ['a', 'b', 'c']) expect(book.take(volume(id))).toBe(true);
  book.take(volume('a', { name: 'renamed' }));
  book.take(volume('b', { removed: stamp }));
  expect(names(book)).toEqual(['renamed', 'c']);
  book.take(volume('never known', { removed: stamp }));
  expect(names(book)).toEqual(['renamed', 'c']);
});

test('a stream that begins anew is shown when it has told all, and what it does not tell is gone', () => {
  const book = new VolumeBook();
  book.replace([volume('a'), volume('b')]);
  book.begin();
  expect(book.take(volume('c'))).toBe(false);
  expect(book.take(volume('a', { name: 'renamed' }))).toBe(false);
  expect(names(book)).toEqual(['a', 'b']);
  expect(book.settle()).toBe(true);
  expect(names(book)).toEqual(['c', 'renamed']);
  expect(book.settle()).toBe(false);
});

test('a stream that breaks before it has told all leaves what was known', () => {
  const book = new VolumeBook();
  book.replace([volume('a'), volume('b')]);
  book.begin();
  book.take(volume('b'));
  book.begin();
  book.take(volume('a'));
  expect(names(book)).toEqual(['a', 'b']);
  book.settle();
  expect(names(book)).toEqual(['a']);
});
