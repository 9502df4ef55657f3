// SPDX-License-Identifier: Apache-2.0
#include "journal/index/snapshot.h"

#include <algorithm>

#include "journal/index/lookup.h"
#include "journal/index/sweep.h"

namespace journal::index {

Snapshot::Snapshot(cdp::Scheduler& scheduler, std::vector<RunPtr> runs)
    : scheduler_(scheduler), runs_(std::move(runs)) {
  for (std::size_t i = 1; i < runs_.size(); ++i)
    CHECK(runs_[i - 1]->header().upto == runs_[i]->header().after);
}

Task<Status> Snapshot::lookup(const Visibility& visible, std::uint64_t first_block,
                              std::span<BlockVersion> into) const {
  CHECK(first_block <= kVolumeBlocksMax && into.size() <= kVolumeBlocksMax - first_block);
  while (!into.empty()) {
    const auto piece = into.first(std::min(into.size(), Lookup::kBlocksMax));
    Lookup lookup(scheduler_, first_block, piece);
    for (const VisibleLayer& layer : visible) {
      for (std::size_t run = runs_.size(); run-- > 0 && !lookup.is_complete();) {
        while (lookup.ask(std::span{runs_}.first(run + 1), layer) == Run::Attempt::kMissing) {
          if (Status waited = co_await lookup.wait(); !waited.ok()) co_return waited;
        }
      }
    }
    into = into.subspan(piece.size());
    first_block += piece.size();
  }
  co_return Status{};
}

std::unique_ptr<Scan> Snapshot::scan(Visibility visible, std::uint64_t first_block,
                                     std::uint64_t end_block) const {
  CHECK(first_block <= end_block && end_block <= kVolumeBlocksMax);
  return std::make_unique<Sweep>(scheduler_, runs_, std::move(visible), first_block, end_block);
}

Task<Result<std::optional<FrameRow>>> Snapshot::frame_at(Lsn lsn) const {
  // A frame that ends at or after the LSN is in the run that covers it, or in a later one.
  auto run = std::partition_point(runs_.begin(), runs_.end(),
                                  [&](const RunPtr& of) { return of->header().upto < lsn; });
  PageReader pages(scheduler_);
  for (; run != runs_.end(); ++run) {
    auto found = co_await index::frame_at(pages, **run, lsn);
    if (!found.ok() || found->has_value()) co_return found;
  }
  co_return std::optional<FrameRow>{};
}

Task<Result<std::vector<FrameRow>>> Snapshot::deciding_frames(Nanos time) const {
  std::vector<FrameRow> frames;
  PageReader pages(scheduler_);
  for (const RunPtr& run : runs_) {
    Status found = co_await index::deciding_frames(pages, *run, time, frames);
    if (!found.ok()) co_return found.error();
  }
  co_return frames;
}

Task<Result<std::vector<FrameRow>>> Snapshot::control_frames(LsnInterval interval) const {
  std::vector<FrameRow> frames;
  PageReader pages(scheduler_);
  for (const RunPtr& run : runs_) {
    if (run->header().upto <= interval.after || run->header().after >= interval.upto) continue;
    Status found = co_await index::control_frames(pages, *run, interval, frames);
    if (!found.ok()) co_return found.error();
  }
  co_return frames;
}

}  // namespace journal::index
