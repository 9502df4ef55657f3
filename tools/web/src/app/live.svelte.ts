// SPDX-License-Identifier: Apache-2.0
//
// The appliance as it is, by /api/events. While nothing comes, what is shown is old, and the page says since when.
// A stream begins with each volume and then the status; from then on each comes when it has changed.
import { api, ask, type Schemas } from '../api/client';
import { session } from './session/session.svelte';
import { VolumeBook } from './volumes/book';
import { WriteRates } from './volumes/rates';

export type Job = Schemas['Job'];
export type Volume = Schemas['Volume'];
// The volumes are told beside it.
export type Status = Omit<Schemas['Status'], 'volumes'>;
export type Connection = 'connecting' | 'live' | 'broken';

const kRetryMillis = 2000;
// A connection that is lost without a word looks as one on which nothing happens. EventSource does not tell a page of
// the daemon's heartbeats, so that the daemon is asked whether it is there, in a way that keeps no session alive.
const kSilentMillis = 20_000;
const kAnswerMillis = 5000;
// Volumes that change at one moment are shown together.
const kTogetherMillis = 50;

class Live {
  status = $state.raw<Status>();
  // Those that are served, as the appliance lists them.
  volumes = $state.raw<readonly Volume[]>([]);
  // The newest first.
  jobs = $state.raw<Job[]>([]);
  connection = $state<Connection>('connecting');
  // How often a broken connection came back: what was missed meanwhile is asked for again.
  heals = $state(0);
  // When something was last known to be true.
  heardAt = $state(0);
  readonly writeRates = new WriteRates();
  readonly #byName = $derived(new Map(this.volumes.map((volume) => [volume.name, volume])));
  #book = new VolumeBook();
  #showing: ReturnType<typeof setTimeout> | undefined;
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #jobListeners = new Set<(job: Job) => void>();

  start(): void {
    this.stop();
    this.connection = 'connecting';
    this.#open();
    this.#watch = setInterval(() => void this.#lookAfter(), kSilentMillis / 4);
  }

  stop(): void {
    this.#source?.close();
    this.#source = undefined;
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    clearTimeout(this.#showing);
    this.#showing = undefined;
  }

  // Also what another user's session must not see.
  forget(): void {
    this.stop();
    this.status = undefined;
    this.#book.forget();
    this.volumes = [];
    this.writeRates.begin();
    this.jobs = [];
  }

  volumeNamed(name: string): Volume | undefined {
    return this.#byName.get(name);
  }

  onJob(listener: (job: Job) => void): () => void {
    this.#jobListeners.add(listener);
    return () => this.#jobListeners.delete(listener);
  }

  takeJob(job: Job): void {
    const others = this.jobs.filter((known) => known.id !== job.id);
    this.jobs = [...others, job].sort((a, b) => b.id - a.id).slice(0, 200);
    for (const listener of this.#jobListeners) listener(job);
  }

  // What was just changed by this page is known at once, not at the next event.
  async refresh(): Promise<void> {
    const { volumes, ...status } = await ask(api.GET('/api/status'));
    for (const volume of volumes) this.writeRates.take(volume, Date.now());
    this.#book.replace(volumes);
    this.#showVolumes();
    this.#takeStatus(status);
  }

  #takeStatus(status: Status): void {
    this.status = status;
    this.heardAt = Date.now();
  }

  #takeVolume(volume: Volume): void {
    if (volume.removed === undefined) this.writeRates.take(volume, Date.now());
    else this.writeRates.forget(volume.id);
    if (this.#book.take(volume)) this.#showing ??= setTimeout(() => this.#showVolumes(), kTogetherMillis);
  }

  #showVolumes(): void {
    clearTimeout(this.#showing);
    this.#showing = undefined;
    this.volumes = this.#book.all;
  }

  #open(): void {
    const source = new EventSource('/api/events');
    this.#source = source;
    this.#book.begin();
    this.writeRates.begin();
    source.addEventListener('volume', (event) => {
      this.#takeVolume(JSON.parse((event as MessageEvent<string>).data) as Volume);
    });
    source.addEventListener('status', (event) => {
      if (this.#book.settle()) this.#showVolumes();
      this.#takeStatus(JSON.parse((event as MessageEvent<string>).data) as Status);
      if (this.connection === 'broken') this.heals += 1;
      this.connection = 'live';
    });
    source.addEventListener('job', (event) => {
      this.takeJob(JSON.parse((event as MessageEvent<string>).data) as Job);
    });
    source.addEventListener('open', () => {
      this.heardAt = Date.now();
      void this.#listJobs();
    });
    source.addEventListener('error', () => this.#broke(source));
  }

  // EventSource tries again by itself after a lost connection, but not after an answer that is no stream.
  #broke(source: EventSource): void {
    if (source !== this.#source) return;
    this.connection = 'broken';
    source.close();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#again(), kRetryMillis);
  }

  async #again(): Promise<void> {
    // Says, too, whether it is the session that has ended.
    await session.begin();
    if (session.current === undefined && !session.problem) return;
    if (session.problem) this.#retry = setTimeout(() => void this.#again(), kRetryMillis);
    else this.#open();
  }

  async #lookAfter(): Promise<void> {
    const source = this.#source;
    if (source === undefined || this.connection !== 'live' || Date.now() - this.heardAt < kSilentMillis) return;
    try {
      const signal = AbortSignal.timeout(kAnswerMillis);
      await ask(api.GET('/api/setup', { credentials: 'omit', signal }));
      this.heardAt = Date.now();
    } catch {
      this.#broke(source);
    }
  }

  async #listJobs(): Promise<void> {
    try {
      const { jobs } = await ask(api.GET('/api/jobs', { params: { query: { limit: 100 } } }));
      const newer = this.jobs.filter((job) => !jobs.some((listed) => listed.id === job.id));
      this.jobs = [...newer, ...jobs].sort((a, b) => b.id - a.id);
    } catch {
      // The next connection asks again.
    }
  }
}

export const live = new Live();
