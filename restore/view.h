// SPDX-License-Identifier: Apache-2.0
//
// View: a volume as it was at a point, as a read-only device that any front-end serves. Opening one
// costs nothing but a lookup of the point, whenever that was: every read asks the time index where
// the blocks lie and takes them from the journal.
//
// Readers that go through it in order find the runs they come to in the shared BlockReader's
// memory: they are brought there ahead of them, at most kPrefetchesMax windows at a time, by tasks
// of `background`, which hold what they need (the view may go meanwhile). Whoever owns the group
// joins it before what the parts refer to ends.
//
// One scheduler's thread. Like those of a live volume, reads give whole blocks: what lies behind
// the volume's end in its last block is as it was there, mostly zeroes.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "cdp/block_device.h"
#include "cdp/io/signal.h"
#include "restore/point_reader.h"
#include "restore/read_ahead.h"

namespace restore {

struct ViewParts {
  cdp::PagePool& pages;        // what reads give
  cdp::TaskGroup& background;  // reading ahead
};

class View final : public cdp::BlockDevice {
 public:
  static constexpr std::size_t kPrefetchesMax = 4;
  static constexpr std::size_t kPrefetchRunsMax = 128;            // 8 MiB or so each
  static constexpr std::uint64_t kCacheHintBytesMax = 16u << 20;  // of one `cache`

  View(std::shared_ptr<const PointReader> point, ViewParts parts);

  std::uint64_t size_bytes() const override { return point_->size_bytes(); }
  bool read_only() const override { return true; }
  Task<Result<cdp::PageList>> read(std::uint64_t offset, std::uint32_t bytes) override;
  // The same, with pages of `pool`, and no thought of what comes next.
  Task<Result<cdp::PageList>> read_into(cdp::PagePool& pool, std::uint64_t offset,
                                        std::uint32_t bytes);
  Task<Result<cdp::PageList>> pages_for_write(std::uint64_t offset, std::uint32_t bytes) override;
  Task<Status> write(std::uint64_t offset, std::uint32_t bytes, cdp::PageList pages) override;
  Task<Status> flush() override;
  Task<Status> zero(std::uint64_t offset, std::uint64_t bytes, cdp::ZeroOptions options) override;
  Task<Status> trim(std::uint64_t offset, std::uint64_t bytes) override;
  Task<Status> cache(std::uint64_t offset, std::uint64_t bytes) override;
  // What is zeroed or was never written is a hole of zeroes. It looks at a bounded part of the
  // index, so that the extents may end before the range does.
  Task<Result<std::vector<cdp::AllocationExtent>>> allocation(std::uint64_t offset,
                                                              std::uint64_t bytes,
                                                              std::size_t max_extents) override;

 private:
  cdp::Error refusal() const;
  void read_ahead(std::uint64_t offset, std::uint32_t bytes);
  static Task<void> prefetch(std::shared_ptr<const PointReader> point, ReadAhead::Window window,
                             std::shared_ptr<std::size_t> running);

  const std::shared_ptr<const PointReader> point_;
  const ViewParts parts_;
  ReadAhead streams_;
  const std::shared_ptr<std::size_t> prefetches_ = std::make_shared<std::size_t>(0);
};

}  // namespace restore
