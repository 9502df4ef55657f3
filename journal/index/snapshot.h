// SPDX-License-Identifier: Apache-2.0
//
// Snapshot: a BlockMap over the runs of one moment. README.md, "Look-ups" and "Sweeps".
//
// The runs lie in LSN order and meet each other without gaps or overlap; so whatever an older run
// has of a block is older than what a newer run has, and the first run, from the newest on, that
// has a visible version of it ends the search (rule 9).
//
// A run of which a page turns out to be bad while a question is answered is replaced by its keeper,
// and the question is asked again. What is visible at a point does not depend on which runs say it,
// so the answer is the same, only later.
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

using RunList = std::shared_ptr<const std::vector<RunPtr>>;

// Who has the runs of a snapshot, and makes damaged ones anew.
class RunKeeper {
 public:
  virtual ~RunKeeper() = default;
  // All runs that there are, when one of those of `runs` that are damaged is no more among them:
  // they cover what `runs` do, and maybe more. An error where none can be made anew.
  virtual Task<Result<std::vector<RunPtr>>> replace_damaged(RunList runs) = 0;
};

class Snapshot final : public BlockMap {
 public:
  // `runs` oldest first, each one beginning where the one before it ends; CHECKed. Without a keeper,
  // what meets a damaged page fails. The scheduler and the keeper must outlive the snapshot, and the
  // snapshot its tasks and scans.
  Snapshot(cdp::Scheduler& scheduler, std::vector<RunPtr> runs, RunKeeper* keeper = nullptr);

  Lsn upto() const override { return runs_->empty() ? Lsn{} : runs_->back()->header().upto; }
  Task<Status> lookup(const Visibility& visible, std::uint64_t first_block,
                      std::span<BlockVersion> into) const override;
  std::unique_ptr<Scan> scan(Visibility visible, std::uint64_t first_block,
                             std::uint64_t end_block) const override;

  // As in frame_table.h, over all runs.
  Task<Result<std::optional<FrameRow>>> frame_at(Lsn lsn) const;
  Task<Result<std::vector<FrameRow>>> deciding_frames(Nanos time) const;
  Task<Result<std::vector<FrameRow>>> control_frames(LsnInterval interval) const;
  Task<Result<std::vector<FrameRow>>> damaged_frames(LsnInterval interval) const;
  Task<Result<std::vector<FrameRow>>> pulse_frames(PulseRecord::Step step, Nanos from,
                                                   Nanos until) const;
  Task<Result<std::vector<FrameRow>>> frames_in(LsnInterval interval) const;
  Task<Result<std::optional<FrameRow>>> last_frame(LsnInterval interval, WantedFrame wanted) const;
  // One that has CLOCK records.
  Task<Result<std::optional<FrameRow>>> last_clock_frame(LsnInterval interval) const {
    return last_frame(interval, {.flags = FrameRow::kClock});
  }

  // For scans, as for all questions: what failed on these runs is asked again of runs() where this
  // succeeds, and has failed for good where it does not.
  Task<Status> replace_damaged(RunList runs, Error failure) const;
  // Oldest first.
  const RunList& runs() const { return runs_; }
  cdp::Scheduler& scheduler() const { return scheduler_; }

 private:
  Task<Status> lookup_in(RunList runs, const Visibility& visible, std::uint64_t first_block,
                         std::span<BlockVersion> into) const;
  Task<Result<std::optional<FrameRow>>> frame_in(RunList runs, Lsn lsn) const;
  Task<Result<std::optional<FrameRow>>> last_frame_in(RunList runs, LsnInterval interval,
                                                      WantedFrame wanted) const;
  using FindFrames = Task<Status> (*)(PageReader&, const Run&, LsnInterval, std::vector<FrameRow>&);
  Task<Result<std::vector<FrameRow>>> find_in(LsnInterval interval, FindFrames find) const;

  cdp::Scheduler& scheduler_;
  RunKeeper* const keeper_;
  mutable RunList runs_;
};

}  // namespace journal::index
