// SPDX-License-Identifier: Apache-2.0
//
// What is chosen is in the address: a reload and a copied link show the same.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { Harness, settled, write } from './harness.ts';

const harness = new Harness();
let page: Page;

beforeAll(async () => {
  await harness.start();
  const { appliance } = harness;
  await appliance.setUp('alice');
  for (const volume of ['shop', 'shop-log']) await appliance.command('volume', 'create', volume, '--size', '64M');
  await write(appliance, 'shop', 'write -P 0x5a 0 8M');
  await appliance.command('mark', 'shop', 'before-upgrade');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await write(appliance, 'shop', 'discard 0 64M', 'flush');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  page = await harness.signedIn('alice');
});
afterAll(() => harness.end());

const headline = () => page.locator('.headline').first().innerText();
const isLeft = (word: string) => page.waitForURL((address) => address.hash.includes('at=') && !address.hash.includes(word));

test('of the wizard: point, volumes and way', async () => {
  await page.goto(`${harness.url}/#/volumes/shop/recover?at=mark:before-upgrade`);
  await page.getByText('Newest write in it').waitFor();
  await page.getByRole('radio', { name: /^Clone/ }).check();
  await page.getByText('Recover other volumes with it').click();
  await page.getByRole('checkbox', { name: /shop-log/ }).check();
  await page.getByRole('button', { name: 'Choose another point' }).click();
  await page.getByRole('button', { name: 'Point just before it' }).click();
  await isLeft('before-upgrade');
  await page.getByText(/1 s before a discard of/).first().waitFor();
  const before = await headline();
  await page.reload();
  await page.getByText('Newest write in it').waitFor();
  await expect.poll(headline).toBe(before);
  expect(await page.getByRole('radio', { name: /^Clone/ }).isChecked()).toBe(true);
  await page.getByRole('textbox', { name: /Name of the clone of shop-log/ }).waitFor();
});

test('of the page of a volume: the point, which a link leads to', async () => {
  await page.goto(`${harness.url}/#/volumes/shop?at=mark:before-upgrade`);
  await settled(page);
  await page.getByText(/“before-upgrade”, at it/).waitFor();
  await page.getByRole('button', { name: 'Point just before it' }).click();
  await isLeft('before-upgrade');
  // Back to another address is another visit, whatever was chosen meanwhile.
  await page.goto(`${harness.url}/#/volumes/shop?at=mark:before-upgrade`);
  await page.getByText(/“before-upgrade”, at it/).waitFor();
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
