// SPDX-License-Identifier: Apache-2.0
//
// A point is checked by the wizard before it is brought back: what is sound, what is wrecked, and where nothing is left.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { violations } from './axe.ts';
import { hasChecker, startChecker } from './checker.ts';
import { fillWithFiles } from './content.ts';
import { Harness, settled, write } from './harness.ts';

const kMib = 64;

describe.skipIf(!hasChecker())('a point is checked', () => {
  const harness = new Harness();
  const socket = join(harness.appliance.directory, 'check.sock');
  let page: Page;
  let endChecker = () => {};

  beforeAll(async () => {
    process.env.HINDSIGHTD_CHECK_SOCKET = socket;
    await harness.start();
    const { appliance } = harness;
    await appliance.setUp('alice');
    await appliance.command('volume', 'create', 'shop', '--size', `${kMib}M`);
    await fillWithFiles(appliance, 'shop', kMib);
    await appliance.command('mark', 'shop', 'whole');
    // Over what the superblock points to.
    await write(appliance, 'shop', 'write -P 0xa5 4k 2M', 'flush');
    await appliance.command('mark', 'shop', 'wrecked');
    await write(appliance, 'shop', `discard 0 ${kMib}M`, 'flush');
    await appliance.command('mark', 'shop', 'gone');
    page = await harness.signedIn('alice');
  });
  afterAll(async () => {
    endChecker();
    delete process.env.HINDSIGHTD_CHECK_SOCKET;
    await harness.end();
  });

  const check = () => page.getByRole('button', { name: 'Check this point of shop' });
  const step = () => page.getByRole('region', { name: 'Check', exact: true });
  async function open(mark: string): Promise<void> {
    await page.goto(`${harness.url}/#/volumes/shop/recover?at=mark:${mark}`);
    await page.getByText('Newest write in it').waitFor();
  }
  async function looked(name: string, theme: 'light' | 'dark'): Promise<void> {
    await page.emulateMedia({ colorScheme: theme });
    await page.waitForFunction((dark) => document.documentElement.classList.contains('pf-v6-theme-dark') === dark, theme === 'dark');
    await page.waitForTimeout(150);
    await step().scrollIntoViewIfNeeded();
    await harness.screenshot(page, name);
    expect(await violations(page), name).toEqual([]);
  }

  test('where nobody listens, the step says so and has the commands', async () => {
    await open('whole');
    await check().click();
    await page.getByText('The appliance does not check points now').waitFor();
    await page.getByText(/nobody listens on/).waitFor();
    await page.getByText('2. What is on it: partition table, file systems').waitFor();
    await looked('check-unavailable', 'light');
  });

  test('one that takes long is seen to be under way, and cancelled', async () => {
    endChecker = await startChecker(socket, ['sleep', '20']);
    await page.getByRole('button', { name: 'Try again' }).click();
    await check().click();
    await page.getByText('shop is being checked at this point.').waitFor();
    await step().getByRole('progressbar', { name: 'Check of a point shop' }).waitFor();
    await looked('check-running', 'dark');
    await page.getByRole('button', { name: 'Cancel the check of shop' }).click();
    await page.getByText('The check was cancelled').waitFor();
    endChecker();
    endChecker = await startChecker(socket);
  });

  test('a sound file system is found clean with one click, and Confirm says so', async () => {
    await page.getByText('shop was not checked at this point.').waitFor();
    await page.getByRole('button', { name: 'Check again: shop' }).click();
    await step().getByText(/^Clean/).first().waitFor();
    await step().getByText('“shop”').waitFor();
    await step().getByText(/Checked by e2fsck/).waitFor();
    await page.getByText(/shop was checked at this point: Clean/).waitFor();
    expect(await page.getByRole('button', { name: 'Recover', exact: true }).getAttribute('aria-disabled')).toBe(null);
    await looked('check-clean', 'dark');
  });

  test('another point has no verdict of the first one, and where nothing is left an earlier one is advised', async () => {
    await open('gone');
    await page.getByText('shop was not checked at this point.').waitFor();
    await check().click();
    await page.getByText(/no partition table and no file system was found/).waitFor();
    await page.getByText(/shop was checked at this point: Nothing known was found/).waitFor();
    await looked('check-nothing', 'light');
    await page.getByRole('button', { name: 'Choose an earlier point' }).click();
    await page.getByRole('slider', { name: /Moment on the timeline of shop/ }).waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe('When');
  });

  test('what is wrecked is damaged, which does not keep one from recovering it', async () => {
    await open('wrecked');
    await check().click();
    await step().getByText('Damaged').first().waitFor();
    await page.getByText(/Try an earlier point/).waitFor();
    await step().getByText('Output of e2fsck').click();
    await step().getByRole('region', { name: 'Output of e2fsck' }).waitFor();
    expect(await page.getByRole('button', { name: 'Recover', exact: true }).getAttribute('aria-disabled')).toBe(null);
    await looked('check-damaged', 'dark');
    // What is known of a point is known when one comes back to it.
    await open('whole');
    await page.getByText(/shop was checked at this point: Clean/).waitFor();
  });

  test('checks are jobs with their verdict', async () => {
    await page.goto(`${harness.url}/#/jobs`);
    await settled(page);
    const row = page.getByRole('row', { name: /Check of a point/ }).filter({ hasText: 'Damaged' });
    await row.getByRole('button', { name: /Result of job/ }).click();
    await page.getByRole('dialog').getByText('Output of e2fsck').waitFor();
    expect(await violations(page)).toEqual([]);
    await harness.screenshot(page, 'check-job');
  });

  test('no page complained', () => {
    expect(harness.complaints).toEqual([]);
  });
});
