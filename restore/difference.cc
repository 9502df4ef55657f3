// SPDX-License-Identifier: Apache-2.0
#include "restore/difference.h"

#include <algorithm>
#include <utility>

namespace restore {
namespace {

using cdp::kBlockBytes;
using cdp::Result;
using cdp::Task;
using journal::index::BlockState;

// Looked up at once.
constexpr std::uint64_t kLookupBlocks = 4096;
// Longer stretches are zeroes or were written as a whole: they are looked through by a scan.
constexpr std::uint64_t kLongBlocks = 65536;

class Finder {
 public:
  Finder(const journal::index::BlockMap& map, VolumeAtPoint from, VolumeAtPoint to,
         std::size_t extents_max)
      : map_(map), from_(std::move(from)), to_(std::move(to)), extents_max_(extents_max) {}

  Task<Result<Difference>> find(std::optional<TouchedBlocks> touched) {
    const std::uint64_t smaller = cdp::blocks_for(std::min(from_.size_bytes, to_.size_bytes));
    const std::uint64_t larger = cdp::blocks_for(std::max(from_.size_bytes, to_.size_bytes));
    cdp::Status found;
    if (touched)
      found = co_await add_known(*std::move(touched), smaller);
    else
      found = co_await add_scanned(smaller);
    if (!found.ok()) co_return std::move(found).error();
    if (smaller < larger) {
      cdp::Status added = co_await add_touched(smaller, larger - smaller);
      if (!added.ok()) co_return std::move(added).error();
    }
    co_return std::move(difference_);
  }

 private:
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

  // Tells what of it is zeroes at the second point.
  Task<cdp::Status> add_touched(std::uint64_t first, std::uint64_t count) {
    return count > kLongBlocks ? add_long(first, first + count) : add_short(first, first + count);
  }

  Task<cdp::Status> add_short(std::uint64_t first, std::uint64_t end) {
    std::vector<journal::index::BlockVersion> versions;
    while (first < end) {
      versions.assign(std::min(end - first, kLookupBlocks), {});
      cdp::Status found = co_await map_.lookup(to_.visible, first, versions);
      if (!found.ok()) co_return found;
      for (const journal::index::BlockVersion& version : versions) {
        add(first, 1, version.state != BlockState::kData);
        ++first;
      }
    }
    co_return cdp::Status{};
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
    const bool goes_on = difference_.bytes > bytes && zeroes_of_last_ == zeroes && end_of_last_ == offset;
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

  const journal::index::BlockMap& map_;
  const VolumeAtPoint from_;
  const VolumeAtPoint to_;
  const std::size_t extents_max_;
  std::uint64_t end_of_last_ = 0;  // of the extent that was found last, told or not
  bool zeroes_of_last_ = false;
  Difference difference_;
};

}  // namespace

Task<Result<Difference>> find_difference(const journal::index::BlockMap& map, VolumeAtPoint from,
                                         VolumeAtPoint to, std::size_t extents_max,
                                         std::optional<TouchedBlocks> touched) {
  Finder finder{map, std::move(from), std::move(to), extents_max};
  Result<Difference> found = co_await finder.find(std::move(touched));
  co_return found;
}

}  // namespace restore
