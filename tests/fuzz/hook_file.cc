// SPDX-License-Identifier: Apache-2.0
//
// The hooks of an ended segment; with the first byte odd its checksum and vault are put right.
#include "journal/hook_file.h"

#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(hook_file) {
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  fuzz::Bytes bytes = in.copy_of_rest();
  const journal::Vault& vault = fuzz::vault();
  if (seal && bytes.size() >= 88) {
    std::memcpy(bytes.data() + 16, vault.uuid.bytes.data(), vault.uuid.bytes.size());
    fuzz::seal_checksum(bytes, bytes.size() - 8);
  }
  const auto hooks = journal::decode_hooks(bytes, vault);
  if (!hooks.ok()) return;
  journal::HookIndex index(1u << 20);
  for (const journal::Hook& hook : hooks->hooks) {
    const journal::FramePosition frame{hooks->segment, hook.frame_offset};
    index.insert(hook.fingerprint, frame);
    const auto found = index.find(hook.fingerprint);
    CHECK(!found.has_value() || *found == frame);
  }
  const auto again = journal::decode_hooks(journal::encode_hooks(*hooks, vault), vault);
  CHECK(again.ok() && again->hooks == hooks->hooks && again->segment == hooks->segment &&
        again->length == hooks->length && again->digest == hooks->digest);
}
