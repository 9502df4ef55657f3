// SPDX-License-Identifier: Apache-2.0
//
// Clone: a writable device that begins as a volume was at a point. What is written is kept aside in
// two files, a sparse one of the volume's size and a map of the blocks that it holds (OverlayMap);
// everything else is read from the view. History and the volume are never touched, and a clone is
// not protected: it has no history of its own.
//
// Flush means flush: what was answered before is durable when it returns, after a crash at any
// moment. Writes that were not flushed may be lost, as on any disk, and what then shows is the view
// or an earlier write, never the data file's leftovers.
//
// One scheduler's thread. Errors of the files are answered (EIO, ENOSPC); when a flush fails, what
// is durable is not known, so the clone answers EIO from then on and says why, until it is opened
// again from its files. `close` must have returned before it is destroyed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/block_device.h"
#include "cdp/io/disk.h"
#include "cdp/range_lock.h"
#include "restore/overlay_map.h"
#include "restore/view.h"

namespace restore {

struct CloneParts {
  cdp::Scheduler& scheduler;
  std::shared_ptr<View> base;
  std::unique_ptr<cdp::Disk> data;  // Clone::data_bytes long; zeroes at first
  std::unique_ptr<cdp::Disk> map;   // Clone::map_bytes long; zeroes at first
  cdp::PagePool& write_pages;       // payloads
};

class Clone final : public cdp::BlockDevice {
 public:
  static constexpr std::size_t kMapPagesMax = 1024;  // 4 MiB of map in memory, for 128 GiB

  static std::uint64_t data_bytes(std::uint64_t size_bytes) {
    return cdp::round_up(size_bytes, cdp::kBlockBytes);
  }
  static std::uint64_t map_bytes(std::uint64_t size_bytes) {
    return OverlayMap::file_bytes(cdp::blocks_for(size_bytes));
  }

  // `name` is for messages. Fails when a file is too short.
  static Result<std::unique_ptr<Clone>> open(CloneParts parts, std::string name,
                                             std::size_t map_pages_max = kMapPagesMax);
  ~Clone() override;
  Clone(const Clone&) = delete;
  Clone& operator=(const Clone&) = delete;

  std::uint64_t size_bytes() const override { return size_bytes_; }
  bool read_only() const override { return false; }
  Task<Result<cdp::PageList>> read(std::uint64_t offset, std::uint32_t bytes) override;
  Task<Result<cdp::PageList>> pages_for_write(std::uint64_t offset, std::uint32_t bytes) override;
  Task<Status> write(std::uint64_t offset, std::uint32_t bytes, cdp::PageList pages) override;
  Task<Status> flush() override;
  // Fast at any length, but for the map's bits: 32 KiB of them for a GiB.
  Task<Status> zero(std::uint64_t offset, std::uint64_t bytes, cdp::ZeroOptions options) override;
  Task<Status> trim(std::uint64_t offset, std::uint64_t bytes) override;
  Task<Status> cache(std::uint64_t offset, std::uint64_t bytes) override;
  // The clone's own blocks are reported as data.
  Task<Result<std::vector<cdp::AllocationExtent>>> allocation(std::uint64_t offset,
                                                              std::uint64_t bytes,
                                                              std::size_t max_extents) override;

  // Refuses what comes from now on (ESHUTDOWN), waits for what is under way, and flushes.
  Task<Status> close();

 private:
  class Operation;

  Clone(CloneParts parts, std::string name, std::size_t map_pages_max);

  Status refusal() const;
  Task<Status> read_own(std::uint64_t first_block, const std::vector<bool>& own,
                        cdp::PageList& pages);
  Task<Status> fill_edges(std::uint64_t offset, std::uint32_t bytes, cdp::PageList& pages);
  Task<Status> read_block(std::uint64_t block, cdp::PageRef& page);
  Task<Status> zero_bytes(std::uint64_t offset, std::uint32_t bytes);
  Task<Status> zero_blocks(std::uint64_t first_block, std::uint64_t count, bool may_deallocate);
  cdp::Error failed(const char* doing, std::uint64_t block, const cdp::Error& cause) const;

  const std::string name_;
  cdp::Scheduler& scheduler_;
  const std::shared_ptr<View> base_;
  const std::unique_ptr<cdp::Disk> data_;
  const std::unique_ptr<cdp::Disk> map_file_;
  cdp::PagePool& write_pages_;
  // Of its own: who waits for these may hold pages of the view, never the other way round.
  cdp::PagePool read_pages_;
  // Old blocks under sub-block writes: these never wait for clients to take replies.
  cdp::PagePool edge_pages_;
  const std::uint64_t size_bytes_;
  OverlayMap map_;
  cdp::RangeLock locks_;
  bool closing_ = false;
  std::size_t operations_ = 0;
  cdp::Signal idle_;
};

}  // namespace restore
