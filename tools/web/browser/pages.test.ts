// SPDX-License-Identifier: Apache-2.0
//
// Every page with something on it, in both languages and themes: axe finds nothing, nothing is wider than the window,
// and pictures of it are kept: in every width, and of the other languages and themes in one.
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { violations } from './axe.ts';
import { holdWriter } from './content.ts';
import { Harness, settled, write, type Look } from './harness.ts';

const harness = new Harness();
const clients: { end: () => Promise<void> }[] = [];
const pages = {
  overview: '#/',
  volume: '#/volumes/shop',
  'volume-point': '#/volumes/shop?at=mark:before-upgrade',
  recover: '#/volumes/shop/recover',
  rollback: '#/volumes/shop/recover?at=mark:before-upgrade&how=rollback&with=ledger',
  attach: '#/attach/shop',
  report: '#/report/shop',
  copies: '#/copies',
  jobs: '#/jobs',
  alerts: '#/alerts',
  audit: '#/audit',
  users: '#/users',
  vault: '#/vault',
  missing: '#/nowhere',
};
const widths = { 360: 780, 1280: 860, 2560: 1440 };
const looks: Look[] = [
  { language: 'en', theme: 'light' },
  { language: 'en', theme: 'dark' },
  { language: 'zh', theme: 'light' },
  { language: 'zh', theme: 'dark' },
];

beforeAll(async () => {
  await harness.start();
  const { appliance } = harness;
  await appliance.setUp('alice', [
    { name: 'bob', roles: ['operator', 'restorer'], seesData: true },
    { name: 'auditor', roles: ['viewer'], seesData: false },
  ]);
  for (const name of ['shop', 'ledger', 'mail']) await appliance.command('volume', 'create', name, '--size', '512M');
  const disks = join(appliance.directory, 'disks');
  mkdirSync(disks);
  writeFileSync(join(disks, 'archive.raw'), '');
  truncateSync(join(disks, 'archive.raw'), 64 << 20);
  await appliance.command('volume', 'create', 'archive', '--size', '64M', '--backing', join(disks, 'archive.raw'));
  await write(appliance, 'shop', 'write -P 0x11 0 256M', 'write -P 0x12 256M 128M');
  await write(appliance, 'ledger', 'write -P 0x21 0 16M');
  await appliance.command('mark', 'shop', 'before-upgrade');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await write(appliance, 'shop', 'discard 0 256M');
  await appliance.command('clone', 'shop', '--at', 'mark:before-upgrade', '--as', 'shop-test');
  await appliance.command('verify', '--deep');
  // One whose backing store is lost, one that is completed slowly, one that was rolled back.
  await appliance.stop();
  rmSync(disks, { recursive: true });
  await appliance.start(['--hydration-rate', '1M']);
  await appliance.command('recover', 'shop', '--at', 'mark:before-upgrade', '--as', 'shop-again');
  await appliance.command('rollback', 'ledger', '--at', 'first', '--yes');
  const { point } = JSON.parse((await appliance.local('GET', '/api/volumes/shop/points?at=mark:before-upgrade')).text) as { point: { lsn: number } };
  for (const name of ['shop', 'shop', 'shop-test', `shop@lsn:${point.lsn}`]) clients.push(await holdWriter(appliance.nbd(name)));
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await harness.end();
});

async function widthIsEnough(page: Page): Promise<void> {
  const wider = await page.evaluate(() => {
    const main = document.querySelector('main') ?? document.body;
    const panels = [...document.querySelectorAll('main section')].map((panel) => panel.scrollWidth - panel.clientWidth);
    return { panel: Math.max(0, ...panels), page: document.documentElement.scrollWidth - innerWidth, main: main.scrollWidth - main.clientWidth };
  });
  expect(wider.page, 'the document is wider than the window').toBeLessThanOrEqual(0);
  expect(wider.panel, 'a part of the page is wider than its frame').toBeLessThanOrEqual(0);
  expect(wider.main, 'the content is wider than its place').toBeLessThanOrEqual(0);
}

// As high as what there is to see.
async function picture(page: Page, width: number, height: number, name: string): Promise<void> {
  const content = await page.evaluate(() => (document.querySelector('main')?.scrollHeight ?? 0) + 60);
  await page.setViewportSize({ width, height: Math.min(4000, Math.max(height, content)) });
  await page.waitForTimeout(150);
  await harness.screenshot(page, name);
  await page.setViewportSize({ width, height });
}

describe.each(looks.map((look) => [`${look.language} ${look.theme}`, look] as const))('%s', (_title, look) => {
  let page: Page;
  const named = (name: string, width: number) => `${name}-${width}-${look.language}-${look.theme}`;
  const isPictured = (width: number) => look === looks[0] || width === 1280;

  beforeAll(async () => {
    page = await harness.page(look);
    await page.goto(`${harness.url}/#/`);
    await page.locator('input[autocomplete=username]').waitFor();
  });

  test('entrance', async () => {
    expect(await violations(page)).toEqual([]);
    for (const [width, height] of Object.entries(widths)) {
      await page.setViewportSize({ width: Number(width), height });
      await widthIsEnough(page);
      if (isPictured(Number(width))) await harness.screenshot(page, named('entrance', Number(width)));
    }
    await harness.signIn(page, 'alice');
    await settled(page);
  });

  test.each(Object.entries(pages))('%s', async (name, hash) => {
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.goto(`${harness.url}/${hash}`);
    await settled(page);
    await page.waitForTimeout(200);
    expect.soft(await violations(page)).toEqual([]);
    for (const [width, height] of Object.entries(widths)) {
      await page.setViewportSize({ width: Number(width), height });
      await page.waitForTimeout(50);
      await widthIsEnough(page);
      if (isPictured(Number(width))) await picture(page, Number(width), height, named(name, Number(width)));
    }
    await page.setViewportSize({ width: 360, height: 780 });
    expect.soft(await violations(page), 'at 360 px').toEqual([]);
    await page.setViewportSize({ width: 1280, height: 860 });
  });

  test('dialogs', async () => {
    const dialogs: [string, string, string][] = [
      ['create', '#/', look.language === 'zh' ? '新建卷' : 'New volume'],
      ['user', '#/users', look.language === 'zh' ? '新建用户' : 'New user'],
      ['token', '#/users', look.language === 'zh' ? '新建令牌' : 'New token'],
      ['account', '#/', look.language === 'zh' ? '显示与账户' : 'Display and account'],
    ];
    for (const [name, hash, button] of dialogs) {
      await page.setViewportSize({ width: 1280, height: 860 });
      await page.goto(`${harness.url}/${hash}`);
      await settled(page);
      await page.getByRole('button', { name: button }).first().click();
      await page.getByRole('dialog').waitFor();
      expect.soft(await violations(page), name).toEqual([]);
      for (const [width, height] of Object.entries({ 360: 780, 1280: 860 })) {
        await page.setViewportSize({ width: Number(width), height });
        await page.waitForTimeout(50);
        await widthIsEnough(page);
        if (isPictured(Number(width))) await harness.screenshot(page, named(`dialog-${name}`, Number(width)));
      }
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
  });
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
