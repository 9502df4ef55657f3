// SPDX-License-Identifier: Apache-2.0
//
// What has just happened, shown for a while and read out.
export type Toast = { id: number; tone: 'ok' | 'warning'; text: string };

const kShownMillis = 6000;

class Toasts {
  shown = $state.raw<Toast[]>([]);
  #next = 1;

  say(text: string): void {
    this.#show('ok', text);
  }
  warn(text: string): void {
    this.#show('warning', text);
  }

  #show(tone: Toast['tone'], text: string): void {
    const toast = { id: this.#next++, tone, text };
    this.shown = [...this.shown.slice(-3), toast];
    setTimeout(() => (this.shown = this.shown.filter((other) => other !== toast)), kShownMillis);
  }
}

export const toasts = new Toasts();
