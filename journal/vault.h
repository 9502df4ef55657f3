// SPDX-License-Identifier: Apache-2.0
//
// Vault: the identity of a journal's store, in the file VAULT (FORMAT.md, "VAULT"). It is written
// once, when the vault is made, and says whose segments these are, by which version of the format,
// and under which secret fingerprints and checksums are computed. It is as secret as the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cdp/base/types.h"
#include "cdp/io/disk.h"
#include "journal/hash.h"
#include "journal/records.h"

namespace journal {

inline constexpr char kVaultFileName[] = "VAULT";
inline constexpr char kSegmentsDirectoryName[] = "segments";

// What is written, and the oldest that is read.
inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::uint32_t kOldestFormatVersion = 1;
inline constexpr bool reads_format(std::uint32_t version) {
  return version >= kOldestFormatVersion && version <= kFormatVersion;
}

struct Vault {
  Uuid uuid{};
  Nanos created{};
  Secret secret{};

  // A new identity, of random uuid and secret.
  static Vault generate(Nanos now);
};

std::vector<std::byte> encode_vault(const Vault& vault);
// EINVAL for what is not a VAULT file, ENOTSUP for one of a format version that is not read.
Result<Vault> decode_vault(std::span<const std::byte> bytes);

// Reads VAULT from the vault's root directory; ENOENT where there is none.
Task<Result<Vault>> open_vault(cdp::Directory& root);
// Writes a new VAULT; EEXIST where there is one. The caller has made sure that no segments exist.
Task<Result<Vault>> create_vault(cdp::Directory& root, Nanos now);

}  // namespace journal
