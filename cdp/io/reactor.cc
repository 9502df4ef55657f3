// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/reactor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <thread>

#include "cdp/base/result.h"

namespace cdp {
namespace {

constexpr unsigned kCompletionsPerEntry = 4;

struct NeededOperation {
  int opcode;
  const char* name;
};
constexpr NeededOperation kNeededOperations[] = {
    {IORING_OP_READV, "READV"},       {IORING_OP_WRITEV, "WRITEV"},
    {IORING_OP_FSYNC, "FSYNC"},       {IORING_OP_FALLOCATE, "FALLOCATE"},
    {IORING_OP_SENDMSG, "SENDMSG"},   {IORING_OP_RECVMSG, "RECVMSG"},
    {IORING_OP_ACCEPT, "ACCEPT"},     {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
    {IORING_OP_READ, "READ"},
};

std::string io_uring_failure(int code) {
  switch (code) {
    case ENOSYS:
      return "io_uring is not available: this kernel was built without it; Hindsight needs Linux "
             "6.1 or later with io_uring";
    case EPERM:
    case EACCES:
      return "io_uring is blocked on this system: set the sysctl kernel.io_uring_disabled to 0, or "
             "allow the io_uring system calls in the container's seccomp profile";
    default:
      return errno_error(code, "setting up io_uring").message;
  }
}

// The coroutine that `run` drives; records when it has ended.
struct MainTask {
  struct promise_type {
    MainTask get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

MainTask drive(Task<void> main, bool& ended) {
  co_await std::move(main);
  ended = true;
}

}  // namespace

Reactor::Reactor(Options options) {
  io_uring_params params{};
  params.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = options.ring_entries * kCompletionsPerEntry;
  const int error = io_uring_queue_init_params(options.ring_entries, &ring_, &params);
  if (error == -EINVAL) {
    throw std::runtime_error(
        "this kernel's io_uring lacks features that Hindsight needs: Linux 6.1 or later has them");
  }
  if (error < 0) throw std::runtime_error(io_uring_failure(-error));
  try {
    probe(ring_);
    wakeup_fd_ = eventfd(0, EFD_CLOEXEC);
    if (wakeup_fd_ < 0) throw std::runtime_error(errno_error(errno, "making an eventfd").message);
  } catch (...) {
    io_uring_queue_exit(&ring_);
    throw;
  }
  arm_wakeup();
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  workers_ = std::make_unique<WorkerPool>(options.workers != 0 ? options.workers
                                                               : std::max(1u, cores - 1));
}

Reactor::~Reactor() {
  workers_.reset();
  io_uring_queue_exit(&ring_);
  close(wakeup_fd_);
}

void Reactor::probe(io_uring& ring) {
  if (!(ring.features & IORING_FEAT_NODROP) || !(ring.features & IORING_FEAT_EXT_ARG)) {
    throw std::runtime_error(
        "this kernel's io_uring lacks NODROP or EXT_ARG: Linux 6.1 or later has them");
  }
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  if (probe == nullptr) throw std::runtime_error("this kernel's io_uring cannot be probed");
  const char* missing = nullptr;
  for (const NeededOperation& needed : kNeededOperations) {
    if (!io_uring_opcode_supported(probe, needed.opcode)) missing = needed.name;
  }
  io_uring_free_probe(probe);
  if (missing != nullptr) {
    throw std::runtime_error(fmt::format(
        "this kernel's io_uring lacks the operation {}: Linux 6.1 or later has it", missing));
  }
}

Nanos Reactor::now() const {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return {static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec};
}

void Reactor::run(Task<void> main) {
  bool ended = false;
  drive(std::move(main), ended);
  while (!ended) {
    run_ready();
    if (!ended) enter_kernel();
  }
}

void Reactor::run_ready() {
  do {
    take_messages();
    batch_.swap(ready_);
    for (std::coroutine_handle<> handle : batch_) handle.resume();
    batch_.clear();
    if (ready_.empty()) batch_.swap(turn_end_);
    for (std::coroutine_handle<> handle : batch_) handle.resume();
    batch_.clear();
  } while (!ready_.empty() && io_uring_cq_ready(&ring_) == 0);
}

void Reactor::enter_kernel() {
  if (!timers_.empty()) timers_.fire_due(now());
  const bool may_sleep = ready_.empty() && turn_end_.empty() && io_uring_cq_ready(&ring_) == 0;
  if (!may_sleep) {
    io_uring_submit_and_get_events(&ring_);
  } else if (timers_.empty()) {
    io_uring_submit_and_wait(&ring_, 1);
  } else {
    const std::int64_t delay = std::max<std::int64_t>(0, (timers_.next_deadline() - now()).value);
    __kernel_timespec timeout{delay / 1'000'000'000, delay % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  }
  drain_completions();
}

void Reactor::drain_completions() {
  io_uring_cqe* entry;
  unsigned head;
  unsigned count = 0;
  io_uring_for_each_cqe(&ring_, head, entry) {
    ++count;
    auto* completion = static_cast<Completion*>(io_uring_cqe_get_data(entry));
    if (completion == nullptr) {
      arm_wakeup();
    } else {
      completion->result = entry->res;
      ready_.push_back(completion->waiting);
    }
  }
  io_uring_cq_advance(&ring_, count);
}

io_uring_sqe* Reactor::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    io_uring_submit(&ring_);
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

void Reactor::arm_wakeup() {
  io_uring_sqe* entry = next_entry();
  io_uring_prep_read(entry, wakeup_fd_, &wakeup_count_, sizeof wakeup_count_, 0);
  io_uring_sqe_set_data(entry, nullptr);
}

void Reactor::take_messages() {
  if (!message_waiting_.load(std::memory_order_acquire)) return;
  {
    const std::lock_guard lock{messages_mutex_};
    message_waiting_.store(false, std::memory_order_relaxed);
    taken_.swap(messages_);
  }
  for (std::function<void()>& message : taken_) message();
  taken_.clear();
}

void Reactor::post_from_any_thread(std::function<void()> message) {
  bool first;
  {
    const std::lock_guard lock{messages_mutex_};
    messages_.push_back(std::move(message));
    first = !message_waiting_.exchange(true, std::memory_order_release);
  }
  if (!first) return;
  const std::uint64_t one = 1;
  // Cannot fail: the count does not come near its limit.
  CHECK(write(wakeup_fd_, &one, sizeof one) == sizeof one);
}

void Reactor::offload(std::function<void()> work, std::coroutine_handle<> then) {
  workers_->add([this, work = std::move(work), then]() mutable {
    work();
    work = nullptr;  // what it holds dies before its owner goes on
    post_from_any_thread([this, then] { post(then); });
  });
}

Task<void> Reactor::cancel_all(int fd) {
  co_await submit([fd](io_uring_sqe* entry) {
    io_uring_prep_cancel_fd(entry, fd, IORING_ASYNC_CANCEL_ALL);
  });
}

}  // namespace cdp
