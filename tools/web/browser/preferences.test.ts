// SPDX-License-Identifier: Apache-2.0
//
// Language and theme are the browser's until somebody chooses; what was chosen stays.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Harness, settled } from './harness.ts';

const harness = new Harness();

beforeAll(async () => {
  await harness.start();
  await harness.appliance.setUp('alice');
  await harness.appliance.command('volume', 'create', 'shop', '--size', '64M');
});
afterAll(() => harness.end());

test('a Chinese browser is spoken to in Chinese, until English is chosen', async () => {
  const page = await harness.signedIn('alice', '#/', { language: 'zh' });
  await page.getByRole('heading', { level: 1, name: '概览' }).waitFor();
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('zh-CN');
  await page.getByRole('row', { name: /shop/ }).getByText('已保护').waitFor();
  await page.getByRole('button', { name: '显示与账户' }).click();
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('en-GB');
});

test('the theme follows the system, until one is chosen', async () => {
  const page = await harness.signedIn('alice', '#/', { theme: 'light' });
  const isDark = () => page.evaluate(() => document.documentElement.classList.contains('pf-v6-theme-dark'));
  expect(await isDark()).toBe(false);
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(isDark).toBe(true);
  await page.getByRole('button', { name: 'Display and account' }).click();
  await page.getByRole('button', { name: 'Light' }).click();
  await expect.poll(isDark).toBe(false);
  await page.reload();
  await settled(page);
  expect(await isDark()).toBe(false);
});

test('times are in the zone that was chosen, which they say', async () => {
  const page = await harness.signedIn('alice', '#/vault', { timezone: 'Asia/Shanghai' });
  await page.getByText(/^\d+ \w+ [\d:]{8} \+08:00$/).first().waitFor();
  await page.getByRole('button', { name: 'UTC' }).click();
  await page.getByText(/^\d+ \w+ [\d:]{8} UTC$/).first().waitFor();
  expect(await page.getByText(/\+08:00$/).count()).toBe(0);
  await page.reload();
  await settled(page);
  await page.getByText(/^\d+ \w+ [\d:]{8} UTC$/).first().waitFor();
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
