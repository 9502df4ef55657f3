// SPDX-License-Identifier: Apache-2.0
//
// BlockDevice: what a front-end (NBD, later ublk) serves. The live volume is one; read-only views
// and clones are others. Front-ends translate a wire and do nothing else.
//
// Contract: offsets and lengths are in bytes, of any alignment, length > 0 and the range inside
// size_bytes() (the front-end validated it). A piece of payload is at most kMaxPieceBytes long and
// lies in pages by block: byte `o` of the device is byte `o % 4096` of page
// `o / 4096 - offset / 4096`. Answered writes are seen by every later read. Errors carry errno
// values: EIO, ENOSPC, EPERM (read-only), ESHUTDOWN (fenced or going away), ENOTSUP.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "cdp/io/pages.h"
#include "cdp/io/task.h"
#include "cdp/io_statistics.h"

namespace cdp {

struct ZeroOptions {
  bool may_deallocate = true;  // false: NBD_CMD_FLAG_NO_HOLE
  bool only_if_fast = false;   // NBD_CMD_FLAG_FAST_ZERO: else ENOTSUP at once
};

// A range of bytes by blocks: the whole ones in it, and the bytes of others before and behind them.
struct BlockRange {
  std::uint64_t first = 0;  // [first, end) are whole
  std::uint64_t end = 0;
  std::uint32_t head_bytes = 0;  // from the range's start on
  std::uint32_t tail_bytes = 0;  // from the block `end` on
};
// The block in which the device ends is whole where the range comes to the device's end.
constexpr BlockRange blocks_of(std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t size_bytes) {
  const std::uint64_t end = offset + bytes;
  BlockRange range{blocks_for(offset), end == size_bytes ? blocks_for(end) : block_of(end), 0, 0};
  const std::uint64_t head_end = std::min(end, range.first * kBlockBytes);
  range.head_bytes = static_cast<std::uint32_t>(head_end - offset);
  const std::uint64_t tail = range.end * kBlockBytes;
  if (head_end <= tail && tail < end) range.tail_bytes = static_cast<std::uint32_t>(end - tail);
  range.end = std::max(range.first, range.end);
  return range;
}

// A stretch of one state, in base:allocation's terms.
struct AllocationExtent {
  std::uint64_t bytes = 0;
  bool hole = false;
  bool zero = false;
  bool operator==(const AllocationExtent&) const = default;
};

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  // Of all its clients; front-ends count there.
  IoStatistics& io_statistics() { return io_statistics_; }
  const IoStatistics& io_statistics() const { return io_statistics_; }

  virtual std::uint64_t size_bytes() const = 0;
  virtual bool read_only() const = 0;

  // The pages of the blocks that the range touches; they may be shared: do not write to them.
  virtual Task<Result<PageList>> read(std::uint64_t offset, std::uint32_t bytes) = 0;

  // Where payloads are to be received: `pages_for_write` waits for room (backpressure), then gives
  // the pages of the blocks that [offset, offset + bytes) touches. The caller fills its range only
  // and hands the pages to `write`, which takes care of the rest of a partly covered block.
  virtual Task<Result<PageList>> pages_for_write(std::uint64_t offset, std::uint32_t bytes) = 0;
  virtual Task<Status> write(std::uint64_t offset, std::uint32_t bytes, PageList pages) = 0;

  // Everything answered before this call is durable when it returns.
  virtual Task<Status> flush() = 0;

  // Reads as zeroes afterwards; any length.
  virtual Task<Status> zero(std::uint64_t offset, std::uint64_t bytes, ZeroOptions options) = 0;
  // The content is no longer needed. Whole blocks inside the range read as zeroes afterwards.
  virtual Task<Status> trim(std::uint64_t offset, std::uint64_t bytes) = 0;
  // A hint that the range will be read soon.
  virtual Task<Status> cache(std::uint64_t offset, std::uint64_t bytes) = 0;

  // Extents from `offset` on, at least one, at most `max_extents`, inside [offset, offset + bytes).
  virtual Task<Result<std::vector<AllocationExtent>>> allocation(std::uint64_t offset,
                                                                 std::uint64_t bytes,
                                                                 std::size_t max_extents) = 0;

 private:
  IoStatistics io_statistics_;
};

// What may be served, by name. Names are looked up at connection time.
class ExportList {
 public:
  virtual ~ExportList() = default;
  struct Entry {
    std::string name;
    std::string description;
  };
  virtual std::vector<Entry> exports() const = 0;
  // Null, or ENOENT, where there is none. EACCES: it is not for whom this list is made, who is told
  // that there is none; the sentence is for the log. Opening may take a while. Any other error's
  // sentence is for the client (a point outside of history, say).
  virtual Task<Result<std::shared_ptr<BlockDevice>>> find(std::string name) = 0;
};

}  // namespace cdp
