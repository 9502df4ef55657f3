// SPDX-License-Identifier: Apache-2.0
//
// SimScheduler: a deterministic cdp::Scheduler on one thread, in virtual time. What runs next among
// what is ready, in which order turn-end posts come, and when offloaded work is done are drawn from
// a seed; production keeps an order of its own, so code that holds here does not depend on it.
//
// A crash does not destroy coroutines: the simulated disks stop having effects (sim_store.h), and
// then a test either lets the crashed world unwind, every I/O failing, or buries it (`bury`),
// never to be resumed. Frames are reachable from what they wait on, and that from the graveyard,
// so that LeakSanitizer has nothing to say.
#pragma once

#include <coroutine>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/scheduler.h"
#include "tests/sim/random.h"

namespace sim {

class SimScheduler final : public cdp::Scheduler {
 public:
  explicit SimScheduler(std::uint64_t seed);

  cdp::Nanos now() const override { return now_; }
  void post(std::coroutine_handle<> ready) override { ready_.push_back(ready); }
  void post_at_turn_end(std::coroutine_handle<> ready) override { turn_end_.push_back(ready); }
  void arm(cdp::Timer& timer, cdp::Nanos deadline) override { timers_.arm(timer, deadline); }
  void cancel(cdp::Timer& timer) override { timers_.cancel(timer); }
  // The work runs on this thread, at once or at its end, by chance; it takes up to a millisecond.
  void offload(std::function<void()> work, std::coroutine_handle<> then) override;

  // Runs `event` when virtual time has come to `when`.
  void at(cdp::Nanos when, std::function<void()> event);

  // Runs until `done()` (asked before every step). False when that cannot be any more: nothing is
  // ready and nothing is pending (a deadlock), or `limit` of virtual time has passed.
  [[nodiscard]] bool run_until(const std::function<bool()>& done,
                               cdp::Nanos limit = cdp::seconds(3600));
  // Lets virtual time pass.
  void run_for(cdp::Nanos duration);

  // Runs one task to its end. A deadlock prints the seed and aborts.
  template <typename T>
  T run(cdp::Task<T> task) {
    std::optional<T> result;
    spawn(keep(std::move(task), result));
    if (!run_until([&result] { return result.has_value(); })) give_up();
    return std::move(*result);
  }
  void run(cdp::Task<void> task);

  std::uint64_t seed() const { return seed_; }
  std::uint64_t steps() const { return steps_; }
  Random& random() { return random_; }

 private:
  bool step();
  void resume_one(std::vector<std::coroutine_handle<>>& from);
  void fire_due();
  [[noreturn]] void give_up() const;

  template <typename T>
  static cdp::Task<void> keep(cdp::Task<T> task, std::optional<T>& into) {
    into.emplace(co_await std::move(task));
  }
  static cdp::Task<void> mark(cdp::Task<void> task, bool& done);

  const std::uint64_t seed_;
  Random random_;
  const bool in_order_;  // resumes what is ready in the order in which it was posted
  cdp::Nanos now_ = cdp::seconds(1000);
  std::uint64_t steps_ = 0;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> turn_end_;
  std::multimap<cdp::Nanos, std::function<void()>> events_;
  cdp::TimerQueue timers_;
};

// Wall clock and boot time of a simulation: those of its scheduler, and steps.
class SimClock final : public cdp::Clock {
 public:
  explicit SimClock(const SimScheduler& scheduler) : scheduler_(scheduler) {}

  cdp::Nanos realtime() const override { return scheduler_.now() + realtime_offset_; }
  cdp::Nanos boottime() const override { return scheduler_.now(); }
  // The wall clock jumps by `by`, which may be negative.
  void step(cdp::Nanos by) { realtime_offset_ = realtime_offset_ + by; }

 private:
  const SimScheduler& scheduler_;
  cdp::Nanos realtime_offset_ = cdp::seconds(1'582'455'360);  // 23 February 2020
};

// Keeps a crashed world for ever, so that no destructor of it runs and nothing of it leaks.
void bury(std::shared_ptr<void> world);

}  // namespace sim
