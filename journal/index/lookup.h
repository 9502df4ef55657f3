// SPDX-License-Identifier: Apache-2.0
//
// Lookup: one call of Snapshot::lookup at work. It asks one run after another, in the order that
// its caller knows to be right, for the blocks that are still open, and keeps what it finds.
//
// One scheduler's thread; what is passed in must outlive it.
#pragma once

#include <boost/container/small_vector.hpp>
#include <memory>
#include <span>
#include <vector>

#include "journal/index/level_cursor.h"
#include "journal/index/run.h"

namespace journal::index {

class Lookup {
 public:
  // More are asked for in several: the pages of one call stay in memory.
  static constexpr std::size_t kBlocksMax = 1024;

  // into[i] becomes the version of block first_block + i.
  Lookup(cdp::Scheduler& scheduler, std::uint64_t first_block, std::span<BlockVersion> into);

  using Attempt = Run::Attempt;
  using Runs = std::span<const std::shared_ptr<const Run>>;

  // Asks the runs, the last one first, for what is visible in the layer of the blocks that are
  // still open. kMissing: `wait`, and ask the same again.
  Attempt ask(Runs runs, const VisibleLayer& layer);
  // For what was missing to be read, or for others to have had their turn.
  Task<Status> wait();

 private:
  // Most look-ups are of a few.
  using Blocks = boost::container::small_vector<std::uint32_t, 16>;

  bool is_dense() const;
  // One block after another, each from run to run through their filters.
  Attempt ask_each(Runs runs, const VisibleLayer& layer);
  Attempt ask_block(Runs runs, const VisibleLayer& layer, std::uint32_t index);
  // All blocks from the first open one to the last.
  Attempt walk(const Run& run, VolumeId volume, Intervals intervals);
  void put(const Entry& entry);
  void close_known();

  PageReader pages_;
  std::uint64_t first_block_;
  std::span<BlockVersion> into_;
  Blocks open_;  // without a version, in order

  // Of the layer that is being asked:
  bool asking_ = false;
  std::size_t left_runs_ = 0;  // so many of the first are to be asked still
  bool asking_each_ = false;
  Blocks left_;                       // blocks that have not been asked for in them
  std::vector<LevelCursor> cursors_;  // of a walk through the last of them
  std::vector<bool> is_open_;         // in a walk
};

}  // namespace journal::index
