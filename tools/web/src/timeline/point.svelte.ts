// SPDX-License-Identifier: Apache-2.0
//
// A point that was chosen, and what the appliance makes of it.
import { asApiError, type ApiError } from '../api/error';
import { instantText, justBefore, secondsOf } from './moment';
import { resolvePoint, type Points } from './source';

export class ChosenPoint {
  // As the API is asked.
  at = $state<string>();
  // The second that it lies just before, where it was chosen by one.
  second = $state<number>();
  resolved = $state.raw<Points>();
  error = $state.raw<ApiError>();
  isResolving = $state(false);
  #abort: AbortController | undefined;

  constructor(readonly volume: string) {}

  // Where it stands on the timeline.
  get place(): number | undefined {
    if (this.second !== undefined) return this.second;
    const stamp = this.resolved?.point;
    return stamp && secondsOf(stamp.time_utc) + 1;
  }

  // In words that mean the same for ever, where it is known.
  get lsnText(): string | undefined {
    const stamp = this.resolved?.point;
    return stamp && `lsn:${stamp.lsn}`;
  }

  before(second: number): Promise<void> {
    return this.#take(instantText(justBefore(second)), second);
  }

  named(at: string): Promise<void> {
    return this.#take(at, undefined);
  }

  clear(): void {
    this.#abort?.abort();
    this.at = this.second = this.resolved = this.error = undefined;
    this.isResolving = false;
  }

  async #take(at: string, second: number | undefined): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.at = at;
    this.second = second;
    this.resolved = this.error = undefined;
    this.isResolving = true;
    try {
      const resolved = await resolvePoint(this.volume, at, abort.signal);
      if (!abort.signal.aborted) this.resolved = resolved;
    } catch (problem) {
      if (!abort.signal.aborted) this.error = asApiError(problem);
    } finally {
      if (!abort.signal.aborted) this.isResolving = false;
    }
  }
}
