// SPDX-License-Identifier: Apache-2.0
#include "journal/index/lookup.h"

#include <algorithm>
#include <numeric>

namespace journal::index {
namespace {

constexpr std::size_t kWalkBlocksMin = 16;  // for so many, walking costs less than asking for each
constexpr std::size_t kFiltersAhead = 8;

BlockVersion version_of(const Entry& entry) {
  return {.state = entry.zero() ? BlockState::kZero : BlockState::kData,
          .lsn = entry.lsn,
          .place = entry.place};
}

}  // namespace

Lookup::Lookup(cdp::Scheduler& scheduler, PageCache& cache, std::uint64_t first_block,
               std::span<BlockVersion> into)
    : pages_(scheduler, cache), first_block_(first_block), into_(into), open_(into.size()) {
  CHECK(into.size() <= kBlocksMax);
  std::fill(into.begin(), into.end(), BlockVersion{});
  std::iota(open_.begin(), open_.end(), 0u);
}

Task<Status> Lookup::ask(std::span<const std::shared_ptr<const Run>> runs,
                         const VisibleLayer& layer) {
  const Run& run = *runs.back();
  const Intervals intervals = meeting(layer.intervals, run.covers());
  if (intervals.empty() || run.header().entries.rows == 0) co_return Status{};
  Status asked;
  if (is_dense())
    asked = co_await walk(run, layer.volume, intervals);
  else
    asked = co_await ask_each(runs, layer.volume, intervals);
  close_found();
  co_return asked;
}

bool Lookup::is_dense() const {
  return open_.size() >= kWalkBlocksMin &&
         open_.back() - open_.front() < 4 * static_cast<std::uint32_t>(open_.size());
}

void Lookup::close_found() {
  std::erase_if(open_,
                [&](std::uint32_t index) { return into_[index].state != BlockState::kUntouched; });
}

Task<Status> Lookup::ask_each(std::span<const std::shared_ptr<const Run>> runs, VolumeId volume,
                              Intervals intervals) {
  std::vector<std::uint32_t> left = open_;
  for (;;) {
    std::erase_if(left, [&](std::uint32_t index) {
      return ask_one(*runs.back(), volume, intervals, index) == Attempt::kDone;
    });
    if (left.empty()) co_return Status{};
    // The older runs will probably be asked as well: their filters come with this wait.
    want_filters(runs.first(runs.size() - 1), volume, left);
    if (Status loaded = co_await pages_.load(); !loaded.ok()) co_return loaded;
  }
}

// The newest version that any level of the run has of a block.
Lookup::Attempt Lookup::ask_one(const Run& run, VolumeId volume, Intervals intervals,
                                std::uint32_t index) {
  const std::uint64_t block = first_block_ + index;
  Attempt result = Attempt::kDone;
  BlockVersion newest;
  std::uint32_t levels = run.header().level_mask;
  for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
    if ((levels & 1) == 0) continue;
    const std::uint64_t tree = tree_of(volume, level);
    const std::uint64_t node = node_of(block, level);
    bool may = false;
    std::optional<Entry> found;
    if (run.may_have(pages_, tree, node, may) == Attempt::kMissing ||
        (may && run.newest(pages_, tree, node, intervals, found) == Attempt::kMissing)) {
      result = Attempt::kMissing;
    } else if (found.has_value() && found->lsn > newest.lsn) {
      newest = version_of(*found);
    }
  }
  if (result == Attempt::kDone) into_[index] = newest;
  return result;
}

void Lookup::want_filters(std::span<const std::shared_ptr<const Run>> runs, VolumeId volume,
                          std::span<const std::uint32_t> blocks) {
  runs = runs.last(std::min(runs.size(), kFiltersAhead));
  for (const auto& run : runs) {
    std::uint32_t levels = run->header().level_mask;
    for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
      if ((levels & 1) == 0) continue;
      for (const std::uint32_t index : blocks) {
        bool may = false;
        static_cast<void>(run->may_have(pages_, tree_of(volume, level),
                                        node_of(first_block_ + index, level), may));
      }
    }
  }
}

Task<Status> Lookup::walk(const Run& run, VolumeId volume, Intervals intervals) {
  const std::uint64_t first = first_block_ + open_.front();
  const std::uint64_t last = first_block_ + open_.back();
  std::vector<LevelCursor> cursors;
  std::uint32_t levels = run.header().level_mask;
  for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
    if ((levels & 1) == 0) continue;
    cursors.emplace_back(run, tree_of(volume, level), node_of(first, level),
                         node_of(last, level) + 1, intervals);
  }
  std::vector<bool> is_open(into_.size());
  for (const std::uint32_t index : open_) is_open[index] = true;
  for (bool waiting = true; waiting;) {
    waiting = false;
    for (LevelCursor& cursor : cursors) {
      LevelCursor::State state = cursor.state();
      if (state == LevelCursor::State::kWaiting) state = cursor.settle(pages_);
      for (; state == LevelCursor::State::kAt; state = cursor.advance(pages_)) {
        const Entry entry = cursor.entry();
        const unsigned level = level_of(entry.tree);
        const std::uint64_t from = std::max(first, first_block_of(entry.node, level));
        const std::uint64_t to = std::min(last + 1, first_block_of(entry.node + 1, level));
        for (std::uint64_t block = from; block < to; ++block) {
          const std::size_t index = block - first_block_;
          if (is_open[index] && entry.lsn > into_[index].lsn) into_[index] = version_of(entry);
        }
      }
      waiting |= state == LevelCursor::State::kWaiting;
    }
    if (!waiting) break;
    if (pages_.has_missing()) {
      if (Status loaded = co_await pages_.load(); !loaded.ok()) co_return loaded;
    } else {
      co_await cdp::yield(pages_.scheduler());
    }
  }
  co_return Status{};
}

}  // namespace journal::index
