// SPDX-License-Identifier: Apache-2.0
#include "journal/index/snapshot.h"

#include <algorithm>

#include "journal/index/lookup.h"
#include "journal/index/sweep.h"

namespace journal::index {

Snapshot::Snapshot(cdp::Scheduler& scheduler, std::vector<RunPtr> runs, RunKeeper* keeper)
    : scheduler_(scheduler), keeper_(keeper) {
  for (std::size_t i = 1; i < runs.size(); ++i)
    CHECK(runs[i - 1]->header().upto == runs[i]->header().after);
  runs_ = std::make_shared<const std::vector<RunPtr>>(std::move(runs));
}

Task<Status> Snapshot::replace_damaged(RunList runs, Error failure) const {
  const bool is_damage = std::any_of(runs->begin(), runs->end(),
                                     [](const RunPtr& run) { return run->is_damaged(); });
  if (keeper_ == nullptr || !is_damage) co_return failure;
  if (runs != runs_) co_return Status{};  // another question met it before
  const Lsn known = upto();
  Result<std::vector<RunPtr>> replaced = co_await keeper_->replace_damaged(runs);
  if (!replaced.ok()) co_return replaced.error();
  CHECK(!replaced->empty() && replaced->back()->header().upto >= known);
  runs_ = std::make_shared<const std::vector<RunPtr>>(*std::move(replaced));
  co_return Status{};
}

Task<Status> Snapshot::lookup(const Visibility& visible, std::uint64_t first_block,
                              std::span<BlockVersion> into) const {
  CHECK(first_block <= kVolumeBlocksMax && into.size() <= kVolumeBlocksMax - first_block);
  while (!into.empty()) {
    const auto piece = into.first(std::min(into.size(), Lookup::kBlocksMax));
    const RunList runs = runs_;
    Status found = co_await lookup_in(runs, visible, first_block, piece);
    if (!found.ok()) {
      Status replaced = co_await replace_damaged(runs, found.error());
      if (!replaced.ok()) co_return replaced;
      continue;
    }
    into = into.subspan(piece.size());
    first_block += piece.size();
  }
  co_return Status{};
}

Task<Status> Snapshot::lookup_in(RunList runs, const Visibility& visible, std::uint64_t first_block,
                                 std::span<BlockVersion> into) const {
  Lookup lookup(scheduler_, first_block, into);
  for (const VisibleLayer& layer : visible) {
    while (lookup.ask(*runs, layer) == Run::Attempt::kMissing) {
      if (Status waited = co_await lookup.wait(); !waited.ok()) co_return waited;
    }
  }
  co_return Status{};
}

std::unique_ptr<Scan> Snapshot::scan(Visibility visible, std::uint64_t first_block,
                                     std::uint64_t end_block) const {
  CHECK(first_block <= end_block && end_block <= kVolumeBlocksMax);
  return std::make_unique<Sweep>(*this, std::move(visible), first_block, end_block);
}

Task<Result<std::optional<FrameRow>>> Snapshot::frame_in(RunList runs, Lsn lsn) const {
  // A frame that ends at or after the LSN is in the run that covers it, or in a later one.
  auto run = std::partition_point(runs->begin(), runs->end(),
                                  [&](const RunPtr& of) { return of->header().upto < lsn; });
  PageReader pages(scheduler_);
  for (; run != runs->end(); ++run) {
    auto found = co_await index::frame_at(pages, **run, lsn);
    if (!found.ok() || found->has_value()) co_return found;
  }
  co_return std::optional<FrameRow>{};
}

Task<Result<std::optional<FrameRow>>> Snapshot::frame_at(Lsn lsn) const {
  for (;;) {
    const RunList runs = runs_;
    Result<std::optional<FrameRow>> found = co_await frame_in(runs, lsn);
    if (found.ok()) co_return found;
    Status replaced = co_await replace_damaged(runs, found.error());
    if (!replaced.ok()) co_return replaced.error();
  }
}

Task<Result<std::vector<FrameRow>>> Snapshot::deciding_frames(Nanos time) const {
  for (;;) {
    const RunList runs = runs_;
    std::vector<FrameRow> frames;
    PageReader pages(scheduler_);
    Status found;
    for (std::size_t i = 0; i < runs->size() && found.ok(); ++i)
      found = co_await index::deciding_frames(pages, *(*runs)[i], time, frames);
    if (found.ok()) co_return frames;
    Status replaced = co_await replace_damaged(runs, found.error());
    if (!replaced.ok()) co_return replaced.error();
  }
}

Task<Result<std::vector<FrameRow>>> Snapshot::control_frames(LsnInterval interval) const {
  return find_in(interval, &index::control_frames);
}

Task<Result<std::vector<FrameRow>>> Snapshot::damaged_frames(LsnInterval interval) const {
  return find_in(interval, &index::damaged_frames);
}

Task<Result<std::vector<FrameRow>>> Snapshot::frames_in(LsnInterval interval) const {
  return find_in(interval, &index::frames_in);
}

Task<Result<std::vector<FrameRow>>> Snapshot::find_in(LsnInterval interval, FindFrames find) const {
  for (;;) {
    const RunList runs = runs_;
    std::vector<FrameRow> frames;
    PageReader pages(scheduler_);
    Status found;
    for (std::size_t i = 0; i < runs->size() && found.ok(); ++i) {
      const Run& run = *(*runs)[i];
      if (run.header().upto <= interval.after || run.header().after >= interval.upto) continue;
      found = co_await find(pages, run, interval, frames);
    }
    if (found.ok()) co_return frames;
    Status replaced = co_await replace_damaged(runs, found.error());
    if (!replaced.ok()) co_return replaced.error();
  }
}

Task<Result<std::vector<FrameRow>>> Snapshot::pulse_frames(PulseRecord::Step step, Nanos from,
                                                           Nanos until) const {
  for (;;) {
    const RunList runs = runs_;
    std::vector<FrameRow> frames;
    PageReader pages(scheduler_);
    Status found;
    for (std::size_t i = 0; i < runs->size() && found.ok(); ++i) {
      found = co_await index::pulse_frames(pages, *(*runs)[i], step, from, until, frames);
    }
    if (found.ok()) co_return frames;
    Status replaced = co_await replace_damaged(runs, found.error());
    if (!replaced.ok()) co_return replaced.error();
  }
}

Task<Result<std::optional<FrameRow>>> Snapshot::last_frame_in(RunList runs, LsnInterval interval,
                                                              WantedFrame wanted) const {
  PageReader pages(scheduler_);
  for (auto run = runs->rbegin(); run != runs->rend(); ++run) {
    if ((*run)->header().upto <= interval.after) break;
    if ((*run)->header().after >= interval.upto || (*run)->header().min_time >= wanted.before)
      continue;
    auto found = co_await index::last_frame(pages, **run, interval, wanted);
    if (!found.ok() || found->has_value()) co_return found;
  }
  co_return std::optional<FrameRow>{};
}

Task<Result<std::optional<FrameRow>>> Snapshot::last_frame(LsnInterval interval,
                                                           WantedFrame wanted) const {
  for (;;) {
    const RunList runs = runs_;
    Result<std::optional<FrameRow>> found = co_await last_frame_in(runs, interval, wanted);
    if (found.ok()) co_return found;
    Status replaced = co_await replace_damaged(runs, found.error());
    if (!replaced.ok()) co_return replaced.error();
  }
}

}  // namespace journal::index
