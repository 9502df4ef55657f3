// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it, vi } from 'vitest';
import { Columns, Made, stepAt, type TileSource } from './columns';
import { flagsOf, gapsOf, happeningsOf } from './happenings';
import { kLevels, levelFor, tileSeconds } from './levels';
import { instantText, secondsOf, utc, zoneNamed } from './moment';
import { logShare, scaleTop } from './scale';
import { burstsOf, findStandouts, nextAfter } from './standouts';
import { ticksOf } from './ticks';
import { Tile, tileBegin, type ApiStep } from './tile';
import { TileCache, type Ask, type Told } from './tile_cache';
import { around, between, endOf, everything, follows, newest, pan, pixelAt, reveal, secondAt, zoom } from './viewport';

const kEvening = secondsOf('2020-02-23T10:56:06Z');

function stepOf(second: number, more: Partial<ApiStep> = {}): ApiStep {
  const begin = instantText({ seconds: second, nanos: 0 });
  return { begin, writes: 1, written_bytes: 4096, zeroed_bytes: 0, trimmed_bytes: 0, ...more };
}

function tileOf(level: number, begin: number, steps: ApiStep[]): Tile {
  const tile = new Tile(level, begin);
  tile.take(steps, begin, tile.end, tile.end);
  return tile;
}

function sourceOf(...tiles: Tile[]): TileSource {
  const all = new Map(tiles.map((tile) => [`${tile.level}:${tile.begin}`, tile]));
  return { find: (level, begin) => all.get(`${level}:${begin}`) };
}

// Numbers that look random and are the same in each run.
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('levels', () => {
  it('are as fine as pixels allow', () => {
    expect(levelFor(0.02)).toBe(0);
    expect(levelFor(1)).toBe(0);
    expect(kLevels[levelFor(3)]?.step).toBe(10);
    expect(kLevels[levelFor(365 * 720)]?.step).toBe(86400);
  });
  it('ask for no more than the appliance tells at once', () => {
    const pulses = [86400, 3600, 60, 1];
    for (const level of kLevels) {
      const pulse = pulses.find((length) => level.step % length === 0) as number;
      expect(level.steps).toBeLessThanOrEqual(10_000);
      expect(tileSeconds(level) / pulse).toBeLessThanOrEqual(40_000);
    }
  });
});

describe('a tile', () => {
  const begin = tileBegin(0, kEvening);
  it('holds what was told, and nothing of what was not known', () => {
    const tile = tileOf(0, begin, [
      stepOf(kEvening, { trimmed_bytes: 64 << 20, entropy_percent: 99, p99_us: 500, p99_is_more: true }),
    ]);
    const index = kEvening - begin;
    expect(tile.activity(index)).toEqual({
      writes: 1,
      written: 4096,
      zeroed: 0,
      trimmed: 64 << 20,
      entropy: 99,
      p99Us: 500,
      p99IsMore: true,
    });
    expect(tile.activity(index + 1)).toBeUndefined();
  });
  it('in which nothing happened holds no arrays', () => {
    const tile = tileOf(0, begin, []);
    expect(tile.figures).toBeUndefined();
    expect(tile.isComplete).toBe(true);
    expect(tile.bytes).toBeLessThan(1000);
  });
  it('takes later news of its end in place of what was known', () => {
    const tile = new Tile(0, begin);
    tile.take([stepOf(begin + 3, { written_bytes: 8192 }), stepOf(begin + 9)], begin, tile.end, begin + 8);
    expect(tile.isComplete).toBe(false);
    tile.take([stepOf(begin + 9, { written_bytes: 12288 })], begin + 8, tile.end, tile.end);
    expect(tile.activity(3)?.written).toBe(8192);
    expect(tile.activity(9)?.written).toBe(12288);
    expect(tile.isComplete).toBe(true);
  });
  it('forgets a step that is no more', () => {
    const tile = tileOf(0, begin, [stepOf(begin + 5)]);
    tile.take([], begin, tile.end, tile.end);
    expect(tile.activity(5)).toBeUndefined();
  });
});

describe('columns', () => {
  const begin = tileBegin(0, kEvening);
  const bounds = { first: begin - 86400, last: begin + 86400 };

  it('never lose a peak, whatever the zoom and the place', () => {
    const random = numbers(7);
    const columns = new Columns();
    const tiles = Array.from({ length: 40 }, (_, i) => {
      const at = begin + i * 900;
      const steps = Array.from({ length: 900 }, (_, s) =>
        stepOf(at + s, {
          written_bytes: Math.floor(random() * 1e6),
          trimmed_bytes: random() < 0.01 ? 1e8 * random() : 0,
        }),
      );
      return tileOf(0, at, steps);
    });
    const source = sourceOf(...tiles);
    for (let turn = 0; turn < 60; turn++) {
      const span = 30 + random() * 30_000;
      const view = { begin: begin + random() * (36_000 - span), span };
      const width = 50 + Math.floor(random() * 1500);
      columns.fill(view, width, bounds, source);
      let trimmed = 0;
      let written = 0;
      for (let second = Math.ceil(view.begin); second < Math.floor(endOf(view)); second++) {
        const activity = stepAt(source, 0, second)?.activity;
        trimmed = Math.max(trimmed, activity?.trimmed ?? 0);
        written = Math.max(written, activity?.written ?? 0);
      }
      expect(Math.max(...columns.trimmed), `turn ${turn}`).toBeGreaterThanOrEqual(trimmed);
      expect(Math.max(...columns.written), `turn ${turn}`).toBeGreaterThanOrEqual(written);
    }
  });

  it('put a second where it belongs', () => {
    const columns = new Columns();
    const source = sourceOf(tileOf(0, begin, [stepOf(begin + 50, { trimmed_bytes: 1e9 })]));
    const view = { begin: begin + 0, span: 100 };
    columns.fill(view, 100, bounds, source);
    expect([...columns.trimmed].map((bytes, x) => (bytes > 0 ? x : -1)).filter((x) => x >= 0)).toEqual([50]);
    columns.fill(view, 400, bounds, source);
    expect([...columns.trimmed].map((bytes, x) => (bytes > 0 ? x : -1)).filter((x) => x >= 0)).toEqual([
      200, 201, 202, 203,
    ]);
    expect(columns.bytesMax).toBe(1e9);
  });

  it('show what is known of other levels until the right one is there', () => {
    const columns = new Columns();
    const view = { begin: begin + 0, span: 600 };
    const minutes = tileOf(2, tileBegin(2, begin), [stepOf(begin + 120, { trimmed_bytes: 5e6 })]);
    columns.fill(view, 600, bounds, sourceOf(minutes));
    expect(columns.level).toBe(0);
    expect(columns.made[200]).toBe(Made.ofOthers);
    expect(columns.trimmed[150]).toBe(5e6);
    expect(columns.trimmed[185]).toBe(0);
    const seconds = tileOf(0, begin, [stepOf(begin + 130, { trimmed_bytes: 5e6 })]);
    columns.fill(view, 600, bounds, sourceOf(minutes, seconds));
    expect(columns.made[200]).toBe(Made.ofSteps);
    expect(columns.trimmed[150]).toBe(0);
    expect(columns.trimmed[130]).toBe(5e6);
    columns.fill({ begin: begin - 50_000, span: 100_000 }, 300, bounds, sourceOf(seconds));
    expect(Math.max(...columns.trimmed)).toBe(5e6);
    expect(columns.made[0]).toBe(Made.ofNothing);
  });

  it('of a million seconds lose nothing; what they take is counted', () => {
    const random = numbers(3);
    const tiles: Tile[] = [];
    for (let at = begin; at < begin + 1_000_000; at += 900) {
      const steps: ApiStep[] = [];
      for (let s = 0; s < 900; s++) steps.push(stepOf(at + s, { written_bytes: 4096 + random() * 1e6 }));
      tiles.push(tileOf(0, at, steps));
    }
    const source = sourceOf(...tiles);
    const columns = new Columns();
    const all = { first: begin, last: begin + 1_000_000 };
    // Of three turns the shortest: what else the machine does is not of interest.
    const shortest = Array.from({ length: 60 }, () => Infinity);
    for (let turn = 0; turn < 3; turn++) {
      for (let i = 0; i < shortest.length; i++) {
        const view = { begin: begin + i * 100, span: 1_000_000 / 1.05 ** i };
        const start = performance.now();
        columns.fill(view, 1600, all, source);
        shortest[i] = Math.min(shortest[i] as number, performance.now() - start);
      }
    }
    expect(Math.max(...columns.written)).toBeGreaterThan(4096);
    console.log(`measured: ${Math.max(...shortest).toFixed(2)} ms for columns of a million seconds, at worst (goal 8)`);
  });
});

describe('the cache of tiles', () => {
  const begin = tileBegin(0, kEvening);
  const bounds = { first: begin - 10 * 86400, last: begin + 86400 };
  const quiet = { changed: () => {}, headAt: () => {}, failed: () => {} };
  const settle = () => new Promise((done) => setTimeout(done, 0));

  it('asks for each tile once, and for the next coarser level', async () => {
    const asked: string[] = [];
    const ask: Ask = async (from, until, step) => {
      asked.push(`${step}:${from - begin}:${(until ?? 0) - begin}`);
      return { steps: [], until: until ?? bounds.last };
    };
    const cache = new TileCache(ask, quiet);
    for (let i = 0; i < 3; i++) {
      cache.want(0, begin + 10, begin + 1000, bounds);
      await settle();
    }
    expect(asked.slice(0, 2)).toEqual(['1:0:900', '1:900:1800']);
    expect(asked).toHaveLength(3);
    expect(cache.find(0, begin)?.isComplete).toBe(true);
  });

  it('ends what nobody wants any more', async () => {
    const signals: AbortSignal[] = [];
    const ask: Ask = (_from, _until, _step, signal) => {
      signals.push(signal);
      return new Promise<Told>(() => {});
    };
    const cache = new TileCache(ask, quiet);
    cache.want(0, begin, begin + 900, bounds);
    cache.want(0, begin + 900_0, begin + 9900, bounds);
    expect(signals[0]?.aborted).toBe(true);
    expect(signals.at(-1)?.aborted).toBe(false);
    cache.close();
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });

  it('stays within its bytes, and keeps what was wanted last', async () => {
    const ask: Ask = async (from, until) => ({ steps: [stepOf(from)], until: until ?? bounds.last });
    const cache = new TileCache(ask, quiet, 200_000);
    for (let i = 0; i < 20; i++) {
      cache.want(0, begin + i * 900, begin + i * 900 + 1, bounds);
      await settle();
      expect(cache.bytes).toBeLessThanOrEqual(200_000);
    }
    expect(cache.find(0, begin)).toBeUndefined();
    expect(cache.find(0, begin + 19 * 900)).toBeDefined();
  });

  it('goes on from what is known at the end of history', async () => {
    let clock = 0;
    const head = { first: begin, last: begin + 100 };
    const asked: (readonly [number, number | undefined])[] = [];
    const heads: number[] = [];
    const ask: Ask = async (from, until) => {
      asked.push([from - begin, until]);
      return { steps: [stepOf(head.last)], until: head.last };
    };
    const events = { ...quiet, headAt: (second: number) => heads.push(second) };
    const cache = new TileCache(ask, events, undefined, () => clock);
    cache.want(0, begin, begin + 100, head);
    await settle();
    cache.want(0, begin, begin + 100, head);
    expect(asked.filter(([from]) => from === 0).length).toBe(2); // of two levels, and not again at once
    head.last += 5;
    clock += 1000;
    cache.want(0, begin, begin + 105, head);
    await settle();
    expect(asked.at(-1)).toEqual([92, undefined]);
    expect(heads.at(-1)).toBe(begin + 105);
    expect(cache.find(0, begin)?.activity(105)).toBeDefined();
  });

  it('waits after a failure, tells of it, and tries again', async () => {
    let clock = 0;
    const ask = vi.fn<Ask>(() => Promise.reject(new Error('down')));
    const failed = vi.fn();
    const cache = new TileCache(ask, { ...quiet, failed }, undefined, () => clock);
    const last = kLevels.length - 1;
    cache.want(last, begin, begin + 1, bounds);
    await settle();
    cache.want(last, begin, begin + 1, bounds);
    expect(ask).toHaveBeenCalledTimes(1);
    expect(failed).toHaveBeenCalledTimes(1);
    clock += 5000;
    cache.want(last, begin, begin + 1, bounds);
    expect(ask).toHaveBeenCalledTimes(2);
  });
});

describe('a viewport', () => {
  const bounds = { first: 1_000_000, last: 2_000_000 };
  it('keeps the second under the pointer while it zooms', () => {
    const view = { begin: 1_400_000, span: 100_000 };
    const second = secondAt(view, 300, 1200);
    const closer = zoom(view, 0.5, 300 / 1200, bounds);
    expect(pixelAt(closer, second, 1200)).toBeCloseTo(300, 6);
    expect(closer.span).toBe(50_000);
  });
  it('is never finer than seconds can be told apart, nor away from history', () => {
    let view = everything(bounds);
    for (let i = 0; i < 100; i++) view = zoom(view, 0.7, 0.9, bounds);
    expect(view.span).toBe(20);
    expect(endOf(pan(view, 1e9, bounds))).toBeLessThan(bounds.last + 2);
    expect(pan(view, -1e9, bounds).begin).toBeGreaterThan(bounds.first - 2);
    for (let i = 0; i < 100; i++) view = zoom(view, 1.4, 0.1, bounds);
    expect(view.begin).toBeLessThanOrEqual(bounds.first);
    expect(endOf(view)).toBeGreaterThanOrEqual(bounds.last);
  });
  it('of everything has both ends, of the newest the last', () => {
    const all = everything(bounds);
    expect(all.begin).toBeLessThan(bounds.first);
    expect(endOf(all)).toBeGreaterThan(bounds.last);
    const hour = newest(bounds, 3600);
    expect(hour.span).toBe(3600);
    expect(endOf(hour)).toBeGreaterThan(bounds.last);
    expect(newest({ first: 5, last: 5 }, Infinity).span).toBeGreaterThanOrEqual(20);
  });
  it('comes to where it goes', () => {
    const from = everything(bounds);
    const to = around(1_500_000, 60, bounds);
    expect(between(from, to, 1)).toEqual(to);
    const middle = between(from, to, 0.5);
    expect(middle.span).toBeGreaterThan(to.span);
    expect(middle.span).toBeLessThan(from.span);
    expect(reveal(to, 1_500_040, bounds).begin).toBeGreaterThan(to.begin);
    expect(reveal(to, 1_500_001, bounds)).toBe(to);
  });
  it('follows the newest second where that is on its right', () => {
    expect(follows(everything(bounds), bounds)).toBe(true);
    expect(follows({ begin: 1_200_000, span: 1000 }, bounds)).toBe(false);
  });
});

describe('the scale of bytes', () => {
  it('shows a block and a whole volume on one strip', () => {
    const top = scaleTop(4e12);
    expect(logShare(0, top)).toBe(0);
    expect(logShare(4096, top)).toBeGreaterThan(0.05);
    expect(logShare(8 << 20, top)).toBeGreaterThan(0.3);
    expect(logShare(8 << 20, top)).toBeLessThan(0.6);
    expect(logShare(top, top)).toBeCloseTo(1, 9);
    expect(scaleTop(5e6)).toBe(scaleTop(8e6));
  });
});

describe('the axis', () => {
  const newYork = zoneNamed('America/New_York');
  const texts = (view: { begin: number; span: number }, count: number, zone = utc) =>
    ticksOf(view, count, zone).map(({ second }) => instantText({ seconds: second, nanos: 0 }));
  it('has its lines at round times', () => {
    expect(texts({ begin: kEvening, span: 40 }, 5)).toEqual([
      '2020-02-23T10:56:10Z',
      '2020-02-23T10:56:20Z',
      '2020-02-23T10:56:30Z',
      '2020-02-23T10:56:40Z',
    ]);
    expect(texts({ begin: kEvening, span: 365 * 86400 }, 8)).toHaveLength(6);
  });
  it('has the hour that is there twice, twice', () => {
    const begin = secondsOf('2020-11-01T00:30:00-04:00');
    expect(texts({ begin, span: 4 * 3600 }, 5, newYork)).toEqual([
      '2020-11-01T05:00:00Z',
      '2020-11-01T06:00:00Z',
      '2020-11-01T07:00:00Z',
      '2020-11-01T08:00:00Z',
    ]);
  });
  it('has midnights of the zone, over a clock change', () => {
    const days = texts({ begin: secondsOf('2020-10-31T12:00:00Z'), span: 3 * 86400 }, 3, newYork);
    expect(days).toEqual(['2020-11-01T04:00:00Z', '2020-11-02T05:00:00Z', '2020-11-03T05:00:00Z']);
  });
});

describe('happenings', () => {
  const at = (second: number) => instantText({ seconds: second, nanos: 0 });
  const all = happeningsOf([
    { kind: 'mark', text: 'a', lsn: 1, time_utc: at(1000) },
    { kind: 'mark', text: 'b', lsn: 2, time_utc: at(1001) },
    { kind: 'gap', text: 'journal full', lsn: 3, time_utc: at(1500), until: at(1501) },
    { kind: 'gap', text: 'disk gone', lsn: 4, time_utc: at(1900) },
    { kind: 'verdict', text: 'of a newer appliance', lsn: 5, time_utc: at(1600) },
  ]);
  const bounds = { first: 0, last: 2000 };
  it('are joined where they would cover each other', () => {
    const flags = flagsOf(all, { begin: 900, span: 1000 }, 500);
    expect(flags.map((flag) => flag.of.map(({ text }) => text))).toEqual([['a', 'b'], ['of a newer appliance']]);
    expect(flagsOf(all, { begin: 990, span: 20 }, 500)).toHaveLength(2);
  });
  it('include gaps, seen however short, and open ones up to the end', () => {
    const gaps = gapsOf(all, { begin: 0, span: 1_000_000 }, 500, bounds);
    expect(gaps).toHaveLength(2);
    for (const { left, right } of gaps) expect(right - left).toBeGreaterThanOrEqual(3);
    const [, open] = gapsOf(all, { begin: 1000, span: 1000 }, 1000, bounds);
    expect(open?.left).toBeCloseTo(900);
    expect(open?.right).toBeCloseTo(1001);
  });
});

describe('what stands out', () => {
  const signal = new AbortController().signal;
  // Something in each minute of ten days; an evening on which a discard takes four seconds.
  function history(step: number, from: number, until: number): ApiStep[] {
    const steps = new Map<number, ApiStep>();
    const add = (second: number, more: Partial<ApiStep>) => {
      if (second < from || second >= until) return;
      const begin = Math.floor(second / step) * step;
      const known = steps.get(begin) ?? stepOf(begin, { written_bytes: 0 });
      for (const key of ['written_bytes', 'trimmed_bytes'] as const) known[key] += more[key] ?? 0;
      if (more.entropy_percent !== undefined) known.entropy_percent = more.entropy_percent;
      if (more.overwritten_percent !== undefined) known.overwritten_percent = more.overwritten_percent;
      steps.set(begin, known);
    };
    for (let second = kEvening - 9 * 86400; second < kEvening + 3600; second += 60)
      add(second, { written_bytes: 1 << 20, trimmed_bytes: 64 << 10 });
    for (const [after, mib] of [
      [0, 40],
      [1, 100],
      [2, 100],
      [3, 20],
    ] as const)
      add(kEvening + after, { trimmed_bytes: mib << 20 });
    return [...steps.values()].sort((a, b) => a.begin.localeCompare(b.begin));
  }
  it('is found to the second in a few questions', async () => {
    let questions = 0;
    const ask = async (from: number, until: number, step: number) => {
      questions++;
      return { steps: history(step, from, until), until };
    };
    const found = await findStandouts(ask, kEvening - 9 * 86400, kEvening + 3600, signal);
    expect(found[0]).toMatchObject({
      kind: 'destroyed',
      begin: kEvening,
      end: kEvening + 4,
      trimmed: (260 << 20) + (64 << 10),
    });
    expect(questions).toBeLessThanOrEqual(8);
  });
  it('is nothing where nothing was', async () => {
    const ask = async (_from: number, until: number) => ({ steps: [], until });
    expect(await findStandouts(ask, kEvening - 100, kEvening, signal)).toEqual([]);
  });
  it('includes data that is written over with noise', () => {
    const noise = { written_bytes: 50 << 20, entropy_percent: 99, overwritten_percent: 90 };
    const bursts = burstsOf([stepOf(10), stepOf(20, noise), stepOf(21, noise)], 'scrambled');
    expect(bursts).toMatchObject([{ begin: 20, end: 22, written: 100 << 20, entropy: 99 }]);
    expect(burstsOf([stepOf(20, { ...noise, entropy_percent: 40 })], 'scrambled')).toEqual([]);
  });
  it('is what a point lies before', () => {
    const [burst] = burstsOf([stepOf(kEvening, { trimmed_bytes: 9 << 20 })], 'destroyed');
    expect(nextAfter([burst!], kEvening - 5)).toBe(burst);
    expect(nextAfter([burst!], kEvening + 1)).toBeUndefined();
    expect(nextAfter([burst!], kEvening - 7200)).toBeUndefined();
  });
});
