// SPDX-License-Identifier: Apache-2.0
//
// Manifest: which runs the index consists of, and up to which frame of the journal they go. It is
// the index's only file that is replaced, and it names what it was derived from: an index whose
// last frame is not in the journal, because the journal's tail was lost or the vault is another
// one, is thrown away and built again. README.md, "Manifest".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "journal/hash.h"
#include "journal/records.h"
#include "journal/vault.h"

namespace journal::index {

inline constexpr char kManifestName[] = "MANIFEST";

// A frame of records, and the digest of its header, which stands for all that came before it.
struct FrameMark {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
  Digest digest{};
  bool operator==(const FrameMark&) const = default;
};

struct Manifest {
  struct RunName {
    std::uint32_t number = 0;
    Lsn after{};  // it holds what is in (after, upto]
    Lsn upto{};
    bool operator==(const RunName&) const = default;
  };
  std::uint32_t next_number = 1;
  FrameMark last_frame{};       // the newest that the runs cover; none where there are no runs
  std::vector<RunName> runs{};  // oldest first, each after the one before it

  Lsn upto() const { return runs.empty() ? Lsn{} : runs.back().upto; }
  bool operator==(const Manifest&) const = default;
};

std::vector<std::byte> encode_manifest(const Manifest& manifest, const Vault& vault);
// EIO when it is damaged, of another vault or of another version: then the index is of no use.
Result<Manifest> decode_manifest(std::span<const std::byte> bytes, const Vault& vault);

}  // namespace journal::index
