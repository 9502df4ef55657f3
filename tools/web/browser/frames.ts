// SPDX-License-Identifier: Apache-2.0
//
// What frames cost: a recording by Chromium itself, of which the script on the page's thread is added up for each
// frame. Time is the thread's own, so that what else the machine does is not counted.
import type { Browser, Page } from 'playwright-core';

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  tdur?: number;
  args?: { data?: { type?: string } };
}

// Whatever runs script, or is run for it.
const kScript = new Set([
  'FireAnimationFrame',
  'EventDispatch',
  'FunctionCall',
  'TimerFire',
  'BlinkScheduler_PerformMicrotaskCheckpoint',
  'v8.callFunction',
  'EvaluateScript',
  'XHRReadyStateChange',
  'MinorGC',
  'MajorGC',
]);

// What one frame took, since the one before it was drawn.
export interface Frame {
  millis: number;
  // What that was, the longest first.
  parts: { name: string; millis: number }[];
}

// Of each frame that was drawn during `act`.
export async function recordFrames(browser: Browser, page: Page, act: () => Promise<void>): Promise<Frame[]> {
  await browser.startTracing(page, { categories: ['devtools.timeline', 'v8', '__metadata', 'toplevel'] });
  await act();
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const thread = pageThread(trace.traceEvents);
  const events = trace.traceEvents.filter(({ pid, tid }) => `${pid}:${tid}` === thread).sort((a, b) => a.ts - b.ts);
  const frames: Frame[] = [];
  let frame: Frame = { millis: 0, parts: [] };
  let end = -Infinity;
  for (const { name, ph, ts, dur = 0, tdur, args } of events) {
    // What lies within another one is counted with it.
    if (ph !== 'X' || !kScript.has(name) || ts < end) continue;
    end = ts + dur;
    const millis = (tdur ?? dur) / 1000;
    frame.millis += millis;
    frame.parts.push({ name: [name, args?.data?.type].filter(Boolean).join(' '), millis });
    if (name !== 'FireAnimationFrame') continue;
    frame.parts.sort((a, b) => b.millis - a.millis);
    frames.push(frame);
    frame = { millis: 0, parts: [] };
  }
  return frames;
}

// The main thread on which most frames were drawn: that of the page.
function pageThread(events: readonly TraceEvent[]): string {
  const drawn = new Map<string, number>();
  for (const { name, pid, tid } of events) {
    if (name === 'FireAnimationFrame') drawn.set(`${pid}:${tid}`, (drawn.get(`${pid}:${tid}`) ?? 0) + 1);
  }
  const [most] = [...drawn].sort((a, b) => b[1] - a[1]);
  if (!most) throw new Error('nothing was drawn');
  return most[0];
}
