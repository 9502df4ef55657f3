// SPDX-License-Identifier: Apache-2.0
//
// Entry: what the time index knows of one change to an aligned power of eight of blocks. Blocks
// with bytes are entries of level 0; a range that reads as zeroes, whatever its length, is the few
// aligned nodes that cover it exactly (rule 6).
//
// Pure functions; any thread.
#pragma once

#include <bit>
#include <cstdint>

#include "cdp/base/check.h"
#include "journal/index/block_map.h"

namespace journal::index {

// A node of level l is 8^l blocks, at a multiple of that.
inline constexpr unsigned kLevels = 13;
inline constexpr unsigned kLevelBits = 3;

// Nodes of one level of one volume.
constexpr std::uint64_t tree_of(VolumeId volume, unsigned level) {
  return std::uint64_t{volume.value} << 4 | level;
}
constexpr VolumeId volume_of(std::uint64_t tree) { return {static_cast<std::uint32_t>(tree >> 4)}; }
constexpr unsigned level_of(std::uint64_t tree) { return static_cast<unsigned>(tree & 15); }

constexpr std::uint64_t node_of(std::uint64_t block, unsigned level) {
  return block >> (kLevelBits * level);
}
constexpr std::uint64_t first_block_of(std::uint64_t node, unsigned level) {
  return node << (kLevelBits * level);
}

struct Entry {
  std::uint64_t tree = 0;
  std::uint64_t node = 0;
  Lsn lsn{};
  BlockPlace place{};  // no run has 0 bytes: those are zeroes

  bool zero() const { return place.run_bytes == 0; }
  bool operator==(const Entry&) const = default;
};

// Calls visit(level, node) for the fewest nodes that together are exactly `count` blocks from
// `first` on, in block order; at most 14 of a level. first + count <= kVolumeBlocksMax.
template <typename Visit>
void cover(std::uint64_t first, std::uint64_t count, Visit visit) {
  CHECK(first <= kVolumeBlocksMax && count <= kVolumeBlocksMax - first);
  while (count != 0) {
    const auto by_length = static_cast<unsigned>(std::bit_width(count) - 1) / kLevelBits;
    const unsigned by_place =
        first == 0 ? kLevels - 1 : static_cast<unsigned>(std::countr_zero(first)) / kLevelBits;
    const unsigned level = by_length < by_place ? by_length : by_place;
    const unsigned taken = level < kLevels ? level : kLevels - 1;
    visit(taken, node_of(first, taken));
    first += std::uint64_t{1} << (kLevelBits * taken);
    count -= std::uint64_t{1} << (kLevelBits * taken);
  }
}

}  // namespace journal::index
