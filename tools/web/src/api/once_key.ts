// SPDX-License-Identifier: Apache-2.0
//
// A request that is sent again because its answer was lost is done once: the same content has the same Idempotency-Key.
export class OnceKey {
  #content = '';
  #key = '';

  header(body: unknown): { 'Idempotency-Key': string } {
    const content = JSON.stringify(body);
    if (content !== this.#content || this.#key === '') {
      this.#content = content;
      this.#key = crypto.randomUUID();
    }
    return { 'Idempotency-Key': this.#key };
  }

  // What was answered is not to be answered from memory when it is tried again.
  done(): void {
    this.#key = '';
  }
}
