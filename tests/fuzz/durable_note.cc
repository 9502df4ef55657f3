// SPDX-License-Identifier: Apache-2.0
//
// The state directory's note of the newest durable LSN; with the first byte odd its checksum and
// vault are put right.
#include "journal/durable_note.h"

#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(durable_note) {
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  fuzz::Bytes bytes = in.copy_of_rest();
  const journal::Vault& vault = fuzz::vault();
  if (seal && bytes.size() == 64) {
    std::memcpy(bytes.data() + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
    fuzz::seal_checksum(bytes, 56);
  }
  const auto note = journal::decode_durable_note(bytes, vault);
  if (!note.ok()) return;
  const auto again = journal::decode_durable_note(journal::encode_durable_note(*note, vault), vault);
  CHECK(again.ok() && again->lsn == note->lsn && again->time == note->time);
}
