// SPDX-License-Identifier: Apache-2.0
//
// DirtyMap: the newest content of the blocks of a volume that its backing store does not have yet.
// Blocks with content are single nodes that share their page with the request and the journal;
// stretches of zeroes are extents, so that a TRIM of 16 TiB is one node as one of 1 MiB is (rule
// 6).
//
// Invariants: there is one node per block; extents do not overlap; a block node is newer than an
// extent that covers it (linking an extent drops the block nodes under it), so a lookup asks for
// the block first. Every node has the LSN of its change. Adjacent extents merge, and then have the
// newer LSN, but only within a generation: a pass of write-back begins a new one, so that what it
// has to write never grows a part that it must not write yet.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "cdp/base/types.h"
#include "cdp/io/pages.h"
#include "cdp/node_pool.h"

namespace cdp {

class DirtyMap {
 public:
  DirtyMap() = default;
  ~DirtyMap() { clear(); }
  DirtyMap(const DirtyMap&) = delete;
  DirtyMap& operator=(const DirtyMap&) = delete;

  // Blocks [first, first + pages.size()) now have this content. previous[i] becomes the page which
  // that block had in the map from a change newer than `after`, and stays null where it had none;
  // it has the size of `pages`.
  void link_write(std::uint64_t first, const PageList& pages, Lsn lsn, Lsn after,
                  PageList& previous);
  // Blocks [first, first + count) are now zeroes.
  void link_zeroes(std::uint64_t first, std::uint64_t count, Lsn lsn, bool may_deallocate);

  // Sets into[i] to the page of block first + i where the map knows it (the page of zeroes under
  // an extent), and leaves it alone elsewhere. The elements must be null.
  void find(std::uint64_t first, std::span<PageRef> into) const;

  enum class State { kUnknown, kData, kZeroes, kHole };
  struct Stretch {
    State state = State::kUnknown;
    std::uint64_t blocks = 0;
  };
  // The state of `block`, and for how many blocks (at most `limit`) it holds at least.
  Stretch stretch_at(std::uint64_t block, std::uint64_t limit) const;

  // Write-back. A pass takes what has an LSN up to its own, in block order; it starts the next
  // search behind what it has found.
  struct ZeroRun {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    bool may_deallocate = true;
  };
  struct BlockRun {
    std::uint64_t first = 0;
    PageList pages;
    boost::container::small_vector<Lsn, 8> lsns;
  };
  void begin_generation() { ++generation_; }
  // The first extent at or behind `from`; false when there is none.
  bool next_zeroes(std::uint64_t from, Lsn upto, ZeroRun& run) const;
  // The first consecutive blocks at or behind `from`, at most `max_blocks`; false where none.
  bool next_blocks(std::uint64_t from, Lsn upto, std::size_t max_blocks, BlockRun& run) const;
  // The backing store has these: forget those that were not changed meanwhile.
  void zeroes_written(const ZeroRun& run, Lsn upto);
  void blocks_written(const BlockRun& run);

  std::size_t blocks() const { return blocks_.size(); }
  std::size_t extents() const { return extents_.size(); }
  // Nodes of both kinds: what a budget limits.
  std::size_t size() const { return blocks_.size() + extents_.size(); }
  bool empty() const { return size() == 0; }
  void clear();

 private:
  struct Block : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
    std::uint64_t block = 0;
    Lsn lsn;
    PageRef page;
  };
  struct Extent : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    Lsn lsn;
    std::uint64_t generation = 0;
    bool may_deallocate = true;

    bool merges_with(const Extent& other) const {
      return generation == other.generation && may_deallocate == other.may_deallocate;
    }
  };
  struct BlockKey {
    using type = std::uint64_t;
    type operator()(const Block& node) const { return node.block; }
  };
  struct ExtentKey {
    using type = std::uint64_t;
    type operator()(const Extent& node) const { return node.first; }
  };
  using Blocks = boost::intrusive::set<Block, boost::intrusive::key_of_value<BlockKey>>;
  using Extents = boost::intrusive::set<Extent, boost::intrusive::key_of_value<ExtentKey>>;

  void forget(Block& node);
  void drop_blocks(std::uint64_t first, std::uint64_t end);
  // Makes room: no extent overlaps [first, end) afterwards.
  void carve(std::uint64_t first, std::uint64_t end);
  void add_extent(const Extent& like);
  // The first extent that ends behind `block`.
  Extents::iterator extent_behind(std::uint64_t block);
  Extents::const_iterator extent_behind(std::uint64_t block) const;

  NodePool<Block> block_nodes_;
  NodePool<Extent> extent_nodes_;
  Blocks blocks_;
  Extents extents_;
  std::uint64_t generation_ = 0;
};

}  // namespace cdp
