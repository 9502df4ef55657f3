// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/signal.h"

namespace cdp {

void Signal::Waiter::await_suspend(std::coroutine_handle<> waiting) {
  waiting_ = waiting;
  signal_.waiters_.push_back(*this);
  if (timed_) signal_.scheduler_.arm(*this, until_);
}

void Signal::Waiter::fire() {
  signal_.waiters_.erase(signal_.waiters_.iterator_to(*this));
  signal_.scheduler_.post(waiting_);
}

void Signal::wake_first() {
  Waiter& waiter = waiters_.front();
  waiters_.pop_front();
  if (waiter.timed_) scheduler_.cancel(waiter);
  waiter.notified_ = true;
  scheduler_.post(waiter.waiting_);
}

void Signal::notify_one() {
  if (!waiters_.empty()) wake_first();
}

void Signal::notify_all() {
  while (!waiters_.empty()) wake_first();
}

void TaskGroup::spawn(Task<void> task) {
  ++running_;
  scheduler_.spawn(run(std::move(task)));
}

Task<void> TaskGroup::run(Task<void> task) {
  co_await std::move(task);
  if (--running_ == 0) done_.notify_all();
}

Task<void> TaskGroup::join() {
  while (running_ != 0) co_await done_.wait();
}

}  // namespace cdp
