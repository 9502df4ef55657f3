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
  Lookup(cdp::Scheduler& scheduler, PageCache& cache, std::uint64_t first_block,
         std::span<BlockVersion> into);

  // Asks the last of `runs` for what is visible in the layer; the others are those that will be
  // asked next, should blocks be open then.
  Task<Status> ask(std::span<const std::shared_ptr<const Run>> runs, const VisibleLayer& layer);

  bool is_complete() const { return open_.empty(); }

 private:
  using Attempt = Run::Attempt;

  bool is_dense() const;
  // One block after another, through the filter.
  Task<Status> ask_each(std::span<const std::shared_ptr<const Run>> runs, VolumeId volume,
                        Intervals intervals);
  Attempt ask_one(const Run& run, VolumeId volume, Intervals intervals, std::uint32_t index);
  void want_filters(std::span<const std::shared_ptr<const Run>> runs, VolumeId volume,
                    std::span<const std::uint32_t> blocks);
  // All blocks from the first open one to the last.
  Task<Status> walk(const Run& run, VolumeId volume, Intervals intervals);
  void close_found();

  PageReader pages_;
  std::uint64_t first_block_;
  std::span<BlockVersion> into_;
  std::vector<std::uint32_t> open_;  // blocks without a version, in order
};

}  // namespace journal::index
