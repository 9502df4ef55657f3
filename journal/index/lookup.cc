// SPDX-License-Identifier: Apache-2.0
#include "journal/index/lookup.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace journal::index {
namespace {

constexpr std::size_t kWalkBlocksMin = 16;  // for so many, walking costs less than asking for each
constexpr std::size_t kFiltersAhead = 8;    // runs whose filters are read together
constexpr std::size_t kPrefetchAhead = 12;  // runs between fetching a filter's line and asking it

BlockVersion version_of(const Entry& entry) {
  return {.state = entry.zero() ? BlockState::kZero : BlockState::kData,
          .lsn = entry.lsn,
          .place = entry.place};
}

// The keys of one block, by level: made once for all runs.
class BlockKeys {
 public:
  BlockKeys(VolumeId volume, std::uint64_t block) : volume_(volume), block_(block) {}

  const FilterKey& at(unsigned level) {
    if ((known_ >> level & 1) == 0) {
      known_ |= 1u << level;
      keys_[level] = FilterKey(tree_of(volume_, level), node_of(block_, level));
    }
    return keys_[level];
  }

 private:
  const VolumeId volume_;
  const std::uint64_t block_;
  std::uint32_t known_ = 0;
  std::array<FilterKey, kLevels> keys_;
};

// Those that have LSNs of the interval.
Lookup::Runs meeting(Lookup::Runs runs, LsnInterval interval) {
  const auto first = std::partition_point(runs.begin(), runs.end(), [&](const auto& run) {
    return run->header().upto <= interval.after;
  });
  const auto end = std::partition_point(
      first, runs.end(), [&](const auto& run) { return run->header().after < interval.upto; });
  return {first, end};
}

template <typename Do>
void for_each_level(const Run& run, Do&& each) {
  std::uint32_t levels = run.header().level_mask;
  for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
    if ((levels & 1) != 0) each(level);
  }
}

}  // namespace

Lookup::Lookup(cdp::Scheduler& scheduler, std::uint64_t first_block, std::span<BlockVersion> into)
    : pages_(scheduler), first_block_(first_block), into_(into), open_(into.size()) {
  CHECK(into.size() <= kBlocksMax);
  std::fill(into.begin(), into.end(), BlockVersion{});
  std::iota(open_.begin(), open_.end(), 0u);
}

Lookup::Attempt Lookup::ask(Runs runs, const VisibleLayer& layer) {
  if (layer.intervals.empty()) return Attempt::kDone;
  runs = meeting(runs, {layer.intervals.back().after, layer.intervals.front().upto});
  if (!std::exchange(asking_, true)) left_runs_ = runs.size();
  while (left_runs_ > 0 && !open_.empty()) {
    if (asking_each_ || (cursors_.empty() && !is_dense())) {
      if (ask_each(runs.first(left_runs_), layer) == Attempt::kMissing) return Attempt::kMissing;
      break;
    }
    const Run& run = *runs[left_runs_ - 1];
    const Intervals intervals = index::meeting(layer.intervals, run.covers());
    if (!intervals.empty() && run.header().entries.rows != 0 &&
        walk(run, layer.volume, intervals) == Attempt::kMissing) {
      return Attempt::kMissing;
    }
    --left_runs_;
  }
  asking_ = false;
  return Attempt::kDone;
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

void Lookup::close_known() {
  const auto known = [&](std::uint32_t index) {
    return into_[index].state != BlockState::kUntouched;
  };
  open_.erase(std::remove_if(open_.begin(), open_.end(), known), open_.end());
}

Lookup::Attempt Lookup::ask_each(Runs runs, const VisibleLayer& layer) {
  if (!std::exchange(asking_each_, true)) left_ = open_;
  const auto asked = [&](std::uint32_t index) {
    return ask_block(runs, layer, index) == Attempt::kDone;
  };
  left_.erase(std::remove_if(left_.begin(), left_.end(), asked), left_.end());
  if (!left_.empty()) return Attempt::kMissing;
  asking_each_ = false;
  close_known();
  return Attempt::kDone;
}

// The newest version that any level of a run has of the block, of the newest run that has one.
Lookup::Attempt Lookup::ask_block(Runs runs, const VisibleLayer& layer, std::uint32_t index) {
  BlockKeys keys(layer.volume, first_block_ + index);
  std::size_t fetched = runs.size();
  for (std::size_t at = runs.size(); at-- > 0;) {
    // A line of a filter that is not at hand costs as much as everything else that is done here.
    for (; fetched > 0 && fetched + kPrefetchAhead > at; --fetched) {
      const Run& ahead = *runs[fetched - 1];
      for_each_level(ahead, [&](unsigned level) { ahead.prefetch_filter(keys.at(level)); });
    }
    const Run& run = *runs[at];
    bool is_missing = false;
    BlockVersion newest;
    for_each_level(run, [&](unsigned level) {
      const FilterKey& key = keys.at(level);
      bool may = false;
      std::optional<Entry> found;
      if (run.may_have(pages_, key, may) == Attempt::kMissing ||
          (may &&
           run.newest(pages_, tree_of(layer.volume, level), node_of(first_block_ + index, level),
                      layer.intervals, found) == Attempt::kMissing)) {
        is_missing = true;
      } else if (found.has_value() && found->lsn > newest.lsn) {
        newest = version_of(*found);
      }
    });
    if (is_missing) {
      // The older runs will probably be asked as well: their filters come with this wait.
      for (std::size_t older = at; older-- > 0 && older + kFiltersAhead >= at;) {
        for_each_level(*runs[older], [&](unsigned level) {
          bool may = false;
          static_cast<void>(runs[older]->may_have(pages_, keys.at(level), may));
        });
      }
      return Attempt::kMissing;
    }
    if (newest.state != BlockState::kUntouched) {
      into_[index] = newest;
      return Attempt::kDone;
    }
  }
  return Attempt::kDone;
}

Lookup::Attempt Lookup::walk(const Run& run, VolumeId volume, Intervals intervals) {
  if (cursors_.empty()) {
    const std::uint64_t first = first_block_ + open_.front();
    const std::uint64_t last = first_block_ + open_.back();
    for_each_level(run, [&](unsigned level) {
      cursors_.emplace_back(run, tree_of(volume, level), node_of(first, level),
                            node_of(last, level) + 1, intervals);
    });
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
  close_known();
  return Attempt::kDone;
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
