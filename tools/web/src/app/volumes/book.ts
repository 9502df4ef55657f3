// SPDX-License-Identifier: Apache-2.0
//
// The volumes as events tell them: each by itself when it has changed, all of them when a stream begins. What was known
// before stays until the new stream has told everything, so that a page does not flicker.
import type { Schemas } from '../../api/client';

type Volume = Schemas['Volume'];

export class VolumeBook {
  #known = new Map<string, Volume>();
  // What a stream that has begun has told so far.
  #told: Map<string, Volume> | undefined;

  get all(): readonly Volume[] {
    return [...this.#known.values()];
  }

  begin(): void {
    this.#told = new Map();
  }

  // Whether what is known has changed by it.
  take(volume: Volume): boolean {
    const into = this.#told ?? this.#known;
    if (volume.removed === undefined) into.set(volume.id, volume);
    else into.delete(volume.id);
    return into === this.#known;
  }

  // The stream has told all there is.
  settle(): boolean {
    if (this.#told === undefined) return false;
    this.#known = this.#told;
    this.#told = undefined;
    return true;
  }

  // An answer that has them all.
  replace(volumes: readonly Volume[]): void {
    this.#known = new Map(volumes.map((volume) => [volume.id, volume]));
  }

  forget(): void {
    this.#known.clear();
    this.#told = undefined;
  }
}
