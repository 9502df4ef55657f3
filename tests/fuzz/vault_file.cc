// SPDX-License-Identifier: Apache-2.0
//
// The file VAULT: with the first byte odd the checksum is put right, so that what lies behind it is
// reached too. What is accepted is exactly what would be written, but for an older version of the
// format.
#include "journal/vault.h"

#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(vault_file) {
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  fuzz::Bytes bytes = in.copy_of_rest();
  const auto seal_it = [&bytes] {
    cdp::store_le(bytes.data() + 504, journal::unkeyed_checksum(std::span(bytes).first(504)));
  };
  if (seal && bytes.size() == 512) seal_it();
  const auto vault = journal::decode_vault(bytes);
  if (!vault.ok()) return;
  cdp::store_le(bytes.data() + 8, journal::kFormatVersion);
  seal_it();
  CHECK(journal::encode_vault(*vault) == bytes);
}
