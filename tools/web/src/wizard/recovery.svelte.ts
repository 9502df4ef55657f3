// SPDX-License-Identifier: Apache-2.0
//
// A recovery from its first question to its result. Every volume goes to the LSN that the point has for the first one.
import { api, ask, type Schemas } from '../api/client';
import { asApiError, type ApiError } from '../api/error';
import { OnceKey } from '../api/once_key';
import { Checks, type Point } from '../check/checks.svelte';
import { live } from '../app/live.svelte';
import { session } from '../app/session/session.svelte';
import { ChosenPoint } from '../timeline/point.svelte';
import { firstWay, freeName, kRights, nameProblem, needsName, type NameProblem, type Way } from './plan';

export type DryRun = Schemas['Rollback'];

// What one volume came to.
export interface Made {
  readonly volume: string;
  readonly name: string;
  readonly uris: readonly string[];
  readonly id?: string;
  readonly sizeBytes: number;
}

export interface Outcome {
  readonly way: Way;
  readonly lsn: number;
  readonly made: readonly Made[];
  readonly tookMillis: number;
  // When it was done, by this browser's clock.
  readonly at: number;
  // Of a rollback.
  readonly undo?: string;
  readonly refusesWriters?: boolean;
}

export type Hindrance =
  'noVolume' | 'notYet' | 'notAllowed' | 'wrongName' | 'looking' | 'stillMounted' | 'stillConnected';

export class Recovery {
  volumes = $state.raw<readonly string[]>([]);
  way = $state<Way>('recover');
  // By volume, as typed; what is not there has the name that is offered.
  names = $state<Partial<Record<string, string>>>({});
  disconnect = $state(false);
  isUnmounted = $state(false);
  dryRun = $state.raw<DryRun>();
  dryRunError = $state.raw<ApiError>();
  isRunning = $state(false);
  error = $state.raw<ApiError>();
  outcome = $state.raw<Outcome>();
  readonly point: ChosenPoint;
  readonly checks = new Checks();
  // Whether the timeline is open to choose another point, and how often that was asked for elsewhere.
  choosesPoint = $state(false);
  pointAsked = $state(0);
  #taken = $state.raw<ReadonlySet<string>>(new Set());
  #keys = new Map<string, OnceKey>();
  #made = new Map<string, Made>();
  #dryRunOf = '';

  constructor(volume: string) {
    this.point = new ChosenPoint(volume);
    this.volumes = [volume];
    this.way = firstWay((right) => session.may(right));
  }

  // Removed ones keep their names.
  async open(): Promise<void> {
    const [volumes, clones] = await Promise.all([
      ask(api.GET('/api/volumes', { params: { query: { removed: true } } })),
      ask(api.GET('/api/clones')),
    ]);
    this.#taken = new Set([...volumes.volumes, ...clones.clones].map(({ name }) => name));
  }

  choose(volume: string, isChosen: boolean): void {
    const others = this.volumes.filter((name) => name !== volume);
    this.volumes = isChosen ? [...others, volume] : others;
  }

  nameOf(volume: string): string {
    const { way } = this;
    return this.names[volume] ?? (needsName(way) ? freeName(volume, way, this.#taken) : volume);
  }
  nameProblemOf(volume: string): NameProblem | undefined {
    if (!needsName(this.way)) return undefined;
    return nameProblem(
      this.nameOf(volume),
      this.#taken,
      this.volumes.map((name) => this.nameOf(name)),
    );
  }

  // The same for all volumes, whatever the point was chosen by.
  get checkedPoint(): Point | undefined {
    const lsn = this.point.resolved?.point?.lsn;
    const text = this.point.lsnText;
    return lsn === undefined || text === undefined ? undefined : { text, lsn };
  }
  chooseAnotherPoint(): void {
    this.choosesPoint = true;
    this.pointAsked += 1;
  }

  get mayGo(): boolean {
    return kRights[this.way].every((right) => session.may(right));
  }
  get writers(): number {
    return this.dryRun?.volumes.reduce((sum, volume) => sum + volume.writers, 0) ?? 0;
  }
  // What has to be done before it can be begun.
  get hindrance(): Hindrance | undefined {
    if (this.volumes.length === 0) return 'noVolume';
    if (!this.point.lsnText) return 'notYet';
    if (!this.mayGo) return 'notAllowed';
    if (this.volumes.some((volume) => this.nameProblemOf(volume) !== undefined)) return 'wrongName';
    if (this.way !== 'rollback') return undefined;
    if (this.dryRun === undefined) return 'looking';
    if (!this.isUnmounted) return 'stillMounted';
    return this.writers > 0 && !this.disconnect ? 'stillConnected' : undefined;
  }

  // What differs between the point and now, and who is connected; asked once for each plan.
  async look(again = false): Promise<void> {
    const at = this.point.lsnText;
    if (!at || !session.may('restore')) return;
    const key = `${at} ${this.volumes.join(' ')}`;
    if (key === this.#dryRunOf && !again) return;
    this.#dryRunOf = key;
    if (!again) this.dryRun = undefined;
    this.dryRunError = undefined;
    try {
      const body = { volumes: [...this.volumes], at, dry_run: true };
      const found = await ask(api.POST('/api/rollbacks', { body }));
      if (key === this.#dryRunOf) this.dryRun = found;
    } catch (problem) {
      if (key === this.#dryRunOf) this.dryRunError = asApiError(problem);
    }
  }

  // What was made before something failed is not made again when it is tried again.
  async run(): Promise<void> {
    const lsn = this.point.resolved?.point?.lsn;
    if (lsn === undefined || this.isRunning) return;
    this.isRunning = true;
    this.error = undefined;
    const since = performance.now();
    try {
      const done = this.way === 'rollback' ? await this.#rollBack() : await this.#makeAll();
      for (const key of this.#keys.values()) key.done();
      const ended = { tookMillis: performance.now() - since, at: Date.now() };
      // What was known of the volumes before is not so any more.
      await live.refresh().catch(() => undefined);
      this.outcome = { way: this.way, lsn, ...ended, ...done };
    } catch (problem) {
      this.error = asApiError(problem);
    } finally {
      this.isRunning = false;
    }
  }

  #keyOf(volume: string): string {
    return [this.way, volume, this.nameOf(volume), this.point.lsnText].join(' ');
  }
  #once(key: string, body: unknown): { 'Idempotency-Key': string } {
    const once = this.#keys.get(key) ?? new OnceKey();
    this.#keys.set(key, once);
    return once.header(body);
  }

  async #makeAll(): Promise<Pick<Outcome, 'made'>> {
    for (const volume of this.volumes) await this.#make(volume);
    return { made: this.volumes.map((volume) => this.#made.get(this.#keyOf(volume)) as Made) };
  }

  async #make(volume: string): Promise<void> {
    const key = this.#keyOf(volume);
    if (this.#made.has(key)) return;
    const name = this.nameOf(volume);
    const at = this.point.lsnText as string;
    if (this.way === 'recover') {
      const body = { name, origin: { volume, at } };
      const made = await ask(api.POST('/api/volumes', { body, headers: this.#once(key, body) }));
      this.#made.set(key, { volume, name, uris: made.uris ?? [], id: made.id, sizeBytes: made.size_bytes });
    } else if (this.way === 'clone') {
      const body = { volume, at, name };
      const { clone } = await ask(api.POST('/api/clones', { body, headers: this.#once(key, body) }));
      this.#made.set(key, { volume, name, uris: clone.uris, id: clone.id, sizeBytes: clone.size_bytes });
    } else {
      const body = { volume, at };
      const view = await ask(api.POST('/api/views', { body, headers: this.#once(key, body) }));
      this.#made.set(key, { volume, name: `${volume}@${at}`, uris: view.uris, sizeBytes: view.volume.size_bytes });
    }
  }

  async #rollBack(): Promise<Pick<Outcome, 'made' | 'undo' | 'refusesWriters'>> {
    const body = { volumes: [...this.volumes], at: this.point.lsnText as string, disconnect: this.disconnect };
    const done = await ask(api.POST('/api/rollbacks', { body, headers: this.#once('rollback', body) }));
    const uris = (name: string) => live.volumeNamed(name)?.uris ?? [];
    return {
      made: done.volumes.map(({ name, id, size_bytes }) => ({
        volume: name,
        name,
        id,
        uris: uris(name),
        sizeBytes: size_bytes,
      })),
      undo: done.undo,
      refusesWriters: done.writers_refused,
    };
  }
}
