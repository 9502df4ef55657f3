// SPDX-License-Identifier: Apache-2.0
//
// A volume whose backing store is lost, until nobody misses it any more.
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { violations } from './axe.ts';
import { expectStatus, Harness, settled } from './harness.ts';

const harness = new Harness();
let page: Page;

beforeAll(async () => {
  await harness.start();
  const { appliance } = harness;
  await appliance.setUp('alice');
  await appliance.command('volume', 'create', 'shop', '--size', '64M');
  const disks = join(appliance.directory, 'disks');
  mkdirSync(disks);
  writeFileSync(join(disks, 'archive.raw'), '');
  truncateSync(join(disks, 'archive.raw'), 64 << 20);
  await appliance.command('volume', 'create', 'archive', '--size', '64M', '--backing', join(disks, 'archive.raw'));
  await appliance.stop();
  rmSync(disks, { recursive: true });
  await appliance.start();
  page = await harness.signedIn('alice');
});
afterAll(() => harness.end());

const alerts = () => page.getByRole('region', { name: 'Alerts' });

test('the overview has it first, with its volume and since when', async () => {
  await alerts().getByText(/^Since \d+ \w+ \d\d:\d\d:\d\d \+08:00/).first().waitFor();
  await alerts().getByRole('link', { name: 'archive', exact: true }).first().waitFor();
  expect(await violations(page)).toEqual([]);
});

test('the alerts have a severity, an object and a time, and are chosen by whether they hold', async () => {
  await page.getByRole('link', { name: /^Alerts/ }).first().click();
  await settled(page);
  const row = page.getByRole('row', { name: /archive/ });
  await row.first().waitFor();
  await row.first().getByText(/^(Critical|Warning)$/).waitFor();
  await page.getByRole('button', { name: /^Over 0/ }).click();
  await page.getByText('None is over since the service started').waitFor();
  expect(await violations(page)).toEqual([]);
});

test('what is over is gone from the overview at once, and is told to be over a minute later', async () => {
  expectStatus(200, await harness.appliance.local('DELETE', '/api/volumes/archive'));
  await page.getByRole('link', { name: 'Overview' }).first().click();
  await alerts().waitFor({ state: 'detached' });
  await page.getByRole('link', { name: /^Alerts/ }).first().click();
  await page.getByRole('button', { name: /^Over [1-9]/ }).click({ timeout: 120_000 });
  await page.getByRole('row', { name: /archive/ }).first().getByText(/^over /).waitFor();
  await page.getByRole('button', { name: /^Active 0/ }).click();
  await page.getByText('Nothing is wrong').waitFor();
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
