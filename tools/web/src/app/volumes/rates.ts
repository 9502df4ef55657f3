// SPDX-License-Identifier: Apache-2.0
//
// How fast clients write, by the differences of a counter. No event is no change, so that what is between two of them
// was written in the second before the later one.
import type { Schemas } from '../../api/client';

type Counted = Pick<Schemas['Volume'], 'id' | 'written_bytes'>;
type Sample = { at: number; bytes: number };

const kWindowMillis = 5000;
const kApartMillis = 500;
// Events come once a second; a counter that is known for less says nothing yet.
const kSpanLeastMillis = 1000;

export class WriteRates {
  #samples = new Map<string, Sample[]>();

  take({ id, written_bytes: bytes }: Counted, now: number): void {
    if (bytes === undefined) return;
    let samples = this.#samples.get(id);
    // A counter that fell began anew with the daemon.
    if (samples === undefined || bytes < (samples.at(-1)?.bytes ?? 0)) this.#samples.set(id, (samples = []));
    if (samples.at(-1)?.bytes === bytes) return;
    // However often it comes, so many are kept.
    const before = samples.at(-2);
    if (before !== undefined && now - before.at < kApartMillis) samples.pop();
    samples.push({ at: now, bytes });
    // The newest one before the window is what it is measured from.
    while ((samples[1]?.at ?? Infinity) <= now - kWindowMillis) samples.shift();
  }

  // Bytes a second lately.
  of(id: string, now: number): number {
    const samples = this.#samples.get(id);
    const [first, last] = [samples?.[0], samples?.at(-1)];
    if (samples === undefined || first === undefined || last === undefined) return 0;
    const begin = now - kWindowMillis;
    const base = samples.findLast(({ at }) => at <= begin) ?? first;
    const span = now - Math.max(base.at, begin);
    return span < kSpanLeastMillis ? 0 : ((last.bytes - base.bytes) * 1000) / span;
  }

  countOf(id: string): number {
    return this.#samples.get(id)?.length ?? 0;
  }

  // After a stream that was lost nobody knows when it was written.
  begin(): void {
    this.#samples.clear();
  }
  forget(id: string): void {
    this.#samples.delete(id);
  }
}
