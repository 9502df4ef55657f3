// SPDX-License-Identifier: Apache-2.0
//
// The segments of the vault, the newest first, by pages.
import { api, ask, type Schemas } from '../api/client';
import type { Day } from './capacity';

export type Segment = Schemas['Segment'];

export const kStates = ['open', 'sealed', 'cut'] as const satisfies readonly Segment['state'][];

// As many as the API gives at once.
const kPage = 1000;
// Of 256 MiB each they are some 2 TiB.
const kPagesMax = 10;

export function askSegments(limit: number, before?: number): Promise<Schemas['Segments']> {
  return ask(api.GET('/api/segments', { params: { query: { limit, before } } }));
}

// What was appended to the vault from moments on, and since when that is all there was: not before `since`.
export async function appendedSince(since: number): Promise<{ appended: Day[]; since: number }> {
  const appended: Day[] = [];
  let before: number | undefined;
  for (let page = 0; page < kPagesMax; page += 1) {
    const found = await askSegments(kPage, before);
    // The open one has its room already, and nothing in it yet.
    for (const { created, bytes, state } of found.segments) appended.push({ begin: Date.parse(created), bytes: state === 'open' ? 0 : bytes });
    before = found.before;
    if (before === undefined || (appended.at(-1)?.begin ?? 0) < since) return { appended, since };
  }
  return { appended, since: Math.max(since, appended.at(-1)?.begin ?? since) };
}

// What is told later of a segment is newer.
export function joined(known: readonly Segment[], told: readonly Segment[]): Segment[] {
  const all = new Map([...known, ...told].map((segment) => [segment.number, segment]));
  return [...all.values()].sort((a, b) => b.number - a.number);
}
