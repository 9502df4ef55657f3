// SPDX-License-Identifier: Apache-2.0
import type { Schemas } from '../api/client';

export type Reduction = { dedup: number; compression: number; total: number };

// By how much less than was written was stored; nothing where nothing was.
export function reduction(
  journal: Pick<Schemas['JournalCounters'], 'client_bytes' | 'unique_bytes' | 'stored_bytes'>,
): Reduction | undefined {
  if (journal.client_bytes === 0) return undefined;
  const ratio = (more: number, less: number) => (less === 0 ? 1 : more / less);
  return {
    dedup: ratio(journal.client_bytes, journal.unique_bytes),
    compression: ratio(journal.unique_bytes, journal.stored_bytes),
    total: ratio(journal.client_bytes, journal.stored_bytes),
  };
}
