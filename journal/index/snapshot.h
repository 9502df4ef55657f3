// SPDX-License-Identifier: Apache-2.0
//
// Snapshot: a BlockMap over the runs of one moment. README.md, "Look-ups" and "Sweeps".
//
// The runs lie in LSN order and meet each other without gaps or overlap; so whatever an older run
// has of a block is older than what a newer run has, and the first run, from the newest on, that
// has a visible version of it ends the search (rule 9).
//
// One scheduler's thread. Any number of calls side by side.
#pragma once

#include <memory>
#include <vector>

#include "journal/index/block_map.h"
#include "journal/index/frame_table.h"
#include "journal/index/run.h"

namespace journal::index {

using RunPtr = std::shared_ptr<const Run>;

class Snapshot final : public BlockMap {
 public:
  // `runs` oldest first, each one beginning where the one before it ends; CHECKed. The scheduler
  // must outlive the snapshot, and the snapshot its tasks and scans.
  Snapshot(cdp::Scheduler& scheduler, std::vector<RunPtr> runs);

  Lsn upto() const override { return runs_.empty() ? Lsn{} : runs_.back()->header().upto; }
  Task<Status> lookup(const Visibility& visible, std::uint64_t first_block,
                      std::span<BlockVersion> into) const override;
  std::unique_ptr<Scan> scan(Visibility visible, std::uint64_t first_block,
                             std::uint64_t end_block) const override;

  // As in frame_table.h, over all runs.
  Task<Result<std::optional<FrameRow>>> frame_at(Lsn lsn) const;
  Task<Result<std::vector<FrameRow>>> deciding_frames(Nanos time) const;
  Task<Result<std::vector<FrameRow>>> control_frames(LsnInterval interval) const;

  const std::vector<RunPtr>& runs() const { return runs_; }
  cdp::Scheduler& scheduler() const { return scheduler_; }

 private:
  cdp::Scheduler& scheduler_;
  std::vector<RunPtr> runs_;
};

}  // namespace journal::index
