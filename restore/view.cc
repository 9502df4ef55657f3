// SPDX-License-Identifier: Apache-2.0
#include "restore/view.h"

#include <algorithm>
#include <utility>

namespace restore {
namespace {

using cdp::AllocationExtent;
using cdp::kBlockBytes;
using journal::index::BlockState;
using journal::index::Extent;

// How much of the index one question about the allocation looks at.
constexpr int kScanStepsMax = 64;

// Adds a stretch, or lengthens the one before. False when there is no room for it.
bool add_extent(std::vector<AllocationExtent>& extents, std::size_t max_extents,
                std::uint64_t bytes, bool hole) {
  if (bytes == 0) return true;
  if (!extents.empty() && extents.back().hole == hole) {
    extents.back().bytes += bytes;
    return true;
  }
  if (extents.size() == max_extents) return false;
  extents.push_back({.bytes = bytes, .hole = hole, .zero = hole});
  return true;
}

}  // namespace

View::View(std::shared_ptr<const PointReader> point, ViewParts parts)
    : point_(std::move(point)), parts_(parts) {}

Task<Result<cdp::PageList>> View::read(std::uint64_t offset, std::uint32_t bytes) {
  read_ahead(offset, bytes);
  return read_into(parts_.pages, offset, bytes);
}

Task<Result<cdp::PageList>> View::read_into(cdp::PagePool& pool, std::uint64_t offset,
                                            std::uint32_t bytes) {
  CHECK(bytes > 0 && bytes <= size_bytes() && offset <= size_bytes() - bytes);
  const std::uint64_t first = cdp::block_of(offset);
  return point_->read(first, static_cast<std::uint32_t>(cdp::blocks_for(offset + bytes) - first),
                      pool);
}

void View::read_ahead(std::uint64_t offset, std::uint32_t bytes) {
  if (*prefetches_ >= kPrefetchesMax) return;
  const auto window = streams_.note(cdp::block_of(offset), cdp::blocks_for(offset + bytes));
  if (!window || window->first_block >= cdp::blocks_for(size_bytes())) return;
  ++*prefetches_;
  parts_.background.spawn(prefetch(point_, *window, prefetches_));
}

Task<void> View::prefetch(std::shared_ptr<const PointReader> point, ReadAhead::Window window,
                          std::shared_ptr<std::size_t> running) {
  // What cannot be read, its reader will meet.
  (void)co_await point->prefetch(window.first_block, window.end_block, kPrefetchRunsMax);
  --*running;
}

cdp::Error View::refusal() const {
  return cdp::make_error(EPERM, "{} is a read-only view", point_->name());
}

Task<Result<cdp::PageList>> View::pages_for_write(std::uint64_t, std::uint32_t) {
  co_return refusal();
}
Task<Status> View::write(std::uint64_t, std::uint32_t, cdp::PageList) { co_return refusal(); }
Task<Status> View::flush() { co_return Status{}; }
Task<Status> View::zero(std::uint64_t, std::uint64_t, cdp::ZeroOptions) { co_return refusal(); }
Task<Status> View::trim(std::uint64_t, std::uint64_t) { co_return refusal(); }

Task<Status> View::cache(std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t end = offset + std::min(bytes, kCacheHintBytesMax);
  co_return co_await point_->prefetch(cdp::block_of(offset), cdp::blocks_for(end),
                                      kPrefetchRunsMax);
}

Task<Result<std::vector<AllocationExtent>>> View::allocation(std::uint64_t offset,
                                                             std::uint64_t bytes,
                                                             std::size_t max_extents) {
  CHECK(bytes > 0 && max_extents > 0 && bytes <= size_bytes() && offset <= size_bytes() - bytes);
  const std::uint64_t end = offset + bytes;
  const auto scan = point_->scan(cdp::block_of(offset), cdp::blocks_for(end));
  std::vector<AllocationExtent> extents;
  std::uint64_t at = offset;  // what lies before is in `extents`
  for (int step = 0; step < kScanStepsMax && at < end; ++step) {
    Result<std::vector<Extent>> found = co_await scan->next();
    if (!found.ok()) {
      co_return cdp::make_error(found.error().code, "looking up {} at block {}: {}", point_->name(),
                                cdp::block_of(at), found.error().message);
    }
    for (const Extent& extent : *found) {
      const std::uint64_t from = std::clamp(extent.first_block * kBlockBytes, at, end);
      const std::uint64_t to =
          std::clamp((extent.first_block + extent.block_count) * kBlockBytes, at, end);
      if (!add_extent(extents, max_extents, from - at, true)) co_return extents;
      if (!add_extent(extents, max_extents, to - from, extent.state != BlockState::kData)) {
        co_return extents;
      }
      at = to;
    }
    if (found->empty()) {
      (void)add_extent(extents, max_extents, end - at, true);
      co_return extents;
    }
  }
  co_return extents;
}

}  // namespace restore
