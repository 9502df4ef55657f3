// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/scheduler.h"

#include "cdp/io/signal.h"

namespace cdp {
namespace {

// A coroutine that owns itself: started at once, destroyed at its end.
struct Detached {
  struct promise_type {
    static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
    static void operator delete(void* frame, std::size_t bytes) noexcept {
      release_frame(frame, bytes);
    }
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

Detached run_detached(Scheduler& scheduler, Task<void> task) {
  co_await yield(scheduler);
  co_await std::move(task);
}

}  // namespace

void TimerQueue::arm(Timer& timer, Nanos deadline) {
  CHECK(!timer.is_linked());
  timer.deadline_ = deadline;
  timers_.insert(timer);
}

void TimerQueue::cancel(Timer& timer) {
  if (timer.is_linked()) timers_.erase(timers_.iterator_to(timer));
}

void TimerQueue::fire_due(Nanos now) {
  while (!timers_.empty() && timers_.begin()->deadline() <= now) {
    Timer& timer = *timers_.begin();
    timers_.erase(timers_.begin());
    timer.fire();
  }
}

void Scheduler::spawn(Task<void> task) { run_detached(*this, std::move(task)); }

Task<void> sleep_for(Scheduler& scheduler, Nanos delay) {
  Signal never{scheduler};
  co_await never.wait_until(scheduler.now() + delay);
}

}  // namespace cdp
