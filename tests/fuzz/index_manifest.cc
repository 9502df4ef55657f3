// SPDX-License-Identifier: Apache-2.0
//
// The time index's MANIFEST; with the first byte odd its checksum and vault are put right.
#include "journal/index/manifest.h"

#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(index_manifest) {
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  fuzz::Bytes bytes = in.copy_of_rest();
  const journal::Vault& vault = fuzz::vault();
  if (seal && bytes.size() >= 96) {
    std::memcpy(bytes.data() + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
    fuzz::seal_checksum(bytes, bytes.size() - 8);
  }
  const auto manifest = journal::index::decode_manifest(bytes, vault);
  if (!manifest.ok()) return;
  for (std::size_t i = 0; i < manifest->runs.size(); ++i) {
    const auto& run = manifest->runs[i];
    CHECK(run.after < run.upto && run.number < manifest->next_number);
    CHECK(run.after == (i == 0 ? journal::Lsn{} : manifest->runs[i - 1].upto));
  }
  const auto again =
      journal::index::decode_manifest(journal::index::encode_manifest(*manifest, vault), vault);
  CHECK(again.ok() && *again == *manifest);
}
