// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { fakeApi, problem, type Call } from '../api/fake_api';
import { instantText, secondsOf } from './moment';
import { ChosenPoint } from './point.svelte';
import { TimelineModel } from './timeline.svelte';

const kFirst = secondsOf('2026-11-20T00:00:00Z');
const kDiscard = secondsOf('2026-11-29T10:56:06Z');
let head = secondsOf('2026-11-29T12:00:00Z');
const stampAt = (second: number, lsn: number) => {
  const time = instantText({ seconds: second, nanos: 0 });
  return { lsn, time, time_utc: time };
};
const volume = {
  id: 'a',
  name: 'shop',
  size_bytes: 1 << 30,
  backing: '',
  created: stampAt(kFirst, 1),
  checkpoint_lsn: 1,
};
let events: Record<string, unknown>[];
let calls: Call[];

function timelineOf({ query }: Call): unknown {
  const since = secondsOf(query.get('since') ?? '');
  const until = query.has('until') ? secondsOf(query.get('until') ?? '') : head;
  const step = Number(query.get('step'));
  const begin = Math.floor(kDiscard / step) * step;
  const figures = { writes: 1, flushes: 0, written_bytes: 0, zeroed_bytes: 0, unique_bytes: 0, stored_bytes: 0 };
  const isInside = begin + step > since && begin <= until;
  return {
    volume,
    since: query.get('since'),
    until: instantText({ seconds: until, nanos: 5 }),
    step_seconds: step,
    steps: isInside ? [{ ...figures, begin: instantText({ seconds: begin, nanos: 0 }), trimmed_bytes: 1 << 30 }] : [],
    events,
    notices: [],
  };
}

beforeEach(() => {
  head = secondsOf('2026-11-29T12:00:00Z');
  events = [{ kind: 'mark', text: 'upgrade', ...stampAt(kDiscard - 60, 7) }];
  calls = fakeApi((call) => {
    if (call.path.endsWith('/timeline')) return timelineOf(call);
    const at = call.query.get('at');
    if (at === 'mark:gap') return problem(400, 'lies in a gap');
    const notices = at === 'force:mark:gap' ? [{ kind: 'gap', message: 'lies in a gap' }] : [];
    return {
      volume,
      first: stampAt(kFirst, 1),
      last: stampAt(head, 99),
      notices,
      ...(at ? { point: stampAt(kDiscard - 3, 40) } : {}),
    };
  });
});

async function opened(): Promise<TimelineModel> {
  const model = new TimelineModel('shop');
  await model.open();
  return model;
}

describe('a timeline', () => {
  it('opens on the last day, and knows all that happened', async () => {
    const model = await opened();
    expect(model.bounds).toEqual({ first: kFirst, last: head });
    expect(model.view.span).toBe(86400);
    expect(model.happenings.map(({ kind, text }) => [kind, text])).toEqual([['mark', 'upgrade']]);
    model.close();
  });

  it('takes a click on a coarse bar for the second in it that destroyed something', async () => {
    const model = await opened();
    model.width = 400;
    model.want();
    await expect.poll(() => model.lookAt(kDiscard)?.activity?.trimmed).toBe(1 << 30);
    expect(model.step).toBe(600);
    expect(await model.secondOfClick(kDiscard - 100)).toBe(kDiscard);
    expect(await model.secondOfClick(kDiscard - 5000)).toBe(model.stepBegin(kDiscard - 5000));
    model.close();
  });

  it('follows the newest second, unless one looks elsewhere', async () => {
    const model = await opened();
    const before = model.view.begin;
    head += 5;
    // What is at the end of history is asked again after a while.
    model.cache.want(0, head - 100, head + 1, model.bounds as { first: number; last: number });
    await expect.poll(() => model.bounds?.last).toBe(head);
    expect(model.view.begin).toBe(before + 5);
    model.show({ begin: kDiscard - 50, span: 100 });
    head += 5;
    model.cache.want(1, head - 100, head + 1, model.bounds as { first: number; last: number });
    await expect.poll(() => model.bounds?.last).toBe(head);
    expect(model.view.begin).toBe(kDiscard - 50);
    model.close();
  });

  it('tells once of what happened, and of a gap when it ends', async () => {
    events.push({ kind: 'gap', text: 'the vault was full', ...stampAt(kDiscard - 30, 8) });
    const model = await opened();
    expect(model.eventsLately.map(({ kind, until }) => [kind, until])).toEqual([
      ['mark', undefined],
      ['gap', undefined],
    ]);
    events[1] = { ...events[1], until: instantText({ seconds: kDiscard, nanos: 0 }) };
    await model.lookAround(kDiscard);
    expect(model.happenings).toHaveLength(2);
    expect(model.happenings[1]?.until).toBe(kDiscard);
    expect(model.standouts?.[0]).toMatchObject({ kind: 'destroyed', begin: kDiscard });
    model.close();
  });

  it('moves by bars with keys, and keeps what it is at in sight', async () => {
    const model = await opened();
    model.show({ begin: kDiscard - 50, span: 100 });
    model.cursorTo(kDiscard);
    model.moveCursor(1000);
    expect(model.cursor).toBe(kDiscard + 1000);
    expect(model.cursor as number).toBeLessThan(model.view.begin + model.view.span);
    model.moveCursor(1e9);
    expect(model.cursor).toBe(model.bounds?.last);
    model.close();
  });
});

describe('a chosen point', () => {
  it('by a second is just before it, and is known by its place in history', async () => {
    const chosen = new ChosenPoint('shop');
    await chosen.before(kDiscard);
    expect(calls.at(-1)?.query.get('at')).toBe('2026-11-29T10:56:05.999999999Z');
    expect([chosen.place, chosen.last, chosen.lsnText]).toEqual([kDiscard, kDiscard - 1, 'lsn:40']);
    await chosen.take('mark:upgrade');
    expect(chosen.lastingText).toBe('mark:upgrade');
    await chosen.take('now');
    expect(chosen.lastingText).toBe(chosen.lsnText);
    await chosen.take('mark:upgrade');
    expect(chosen.place).toBe(kDiscard - 2);
    await chosen.take('2026-11-29T10:56:05.999999999Z');
    expect(chosen.place).toBe(kDiscard);
  });

  it('is the one that was chosen last, whichever is answered last', async () => {
    const chosen = new ChosenPoint('shop');
    let release = () => {};
    const late = new Promise<void>((resolve) => (release = resolve));
    fakeApi(async ({ query }) => {
      const at = query.get('at');
      if (at === 'lsn:1') await late;
      return {
        volume,
        first: stampAt(kFirst, 1),
        last: stampAt(head, 9),
        notices: [],
        point: stampAt(kFirst, at === 'lsn:1' ? 1 : 2),
      };
    });
    const first = chosen.take('lsn:1');
    await chosen.take('lsn:2');
    release();
    await first;
    expect(chosen.lsnText).toBe('lsn:2');
    expect(chosen.isResolving).toBe(false);
  });

  it('inside a gap is refused, and there when one insists', async () => {
    const chosen = new ChosenPoint('shop');
    await chosen.take('mark:gap');
    expect(chosen.error?.detail).toBe('lies in a gap');
    expect(chosen.isInGap).toBe(true);
    await chosen.force();
    expect(chosen.error).toBeUndefined();
    expect(chosen.lsnText).toBe('force:lsn:40');
  });
});
