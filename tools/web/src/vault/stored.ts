// SPDX-License-Identifier: Apache-2.0
//
// What was stored for each day, of all volumes, by their timelines.
import { api, ask, type Schemas } from '../api/client';
import { Queue } from '../app/queue';
import type { Day } from './capacity';

const kAtOnce = 4;
const kDaySeconds = 86_400;

export async function storedByDay(volumes: readonly Pick<Schemas['Volume'], 'id'>[], days: number): Promise<Day[]> {
  const queue = new Queue(kAtOnce);
  const since = new Date(Date.now() - days * kDaySeconds * 1000).toISOString();
  const query = { since, until: 'now', step: kDaySeconds };
  const timelines = await Promise.all(
    volumes.map(({ id }) =>
      queue.run(() => ask(api.GET('/api/volumes/{volume}/timeline', { params: { path: { volume: `id:${id}` }, query } }))),
    ),
  );
  return timelines.flatMap(({ steps }) => steps.map(({ begin, stored_bytes }) => ({ begin: Date.parse(begin), bytes: stored_bytes })));
}
