// SPDX-License-Identifier: Apache-2.0
//
// ZeroAhead: writes zeroes in front of the appends while nothing is being appended. A durable
// write onto blocks that were written before needs no change of the file system's maps and is a
// third faster than one onto blocks that were only allocated. It is an effort, not a promise: its
// failures are of no consequence, and when the journal is busy the appends run ahead of it.
//
// One scheduler's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "journal/aligned_buffer.h"

namespace journal {

class ZeroAhead {
 public:
  ZeroAhead(cdp::Scheduler& scheduler, bool enabled);
  ~ZeroAhead() { CHECK(!running_); }

  // From now on in this file, behind `offset`. Ends what it does to the file before.
  cdp::Task<void> follow(std::shared_ptr<cdp::Disk> disk, std::uint64_t offset);
  // Appends come up to here now.
  void advance(std::uint64_t offset);
  void set_idle(bool idle);
  // Returns when no zeroes are on their way to anything before `end`; until the next advance() none
  // will be.
  cdp::Task<void> keep_clear(std::uint64_t end);
  cdp::Task<void> stop();

 private:
  bool has_work() const;
  void start();
  cdp::Task<void> run();

  cdp::Scheduler& scheduler_;
  const bool enabled_;
  std::shared_ptr<cdp::Disk> disk_;
  AlignedBuffer zeroes_;
  std::uint64_t appended_ = 0;
  std::uint64_t zeroed_ = 0;
  bool idle_ = true;
  bool writing_ = false;
  std::uint64_t writing_from_ = 0;
  bool running_ = false;
  cdp::Signal ended_;
};

}  // namespace journal
