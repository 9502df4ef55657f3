// SPDX-License-Identifier: Apache-2.0
//
// PointMap: for each block of a volume, where its content at one point lies in the journal. It is
// built by applying the volume's changes in LSN order (map_builder.h). Built from the beginning of
// history it is the whole volume; built from a checkpoint on, it is what changed since: "untouched"
// and "zeroed" differ, so that the daemon replays it onto a backing store after a crash.
//
// Memory: 16 bytes a block in chunks of 4096 blocks (64 KiB for each 16 MiB of volume in which
// anything was written), and 64 KiB for each touched 64 GiB. Zero extents of any length cost
// nothing in their middle. The chunks never take more than the budget: when they would, the map
// gives up its end and covers [first_block, end_block) only. Whoever needs the rest builds another
// from end_block on; every map makes progress by a chunk at least. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "cdp/base/types.h"
#include "journal/records.h"

namespace restore {

enum class BlockState : std::uint8_t {
  kUntouched,  // no change: zeroes where the map starts with the volume, else as it was before
  kZero,
  kData,
};

// Larger volumes are refused where they are created; the map need not grow beyond.
inline constexpr std::uint64_t kVolumeBlocksMax = 1ull << 38;  // 1 PiB

class PointMap {
 public:
  static constexpr std::uint64_t kChunkBlocks = 4096;
  static constexpr std::size_t kDefaultBudgetBytes = 256u << 20;

  // Covers blocks from `first_block` (a multiple of kChunkBlocks) on.
  explicit PointMap(std::uint64_t first_block = 0, std::size_t budget_bytes = kDefaultBudgetBytes);
  PointMap(PointMap&&) = default;
  PointMap& operator=(PointMap&&) = default;

  // The changes, in LSN order; what lies outside the covered range is ignored.
  void put(std::uint64_t block, const journal::BlockPlace& place);
  void zero(std::uint64_t first_block, std::uint64_t block_count);

  std::uint64_t first_block() const { return first_block_; }
  // kVolumeBlocksMax unless the budget was met.
  std::uint64_t end_block() const { return end_block_; }
  std::size_t memory_bytes() const { return chunk_bytes_ + node_bytes_; }

  struct Extent {
    std::uint64_t first_block = 0;
    std::uint64_t block_count = 0;
    BlockState state = BlockState::kUntouched;
    bool operator==(const Extent&) const = default;
  };
  // The longest extent of one state that starts at `block` and ends at or before `limit`;
  // first_block() <= block < limit <= end_block().
  Extent extent_at(std::uint64_t block, std::uint64_t limit) const;
  BlockState state_of(std::uint64_t block) const;
  // Of a block in state kData.
  const journal::BlockPlace& place_of(std::uint64_t block) const;

 private:
  static constexpr std::uint64_t kNodeChunks = 4096;
  static constexpr std::uint64_t kNodeBlocks = kNodeChunks * kChunkBlocks;

  using Places = std::array<journal::BlockPlace, kChunkBlocks>;
  struct Chunk {
    std::unique_ptr<Places> places;               // null: all blocks are in `uniform`
    BlockState uniform = BlockState::kUntouched;  // never kData
  };
  struct Node {
    std::unique_ptr<std::array<Chunk, kNodeChunks>> chunks;  // null: all are in `uniform`
    BlockState uniform = BlockState::kUntouched;
  };
  static constexpr std::size_t kChunkBytes = sizeof(Places);
  static constexpr std::size_t kNodeBytes = sizeof(std::array<Chunk, kNodeChunks>);

  Node& node_of(std::uint64_t block);
  Chunk& chunk_of(std::uint64_t block);
  Places* places_for_change(std::uint64_t block);
  bool make_room(std::uint64_t block);
  std::uint64_t last_stored_chunk() const;
  void set_uniform(std::uint64_t block, BlockState state, bool whole_node);
  Extent uniform_extent(std::uint64_t block) const;

  std::uint64_t first_block_;
  std::uint64_t end_block_ = kVolumeBlocksMax;
  std::size_t budget_bytes_;
  std::size_t chunk_bytes_ = 0;
  std::size_t node_bytes_ = 0;
  std::vector<Node> nodes_;  // nodes_[i] covers blocks from i * kNodeBlocks on
};

}  // namespace restore
