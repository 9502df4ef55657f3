// SPDX-License-Identifier: Apache-2.0
//
// Difference: the extents of a volume in which two of its points may differ. Blocks that were
// written in between count as changed, even with what they held before (rule 8).
//
// One scheduler's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/task.h"
#include "journal/index/block_map.h"

namespace restore {

struct VolumeAtPoint {
  journal::Visibility visible{};
  std::uint64_t size_bytes = 0;
};

using TouchedBlocks = std::vector<journal::index::BlockRange>;

struct Difference {
  struct Extent {
    std::uint64_t offset = 0;  // bytes
    std::uint64_t bytes = 0;
    bool zeroes = false;  // at the second point all of it reads as zeroes
    bool operator==(const Extent&) const = default;
  };
  // In order; neighbours of one kind are joined. Those of the end that only the larger of the two
  // has are among them.
  std::vector<Extent> extents;
  std::uint64_t extents_left_out = 0;  // behind them
  std::uint64_t bytes = 0;             // of all extents, those that were left out too
  std::uint64_t zeroed_bytes = 0;      // of these
};

// `map` covers both points. The first `extents_max` extents are told. `touched` are the blocks that
// were changed between the two (journal::difference), in order and joined; the map is looked
// through for them where that is nothing.
cdp::Task<cdp::Result<Difference>> find_difference(cdp::Scheduler& scheduler,
                                                   const journal::index::BlockMap& map,
                                                   VolumeAtPoint from, VolumeAtPoint to,
                                                   std::size_t extents_max,
                                                   std::optional<TouchedBlocks> touched = {});

}  // namespace restore
