// SPDX-License-Identifier: Apache-2.0
//
// Something that is asked of the daemon for a page: its answer, its failure, and whether it takes its time.
import { asApiError, type ApiError } from '../api/error';

const kSlowMillis = 2000;

export class Resource<T> {
  data = $state.raw<T>();
  error = $state.raw<ApiError>();
  isLoading = $state(false);
  isSlow = $state(false);
  #load: () => Promise<T>;
  #turn = 0;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  // The newest question's answer stays, whichever comes last.
  async reload(): Promise<void> {
    const turn = ++this.#turn;
    this.isLoading = true;
    const slow = setTimeout(() => {
      if (turn === this.#turn) this.isSlow = true;
    }, kSlowMillis);
    try {
      const data = await this.#load();
      if (turn !== this.#turn) return;
      this.data = data;
      this.error = undefined;
    } catch (error) {
      if (turn === this.#turn) this.error = asApiError(error);
    } finally {
      clearTimeout(slow);
      if (turn === this.#turn) this.isLoading = this.isSlow = false;
    }
  }
}
