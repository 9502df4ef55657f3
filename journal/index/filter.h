// SPDX-License-Identifier: Apache-2.0
//
// Filter: which (tree, node) a run surely does not have: a Bloom filter in which the bits of a key
// lie in one line of 64 bytes ("Cache-, hash- and space-efficient Bloom filters", Putze, Sanders,
// Singler, WEA 2007), so that asking costs one cache miss. README.md, "Filter".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "journal/index/huge_array.h"
#include "journal/index/packed_page.h"

namespace journal::index {

inline constexpr std::size_t kFilterLineBytes = 64;
// The first 64 bytes of a page are its header's.
inline constexpr std::uint32_t kFilterLinesInPage = kPageBytes / kFilterLineBytes - 1;
inline constexpr std::size_t kFilterBitsPerKey = 10;

// One key's line and bits.
struct FilterKey {
  std::uint64_t line_hash = 0;
  std::uint64_t bits = 0;  // six numbers of 9 bits

  FilterKey() = default;
  FilterKey(std::uint64_t tree, std::uint64_t node)
      : line_hash(mixed(node * 0x9e3779b97f4a7c15 + tree)),
        bits((line_hash ^ line_hash >> 29) * 0xd6e8feb86659fd93 >> 10) {}

  // The finalizer of MurmurHash3: every bit of the input moves every bit of the output.
  static constexpr std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
    return value ^ value >> 33;
  }
  std::uint32_t line(std::uint32_t lines) const {
    return static_cast<std::uint32_t>((line_hash >> 32) * lines >> 32);
  }
  static std::uint32_t page_of(std::uint32_t line) { return line / kFilterLinesInPage; }
  static std::size_t byte_of(std::uint32_t line) {
    return (line % kFilterLinesInPage + 1) * kFilterLineBytes;
  }
  // `page` is that of the line.
  bool may_be_in(const std::byte* page, std::uint32_t line) const {
    const std::byte* const at = page + byte_of(line);
    std::uint64_t left = bits;
#pragma GCC unroll 6
    for (int i = 0; i < kProbes; ++i, left >>= 9) {
      if ((cdp::load_le<std::uint64_t>(at + (left >> 6 & 7) * 8) >> (left & 63) & 1) == 0)
        return false;
    }
    return true;
  }

  static constexpr int kProbes = 6;
};

// Gathers the keys of one run.
class FilterBuilder {
 public:
  // Room for `keys`; more make it less sharp, and fewer are made up for by `shrink`. The memory is
  // bounded: beyond some 2 * 10^8 keys there are fewer bits for each.
  explicit FilterBuilder(std::uint64_t keys);
  // The most that it makes of so many.
  static std::uint64_t pages_for(std::uint64_t keys);

  void add(std::uint64_t tree, std::uint64_t node) {
    const FilterKey key(tree, node);
    __builtin_prefetch(words_.data() + key.line(lines_) * (kFilterLineBytes / 8), 1);
    pending_[pending_count_++] = key;
    if (pending_count_ == kPending) set_pending();
  }
  // Makes it as small as `keys`, the number that came, needs.
  void shrink(std::uint64_t keys);

  std::uint32_t lines() const { return lines_; }
  std::uint32_t pages() const { return (lines_ + kFilterLinesInPage - 1) / kFilterLinesInPage; }
  // All but its identity.
  void fill(std::uint32_t page, std::span<std::byte, kPageBytes> into) const;

 private:
  void set_pending();

  static constexpr std::size_t kPending = 32;

  std::uint32_t lines_;
  std::vector<std::uint64_t> words_;         // 8 to a line
  std::array<FilterKey, kPending> pending_;  // their lines are on the way to the cache
  std::size_t pending_count_ = 0;
};

}  // namespace journal::index
