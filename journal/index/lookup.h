// SPDX-License-Identifier: Apache-2.0
//
// Lookup: one call of Snapshot::lookup at work. It asks one run after another, in the order that
// its caller knows to be right, for the blocks that are still open, and keeps what it finds.
//
// One scheduler's thread; what is passed in must outlive it.
#pragma once

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

  // Asks the last of `runs` for what is visible in the layer; the others are those that will be
  // asked next, should blocks be open then. kMissing: `wait`, and ask the same again.
  Attempt ask(Runs runs, const VisibleLayer& layer);
  // For what was missing to be read, or for others to have had their turn.
  Task<Status> wait();

  bool is_complete() const { return open_.empty(); }

 private:
  bool is_dense() const;
  // One block after another, through the filter.
  Attempt ask_each(Runs runs, VolumeId volume, Intervals intervals);
  Attempt ask_one(Runs runs, VolumeId volume, Intervals intervals, std::uint32_t index);
  void prefetch_filters(Runs runs, VolumeId volume);
  void want_filters(Runs runs, VolumeId volume);
  // All blocks from the first open one to the last.
  Attempt walk(const Run& run, VolumeId volume, Intervals intervals);
  void put(const Entry& entry);
  Attempt end_run();

  PageReader pages_;
  std::uint64_t first_block_;
  std::span<BlockVersion> into_;
  std::vector<std::uint32_t> open_;  // blocks without a version, in order

  std::size_t prefetched_ = 0;       // of the runs from this number on, filters are on the way
  std::size_t prefetched_runs_ = 0;  // for a look-up that asks the last of so many

  // Of the run that is being asked:
  bool asking_ = false;
  std::vector<std::uint32_t> left_;   // blocks that it was not asked for yet
  std::vector<LevelCursor> cursors_;  // of a walk
  std::vector<bool> is_open_;         // in a walk
};

}  // namespace journal::index
