// SPDX-License-Identifier: Apache-2.0
//
// What a coroutine may ask of the thread it runs on: run something later, run something after a
// while, run something on another thread. Production is the Reactor (reactor.h), one per thread;
// tests use a deterministic one (tests/sim) that draws every order from one seed.
//
// A turn: resume everything that is ready, then everything posted for the turn's end, then wait
// for completions and timers. All functions are for the scheduler's own thread, unless stated.
#pragma once

#include <boost/intrusive/set.hpp>
#include <coroutine>
#include <cstdint>
#include <functional>

#include "cdp/base/types.h"
#include "cdp/io/task.h"

namespace cdp {

// A pending wake-up; owned by who waits, linked by the scheduler. Must be cancelled or have fired
// before it is destroyed.
class Timer : public boost::intrusive::set_base_hook<> {
 public:
  virtual ~Timer() { CHECK(!is_linked()); }
  // Called once on the scheduler's thread when the deadline has passed; already unlinked.
  virtual void fire() = 0;

  Nanos deadline() const { return deadline_; }

  struct Earlier {
    bool operator()(const Timer& a, const Timer& b) const { return a.deadline_ < b.deadline_; }
  };

 private:
  friend class TimerQueue;
  Nanos deadline_;
};

// Timers in order of deadline, for implementations of Scheduler.
class TimerQueue {
 public:
  void arm(Timer& timer, Nanos deadline);
  void cancel(Timer& timer);
  bool empty() const { return timers_.empty(); }
  Nanos next_deadline() const { return timers_.begin()->deadline(); }
  // Fires the timers whose deadline is not after `now`.
  void fire_due(Nanos now);

 private:
  boost::intrusive::multiset<Timer, boost::intrusive::compare<Timer::Earlier>> timers_;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Time that never steps, for delays and durations.
  virtual Nanos now() const = 0;

  // Resumes the coroutine in this turn, after what is ready already.
  virtual void post(std::coroutine_handle<> ready) = 0;
  // Resumes the coroutine once nothing else of this turn is ready (to send what a turn gathered).
  virtual void post_at_turn_end(std::coroutine_handle<> ready) = 0;

  virtual void arm(Timer& timer, Nanos deadline) = 0;
  // A no-op on a timer that is not armed.
  virtual void cancel(Timer& timer) = 0;

  // Runs `work` on a worker thread, then resumes the coroutine on this scheduler. `work` must not
  // throw, and what it refers to must outlive it. Use `on_worker` below.
  virtual void offload(std::function<void()> work, std::coroutine_handle<> then) = 0;

  // Starts a coroutine that nobody awaits. It must end before the scheduler does.
  void spawn(Task<void> task);
};

// co_await next_turn(scheduler): lets everything else that is ready run first.
inline auto yield(Scheduler& scheduler) {
  struct Awaiter {
    Scheduler& scheduler;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { scheduler.post(waiting); }
    void await_resume() {}
  };
  return Awaiter{scheduler};
}

// co_await turn_end(scheduler): resumes when nothing else of this turn is ready.
inline auto turn_end(Scheduler& scheduler) {
  struct Awaiter {
    Scheduler& scheduler;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { scheduler.post_at_turn_end(waiting); }
    void await_resume() {}
  };
  return Awaiter{scheduler};
}

// co_await on_worker(scheduler, work): runs `work` off this thread.
inline auto on_worker(Scheduler& scheduler, std::function<void()> work) {
  struct Awaiter {
    Scheduler& scheduler;
    std::function<void()> work;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      scheduler.offload(std::move(work), waiting);
    }
    void await_resume() {}
  };
  return Awaiter{scheduler, std::move(work)};
}

// co_await sleep_for(scheduler, delay)
Task<void> sleep_for(Scheduler& scheduler, Nanos delay);

}  // namespace cdp
