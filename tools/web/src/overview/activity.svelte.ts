// SPDX-License-Identifier: Apache-2.0
//
// What volumes wrote in the last hour, by their timelines: asked for those that are in sight, and again each minute.
import { api, ask, type Schemas } from '../api/client';
import { Queue } from '../app/queue';

const kSpanMillis = 3_600_000;
const kStepSeconds = 60;
const kFreshMillis = 60_000;
const kAtOnce = 4;
const kKept = 500;
// Answers that come together are shown together.
const kTogetherMillis = 200;

export type Activity = {
  times: number[];
  bytes: number[];
  events: Schemas['TimelineEvent'][];
};

export function activityOf(timeline: Schemas['Timeline'], nowMillis: number): Activity {
  const last = Math.floor(nowMillis / 1000 / kStepSeconds);
  const first = last - kSpanMillis / 1000 / kStepSeconds;
  const written = new Map<number, number>();
  for (const step of timeline.steps) {
    const at = Math.round(Date.parse(step.begin) / 1000 / kStepSeconds);
    written.set(at, step.written_bytes + step.zeroed_bytes);
  }
  const times: number[] = [];
  const bytes: number[] = [];
  for (let at = first; at <= last; at += 1) {
    times.push(at * kStepSeconds);
    bytes.push(written.get(at) ?? 0);
  }
  return { times, bytes, events: timeline.events };
}

export class Activities {
  // Replaced as a whole, so that rows take note.
  known = $state.raw(new Map<string, Activity>());
  #askedAt = new Map<string, number>();
  #queue = new Queue(kAtOnce);
  #wanted = new Set<string>();
  #arrived = new Map<string, Activity>();
  #publishing: ReturnType<typeof setTimeout> | undefined;

  want(ids: readonly string[]): void {
    this.#wanted = new Set(ids);
    const now = Date.now();
    for (const id of ids) {
      if (now - (this.#askedAt.get(id) ?? 0) < kFreshMillis) continue;
      this.#askedAt.set(id, now);
      void this.#queue.run(() => this.#ask(id));
    }
  }

  async #ask(id: string): Promise<void> {
    // Scrolled or paged away meanwhile.
    if (!this.#wanted.has(id)) {
      this.#askedAt.delete(id);
      return;
    }
    const now = Date.now();
    const query = { since: new Date(now - kSpanMillis).toISOString(), until: 'now', step: kStepSeconds };
    try {
      const timeline = await ask(api.GET('/api/volumes/{volume}/timeline', { params: { path: { volume: `id:${id}` }, query } }));
      this.#arrived.set(id, activityOf(timeline, now));
      this.#publishing ??= setTimeout(() => this.#publish(), kTogetherMillis);
    } catch {
      this.#askedAt.delete(id);
    }
  }

  #publish(): void {
    this.#publishing = undefined;
    const known = new Map(this.known);
    for (const [id, activity] of this.#arrived) {
      known.delete(id);
      known.set(id, activity);
    }
    this.#arrived.clear();
    for (const oldest of known.keys()) {
      if (known.size <= kKept) break;
      known.delete(oldest);
    }
    this.known = known;
  }
}
