// SPDX-License-Identifier: Apache-2.0
//
// The list of clones; with the first byte odd the line with its checksum is added. What is accepted
// is exactly what would be written.
#include "restore/clone_catalogue.h"

#include <fmt/format.h>

#include "journal/hash.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(clone_catalogue) {
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  std::string text = in.text_of_rest();
  if (seal)
    text += fmt::format("checksum {:016x}\n",
                        journal::unkeyed_checksum(std::as_bytes(std::span(text))));
  const auto clones = restore::decode_clones(text);
  if (clones.ok()) CHECK(restore::encode_clones(*clones) == text);
}
