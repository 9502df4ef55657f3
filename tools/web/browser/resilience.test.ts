// SPDX-License-Identifier: Apache-2.0
//
// The page when something is wrong: the session ends, the stream breaks, the daemon is slow, away, or answers nonsense.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { violations } from './axe.ts';
import { Harness, kPassword, settled, type Answer } from './harness.ts';

const harness = new Harness();
let page: Page;
const visible = (text: string | RegExp) => page.getByText(text).first().waitFor();

beforeAll(async () => {
  await harness.start();
  await harness.appliance.setUp('alice', [{ name: 'bob', roles: ['operator', 'restorer'], seesData: true }]);
  await harness.appliance.command('volume', 'create', 'shop', '--size', '64M');
  page = await harness.signedIn('alice');
  await visible('Live');
  // By then the page has all of its files.
  await page.waitForTimeout(3000);
});
afterAll(() => harness.end());
afterEach(() => page.unrouteAll());

const headersOf = (signedIn: Answer) => ({
  Cookie: String(signedIn.headers['set-cookie']).split(';')[0] ?? '',
  'X-CSRF-Token': (JSON.parse(signedIn.text) as { csrf_token: string }).csrf_token,
});

test('a stream that is ended is opened again', async () => {
  // The daemon ends the oldest of the nine streams of one user, which is the page's.
  const opened = page.waitForRequest((request) => request.url().endsWith('/api/events'));
  const broken = page.getByText(/No connection to the appliance since/).waitFor();
  const signedIn = await harness.appliance.remote('POST', '/api/session', { name: 'alice', password: kPassword });
  const streams = Array.from({ length: 8 }, () => harness.appliance.stream('/api/events', headersOf(signedIn)));
  await Promise.all([opened, broken]);
  await visible('The connection is back');
  await visible('Live');
  for (const end of streams) end();
});

test('what was missed while the stream was broken is asked for when it is back', async () => {
  await page.goto(`${harness.url}/#/copies`);
  await visible('There is no clone');
  await page.route('**/api/events', (route) => route.abort());
  const signedIn = await harness.appliance.remote('POST', '/api/session', { name: 'alice', password: kPassword });
  const streams = Array.from({ length: 8 }, () => harness.appliance.stream('/api/events', headersOf(signedIn)));
  await visible(/No connection to the appliance since/);
  for (const end of streams) end();
  await harness.appliance.command('clone', 'shop', '--at', 'now', '--as', 'meanwhile');
  await page.unrouteAll();
  await page.getByRole('cell', { name: 'meanwhile', exact: true }).waitFor();
  await harness.appliance.local('DELETE', '/api/clones/meanwhile');
});

test('an answer that takes long is said to take long, and comes', async () => {
  await page.goto(`${harness.url}/#/jobs`);
  await settled(page);
  harness.appliance.pause();
  try {
    await page.getByRole('link', { name: 'Users and tokens' }).click();
    await visible('The appliance takes its time to answer');
  } finally {
    harness.appliance.resume();
  }
  await page.getByRole('cell', { name: 'alice' }).first().waitFor();
});

test('a failure is told with the request that the log knows, and tried again', async () => {
  const problem = { type: 'about:blank', title: 'Internal Server Error', status: 500, detail: 'reading segment 7: Input/output error' };
  await page.route('**/api/audit*', (route) =>
    route.fulfill({ status: 500, contentType: 'application/problem+json', headers: { 'X-Request-Id': '00c0ffee00c0ffee' }, body: JSON.stringify(problem) }),
  );
  await page.goto(`${harness.url}/#/audit`);
  await visible('reading segment 7: Input/output error');
  await visible(/00c0ffee00c0ffee/);
  await page.unrouteAll();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('cell', { name: 'Created a volume' }).first().waitFor();
});

test('what is no answer of the appliance is not taken for one', async () => {
  await page.route('**/api/clones', (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad Gateway</h1>' }));
  await page.goto(`${harness.url}/#/copies`);
  await visible('An answer that was not expected (HTTP 502)');
  await page.unrouteAll();
  await page.route('**/api/clones', (route) => route.abort());
  await page.getByRole('button', { name: 'Try again' }).click();
  await visible('The appliance does not answer');
  await page.unrouteAll();
  await page.getByRole('button', { name: 'Try again' }).click();
  await visible('There is no clone');
});

test('a write whose answer is lost is not done twice', async () => {
  let lost = 0;
  await page.route('**/api/volumes', async (route) => {
    if (route.request().method() !== 'POST' || lost > 0) return route.continue();
    lost += 1;
    await route.fetch();
    await route.abort();
  });
  await page.goto(`${harness.url}/#/`);
  await page.getByRole('button', { name: 'New volume' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('once');
  await dialog.getByLabel('Size').fill('1');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByText('The appliance does not answer').waitFor();
  await dialog.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /once/ }).waitFor();
  expect(lost).toBe(1);
});

test('a lost session leads to sign-in, and back to where one was', async () => {
  await page.goto(`${harness.url}/#/report/shop?since=2026-01-01T00:00:00.000Z&until=2026-01-02T00:00:00.000Z`);
  await settled(page);
  const signedIn = await harness.appliance.remote('POST', '/api/session', { name: 'alice', password: kPassword });
  const changed = await harness.appliance.remote('POST', '/api/password', { current: kPassword, new: `${kPassword} 2` }, headersOf(signedIn));
  expect(changed.status, changed.text).toBe(200);
  await visible('The session has ended');
  expect(await violations(page)).toEqual([]);
  await harness.screenshot(page, 'session-lost');
  await harness.signIn(page, 'alice', `${kPassword} 2`);
  await page.getByRole('heading', { level: 1, name: 'Incident report: shop' }).waitFor();
  expect(page.url()).toContain('since=2026-01-01T00:00:00.000Z');
});

test('a daemon that is away is said to be away; when it is back, so is the page', async () => {
  await page.goto(`${harness.url}/#/`);
  await page.getByRole('row', { name: /shop/ }).waitFor();
  await harness.appliance.stop();
  await visible(/No connection to the appliance since/);
  expect(await violations(page)).toEqual([]);
  await harness.screenshot(page, 'connection-lost');
  // What was known stays in sight.
  expect(await page.getByRole('row', { name: /shop/ }).isVisible()).toBe(true);
  if (!harness.isServedByDaemon) {
    await page.reload();
    await visible('The appliance does not answer');
  }
  await harness.appliance.start();
  // Sessions are the daemon's memory: a new daemon knows of none.
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await harness.signIn(page, 'alice', `${kPassword} 2`);
  await page.getByRole('row', { name: /shop/ }).waitFor();
});

test('hours that come twice are told apart', async () => {
  // In New York clocks go back from 2:00 -04:00 to 1:00 -05:00 on 1 November 2026, at 6:00 UTC.
  const look = { timezone: 'America/New_York' };
  const other = await harness.page(look);
  await other.goto(`${harness.url}/#/report/shop?since=2026-11-01T05:30:00.000Z&until=2026-11-01T06:30:00.000Z`);
  await harness.signIn(other, 'bob');
  await other.getByText('1 Nov 01:30:00 -04:00 – 1 Nov 01:30:00 -05:00').waitFor();
  await other.getByRole('button', { name: 'Show' }).click();
  await other.waitForURL(/since=2026-11-01T05%3A30%3A00.000Z&until=2026-11-01T06%3A30%3A00.000Z/);
  await other.getByRole('button', { name: 'UTC' }).click();
  await other.getByText('1 Nov 05:30:00 UTC – 1 Nov 06:30:00 UTC').waitFor();
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
