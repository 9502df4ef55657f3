// SPDX-License-Identifier: Apache-2.0
//
// What an administrator does all day: users, tokens, verification, jobs, clones, attaching, alerts, the audit.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Page } from 'playwright-core';
import { holdWriter } from './content.ts';
import { Harness, kPassword, settled, write } from './harness.ts';
import { kPatience } from './patience.ts';

const run = promisify(execFile);
const harness = new Harness();
let page: Page;
const go = async (hash: string) => {
  await page.goto(`${harness.url}/${hash}`);
  await settled(page);
};
const dialog = () => page.getByRole('dialog');

beforeAll(async () => {
  await harness.start();
  const { appliance } = harness;
  await appliance.setUp('alice');
  await appliance.command('volume', 'create', 'shop', '--size', '256M');
  await write(appliance, 'shop', 'write -P 0x5a 0 128M', 'write -P 0xa5 128M 64M');
  await appliance.command('mark', 'shop', 'before-upgrade');
  await appliance.command('clone', 'shop', '--at', 'mark:before-upgrade', '--as', 'shop-test');
  page = await harness.signedIn('alice');
});
afterAll(() => harness.end());

test('a user is made, signs in with what he was given, is changed and removed', async () => {
  await go('#/users');
  await page.getByRole('button', { name: 'New user' }).click();
  await dialog().getByRole('button', { name: 'Make' }).click();
  await dialog().getByText('Give a name').waitFor();
  await dialog().getByLabel('Name').fill('viktor');
  await dialog().getByLabel('Password', { exact: true }).fill(kPassword);
  await dialog().getByLabel('The password again').fill(kPassword);
  await dialog().getByRole('button', { name: 'Make' }).click();
  await dialog().waitFor({ state: 'detached' });
  await page.getByRole('cell', { name: 'viktor', exact: true }).waitFor();

  const his = await harness.signedIn('viktor');
  expect(await his.getByRole('button', { name: 'New volume' }).getAttribute('aria-disabled')).toBe('true');
  expect(await his.getByRole('link', { name: 'Audit log' }).count()).toBe(0);
  await his.goto(`${harness.url}/#/audit`);
  await his.getByText('The audit is for administrators').waitFor();
  await his.goto(`${harness.url}/#/users`);
  await his.getByText('these are your own tokens').waitFor();

  await page.getByRole('button', { name: 'Change viktor' }).click();
  await dialog().getByRole('checkbox', { name: /^operator/ }).check();
  await dialog().getByRole('button', { name: 'Save' }).click();
  await page.getByRole('cell', { name: 'viewer, operator' }).waitFor();
  await page.getByRole('button', { name: 'Remove viktor' }).click();
  await dialog().getByRole('button', { name: 'Remove' }).click();
  await dialog().waitFor({ state: 'detached' });
  await page.getByRole('cell', { name: 'viktor', exact: true }).waitFor({ state: 'detached' });
  // He is out at once.
  await his.getByRole('heading', { name: 'Sign in' }).waitFor();
});

test('a token is shown once, works, and ends', async () => {
  await go('#/users');
  await page.getByRole('button', { name: 'New token' }).click();
  await dialog().getByLabel('What it is for').fill('nightly report');
  await dialog().getByLabel('Days that it lives').fill('400');
  await dialog().getByRole('button', { name: 'Make' }).click();
  await dialog().getByText('A number of days from 1 to 366').waitFor();
  await dialog().getByLabel('Days that it lives').fill('90');
  await dialog().getByRole('button', { name: 'Make' }).click();
  const shown = dialog().getByRole('region', { name: 'the token' });
  await shown.waitFor();
  const token = await shown.innerText();
  await dialog().getByRole('button', { name: 'Copy the token' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(token);
  const asToken = () => harness.appliance.remote('GET', '/api/status', undefined, { Authorization: `Bearer ${token}` });
  expect((await asToken()).status).toBe(200);
  await dialog().getByRole('button', { name: 'I have it' }).click();
  expect(await page.content()).not.toContain(token);
  await page.getByRole('button', { name: 'End the token nightly report' }).click();
  await dialog().getByRole('button', { name: 'End', exact: true }).click();
  await page.getByText('There are no tokens').waitFor();
  expect((await asToken()).status).toBe(401);
});

test('the vault is verified, and the result is told and kept', async () => {
  await go('#/vault');
  await page.getByText('It was not verified yet').waitFor();
  await page.getByRole('button', { name: 'Verify deep' }).click();
  await page.getByText('The journal is whole').waitFor();
  await page.getByText('Every body was read again and hashed').waitFor();
  await page.getByRole('link', { name: 'All jobs' }).click();
  await settled(page);
  await page.getByRole('button', { name: 'Result of job 1' }).click();
  await dialog().getByText('The journal is whole').waitFor();
  await page.keyboard.press('Escape');
});

test('the head of the chain can be taken along, and the segments are listed', async () => {
  await go('#/vault');
  // The journal may go on between the two.
  await vi.waitFor(async () => {
    const status = JSON.parse((await harness.appliance.local('GET', '/api/status')).text) as { journal: { head: { digest: string } } };
    await page.getByRole('button', { name: 'Copy the chain head' }).click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toContain(status.journal.head.digest);
  }, { timeout: kPatience, interval: 200 });
  const table = page.getByRole('table', { name: 'Segments' });
  await table.getByText('Open', { exact: true }).waitFor();
  await page.getByRole('button', { name: /^Cut by a crash 0/ }).click();
  await page.getByText('None of those that are listed is in this state').waitFor();
  await page.getByRole('button', { name: /^All 1/ }).click();
  await table.getByText('Open', { exact: true }).waitFor();
});

test('who is connected is named, and the clients of a view are disconnected', async () => {
  const { appliance } = harness;
  const { point } = JSON.parse((await appliance.local('GET', '/api/volumes/shop/points?at=mark:before-upgrade')).text) as { point: { lsn: number } };
  const view = `shop@lsn:${point.lsn}`;
  const writer = await holdWriter(appliance.nbd('shop'));
  const reader = await holdWriter(appliance.nbd(view));
  try {
    await go('#/volumes/shop');
    const clients = page.getByRole('table', { name: 'Connected clients' });
    await clients.getByRole('row', { name: /Volume.*May write/ }).waitFor();
    await clients.getByRole('row', { name: /View.*Read-only/ }).waitFor();
    await writer.end();
    await clients.getByRole('row', { name: /May write/ }).waitFor({ state: 'detached' });
    await go('#/copies');
    await page.getByRole('button', { name: `Disconnect the clients of ${view}` }).click();
    await dialog().getByText(/1 client loses the device at once/).waitFor();
    await dialog().getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText('No view is open').waitFor();
    expect(JSON.parse((await appliance.local('GET', '/api/views')).text)).toEqual({ views: [] });
  } finally {
    await writer.end();
    await reader.end();
  }
});

test('the room of the vault and what was saved are told', async () => {
  await go('#/vault');
  await page.getByRole('progressbar', { name: /used, .* free/ }).waitFor();
  expect(await page.getByText(/^Deduplication [\d.]+ : 1/).innerText()).toMatch(/Deduplication \d+/);
});

test('a job is watched', async () => {
  const { appliance } = harness;
  await appliance.stop();
  await appliance.start(['--hydration-rate', '1M']);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await harness.signIn(page, 'alice');
  await appliance.command('recover', 'shop', '--at', 'mark:before-upgrade', '--as', 'shop2');
  await go('#/jobs');
  const row = page.getByRole('row', { name: /Hydration/ });
  await row.getByText('Running').waitFor();
  const bar = row.getByRole('progressbar');
  await expect.poll(async () => Number(await bar.getAttribute('aria-valuenow'))).toBeGreaterThan(0);
  await row.getByText(/ left$/).waitFor();
  await go('#/');
  await page.getByRole('row', { name: /shop2/ }).getByText(/Hydrating \d+ %/).waitFor();
});

test('a job is cancelled, and one that must not be offers none', async () => {
  const end = harness.appliance.hold('/api/volumes/shop/image?at=mark:before-upgrade');
  try {
    await go('#/jobs');
    const row = page.getByRole('row', { name: /Restore/ });
    await row.getByText('Running').waitFor();
    expect(await page.getByRole('row', { name: /Hydration/ }).getByRole('button', { name: /Cancel/ }).count()).toBe(0);
    await row.getByRole('button', { name: /Cancel job/ }).click();
    await dialog().getByRole('button', { name: 'Cancel the job' }).click();
    await dialog().waitFor({ state: 'detached' });
    await row.getByText(/^(Being cancelled|Cancelled)$/).waitFor();
    end();
    await row.getByText('Cancelled', { exact: true }).waitFor();
  } finally {
    end();
  }
});

test('a clone is found and removed', async () => {
  await go('#/copies');
  await page.getByRole('cell', { name: 'shop-test', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Remove shop-test' }).click();
  await dialog().getByRole('button', { name: 'Remove' }).click();
  await page.getByText('There is no clone').waitFor();
  expect(JSON.parse((await harness.appliance.local('GET', '/api/clones')).text)).toEqual({ clones: [] });
});

test('what is said of attaching by TLS is what works', async () => {
  const { appliance } = harness;
  await run(join(process.env.HINDSIGHT_BIN ?? '', 'hindsight'), ['tls', 'client', 'db1', '--directory', appliance.tls]);
  appliance.configure('[nbd]', 'clients = ["db1 live shop"]');
  await go('#/attach/shop');
  await page.getByLabel('Certificates on the host').fill(join(appliance.tls, 'clients', 'db1'));
  const text = await page.getByRole('region', { name: 'Attach', exact: true }).innerText();
  const [, object = '', options = ''] = /--object (\S+) \\\n\s+--image-opts (\S+)/.exec(text) ?? [];
  const told = await run('qemu-img', ['info', '--output=json', '--object', object, '--image-opts', options]);
  expect((JSON.parse(told.stdout) as { 'virtual-size': number })['virtual-size']).toBe(256 << 20);

  await page.getByRole('button', { name: 'nbdfuse' }).click();
  const fuse = await page.getByRole('region', { name: 'Attach', exact: true }).innerText();
  const uri = /'(nbds:[^']+)'/.exec(fuse)?.[1] ?? '';
  // Where root's libnbd looks is one place for all of the machine: here it is told.
  const [, certificates = ''] = /ln -sfn (\S+) \/etc\/pki\/libnbd/.exec(fuse) ?? [];
  expect((await run('nbdinfo', ['--size', `${uri}?tls-certificates=${certificates}`])).stdout.trim()).toBe(String(256 << 20));

  await page.getByRole('button', { name: 'QEMU' }).click();
  expect(await page.getByRole('region', { name: 'Options' }).innerText()).toContain('tls-creds=hindsight-tls');
  await page.getByRole('button', { name: 'On the appliance' }).click();
  await page.getByRole('button', { name: 'libvirt' }).click();
  const parsed = await page.evaluate(
    (source) => new DOMParser().parseFromString(source, 'text/xml').querySelector('disk > source > host')?.getAttribute('socket'),
    await page.getByRole('region', { name: 'Disk' }).innerText(),
  );
  expect(parsed).toBe(`${appliance.state}/nbd.sock`);
});

test('a volume gets another name and size, and its protection ends only for who types its name', async () => {
  const { appliance } = harness;
  await appliance.command('volume', 'create', 'scratch', '--size', '64M');
  await go('#/');
  await page.getByRole('button', { name: 'Change scratch' }).click();
  await dialog().getByLabel('Name').fill('scratch2');
  await dialog().getByLabel('Size').fill('32');
  await dialog().getByText('It shrinks by 32 MiB').waitFor();
  await dialog().getByLabel('Size').fill('128');
  await dialog().getByText('It grows by 64 MiB').waitFor();
  await dialog().getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'scratch2', exact: true }).waitFor();
  expect(JSON.parse((await appliance.local('GET', '/api/volumes/scratch2')).text)).toMatchObject({ size_bytes: 128 << 20 });
  await page.getByRole('button', { name: 'Change scratch2' }).click();
  await dialog().getByRole('button', { name: /Stop protecting scratch2/ }).click();
  const end = dialog().getByRole('button', { name: 'Stop protecting', exact: true });
  expect(await end.getAttribute('aria-disabled')).toBe('true');
  await dialog().getByLabel('Type the name').fill('scratch');
  await page.keyboard.press('Enter');
  await dialog().getByLabel('Type the name').fill('scratch2');
  await end.click();
  await page.getByRole('link', { name: 'scratch2', exact: true }).waitFor({ state: 'detached' });
  expect((await appliance.local('GET', '/api/volumes')).text).not.toContain('scratch2');
});

test('alerts: none, and a webhook that is not there is told in the words of the daemon', async () => {
  await go('#/alerts');
  await page.getByText('Nothing is wrong').waitFor();
  await page.getByRole('button', { name: 'Test the webhook' }).click();
  await page.getByText(/alerts\.webhook in the configuration names one/).waitFor();
});

test('the audit is filtered and says who was refused', async () => {
  await go('#/audit');
  await page.getByRole('cell', { name: 'Removed a clone' }).waitFor();
  await page.getByLabel('Outcomes').selectOption('Refused');
  await page.getByRole('cell', { name: 'Removed a clone' }).waitFor({ state: 'detached' });
  expect(await page.getByRole('row').count()).toBeGreaterThan(1);
  await page.getByLabel('Outcomes').selectOption('All outcomes');
  await page.getByRole('searchbox').fill('viktor remove');
  await page.getByRole('cell', { name: 'Removed a user' }).waitFor();
  expect(await page.getByRole('row').count()).toBe(2);
});

test('by the keyboard alone: skip, dialog and back, navigation', async () => {
  await go('#/');
  await page.reload();
  await settled(page);
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog().waitFor();
  expect(await page.evaluate(() => document.querySelector('[role=dialog]')?.contains(document.activeElement))).toBe(true);
  // The focus stays within.
  for (let at = 0; at < 12; at += 1) await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.querySelector('[role=dialog]')?.contains(document.activeElement))).toBe(true);
  await page.keyboard.press('Escape');
  await dialog().waitFor({ state: 'detached' });
  await expect.poll(() => page.evaluate(() => document.activeElement?.textContent?.trim())).toBe('New volume');
  await page.getByRole('link', { name: 'Jobs' }).focus();
  await page.keyboard.press('Enter');
  await settled(page);
  await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
  expect(await page.title()).toBe('Jobs · Hindsight');
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
