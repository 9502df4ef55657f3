// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/worker_pool.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace cdp {
namespace {

thread_local bool is_worker = false;
thread_local YieldCredit yield_credit;

std::chrono::nanoseconds time_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

bool YieldCredit::may_yield(std::chrono::nanoseconds used) {
  left_ = std::min(left_ + (used - used_), kMost);
  used_ = used;
  return left_ > std::chrono::nanoseconds::zero();
}

void let_others_run() {
  if (!is_worker || !yield_credit.may_yield(time_of(CLOCK_THREAD_CPUTIME_ID))) return;
  const std::chrono::nanoseconds before = time_of(CLOCK_MONOTONIC);
  sched_yield();
  yield_credit.was_away(time_of(CLOCK_MONOTONIC) - before);
}

WorkerPool::WorkerPool(unsigned threads) {
  // Signals are for the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  added_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::add(std::function<void()> work) {
  {
    const std::lock_guard lock{mutex_};
    queue_.push_back(std::move(work));
  }
  added_.notify_one();
}

void WorkerPool::run() {
  is_worker = true;
  std::unique_lock lock{mutex_};
  while (true) {
    added_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    let_others_run();
    lock.lock();
  }
}

}  // namespace cdp
