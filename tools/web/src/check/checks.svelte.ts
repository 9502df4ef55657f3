// SPDX-License-Identifier: Apache-2.0
//
// Checks of points of volumes. Each belongs to exactly the place in history and the volume that it was made for.
import { api, ask } from '../api/client';
import { asApiError, type ApiError } from '../api/error';
import { OnceKey } from '../api/once_key';
import { live, type Job } from '../app/live.svelte';

// As the API is asked, "lsn:7", and its LSN.
export type Point = { readonly text: string; readonly lsn: number };

export class Checks {
  // That no checker listens, in the daemon's words.
  unavailable = $state.raw<ApiError>();
  // By volume and point.
  #begun = $state.raw<ReadonlyMap<string, Job>>(new Map());
  #failures = $state.raw<ReadonlyMap<string, ApiError>>(new Map());
  #starting = $state.raw<ReadonlySet<string>>(new Set());
  #keys = new Map<string, OnceKey>();

  // The newest there is: one that was begun here, or a result that is known of the same point.
  of(volume: string, point: Point): Job | undefined {
    const begun = this.#begun.get(keyOf(volume, point));
    if (begun !== undefined) return live.jobs.find(({ id }) => id === begun.id) ?? begun;
    return live.jobs.find((job) => job.kind === 'check' && job.volume === volume && job.check?.point.lsn === point.lsn);
  }
  failureOf(volume: string, point: Point): ApiError | undefined {
    return this.#failures.get(keyOf(volume, point));
  }
  isStarting(volume: string, point: Point): boolean {
    return this.#starting.has(keyOf(volume, point));
  }

  async begin(volume: string, point: Point): Promise<void> {
    const key = keyOf(volume, point);
    if (this.#starting.has(key)) return;
    this.#starting = new Set([...this.#starting, key]);
    this.#fail(key, undefined);
    const once = this.#keys.get(key) ?? new OnceKey();
    this.#keys.set(key, once);
    const body = { at: point.text };
    try {
      const job = await ask(api.POST('/api/volumes/{volume}/checks', { params: { path: { volume } }, body, headers: once.header(body) }));
      once.done();
      this.unavailable = undefined;
      this.#begun = new Map(this.#begun).set(key, job);
      // An event may have told more of it by now.
      if (!live.jobs.some(({ id }) => id === job.id)) live.takeJob(job);
    } catch (problem) {
      const failure = asApiError(problem);
      if (failure.failure === 'problem') once.done();
      if (failure.status === 503 && failure.failure === 'problem') this.unavailable = failure;
      else this.#fail(key, failure);
    } finally {
      this.#starting = new Set([...this.#starting].filter((other) => other !== key));
    }
  }

  async cancel({ id }: Job): Promise<void> {
    live.takeJob(await ask(api.DELETE('/api/jobs/{job}', { params: { path: { job: id } } })));
  }

  #fail(key: string, failure: ApiError | undefined): void {
    const failures = new Map(this.#failures);
    if (failure === undefined) failures.delete(key);
    else failures.set(key, failure);
    this.#failures = failures;
  }
}

function keyOf(volume: string, { text }: Point): string {
  return `${volume} ${text}`;
}
