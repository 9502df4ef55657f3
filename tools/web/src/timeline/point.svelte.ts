// SPDX-License-Identifier: Apache-2.0
//
// A point that was chosen, and what the appliance makes of it.
import { asApiError, type ApiError } from '../api/error';
import { instantText, justBefore, parseInstant, secondsOf } from './moment';
import { resolvePoint, type Points } from './source';

// Before a point: inside a gap, too, as far as history knows it.
const kForce = 'force:';

export class ChosenPoint {
  // As the API is asked.
  at = $state<string>();
  // The second that it lies just before, where it was chosen by one.
  second = $state<number>();
  resolved = $state.raw<Points>();
  error = $state.raw<ApiError>();
  isResolving = $state(false);
  // Whether it was refused as one inside a gap, and is there when one insists.
  isInGap = $state(false);
  #abort: AbortController | undefined;

  constructor(readonly volume: string) {}

  // Where it stands on the timeline.
  get place(): number | undefined {
    if (this.second !== undefined) return this.second;
    const stamp = this.resolved?.point;
    return stamp && secondsOf(stamp.time_utc) + 1;
  }

  // The second that it is the state at the end of; the newest write in it may be older.
  get last(): number | undefined {
    if (this.second !== undefined) return this.second - 1;
    const stamp = this.resolved?.point;
    return stamp && secondsOf(stamp.time_utc);
  }

  // In words that mean the same for ever, where it is known.
  get lsnText(): string | undefined {
    const stamp = this.resolved?.point;
    return stamp && `${this.at?.startsWith(kForce) ? kForce : ''}lsn:${stamp.lsn}`;
  }

  // For an address: what it says tomorrow, it says now.
  get lastingText(): string | undefined {
    return this.at === 'now' ? this.lsnText : this.at;
  }

  before(second: number): Promise<void> {
    return this.#ask(instantText(justBefore(second)), second);
  }

  // In the words of the API; what is just before a second is told as such.
  take(at: string): Promise<void> {
    const instant = parseInstant(at.startsWith(kForce) ? at.slice(kForce.length) : at);
    return this.#ask(at, instant?.nanos === 999_999_999 ? instant.seconds + 1 : undefined);
  }

  force(): Promise<void> {
    return this.#ask(kForce + this.at, this.second);
  }

  async #ask(at: string, second: number | undefined): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.at = at;
    this.second = second;
    this.resolved = this.error = undefined;
    this.isInGap = false;
    this.isResolving = true;
    try {
      const resolved = await resolvePoint(this.volume, at, abort.signal);
      if (!abort.signal.aborted) this.resolved = resolved;
    } catch (problem) {
      if (abort.signal.aborted) return;
      this.error = asApiError(problem);
      if (!at.startsWith(kForce) && this.error.failure === 'problem') await this.#lookForGap(at, abort.signal);
    } finally {
      if (!abort.signal.aborted) this.isResolving = false;
    }
  }

  async #lookForGap(at: string, signal: AbortSignal): Promise<void> {
    try {
      const { notices } = await resolvePoint(this.volume, kForce + at, signal);
      if (!signal.aborted) this.isInGap = notices.some(({ kind }) => kind === 'gap');
    } catch {
      // Then it is refused for another reason, which is shown.
    }
  }
}
