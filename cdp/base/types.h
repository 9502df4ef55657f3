// SPDX-License-Identifier: Apache-2.0
//
// The integers that must not be swapped for one another, and the sizes everything agrees on.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace cdp {

// Position in the one sequence of changes of an appliance. 0 is before the first change; the first
// change has 1. LSNs grow, and may skip values after a crash.
struct Lsn {
  std::uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;
};

// Nanoseconds: a length of time, or a moment since the epoch of the clock that gave it.
struct Nanos {
  std::int64_t value = 0;
  auto operator<=>(const Nanos&) const = default;
  friend constexpr Nanos operator+(Nanos a, Nanos b) { return {a.value + b.value}; }
  friend constexpr Nanos operator-(Nanos a, Nanos b) { return {a.value - b.value}; }
};

constexpr Nanos microseconds(std::int64_t n) { return {n * 1'000}; }
constexpr Nanos milliseconds(std::int64_t n) { return {n * 1'000'000}; }
constexpr Nanos seconds(std::int64_t n) { return {n * 1'000'000'000}; }

// A volume's number within its vault: given once, counted from 1, never given again.
struct VolumeId {
  std::uint32_t value = 0;
  auto operator<=>(const VolumeId&) const = default;
};

// The unit of the dirty map, of deduplication and of every map of a volume.
inline constexpr std::size_t kBlockBytes = 4096;

// The longest piece of a request that a BlockDevice takes in one call; front-ends split.
inline constexpr std::uint32_t kMaxPieceBytes = 1u << 20;
inline constexpr std::uint32_t kMaxPieceBlocks = kMaxPieceBytes / kBlockBytes;

constexpr std::uint64_t block_of(std::uint64_t offset_bytes) { return offset_bytes / kBlockBytes; }
constexpr std::uint64_t blocks_for(std::uint64_t bytes) {
  return bytes / kBlockBytes + (bytes % kBlockBytes != 0 ? 1 : 0);
}
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace cdp

template <>
struct std::hash<cdp::VolumeId> {
  std::size_t operator()(cdp::VolumeId id) const noexcept { return id.value; }
};
