// SPDX-License-Identifier: Apache-2.0
//
// The three hashes of the journal (FORMAT.md, "Checksums"): the keyed XXH3-64 that catches
// accidents and forged frames, the keyed XXH3-128 that is a block's fingerprint (a hint for
// deduplication, never a proof), and the SHA-256 that links frames into a chain.
//
// Pure functions; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "cdp/base/types.h"

namespace journal {

inline constexpr std::size_t kSecretBytes = 192;
using Secret = std::array<std::byte, kSecretBytes>;

// XXH3-128 of a block under the vault's secret.
struct Fingerprint {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const Fingerprint&) const = default;
};

using Digest = std::array<std::byte, 32>;

std::uint64_t checksum(const Secret& secret, std::span<const std::byte> bytes);
// Without a key, for the VAULT file, which holds the key.
std::uint64_t unkeyed_checksum(std::span<const std::byte> bytes);
Fingerprint fingerprint(const Secret& secret, std::span<const std::byte, cdp::kBlockBytes> block);
Digest sha256(std::span<const std::byte> bytes);

// So that a test can make collisions happen; production uses `fingerprint`.
using FingerprintFunction = Fingerprint (*)(const Secret&,
                                            std::span<const std::byte, cdp::kBlockBytes>);

bool all_zero(std::span<const std::byte> bytes);

}  // namespace journal

template <>
struct std::hash<journal::Fingerprint> {
  std::size_t operator()(const journal::Fingerprint& of) const noexcept { return of.low; }
};
