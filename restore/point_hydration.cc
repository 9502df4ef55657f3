// SPDX-License-Identifier: Apache-2.0
#include "restore/point_hydration.h"

#include <algorithm>
#include <utility>

namespace restore {
namespace {

using journal::index::BlockState;
using journal::index::BlockVersion;
using journal::index::Extent;

constexpr std::size_t kStretchesMax = 2048;  // of one answer, before it is cut
constexpr int kScanStepsMax = 64;
// Blocks whose content is looked up one by one; beyond, they are scanned.
constexpr std::uint64_t kLookupBlocksMax = 1024;

using Stretches = std::vector<cdp::HydrationSource::Stretch>;

void add(Stretches& into, std::uint64_t first, std::uint64_t count, bool zeroes) {
  if (count == 0) return;
  if (!into.empty() && into.back().zeroes == zeroes &&
      into.back().first_block + into.back().block_count == first) {
    into.back().block_count += count;
  } else {
    into.push_back({first, count, zeroes});
  }
}

}  // namespace

Task<Result<cdp::HydrationSource::Differing>> PointHydration::differing(std::uint64_t first_block,
                                                                        std::uint64_t end_block) {
  // Where something differs at all, whatever it was changed to.
  Stretches where;
  std::uint64_t next = first_block;
  const auto scan = content_->map().scan(differing_, first_block, end_block);
  for (int step = 0; next < end_block; ++step) {
    Result<std::vector<Extent>> found = co_await scan->next();
    if (!found.ok()) co_return std::move(found).error();
    for (const Extent& extent : *found) {
      add(where, extent.first_block, extent.block_count, false);
      next = extent.first_block + extent.block_count;
    }
    if (found->empty()) next = end_block;
    if (where.size() >= kStretchesMax || step + 1 >= kScanStepsMax) break;
  }

  // What the content is there. Close stretches are looked up together.
  Differing answer;
  for (std::size_t i = 0; i < where.size();) {
    if (answer.stretches.size() >= kStretchesMax) {
      answer.next = where[i].first_block;
      co_return answer;
    }
    if (where[i].block_count > kLookupBlocksMax) {
      Result<std::uint64_t> upto = co_await add_long(where[i], answer.stretches);
      if (!upto.ok()) co_return std::move(upto).error();
      if (*upto < where[i].first_block + where[i].block_count) {
        answer.next = *upto;
        co_return answer;
      }
      ++i;
      continue;
    }
    const std::uint64_t first = where[i].first_block;
    std::uint64_t end = first;
    Stretches close;
    for (; i < where.size(); ++i) {
      const std::uint64_t with_it = where[i].first_block + where[i].block_count;
      if (with_it - first > kLookupBlocksMax) break;
      close.push_back(where[i]);
      end = with_it;
    }
    Status added = co_await add_short(first, end, close, answer.stretches);
    if (!added.ok()) co_return std::move(added).error();
  }
  answer.next = next;
  co_return answer;
}

// Of [first_block, end_block), what lies in `within`.
Task<Status> PointHydration::add_short(std::uint64_t first_block, std::uint64_t end_block,
                                       const Stretches& within, Stretches& into) {
  const std::uint64_t content_end = cdp::blocks_for(content_->size_bytes());
  std::vector<BlockVersion> versions(end_block - first_block);
  Status found = co_await content_->lookup(first_block, versions);
  if (!found.ok()) co_return found;
  for (const Stretch& stretch : within) {
    for (std::uint64_t i = 0; i < stretch.block_count; ++i) {
      const std::uint64_t block = stretch.first_block + i;
      const bool data =
          versions[block - first_block].state == BlockState::kData && block < content_end;
      add(into, block, 1, !data);
    }
  }
  co_return Status{};
}

// Gives the block up to which it came; all of it, unless there are too many stretches.
Task<Result<std::uint64_t>> PointHydration::add_long(Stretch stretch, Stretches& into) {
  const std::uint64_t end = stretch.first_block + stretch.block_count;
  const std::uint64_t content_end =
      std::clamp(cdp::blocks_for(content_->size_bytes()), stretch.first_block, end);
  std::uint64_t at = stretch.first_block;
  const auto scan = content_->scan(at, content_end);
  for (int step = 0; at < content_end; ++step) {
    if (into.size() >= kStretchesMax || step >= kScanStepsMax) co_return at;
    Result<std::vector<Extent>> found = co_await scan->next();
    if (!found.ok()) co_return std::move(found).error();
    if (found->empty()) break;
    for (const Extent& extent : *found) {
      add(into, at, extent.first_block - at, true);
      add(into, extent.first_block, extent.block_count, extent.state != BlockState::kData);
      at = extent.first_block + extent.block_count;
    }
  }
  add(into, at, end - at, true);
  co_return end;
}

}  // namespace restore
