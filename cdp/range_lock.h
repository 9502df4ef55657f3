// SPDX-License-Identifier: Apache-2.0
//
// RangeLock: who may change which blocks of a volume while one change needs more than one step.
// A write that covers whole blocks takes effect in one step and needs no lock, as long as nobody
// holds one that overlaps; a sub-block write reads the old block first, and holds a lock from
// before that read until its own step, so that no change comes between.
//
// Locks are granted in the order of asking among those that overlap. What waits is a place in that
// order too: a whole-block write that met a lock queues as well, or a later read-modify-write could
// read the block before it and link after it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <coroutine>
#include <cstdint>

#include "cdp/io/scheduler.h"

namespace cdp {

class RangeLock {
 public:
  explicit RangeLock(Scheduler& scheduler) : scheduler_(scheduler) {}
  ~RangeLock() { CHECK(guards_.empty()); }
  RangeLock(const RangeLock&) = delete;
  RangeLock& operator=(const RangeLock&) = delete;

  // Takes its place in the order when it is constructed, holds the lock from the end of
  // `co_await guard.acquired()` until it is destroyed. The lock must outlive it.
  class Guard : public boost::intrusive::list_base_hook<> {
   public:
    Guard(RangeLock& lock, std::uint64_t first_block, std::uint64_t count);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    auto acquired() {
      struct Awaiter {
        Guard& guard;
        bool await_ready() const { return !guard.lock_.blocked(guard); }
        void await_suspend(std::coroutine_handle<> waiting) { guard.waiting_ = waiting; }
        void await_resume() {}
      };
      return Awaiter{*this};
    }

   private:
    friend class RangeLock;
    RangeLock& lock_;
    std::uint64_t first_;
    std::uint64_t end_;
    std::coroutine_handle<> waiting_;  // null unless it waits
  };

  // True when somebody holds, or waits for, a block of [first_block, first_block + count).
  bool overlaps(std::uint64_t first_block, std::uint64_t count) const;

 private:
  bool blocked(const Guard& guard) const;
  void wake_after(const Guard& released);

  Scheduler& scheduler_;
  boost::intrusive::list<Guard> guards_;  // in order of asking; few: one per request under way
};

}  // namespace cdp
