// SPDX-License-Identifier: Apache-2.0
//
// Whether the page that comes has been gone to, rather than loaded: its heading then takes the focus.
class Navigation {
  #changed = false;

  changed(): void {
    this.#changed = true;
  }
  takeChange(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }
}

export const navigation = new Navigation();
