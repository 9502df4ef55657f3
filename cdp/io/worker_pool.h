// SPDX-License-Identifier: Apache-2.0
//
// Threads for work that would hold up a reactor: hashing, compression, blocking file-system calls.
// Thread-safe. Work that was added before the destructor is run by it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cdp {

// Gives the processor to who else waits for it, where this is a thread of a pool; elsewhere it does
// nothing. Long work calls it every 100 us or so: a reactor that was woken on the core of a worker
// would else wait for the end of the worker's time slice, which is several ms.
void let_others_run();

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
