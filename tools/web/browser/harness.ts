// SPDX-License-Identifier: Apache-2.0
//
// The page in Debian's Chromium, served by the daemon itself where it has the page within, else by Vite's preview with
// the same policy. HINDSIGHT_SCREENSHOTS is a directory that pictures are kept in, HINDSIGHT_PAGE one with a
// page that is to be tested instead of that of the daemon.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { preview, type PreviewServer } from 'vite';
import { Appliance, freePort, kPassword } from './appliance.ts';
import { kPatience } from './patience.ts';

export * from './appliance.ts';

export type Look = {
  width?: number;
  height?: number;
  language?: 'en' | 'zh';
  theme?: 'light' | 'dark';
  zone?: 'local' | 'utc';
  timezone?: string;
  hasTouch?: boolean;
};

const root = fileURLToPath(new URL('..', import.meta.url));

export class Harness {
  readonly appliance = new Appliance();
  browser!: Browser;
  url = '';
  // What pages complained of: nothing is to be among it, violations of the policy least of all.
  readonly complaints: string[] = [];
  #preview: PreviewServer | undefined;
  #contexts: BrowserContext[] = [];

  async start(): Promise<this> {
    await this.appliance.start();
    await this.servePage();
    this.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    });
    return this;
  }

  async servePage(): Promise<void> {
    const outDir = process.env.HINDSIGHT_PAGE;
    const answer = await this.appliance.remote('GET', '/');
    if (outDir === undefined && answer.status === 200 && String(answer.headers['content-type']).startsWith('text/html')) {
      this.url = this.appliance.url;
      return;
    }
    process.env.HINDSIGHT_API = this.appliance.url;
    process.env.HINDSIGHT_TLS = this.appliance.tls;
    const port = await freePort();
    this.#preview = await preview({ root, logLevel: 'error', preview: { port, strictPort: true }, build: { outDir: outDir ?? 'dist' } });
    this.url = `https://127.0.0.1:${port}`;
  }

  get isServedByDaemon(): boolean {
    return this.url === this.appliance.url;
  }

  async end(): Promise<void> {
    for (const context of this.#contexts) await context.close().catch(() => undefined);
    await this.browser?.close().catch(() => undefined);
    await this.#preview?.close().catch(() => undefined);
    await this.appliance.end();
  }

  async page(look: Look = {}): Promise<Page> {
    const { language = 'en', theme = 'light', zone = 'local' } = look;
    const context = await this.browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: look.width ?? 1280, height: look.height ?? 860 },
      locale: language === 'zh' ? 'zh-CN' : 'en-GB',
      colorScheme: theme,
      timezoneId: look.timezone ?? 'Asia/Shanghai',
      hasTouch: look.hasTouch ?? false,
      reducedMotion: 'reduce',
    });
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: this.url });
    context.setDefaultTimeout(kPatience);
    this.#contexts.push(context);
    await context.addInitScript((chosen) => {
      // Chromium's own page for what cannot be reached has no storage.
      if (location.protocol === 'https:' && localStorage.getItem('hindsight.preferences') === null)
        localStorage.setItem('hindsight.preferences', JSON.stringify(chosen));
    }, { zone });
    const page = await context.newPage();
    page.on('pageerror', (error) => this.complaints.push(`${page.url()}: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      // A request that fails is what some tests are about, and Chromium says so by itself.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        this.complaints.push(`${page.url()}: ${message.text()}`);
    });
    return page;
  }

  async signIn(page: Page, name: string, password = kPassword): Promise<void> {
    await page.locator('input[autocomplete=username]').fill(name);
    await page.locator('input[autocomplete=current-password]').fill(password);
    await page.keyboard.press('Enter');
    await page.locator('nav#navigation').waitFor({ state: 'attached' });
  }

  async signedIn(name: string, hash = '#/', look: Look = {}): Promise<Page> {
    const page = await this.page(look);
    await page.goto(`${this.url}/${hash}`);
    await this.signIn(page, name);
    await settled(page);
    return page;
  }

  async screenshot(page: Page, name: string): Promise<void> {
    const directory = process.env.HINDSIGHT_SCREENSHOTS;
    if (!directory) return;
    mkdirSync(directory, { recursive: true });
    await page.screenshot({ path: join(directory, `${name}.png`) });
  }
}

// The page shows what it has to show, and waits for nothing.
export async function settled(page: Page): Promise<void> {
  await page.locator('main h1').first().waitFor();
  await page.waitForFunction(() => document.querySelector('main .loading') === null);
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}
