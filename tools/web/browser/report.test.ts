// SPDX-License-Identifier: Apache-2.0
//
// After an incident: what happened, what was restored, to which point, and by whom, on paper.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { Harness, kPassword, settled, write, expectStatus } from './harness.ts';

const harness = new Harness();
let page: Page;

beforeAll(async () => {
  await harness.start();
  const { appliance } = harness;
  await appliance.setUp('alice', [{ name: 'bob', roles: ['operator', 'restorer'], seesData: true }]);
  for (const name of ['shop', 'other']) await appliance.command('volume', 'create', name, '--size', '64M');
  await write(appliance, 'shop', 'write -P 0x5a 0 32M');
  await appliance.command('mark', 'shop', 'before-upgrade');
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await write(appliance, 'shop', 'discard 0 64M');
  const signedIn = expectStatus(200, await appliance.remote('POST', '/api/session', { name: 'bob', password: kPassword }));
  const headers = {
    Cookie: String(signedIn.headers['set-cookie']).split(';')[0] ?? '',
    'X-CSRF-Token': (JSON.parse(signedIn.text) as { csrf_token: string }).csrf_token,
  };
  expectStatus(200, await appliance.remote('POST', '/api/rollbacks', { volumes: ['shop'], at: 'mark:before-upgrade' }, headers));
  await appliance.command('mark', 'other', 'elsewhere');
  // A second is recorded when it is over.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  page = await harness.signedIn('alice', '#/report/shop', { theme: 'dark' });
});
afterAll(() => harness.end());

test('the destruction is found, and the rollback, with who did it', async () => {
  await page.getByText(/The most was zeroed or discarded \(64 MiB\)/).waitFor();
  const events = page.getByRole('table', { name: 'Events' });
  await events.getByRole('row', { name: /Mark before-upgrade/ }).waitFor();
  await events.getByRole('row', { name: /Rollback/ }).waitFor();
  const acts = page.getByRole('table', { name: 'What was done, and by whom' });
  await acts.getByRole('row', { name: /bob .*Rolled back.*mark:before-upgrade.*Done 200/ }).waitFor();
  // Of this volume alone.
  expect(await page.getByText('elsewhere').count()).toBe(0);
});

test('on paper it is dark on white, without what one presses', async () => {
  expect(await page.evaluate(() => document.documentElement.classList.contains('pf-v6-theme-dark'))).toBe(true);
  await page.emulateMedia({ media: 'print' });
  await expect.poll(() => page.evaluate(() => document.documentElement.classList.contains('pf-v6-theme-dark'))).toBe(false);
  expect(await page.locator('nav#navigation').isVisible()).toBe(false);
  expect(await page.getByRole('button', { name: 'Print' }).isVisible()).toBe(false);
  await page.getByRole('table', { name: 'Events' }).waitFor();
  const pdf = await page.pdf({ format: 'A4' });
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
  await page.setViewportSize({ width: 794, height: 1500 });
  await harness.screenshot(page, 'report-on-paper');
  await page.emulateMedia({ media: 'screen' });
  await expect.poll(() => page.evaluate(() => document.documentElement.classList.contains('pf-v6-theme-dark'))).toBe(true);
});

test('who may not see the audit is told that it is left out', async () => {
  const his = await harness.signedIn('bob', '#/report/shop');
  await settled(his);
  await his.getByText('The audit is for administrators: who did what is left out of this report.').waitFor();
  await his.getByRole('row', { name: /Rollback/ }).waitFor();
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
