// SPDX-License-Identifier: Apache-2.0
#include "journal/index/lookup.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace journal::index {
namespace {

constexpr std::size_t kWalkBlocksMin = 16;  // for so many, walking costs less than asking for each
constexpr std::size_t kFiltersAhead = 8;    // runs whose filters are read together
constexpr std::size_t kPrefetchAhead = 2;   // runs between fetching a filter's line and asking it

BlockVersion version_of(const Entry& entry) {
  return {.state = entry.zero() ? BlockState::kZero : BlockState::kData,
          .lsn = entry.lsn,
          .place = entry.place};
}

}  // namespace

Lookup::Lookup(cdp::Scheduler& scheduler, std::uint64_t first_block, std::span<BlockVersion> into)
    : pages_(scheduler), first_block_(first_block), into_(into), open_(into.size()) {
  CHECK(into.size() <= kBlocksMax);
  std::fill(into.begin(), into.end(), BlockVersion{});
  std::iota(open_.begin(), open_.end(), 0u);
}

Lookup::Attempt Lookup::ask(Runs runs, const VisibleLayer& layer) {
  const Run& run = *runs.back();
  const Intervals intervals = meeting(layer.intervals, run.covers());
  if (intervals.empty() || run.header().entries.rows == 0) return Attempt::kDone;
  if (!cursors_.empty() || (!asking_ && is_dense())) return walk(run, layer.volume, intervals);
  return ask_each(runs, layer.volume, intervals);
}

Task<Status> Lookup::wait() {
  if (pages_.has_missing()) co_return co_await pages_.load();
  co_await cdp::yield(pages_.scheduler());
  co_return Status{};
}

bool Lookup::is_dense() const {
  return open_.size() >= kWalkBlocksMin &&
         open_.back() - open_.front() < 4 * static_cast<std::uint32_t>(open_.size());
}

Lookup::Attempt Lookup::end_run() {
  asking_ = false;
  std::erase_if(open_,
                [&](std::uint32_t index) { return into_[index].state != BlockState::kUntouched; });
  return Attempt::kDone;
}

Lookup::Attempt Lookup::ask_each(Runs runs, VolumeId volume, Intervals intervals) {
  if (!std::exchange(asking_, true)) {
    left_ = open_;
    prefetch_filters(runs, volume);
  }
  std::erase_if(left_, [&](std::uint32_t index) {
    return ask_one(runs, volume, intervals, index) == Attempt::kDone;
  });
  if (left_.empty()) return end_run();
  // The older runs will probably be asked as well: their filters come with this wait.
  want_filters(runs.first(runs.size() - 1), volume);
  return Attempt::kMissing;
}

// The newest version that any level of the run has of a block.
Lookup::Attempt Lookup::ask_one(Runs runs, VolumeId volume, Intervals intervals,
                                std::uint32_t index) {
  const Run& run = *runs.back();
  const std::uint64_t block = first_block_ + index;
  Attempt result = Attempt::kDone;
  BlockVersion newest;
  std::uint32_t levels = run.header().level_mask;
  for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
    if ((levels & 1) == 0) continue;
    const std::uint64_t tree = tree_of(volume, level);
    const std::uint64_t node = node_of(block, level);
    const FilterKey key(tree, node);
    bool may = false;
    std::optional<Entry> found;
    if (run.may_have(pages_, key, may) == Attempt::kMissing ||
        (may && run.newest(pages_, tree, node, intervals, found) == Attempt::kMissing)) {
      result = Attempt::kMissing;
    } else if (found.has_value() && found->lsn > newest.lsn) {
      newest = version_of(*found);
    }
  }
  if (result == Attempt::kDone) into_[index] = newest;
  return result;
}

// A line of a filter that is not at hand costs as much as everything else that is done with a run.
void Lookup::prefetch_filters(Runs runs, VolumeId volume) {
  if (runs.size() > prefetched_runs_) prefetched_ = runs.size();  // another layer
  prefetched_runs_ = runs.size();
  while (prefetched_ > 0 && prefetched_ + kPrefetchAhead > runs.size()) {
    const Run& run = *runs[--prefetched_];
    std::uint32_t levels = run.header().level_mask;
    for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
      if ((levels & 1) == 0) continue;
      for (const std::uint32_t index : left_)
        run.prefetch_filter(
            FilterKey(tree_of(volume, level), node_of(first_block_ + index, level)));
    }
  }
}

void Lookup::want_filters(Runs runs, VolumeId volume) {
  runs = runs.last(std::min(runs.size(), kFiltersAhead));
  for (const auto& run : runs) {
    std::uint32_t levels = run->header().level_mask;
    for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
      if ((levels & 1) == 0) continue;
      for (const std::uint32_t index : left_) {
        bool may = false;
        static_cast<void>(run->may_have(
            pages_, FilterKey(tree_of(volume, level), node_of(first_block_ + index, level)), may));
      }
    }
  }
}

Lookup::Attempt Lookup::walk(const Run& run, VolumeId volume, Intervals intervals) {
  if (cursors_.empty()) {
    const std::uint64_t first = first_block_ + open_.front();
    const std::uint64_t last = first_block_ + open_.back();
    std::uint32_t levels = run.header().level_mask;
    for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
      if ((levels & 1) == 0) continue;
      cursors_.emplace_back(run, tree_of(volume, level), node_of(first, level),
                            node_of(last, level) + 1, intervals);
    }
    is_open_.assign(into_.size(), false);
    for (const std::uint32_t index : open_) is_open_[index] = true;
  }
  bool waiting = false;
  for (LevelCursor& cursor : cursors_) {
    LevelCursor::State state = cursor.state();
    if (state == LevelCursor::State::kWaiting) state = cursor.settle(pages_);
    for (; state == LevelCursor::State::kAt; state = cursor.advance(pages_)) put(cursor.entry());
    waiting |= state == LevelCursor::State::kWaiting;
  }
  if (waiting) return Attempt::kMissing;
  cursors_.clear();
  return end_run();
}

// Levels come one after another: the newest of them is kept.
void Lookup::put(const Entry& entry) {
  const unsigned level = level_of(entry.tree);
  const std::uint64_t from = std::max(first_block_, first_block_of(entry.node, level));
  const std::uint64_t to =
      std::min(first_block_ + into_.size(), first_block_of(entry.node + 1, level));
  for (std::uint64_t block = from; block < to; ++block) {
    const std::size_t index = block - first_block_;
    if (is_open_[index] && entry.lsn > into_[index].lsn) into_[index] = version_of(entry);
  }
}

}  // namespace journal::index
