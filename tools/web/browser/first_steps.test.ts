// SPDX-License-Identifier: Apache-2.0
//
// From a daemon that nobody knows yet to a volume that a host can attach.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { violations } from './axe.ts';
import { Harness, kPassword, settled, write } from './harness.ts';

const harness = new Harness();
let page: Page;

beforeAll(async () => {
  await harness.start();
  page = await harness.page();
});
afterAll(() => harness.end());

const text = (part: string | RegExp) => page.getByText(part).first();

test('the page was made for this daemon', async () => {
  const committed: unknown = JSON.parse(readFileSync(new URL('../src/api/openapi.json', import.meta.url), 'utf8'));
  const renew = 'src/api/openapi.json is not the daemon\'s: npm run openapi SOCKET, and npm run types';
  expect(JSON.parse((await harness.appliance.local('GET', '/api/openapi.json')).text), renew).toEqual(committed);
});

test('the first user is made with the one-time code', async () => {
  await page.goto(`${harness.url}/#/vault`);
  await page.getByRole('heading', { name: /First start/ }).waitFor();
  expect(await violations(page)).toEqual([]);
  await harness.screenshot(page, 'first-start');
  await page.getByLabel('Code').fill('22222-22222-22222');
  await page.getByLabel('Name of the first user').fill('alice');
  await page.getByLabel('New password', { exact: true }).fill('short');
  await page.getByLabel('The new password again').fill('short');
  await page.getByRole('button', { name: 'Make the user and sign in' }).click();
  await text('It is too short: at least 12 characters').waitFor();
  await page.getByLabel('New password', { exact: true }).fill(kPassword);
  await page.getByRole('button', { name: 'Make the user and sign in' }).click();
  await text('The two differ').waitFor();
  await page.getByLabel('The new password again').fill(kPassword);
  await page.getByRole('button', { name: 'Make the user and sign in' }).click();
  await text('The code is wrong').waitFor();
  await page.getByLabel('Code').fill(harness.appliance.code);
  await page.getByRole('button', { name: 'Make the user and sign in' }).click();
  // The address that was asked for is where one then is.
  await page.getByRole('heading', { level: 1, name: 'Vault' }).waitFor();
});

test('an administrator has no right over volumes until she gives it to herself', async () => {
  await page.getByRole('link', { name: 'Overview' }).first().click();
  await settled(page);
  expect(await page.getByRole('button', { name: 'New volume' }).first().getAttribute('aria-disabled')).toBe('true');
  await page.getByRole('link', { name: 'Users and tokens' }).click();
  await page.getByRole('button', { name: 'Change alice' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('operator', { exact: false }).check();
  await dialog.getByLabel('restorer', { exact: false }).check();
  await dialog.getByLabel('May see what volumes hold').check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Overview' }).first().click();
  await settled(page);
  await expect.poll(() => page.getByRole('button', { name: 'New volume' }).first().getAttribute('aria-disabled')).toBe(null);
});

test('a volume is created, and how to attach it is said', async () => {
  await page.getByRole('button', { name: 'New volume' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await text('Give it a name').waitFor();
  await dialog.getByLabel('Name').fill('shop');
  await dialog.getByLabel('Size').fill('256');
  await dialog.getByLabel('Unit').selectOption('MiB');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { level: 1, name: /shop/ }).waitFor();
  expect(page.url()).toContain('#/attach/shop');
  const volumes = JSON.parse((await harness.appliance.local('GET', '/api/volumes')).text) as { volumes: { name: string; size_bytes: number }[] };
  expect(volumes.volumes.map(({ name, size_bytes }) => [name, size_bytes])).toEqual([['shop', 256 << 20]]);
});

test('a name that is taken is refused in the words of the daemon', async () => {
  await page.goto(`${harness.url}/#/`);
  await page.getByRole('button', { name: 'New volume' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('shop');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByRole('alert').waitFor();
  expect(await dialog.getByRole('alert').innerText()).toContain('shop');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
});

test('what a host writes is seen without asking', async () => {
  const row = page.getByRole('row', { name: /shop/ });
  await row.getByText('Protected').waitFor();
  await write(harness.appliance, 'shop', 'write -P 0x5a 0 8M', 'write -P 0xa5 8M 8M');
  // By the counters that come each second: a host that goes on writing is seen to.
  const isSeen = async () => {
    await write(harness.appliance, 'shop', 'write -P 0x5b 0 4M');
    return row.getByText(/^[1-9][\d.]* [KM]iB\/s$/).count();
  };
  await expect.poll(isSeen, { interval: 300 }).toBeGreaterThan(0);
  await expect.poll(() => page.getByText('1 :').or(page.getByText(/dedup [\d.]+ : 1/)).first().isVisible()).toBe(true);
});

test('signing out leads to the entrance, and nothing is left behind it', async () => {
  await page.getByRole('button', { name: 'Display and account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByLabel('User').fill('alice');
  await page.getByLabel('Password').fill('not this one, surely');
  await page.keyboard.press('Enter');
  await text('The user or the password is wrong').waitFor();
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
