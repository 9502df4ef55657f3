// SPDX-License-Identifier: Apache-2.0
//
// Threads for work that would hold up a reactor: hashing, compression, blocking file-system calls.
// Thread-safe. Work that was added before the destructor is run by it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cdp {

// Gives the processor to who else waits for it, where this is a thread of a pool; elsewhere it does
// nothing. Long work calls it every 100 us or so: a reactor that was woken on the core of a worker
// would else wait for the end of the worker's time slice, which is several ms. A worker is away by
// this for no longer than half of the time that it has run.
void let_others_run();

// How often a thread may yield. On Linux 6.18 who yields forfeits its time slice: beside a
// process that always computes, a worker that yielded every 100 us would get a fifteenth of a core
// in place of half.
class YieldCredit {
 public:
  // `used`: the processor time of the thread so far.
  bool may_yield(std::chrono::nanoseconds used);
  void was_away(std::chrono::nanoseconds time) { left_ -= kRunPerAway * time; }

 private:
  static constexpr int kRunPerAway = 2;
  // What was run without being away counts up to this.
  static constexpr std::chrono::nanoseconds kMost = std::chrono::milliseconds(4);

  std::chrono::nanoseconds left_{};
  std::chrono::nanoseconds used_{};
};

class WorkerPool {
 public:
  explicit WorkerPool(unsigned threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // `work` must not throw.
  void add(std::function<void()> work);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace cdp
