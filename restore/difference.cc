// SPDX-License-Identifier: Apache-2.0
#include "restore/difference.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "cdp/io/signal.h"

namespace restore {
namespace {

using cdp::kBlockBytes;
using cdp::Result;
using cdp::Task;
using journal::index::BlockState;

// Looked up at once: blocks, in so many stretches.
constexpr std::uint64_t kLookupBlocks = 4096;
constexpr std::size_t kLookupsAtOnce = 64;
// Longer stretches are zeroes or were written as a whole: they are looked through by a scan.
constexpr std::uint64_t kLongBlocks = 65536;

class Finder {
 public:
  Finder(cdp::Scheduler& scheduler, const journal::index::BlockMap& map, VolumeAtPoint from,
         VolumeAtPoint to, std::size_t extents_max)
      : scheduler_(scheduler),
        map_(map),
        from_(std::move(from)),
        to_(std::move(to)),
        extents_max_(extents_max) {}

  Task<Result<Difference>> find(std::optional<TouchedBlocks> touched) {
    const std::uint64_t smaller = cdp::blocks_for(std::min(from_.size_bytes, to_.size_bytes));
    const std::uint64_t larger = cdp::blocks_for(std::max(from_.size_bytes, to_.size_bytes));
    cdp::Status found;
    if (touched)
      found = co_await add_known(*std::move(touched), smaller);
    else
      found = co_await add_scanned(smaller);
    if (found.ok() && smaller < larger) found = co_await add_touched(smaller, larger - smaller);
    if (found.ok()) found = co_await look_up_waiting();
    if (!found.ok()) co_return std::move(found).error();
    co_return std::move(difference_);
  }

 private:
  struct Lookup {
    std::uint64_t first = 0;
    std::vector<journal::index::BlockVersion> versions{};
    cdp::Status outcome{};
  };

  // Of what was touched before `end`.
  Task<cdp::Status> add_known(TouchedBlocks touched, std::uint64_t end) {
    for (const auto& [first, count] : touched) {
      if (first >= end) break;
      cdp::Status added = co_await add_touched(first, std::min(count, end - first));
      if (!added.ok()) co_return added;
    }
    co_return cdp::Status{};
  }

  Task<cdp::Status> add_scanned(std::uint64_t end) {
    const auto scan = map_.scan(journal::difference(from_.visible, to_.visible), 0, end);
    for (;;) {
      auto touched = co_await scan->next();
      if (!touched.ok()) co_return std::move(touched).error();
      if (touched->empty()) co_return cdp::Status{};
      for (const journal::index::Extent& extent : *touched) {
        cdp::Status added = co_await add_touched(extent.first_block, extent.block_count);
        if (!added.ok()) co_return added;
      }
    }
  }

  // Tells what of it is zeroes at the second point. Short stretches wait until there are some: most
  // of what looking them up takes is waiting, for pages of the index.
  Task<cdp::Status> add_touched(std::uint64_t first, std::uint64_t count) {
    cdp::Status added;
    if (count > kLongBlocks) {
      added = co_await look_up_waiting();
      if (added.ok()) added = co_await add_long(first, first + count);
      co_return added;
    }
    for (const std::uint64_t end = first + count; first < end && added.ok();) {
      Lookup& lookup = waiting_.emplace_back();
      lookup.first = first;
      lookup.versions.resize(std::min(end - first, kLookupBlocks));
      first += lookup.versions.size();
      waiting_blocks_ += lookup.versions.size();
      const bool is_enough = waiting_.size() >= kLookupsAtOnce || waiting_blocks_ >= kLookupBlocks;
      if (is_enough) added = co_await look_up_waiting();
    }
    co_return added;
  }

  Task<cdp::Status> look_up_waiting() {
    cdp::TaskGroup lookups(scheduler_);
    for (Lookup& lookup : waiting_) lookups.spawn(look_up(lookup));
    co_await lookups.join();
    cdp::Status found;
    for (const Lookup& lookup : waiting_) {
      if (found.ok()) found = lookup.outcome;
      if (!found.ok()) break;
      std::uint64_t block = lookup.first;
      for (const journal::index::BlockVersion& version : lookup.versions)
        add(block++, 1, version.state != BlockState::kData);
    }
    waiting_.clear();
    waiting_blocks_ = 0;
    co_return found;
  }

  Task<void> look_up(Lookup& lookup) {
    lookup.outcome = co_await map_.lookup(to_.visible, lookup.first, lookup.versions);
  }

  Task<cdp::Status> add_long(std::uint64_t first, std::uint64_t end) {
    const auto scan = map_.scan(to_.visible, first, end);
    for (;;) {
      auto extents = co_await scan->next();
      if (!extents.ok()) co_return std::move(extents).error();
      if (extents->empty()) break;
      for (const journal::index::Extent& extent : *extents) {
        if (extent.first_block > first) add(first, extent.first_block - first, true);
        add(extent.first_block, extent.block_count, extent.state != BlockState::kData);
        first = extent.first_block + extent.block_count;
      }
    }
    if (first < end) add(first, end - first, true);
    co_return cdp::Status{};
  }

  void add(std::uint64_t first, std::uint64_t count, bool zeroes) {
    const std::uint64_t size = std::max(from_.size_bytes, to_.size_bytes);
    const std::uint64_t offset = first * kBlockBytes;
    const std::uint64_t bytes = std::min(count * kBlockBytes, size - offset);
    difference_.bytes += bytes;
    if (zeroes) difference_.zeroed_bytes += bytes;
    std::vector<Difference::Extent>& extents = difference_.extents;
    const bool goes_on =
        difference_.bytes > bytes && zeroes_of_last_ == zeroes && end_of_last_ == offset;
    end_of_last_ = offset + bytes;
    zeroes_of_last_ = zeroes;
    if (goes_on) {
      if (difference_.extents_left_out == 0 && !extents.empty()) extents.back().bytes += bytes;
    } else if (extents.size() < extents_max_) {
      extents.push_back({offset, bytes, zeroes});
    } else {
      ++difference_.extents_left_out;
    }
  }

  cdp::Scheduler& scheduler_;
  const journal::index::BlockMap& map_;
  const VolumeAtPoint from_;
  const VolumeAtPoint to_;
  const std::size_t extents_max_;
  std::uint64_t end_of_last_ = 0;  // of the extent that was found last, told or not
  bool zeroes_of_last_ = false;
  std::deque<Lookup> waiting_;
  std::uint64_t waiting_blocks_ = 0;
  Difference difference_;
};

}  // namespace

Task<Result<Difference>> find_difference(cdp::Scheduler& scheduler,
                                         const journal::index::BlockMap& map, VolumeAtPoint from,
                                         VolumeAtPoint to, std::size_t extents_max,
                                         std::optional<TouchedBlocks> touched) {
  Finder finder{scheduler, map, std::move(from), std::move(to), extents_max};
  Result<Difference> found = co_await finder.find(std::move(touched));
  co_return found;
}

}  // namespace restore
