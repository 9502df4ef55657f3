// SPDX-License-Identifier: Apache-2.0
//
// How much comes before one sees something, how soon that is, and that hours of it and 1,000 volumes change nothing.
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { Harness, write } from './harness.ts';

const kVolumes = 1000;
const kFirstLoadBytesMax = 250 * 1024;
const kHours = 8;

const harness = new Harness();

beforeAll(async () => {
  await harness.start();
  await harness.appliance.setUp('alice');
  await harness.appliance.command('volume', 'create', 'vol0000', '--size', '64M');
  await write(harness.appliance, 'vol0000', 'write -P 0x5a 0 4M');
});
afterAll(() => harness.end());

async function heapBytes(page: Page): Promise<{ heap: number; nodes: number }> {
  const debuggerSession = await page.context().newCDPSession(page);
  await debuggerSession.send('HeapProfiler.enable');
  await debuggerSession.send('HeapProfiler.collectGarbage');
  await debuggerSession.send('HeapProfiler.collectGarbage');
  await debuggerSession.send('Performance.enable');
  const { metrics } = await debuggerSession.send('Performance.getMetrics');
  const value = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? NaN;
  await debuggerSession.detach();
  return { heap: value('JSHeapUsedSize'), nodes: value('Nodes') };
}

test('the first load is small', async () => {
  const page = await harness.page();
  const files = new Map<string, Promise<Buffer>>();
  page.on('response', (response) => {
    const url = new URL(response.url());
    if (!/^\/(api|metrics)\b/.test(url.pathname)) files.set(url.pathname, response.body());
  });
  await page.goto(`${harness.url}/#/`);
  await harness.signIn(page, 'alice');
  await page.getByRole('img', { name: /written in the last hour/ }).first().waitFor();
  const sizes: [string, number][] = [];
  for (const [path, body] of files) {
    const bytes = await body;
    // What is compressed already does not become smaller.
    sizes.push([path, path.endsWith('.woff2') ? bytes.length : gzipSync(bytes, { level: 9 }).length]);
  }
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`measured: ${total} bytes of the first load, gzipped`, Object.fromEntries(sizes));
  expect(total).toBeLessThanOrEqual(kFirstLoadBytesMax);
});

test('how soon the overview can be used is counted', async () => {
  const page = await harness.signedIn('alice');
  const took: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    await page.goto(`${harness.url}/favicon.svg`);
    const began = performance.now();
    await page.goto(`${harness.url}/#/`, { waitUntil: 'commit' });
    await page.getByRole('link', { name: 'vol0000', exact: true }).click({ trial: true });
    took.push(performance.now() - began);
  }
  console.log(`measured: ${Math.round(Math.min(...took))} ms until the overview can be used (goal 1,000), at best of`, took.map(Math.round));
});

test('1,000 volumes are listed, filtered and sorted at once', async () => {
  for (let at = 1; at < kVolumes; at += 1) {
    const name = `vol${String(at).padStart(4, '0')}`;
    const answer = await harness.appliance.local('POST', '/api/volumes', { name, size_bytes: 1 << 20 });
    expect(answer.status, answer.text).toBe(201);
  }
  const page = await harness.signedIn('alice');
  await page.getByText(`${kVolumes.toLocaleString('en-GB')} of ${kVolumes.toLocaleString('en-GB')} protected`).waitFor();
  // Only one page of them stands in the document.
  expect(await page.getByRole('row').count()).toBe(51);
  // In the page itself, from the act until what comes of it is drawn.
  const drawn = (act: string) =>
    page.evaluate(async (what) => {
      const began = performance.now();
      const filter = document.querySelector<HTMLInputElement>('input[type=search]');
      if (what === 'sort') document.querySelector<HTMLButtonElement>('th button')?.click();
      else if (filter !== null) {
        filter.value = what;
        filter.dispatchEvent(new Event('input', { bubbles: true }));
      }
      await new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame)));
      return performance.now() - began;
    }, act);
  const took = { filter: await drawn('vol0777'), clear: 0, up: 0, down: 0 };
  expect(await page.getByRole('row').count()).toBe(2);
  took.clear = await drawn('');
  took.up = await drawn('sort');
  took.down = await drawn('sort');
  await page.getByRole('link', { name: 'vol0999', exact: true }).waitFor();
  console.log('measured: ms with 1,000 volumes', took);
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.getByRole('link', { name: 'vol0949', exact: true }).waitFor();
  await harness.screenshot(page, 'overview-1000-volumes');
});

test('memory stays flat over eight hours of events', async () => {
  const page = await harness.page();
  // A stream whose hours pass in seconds, of the events that the daemon sent last.
  await page.addInitScript(() => {
    class Source extends EventTarget {
      static all: Source[] = [];
      constructor() {
        super();
        Source.all.push(this);
      }
      close(): void {
        Source.all = Source.all.filter((other) => other !== this);
      }
    }
    Object.assign(globalThis, {
      EventSource: Source,
      say: (kind: string, document: unknown) => {
        for (const source of Source.all) source.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(document) }));
      },
    });
  });
  await page.goto(`${harness.url}/#/`);
  await harness.signIn(page, 'alice');
  const volumes = 20;
  const hour = async (from: number) => {
    await page.evaluate(
      async ([begin, count]) => {
        type Volume = { last_lsn: number; dirty_bytes: number; lag_ns: number; written_bytes: number };
        type Status = { volumes: Volume[]; journal: { lag_ns: number; durable_lsn: number }; history: { newest: { lsn: number } } };
        const scope = globalThis as unknown as { kept?: Status; say: (kind: string, document: unknown) => void };
        scope.kept ??= (await (await fetch('/api/status')).json()) as Status;
        const { volumes: all, ...status } = scope.kept;
        const some = all.slice(0, count);
        for (let second = begin as number; second < (begin as number) + 3600; second += 1) {
          for (const volume of some) {
            Object.assign(volume, { last_lsn: second, dirty_bytes: second * 4096, lag_ns: (second % 200) * 1e6, written_bytes: second * 1e6 });
            scope.say('volume', volume);
          }
          Object.assign(status.journal, { lag_ns: (second % 200) * 1e6, durable_lsn: second - 1 });
          scope.say('status', status);
          if (second % 60 === 0) scope.say('job', { id: second, kind: 'verify', state: 'done', by: 'alice', began: new Date().toISOString(), done_bytes: 1 });
          // As often as a screen is drawn while this goes on.
          if (second % 60 === 0) await new Promise((drawn) => requestAnimationFrame(drawn));
        }
      },
      [from, volumes] as const,
    );
    return heapBytes(page);
  };
  const after: { heap: number; nodes: number }[] = [];
  for (let at = 0; at < kHours; at += 1) after.push(await hour(1 + at * 3600));
  console.log('measured: bytes of heap after each hour', after.map(({ heap }) => heap), 'nodes', after.map(({ nodes }) => nodes));
  const [, second, last] = [after[0], after[1], after.at(-1)];
  if (second === undefined || last === undefined) throw new Error('no hours');
  expect(last.heap).toBeLessThan(second.heap * 1.1 + 1e6);
  expect(last.nodes).toBeLessThan(second.nodes * 1.2 + 500);
});

test('no page complained', () => {
  expect(harness.complaints).toEqual([]);
});
