// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { href, parse, type Route } from './router.svelte';

const routes: Route[] = [
  { page: 'overview' },
  { page: 'volume', name: 'shop' },
  { page: 'volume', name: 'a/b c?d#e%f 商店' },
  { page: 'recover', name: 'recover' },
  { page: 'attach', name: 'shop' },
  { page: 'report', name: 'shop' },
  { page: 'copies' },
  { page: 'jobs' },
  { page: 'alerts' },
  { page: 'audit' },
  { page: 'users' },
  { page: 'vault' },
];

test.each(routes)('$page is read as it was written', (route) => {
  const at = parse(href(route, { at: '2026-02-23T18:55:59+08:00', q: 'a?b&c' }));
  expect(at.route).toEqual(route);
  expect(at.query.get('at')).toBe('2026-02-23T18:55:59+08:00');
  expect(at.query.get('q')).toBe('a?b&c');
});

test('what is no page is said to be none', () => {
  expect(parse('#/nowhere').route).toEqual({ page: 'missing', path: '/nowhere' });
  expect(parse('#/jobs/7').route.page).toBe('missing');
  expect(parse('').route.page).toBe('overview');
  expect(parse('#/volumes/%E0%A4%A').route).toEqual({ page: 'volume', name: '%E0%A4%A' });
});
