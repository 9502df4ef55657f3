// SPDX-License-Identifier: Apache-2.0
//
// Reactor: the production Scheduler, one io_uring and one thread, with a few worker threads for
// CPU work beside it. It is made, run and destroyed by one thread; only `post_from_any_thread` may
// be called from others.
//
// A turn drains completions and messages, resumes what is ready until nothing is, resumes what
// waits for the turn's end (one coalesced send per connection), and enters the kernel once: that
// submits everything gathered and waits for the next completion or timer.
#pragma once

#include <liburing.h>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cdp/io/scheduler.h"
#include "cdp/io/task.h"
#include "cdp/io/worker_pool.h"

namespace cdp {

class Reactor final : public Scheduler {
 public:
  struct Options {
    unsigned ring_entries = 1024;
    unsigned workers = 0;  // 0: one per core but one, at least one
  };

  // Throws std::runtime_error with one clear sentence where io_uring is missing, blocked, or lacks
  // a feature that the engine needs (Linux 6.1 has them all).
  explicit Reactor(Options options);
  ~Reactor() override;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs `main` and all that it spawns on this thread; returns when `main` has ended.
  void run(Task<void> main);

  Nanos now() const override;
  void post(std::coroutine_handle<> ready) override { ready_.push_back(ready); }
  void post_at_turn_end(std::coroutine_handle<> ready) override { turn_end_.push_back(ready); }
  void arm(Timer& timer, Nanos deadline) override { timers_.arm(timer, deadline); }
  void cancel(Timer& timer) override { timers_.cancel(timer); }
  void offload(std::function<void()> work, std::coroutine_handle<> then) override;

  // Runs `message` on the reactor's thread, soon. Thread-safe. Messages that come after `run` has
  // returned are dropped.
  void post_from_any_thread(std::function<void()> message);

  // co_await reactor.submit(prepare): calls prepare(io_uring_sqe*), submits, and gives the
  // completion's result (negative errno on failure). What the entry points to must stay until then.
  template <typename Prepare>
  auto submit(Prepare prepare);

  // Completes everything pending on the descriptor with -ECANCELED.
  Task<void> cancel_all(int fd);

 private:
  struct Completion {
    std::coroutine_handle<> waiting;
    int result = 0;
  };
  template <typename Prepare>
  struct Submission;

  io_uring_sqe* next_entry();
  void run_ready();
  void take_messages();
  void enter_kernel();
  void drain_completions();
  void arm_wakeup();
  static void probe(io_uring& ring);

  io_uring ring_{};
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> batch_;
  std::vector<std::coroutine_handle<>> turn_end_;
  TimerQueue timers_;

  int wakeup_fd_ = -1;
  std::uint64_t wakeup_count_ = 0;
  std::mutex messages_mutex_;
  std::vector<std::function<void()>> messages_;  // guarded by messages_mutex_
  std::vector<std::function<void()>> taken_;
  std::atomic<bool> message_waiting_ = false;
  std::unique_ptr<WorkerPool> workers_;  // last: its threads post messages
};

template <typename Prepare>
struct Reactor::Submission : Completion {
  Submission(Reactor& in, Prepare by) : reactor(in), prepare(std::move(by)) {}
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiting = handle;
    io_uring_sqe* entry = reactor.next_entry();
    prepare(entry);
    io_uring_sqe_set_data(entry, static_cast<Completion*>(this));
  }
  int await_resume() { return result; }

  Reactor& reactor;
  Prepare prepare;
};

template <typename Prepare>
auto Reactor::submit(Prepare prepare) {
  return Submission<Prepare>{*this, std::move(prepare)};
}

}  // namespace cdp
