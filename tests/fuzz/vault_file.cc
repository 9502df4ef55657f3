// SPDX-License-Identifier: Apache-2.0
//
// The file VAULT: with the first byte odd the checksum is put right, so that what lies behind it is
// reached too. What is accepted is exactly what would be written.
#include "journal/vault.h"

#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(vault_file) {
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  fuzz::Bytes bytes = in.copy_of_rest();
  if (seal && bytes.size() == 512)
    cdp::store_le(bytes.data() + 504, journal::unkeyed_checksum(std::span(bytes).first(504)));
  const auto vault = journal::decode_vault(bytes);
  if (vault.ok()) CHECK(journal::encode_vault(*vault) == bytes);
}
