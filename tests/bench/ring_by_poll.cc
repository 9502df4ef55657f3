// SPDX-License-Identifier: Apache-2.0
//
// For LD_PRELOAD: liburing's waiting calls, which wait in poll(2) and not in io_uring_enter(2).
// While a thread is in that one, valgrind 3.19 lets no other thread run, and what waits for one of
// them waits for ever.
#include <liburing.h>
#include <poll.h>

namespace {

void wait_for_event(io_uring* ring, int milliseconds) {
  if (io_uring_cq_ready(ring) > 0) return;
  pollfd ready{.fd = ring->ring_fd, .events = POLLIN, .revents = 0};
  poll(&ready, 1, milliseconds);
  io_uring_get_events(ring);
}

}  // namespace

extern "C" int io_uring_submit_and_wait(io_uring* ring, unsigned wait_nr) {
  const int submitted = io_uring_submit(ring);
  if (wait_nr > 0) wait_for_event(ring, -1);
  return submitted;
}

extern "C" int io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** cqe, unsigned,
                                                __kernel_timespec* timeout, sigset_t*) {
  const int submitted = io_uring_submit(ring);
  const auto milliseconds = timeout->tv_sec * 1000 + (timeout->tv_nsec + 999'999) / 1'000'000;
  wait_for_event(ring, static_cast<int>(milliseconds));
  return io_uring_peek_cqe(ring, cqe) == 0 ? submitted : -ETIME;
}
