// SPDX-License-Identifier: Apache-2.0
//
// BlockSet: a set of blocks as sorted intervals that neither overlap nor touch, so that a stretch
// of 16 TiB costs what one block costs. Adding and asking are logarithmic in the intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace cdp {

class BlockSet {
 public:
  // Adds the blocks [first, end).
  void add(std::uint64_t first, std::uint64_t end);
  // Takes out all blocks before `block`.
  void remove_before(std::uint64_t block);
  void clear();

  bool contains(std::uint64_t block) const { return end_of(block) != block; }
  // The first block from `block` on that is not in the set.
  std::uint64_t end_of(std::uint64_t block) const;
  struct Stretch {
    bool in = false;
    std::uint64_t blocks = 0;
  };
  // Whether `block` is in it, and for how many blocks (at most `limit`) that holds.
  Stretch stretch_at(std::uint64_t block, std::uint64_t limit) const;

  std::size_t intervals() const { return intervals_.size(); }
  std::uint64_t blocks() const { return blocks_; }
  // Of the zones of `zone_blocks` blocks each, numbered from block 0 on, the one in which most
  // intervals begin; none where no zone has two. Linear in the intervals.
  std::optional<std::uint64_t> most_crowded(std::uint64_t zone_blocks) const;

 private:
  std::map<std::uint64_t, std::uint64_t> intervals_;  // first block to end
  std::uint64_t blocks_ = 0;
};

}  // namespace cdp
