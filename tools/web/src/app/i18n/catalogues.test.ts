// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { fill, placesOf } from './format';
import type { Catalogue } from './messages.svelte';

const modules = import.meta.glob<Record<string, Catalogue<Record<string, string>>>>('../../**/messages.ts', { eager: true });
const areas = Object.entries(modules).map(([file, module]) => [file.replace('../../', ''), module['t']] as const);

test('there are the catalogues that there are files of', () => {
  expect(areas.length).toBeGreaterThan(2);
  for (const [file, t] of areas) expect(t, file).toBeTypeOf('function');
});

test.each(areas)('%s has the same keys and places in both languages', (_file, t) => {
  if (t === undefined) throw new Error('no catalogue');
  expect(Object.keys(t.zh).sort()).toEqual(Object.keys(t.en).sort());
  for (const [key, english] of Object.entries(t.en)) {
    const chinese = t.zh[key] ?? '';
    expect(placesOf(chinese), `${key}: ${chinese}`).toEqual(placesOf(english));
    expect(chinese.trim(), key).not.toBe('');
  }
});

test.each(areas)('%s is translated', (_file, t) => {
  if (t === undefined) throw new Error('no catalogue');
  // Names, units and commands may be the same; a sentence may not.
  const same = Object.keys(t.en).filter((key) => t.en[key] === t.zh[key] && /[a-z]{3,} [a-z]{3,}/i.test(t.en[key] ?? ''));
  expect(same).toEqual([]);
});

test('places are filled, and one and many told apart', () => {
  expect(fill('{count} {count:volume|volumes} of {name}', { count: 1, name: 'shop' }, 'en-GB')).toBe('1 volume of shop');
  expect(fill('{count} {count:volume|volumes}', { count: 1200 }, 'en-GB')).toBe('1,200 volumes');
  expect(fill('{unknown} stays', {}, 'en-GB')).toBe('{unknown} stays');
});
