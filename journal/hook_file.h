// SPDX-License-Identifier: Apache-2.0
//
// The hooks of an ended segment in a small file of the vault's directory index/, so that a start
// knows them without reading the segment (journal/index/README.md, "Hooks"). Derived: where it is
// missing or damaged, or belongs to a segment that ended otherwise, it is made anew.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "journal/format.h"
#include "journal/hash.h"
#include "journal/hook_index.h"
#include "journal/vault.h"

namespace journal {

struct Hook {
  Fingerprint fingerprint{};       // the file keeps the high half, which is all that a hook goes by
  std::uint32_t frame_offset = 0;  // in the segment
  bool operator==(const Hook&) const = default;
};

struct SegmentHooks {
  std::uint32_t segment = 0;
  // How the segment ended: what the header of the next one says of it.
  std::uint64_t length = 0;
  Digest digest{};
  std::vector<Hook> hooks{};
};

// "0000000042.hooks"
std::string hook_file_name(std::uint32_t segment);
std::vector<std::byte> encode_hooks(const SegmentHooks& hooks, const Vault& vault);
// EIO where they are not hooks of this vault, whole, each in a place that can be.
Result<SegmentHooks> decode_hooks(std::span<const std::byte> bytes, const Vault& vault);

}  // namespace journal
