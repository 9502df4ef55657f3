// SPDX-License-Identifier: Apache-2.0
//
// PointReader: the blocks of a volume at a point, from the journal, by the time index. What views,
// clones and hydration read through. A piece's blocks are looked up, grouped by the runs that hold
// them (RunPlan), and the runs read side by side; what nothing has written is the page of zeroes.
//
// One scheduler's thread; any number of reads side by side. What it refers to must outlive it and
// every read under way. Errors: EIO, and say which block of what.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/pages.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/task.h"
#include "journal/block_reader.h"
#include "journal/index/block_map.h"
#include "restore/run_plan.h"

namespace restore {

using cdp::Result;
using cdp::Status;
using cdp::Task;

struct PointParts {
  cdp::Scheduler& scheduler;
  std::shared_ptr<const journal::index::BlockMap> map;
  std::shared_ptr<journal::BlockReader> runs;  // shared by all that read at points
};

struct PointContent {
  journal::Visibility visible{};
  std::uint64_t size_bytes = 0;  // of the volume there
  std::string name{};            // for messages: "shop@lsn:5"
};

class PointReader {
 public:
  PointReader(PointParts parts, PointContent content);
  PointReader(const PointReader&) = delete;
  PointReader& operator=(const PointReader&) = delete;

  std::uint64_t size_bytes() const { return content_.size_bytes; }
  const std::string& name() const { return content_.name; }

  // The pages of [first_block, first_block + count), at most kMaxPieceBlocks, out of `pool`; blocks
  // behind the end are zeroes. The pages may be shared.
  Task<Result<cdp::PageList>> read(std::uint64_t first_block, std::uint32_t count,
                                   cdp::PagePool& pool) const;

  // Brings the runs that hold [first_block, end_block) into memory, until `runs_max` were asked
  // for.
  Task<Status> prefetch(std::uint64_t first_block, std::uint64_t end_block,
                        std::size_t runs_max) const;

  // The extents of [first_block, end_block), as BlockMap::scan gives them.
  std::unique_ptr<journal::index::Scan> scan(std::uint64_t first_block,
                                             std::uint64_t end_block) const;
  // The state of each block from `first_block` on.
  Task<Status> lookup(std::uint64_t first_block,
                      std::span<journal::index::BlockVersion> into) const;
  const journal::index::BlockMap& map() const { return *parts_.map; }

 private:
  struct Fetch;
  using BlockSink = std::function<void(const WantedBlock&, const journal::Run&)>;

  Task<Status> fetch(const RunPlan& plan, BlockSink sink) const;
  Task<void> fetch_stretches(Fetch& fetch) const;
  Task<Status> fetch_stretch(Fetch& fetch, RunPlan::Stretch stretch) const;
  Task<Status> name_the_block(const RunPlan& plan, RunPlan::Stretch stretch,
                              cdp::Error error) const;

  const PointParts parts_;
  const PointContent content_;
};

}  // namespace restore
