// SPDX-License-Identifier: Apache-2.0
//
// A volume is destroyed for real, and got back with the page alone, by somebody who was told its name and that it broke
// this evening. What comes back is compared byte by byte, through NBD.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { violations } from './axe.ts';
import { complaintsOfFsck, digestOf, fillWithFiles, holdWriter, mayWrite } from './content.ts';
import { Harness, settled, write } from './harness.ts';

const harness = new Harness();
const kMib = 64;
const kClicksMost = 6;
let page: Page;
let whole = '';
let destroyed = '';

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));
const uri = (name: string) => harness.appliance.nbd(name);

// A second that passes between what must not be in the same one.
async function destroy(volume: string): Promise<void> {
  await pause(1200);
  const begun = new Date().toISOString();
  await write(harness.appliance, volume, `discard 0 ${kMib}M`, 'flush');
  await recorded(volume, begun);
}

// Looked at by axe in a theme, and kept as a picture.
async function looked(name: string, theme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme: theme });
  await page.waitForFunction((dark) => document.documentElement.classList.contains('pf-v6-theme-dark') === dark, theme === 'dark');
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await pause(100);
  await harness.screenshot(page, name);
  expect(await violations(page), name).toEqual([]);
}

async function countClicks(on: Page): Promise<() => Promise<number>> {
  await on.evaluate(() => {
    const counted = window as unknown as { clicks: number };
    counted.clicks = 0;
    addEventListener('click', (event) => event.isTrusted && counted.clicks++, { capture: true });
  });
  return () => on.evaluate(() => (window as unknown as { clicks: number }).clicks);
}

// The daemon records a second when it is over: until then an earlier destruction is the newest on the strip.
async function recorded(volume: string, since: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { text } = await harness.appliance.local('GET', `/api/volumes/${volume}/timeline?step=1&since=${encodeURIComponent(since)}`);
    const { steps = [] } = JSON.parse(text) as { steps?: { trimmed_bytes: number }[] };
    if (steps.some(({ trimmed_bytes: trimmed }) => trimmed === kMib << 20)) return;
    await pause(100);
  }
  throw new Error(`no discard of ${volume} is recorded`);
}

beforeAll(async () => {
  await harness.start();
  await harness.appliance.setUp('alice');
  for (const volume of ['shop', 'shop-log', 'unrelated']) await harness.appliance.command('volume', 'create', volume, '--size', `${kMib}M`);
  await fillWithFiles(harness.appliance, 'shop', kMib);
  await fillWithFiles(harness.appliance, 'shop-log', kMib);
  await harness.appliance.command('mark', 'shop', 'before-upgrade');
  await pause(1100);
  // Beyond the file system's blocks in use: business goes on until the last second.
  for (let i = 0; i < 3; i++) {
    await write(harness.appliance, 'shop', `write -P ${i + 1} ${56 + i}M 256k`, 'flush');
    await pause(1100);
  }
  whole = await digestOf(uri('shop'));
  await destroy('shop');
  destroyed = await digestOf(uri('shop'));
  expect(destroyed).not.toBe(whole);
});
afterAll(() => harness.end());

describe('told only "shop" and "it broke this evening"', () => {
  test('the volume serves again as a new one, in few clicks', async () => {
    page = await harness.signedIn('alice');
    const clicks = await countClicks(page);
    await page.getByRole('link', { name: 'shop', exact: true }).click();
    await settled(page);
    await page.getByText(/Discard of 64 MiB \(100 % of the volume\)/).first().waitFor();
    await harness.screenshot(page, 'volume-destroyed');
    await page.getByRole('button', { name: 'Point just before it' }).click();
    await page.getByText(/1 s before a discard of 100 % of the volume/).waitFor();
    await looked('volume-point', 'dark');
    await page.getByRole('link', { name: 'Recover from this point…' }).click();
    await page.getByText(/1 s before a discard of 100 % of the volume/).waitFor();
    await page.getByText(/A new volume shop-recovered of 64 MiB holds shop as it was/).waitFor();
    await page.getByText(/of shop differ from now/).waitFor();
    await looked('recover-confirm', 'light');
    await page.getByRole('button', { name: 'Recover', exact: true }).click();
    await page.getByText('A new volume is served').waitFor();
    expect(await clicks()).toBeLessThanOrEqual(kClicksMost);
    console.log(`counted: ${await clicks()} clicks from the overview to a recovered volume`);
    await looked('recover-done', 'dark');
    expect(await digestOf(uri('shop-recovered'))).toBe(whole);
    expect(await complaintsOfFsck(harness.appliance, uri('shop-recovered'))).toBe('');
    expect(await digestOf(uri('shop'))).toBe(destroyed);
  });

  test('how a host attaches and mounts it is said', async () => {
    const command = await page.getByRole('region', { name: 'Attach shop-recovered' }).innerText();
    const addresses = await page.getByRole('region', { name: 'Address of shop-recovered' }).allInnerTexts();
    expect(addresses.some((address) => command.includes(address.trim()))).toBe(true);
    expect(command).toContain('losetup --find --show');
    await page.getByRole('region', { name: 'Mount it, where it is ext4' }).waitFor();
  });
});

describe('rolling back', () => {
  async function chooseRollback(): Promise<void> {
    await page.goto(`${harness.url}/#/volumes/shop`);
    await settled(page);
    await page.getByRole('button', { name: 'Point just before it' }).click();
    await page.getByRole('link', { name: 'Recover from this point…' }).click();
    await page.getByRole('radio', { name: /Roll back/ }).check();
  }
  const go = () => page.getByRole('button', { name: 'Roll back', exact: true });

  test('is not to be begun while a client may write, and says who must do what', async () => {
    const writer = await holdWriter(uri('shop'));
    await chooseRollback();
    await page.getByText('1 client that may write is connected to shop.').waitFor();
    await page.getByText(/^\S+, connected since \d+ \w+ \d\d:\d\d:\d\d/).waitFor();
    await page.getByText(/shop goes back to .*: 64 MiB change/).waitFor();
    expect(await go().getAttribute('aria-disabled')).toBe('true');
    await page.getByLabel('It is unmounted and detached on its hosts').check();
    expect(await go().getAttribute('aria-disabled')).toBe('true');
    await looked('rollback-writers', 'light');
    await writer.end();
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.getByText('No client that may write is connected to shop.').waitFor();
    await expect.poll(() => go().getAttribute('aria-disabled')).toBe(null);
  });

  test('brings the bytes back under the same name', async () => {
    await go().click();
    await page.getByText('The volume is back at the point').waitFor();
    await looked('rollback-done', 'dark');
    expect(await digestOf(uri('shop'))).toBe(whole);
  });

  test('is undone by what the result names', async () => {
    await page.getByRole('link', { name: 'Roll back to before this' }).click();
    await page.getByLabel('It is unmounted and detached on its hosts').check();
    await go().click();
    await page.getByText('The volume is back at the point').waitFor();
    expect(await digestOf(uri('shop'))).toBe(destroyed);
  });

  test('with clients cut off lets none write until writers are let in again', async () => {
    const writer = await holdWriter(uri('shop'));
    await chooseRollback();
    await page.getByLabel('It is unmounted and detached on its hosts').check();
    await page.getByLabel(/Cut off the 1 client that is still connected/).check();
    await go().click();
    await page.getByText(/Writers are refused until they are let in again/).waitFor();
    await writer.end();
    expect(await mayWrite(uri('shop'))).toBe(false);
    await page.getByRole('link', { name: 'Open shop', exact: true }).first().click();
    await page.getByRole('button', { name: 'Let writers connect' }).click();
    await page.getByText('Writers may connect to shop again').waitFor();
    expect(await digestOf(uri('shop'))).toBe(whole);
    expect(await mayWrite(uri('shop'))).toBe(true);
  });
});

describe('the other ways', () => {
  // As if it were the first time: the same address alone changes nothing.
  async function openWizard(): Promise<void> {
    await page.goto(`${harness.url}/#/volumes/shop/recover?at=mark:before-upgrade`);
    await page.reload();
    await page.getByText('Newest write in it').waitFor();
  }
  async function choose(way: RegExp): Promise<void> {
    await openWizard();
    await page.getByRole('radio', { name: way }).check();
  }
  const address = async (what: string | RegExp) => page.getByRole('region', { name: what }).first().innerText();

  test('a view and a clone hold the point', async () => {
    const image = `${harness.appliance.directory}/marked.img`;
    await harness.appliance.command('restore', 'shop', '--at', 'mark:before-upgrade', '--to', image);
    await choose(/^View/);
    await page.getByRole('button', { name: 'Open the view' }).click();
    await page.getByText('The point is served read-only').waitFor();
    const view = await address(/^Address of shop@lsn:/);
    await page.getByText('ro,noload').first().waitFor();
    await choose(/^Clone/);
    await page.getByRole('button', { name: 'Make the clone' }).click();
    await page.getByText('A clone is served').waitFor();
    const clone = await address('Address of shop-clone');
    const digests = await Promise.all([digestOf(view), digestOf(clone)]);
    expect(digests).toEqual([await digestOf(image), await digestOf(image)]);
    expect(await complaintsOfFsck(harness.appliance, clone)).toBe('');
  });

  test('the command for an image makes it', async () => {
    await choose(/^Image/);
    const command = await address('A raw image of shop');
    const words = command.split(' ');
    expect(words.slice(0, 2)).toEqual(['hindsight', '--server']);
    const image = `${harness.appliance.directory}/by-command.img`;
    await harness.appliance.command(...words.slice(3, -1), image);
    expect(await digestOf(image)).toBe(await digestOf(`${harness.appliance.directory}/marked.img`));
  });

  test('several volumes go to one point together', async () => {
    await openWizard();
    await page.getByText('Recover other volumes with it').click();
    await page.getByRole('checkbox', { name: /shop-log/ }).check();
    await page.getByRole('textbox', { name: /for shop-log/ }).fill('log-again');
    await page.getByRole('textbox', { name: /for shop$/ }).fill('shop');
    await page.getByText('That name is taken').waitFor();
    expect(await page.getByRole('button', { name: 'Recover', exact: true }).getAttribute('aria-disabled')).toBe('true');
    await page.getByRole('textbox', { name: /for shop$/ }).fill('shop-again');
    await page.getByRole('button', { name: 'Recover', exact: true }).click();
    await page.getByText('New volumes are served').waitFor();
    const made = JSON.parse((await harness.appliance.local('GET', '/api/volumes')).text) as { volumes: { name: string }[] };
    expect(made.volumes.map(({ name }) => name)).toEqual(expect.arrayContaining(['shop-again', 'log-again']));
    expect(await digestOf(uri('log-again'))).toBe(await digestOf(uri('shop-log')));
  });
});

describe('with keys alone', () => {
  // Where the focus is, as a screen reader would name it.
  const focused = () =>
    page.evaluate(() => {
      const element = document.activeElement as HTMLElement | null;
      const labels = (element as HTMLInputElement | null)?.labels;
      const label = labels && labels.length > 0 ? labels[0]?.textContent : element?.textContent;
      const name = element?.getAttribute('aria-label') ?? label ?? '';
      return `${element?.getAttribute('role') ?? element?.tagName.toLowerCase()} ${name.slice(0, 80)}`.replace(/\s+/g, ' ').trim();
    });
  async function tabTo(wanted: RegExp): Promise<void> {
    const passed: string[] = [];
    for (let i = 0; i < 150; i++) {
      const at = await focused();
      if (wanted.test(at)) return;
      passed.push(at);
      await page.keyboard.press('Tab');
    }
    throw new Error(`no ${wanted} among what has the focus in turn: ${passed.join(' | ')}`);
  }

  test('the second is found on the strip, and the volume is recovered', async () => {
    const again = await digestOf(uri('shop'));
    await destroy('shop');
    page = await harness.page();
    await page.goto(`${harness.url}/#/`);
    await page.locator('input[autocomplete=username]').waitFor();
    await tabTo(/^input User/);
    await page.keyboard.type('alice');
    await tabTo(/^input Password/);
    await page.keyboard.type('correct horse battery staple');
    await page.keyboard.press('Enter');
    await page.locator('nav#navigation').waitFor({ state: 'attached' });
    await settled(page);
    await tabTo(/^a shop$/);
    await page.keyboard.press('Enter');
    await settled(page);
    await page.getByText(/Discard of 64 MiB/).first().waitFor();
    // To seconds, and from the newest one back to the discard.
    await tabTo(/^button 10 min/);
    await page.keyboard.press('Enter');
    await tabTo(/^slider Moment on the timeline of shop/);
    const value = () => page.evaluate(() => document.activeElement?.getAttribute('aria-valuetext') ?? '');
    await page.keyboard.press('End');
    for (let i = 0; i < 300 && !/64 MiB discarded \(100 % of the volume\)/.test(await value()); i++) await page.keyboard.press('ArrowLeft');
    expect(await value()).toMatch(/^\d+ \w+ \d\d:\d\d:\d\d \+08:00 · 64 MiB discarded \(100 % of the volume\)/);
    await page.keyboard.press('Enter');
    await page.getByText(/1 s before a discard of 100 % of the volume/).waitFor();
    await tabTo(/^a Recover from this point/);
    await page.keyboard.press('Enter');
    await page.getByText(/A new volume shop-recovered-2/).waitFor();
    await tabTo(/^button Recover$/);
    await page.keyboard.press('Enter');
    await page.getByText('A new volume is served').waitFor();
    expect(await digestOf(uri('shop-recovered-2'))).toBe(again);
  });
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
