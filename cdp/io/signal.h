// SPDX-License-Identifier: Apache-2.0
//
// Waiting for one another on one scheduler: Signal (a condition variable without a lock, since
// there is one thread) and TaskGroup (spawn many, join all).
#pragma once

#include <boost/intrusive/list.hpp>
#include <coroutine>

#include "cdp/base/types.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/task.h"

namespace cdp {

// Coroutines wait in a loop on a condition of their own:
//   while (!condition) co_await signal.wait();
// Waiters are resumed through the scheduler, in the order in which they came, never from inside
// notify. The scheduler must outlive the signal; nobody may wait on it when it is destroyed.
class Signal {
 public:
  explicit Signal(Scheduler& scheduler) : scheduler_(scheduler) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() { CHECK(waiters_.empty()); }

  class Waiter : public boost::intrusive::list_base_hook<>, private Timer {
   public:
    Waiter(Signal& signal, bool timed, Nanos deadline)
        : signal_(signal), timed_(timed), until_(deadline) {}

    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    // True when notified, false when the deadline came first.
    bool await_resume() { return notified_; }

   private:
    friend class Signal;
    void fire() override;

    Signal& signal_;
    bool timed_;
    Nanos until_;
    bool notified_ = false;
    std::coroutine_handle<> waiting_;
  };

  Waiter wait() { return Waiter{*this, false, {}}; }
  // `deadline` is in the scheduler's time.
  Waiter wait_until(Nanos deadline) { return Waiter{*this, true, deadline}; }

  void notify_all();
  void notify_one();
  bool has_waiters() const { return !waiters_.empty(); }

 private:
  void wake_first();

  Scheduler& scheduler_;
  boost::intrusive::list<Waiter> waiters_;
};

// Runs tasks side by side and waits for all of them. Must be joined before it is destroyed.
class TaskGroup {
 public:
  explicit TaskGroup(Scheduler& scheduler) : scheduler_(scheduler), done_(scheduler) {}
  ~TaskGroup() { CHECK(running_ == 0); }

  void spawn(Task<void> task);
  Task<void> join();
  std::size_t running() const { return running_; }

 private:
  Task<void> run(Task<void> task);

  Scheduler& scheduler_;
  Signal done_;
  std::size_t running_ = 0;
};

}  // namespace cdp
