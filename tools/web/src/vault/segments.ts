// SPDX-License-Identifier: Apache-2.0
//
// The segments of the vault, the newest first, by pages.
import { api, ask, type Schemas } from '../api/client';
import type { Day } from './capacity';

export type Segment = Schemas['Segment'];

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
    for (const { created, bytes } of found.segments) appended.push({ begin: Date.parse(created), bytes });
    before = found.before;
    if (before === undefined || (appended.at(-1)?.begin ?? 0) < since) return { appended, since };
  }
  return { appended, since: Math.max(since, appended.at(-1)?.begin ?? since) };
}
