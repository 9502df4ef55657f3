// SPDX-License-Identifier: Apache-2.0
//
// OverlayMap: which blocks of a clone have content of their own. One bit a block, in a file of
// pages of 4096 bytes (bit `b % 8` of byte `b / 8`); bits are only ever set.
//
// A bit may be durable only when its block's data are (else a crash would show what the data file
// happens to hold). So `flush` takes a copy of the changed pages, makes the data durable, and only
// then writes the copies and makes them durable: a bit that is set meanwhile waits for the next
// flush. A page that is torn by a crash holds bits of before and after, both of which are right.
//
// At most pages_max pages are in memory, and half of them changed: when another is to change, the
// map flushes first. A failed sync, or a failed write of the map, ends the map (EIO): what the
// files hold is known again when they are opened anew. One scheduler's thread; the disks must
// outlive it, and nothing be under way when it is destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "journal/aligned_buffer.h"

namespace restore {

using cdp::Result;
using cdp::Status;
using cdp::Task;

class OverlayMap {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::uint64_t kPageBlocks = kPageBytes * 8;  // 128 MiB of the volume

  // How long the file must be.
  static std::uint64_t file_bytes(std::uint64_t blocks) {
    return (blocks + kPageBlocks - 1) / kPageBlocks * kPageBytes;
  }

  OverlayMap(cdp::Scheduler& scheduler, cdp::Disk& data, cdp::Disk& map, std::size_t pages_max);
  ~OverlayMap();
  OverlayMap(const OverlayMap&) = delete;
  OverlayMap& operator=(const OverlayMap&) = delete;

  // into[i]: whether block first_block + i is set.
  Task<Status> read(std::uint64_t first_block, std::vector<bool>& into);
  // From `first_block` on, which is set or not, how many blocks are the same; at most `count`, and
  // those of one page.
  struct Stretch {
    bool set = false;
    std::uint64_t block_count = 0;
  };
  Task<Result<Stretch>> stretch(std::uint64_t first_block, std::uint64_t count);
  // The data of the blocks have been written, which `data_changed` told before.
  Task<Status> set(std::uint64_t first_block, std::uint64_t count);

  // The data file was changed, and the next flush must sync it.
  void data_changed() { data_changed_ = true; }
  // What was told before the call is durable when it returns.
  Task<Status> flush();
  // Why it answers EIO; none while it is well.
  const std::optional<cdp::Error>& failure() const { return failed_; }
  std::size_t pages_in_memory() const { return pages_.size(); }

 private:
  struct Page {
    std::uint64_t index = 0;
    journal::AlignedBuffer bytes{};
    bool changed = false;
    std::uint64_t version = 0;  // counts changes
  };
  using Pages = std::list<Page>;
  struct Load {
    explicit Load(cdp::Scheduler& scheduler) : done(scheduler) {}
    cdp::Signal done;
    bool ended = false;
  };
  struct Copy {
    std::uint64_t index = 0;
    std::uint64_t version = 0;
  };

  Task<Result<Page*>> page(std::uint64_t index);
  Page* find(std::uint64_t index);
  Task<Status> load(std::uint64_t index);
  void make_room();
  Task<Status> flush_once();
  Task<Status> write_copies(const std::vector<Copy>& copies, std::span<const std::byte> bytes);

  cdp::Scheduler& scheduler_;
  cdp::Disk& data_;
  cdp::Disk& map_;
  const std::size_t pages_max_;

  Pages clean_;    // the one used last first
  Pages changed_;  // at most half of all
  std::unordered_map<std::uint64_t, Pages::iterator> pages_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Load>> loads_;

  bool data_changed_ = false;
  bool flushing_ = false;
  std::uint64_t flushes_begun_ = 0;
  std::uint64_t flushes_ended_ = 0;
  cdp::Signal flush_ended_;
  std::optional<cdp::Error> failed_;
};

}  // namespace restore
