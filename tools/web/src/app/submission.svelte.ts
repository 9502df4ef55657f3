// SPDX-License-Identifier: Apache-2.0
//
// Something that is sent to the daemon when one wants it, by a form or a button: whether it is under way, why it
// failed, and that it is done once however often it is tried again.
import { asApiError, type ApiError } from '../api/error';
import { OnceKey } from '../api/once_key';

export class Submission {
  busy = $state(false);
  // Whether it was tried: what is missing in the form is told from then on.
  isTried = $state(false);
  failure = $state.raw<ApiError>();
  // For requests whose answer may be lost.
  readonly once = new OnceKey();

  // Of a form, which is sent when it is complete.
  async submit(event: SubmitEvent, isComplete: boolean, work: () => Promise<void>): Promise<void> {
    event.preventDefault();
    this.isTried = true;
    if (isComplete) await this.run(work);
  }

  // Nothing is begun while it is under way.
  async run(work: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.failure = undefined;
    try {
      await work();
      this.once.done();
    } catch (error) {
      this.failure = asApiError(error);
      // It was answered: another attempt is another request.
      if (this.failure.failure === 'problem') this.once.done();
    } finally {
      this.busy = false;
    }
  }
}
