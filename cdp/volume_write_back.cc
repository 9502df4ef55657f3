// SPDX-License-Identifier: Apache-2.0
//
// When a volume writes back, and what a pass is. How a pass writes is in write_back.h.
#include <utility>

#include "cdp/volume.h"

namespace cdp {

void Volume::want_pass() {
  if (pass_wanted_) return;
  pass_wanted_ = true;
  wake_.notify_all();
}

Task<void> Volume::write_back_loop() {
  while (!stopping_) {
    if (!pass_wanted_) {
      if (clean()) {
        co_await wake_.wait();
        continue;
      }
      const Nanos deadline = scheduler_.now() + options_.checkpoint_interval;
      while (!stopping_ && !pass_wanted_ && scheduler_.now() < deadline) {
        co_await wake_.wait_until(deadline);
      }
      if (stopping_) break;
    }
    pass_wanted_ = false;
    ++passes_begun_;
    last_pass_ = co_await pass();
    passes_ended_ = passes_begun_;
    pass_ended_.notify_all();
  }
}

// Pages of payloads run short: those that only the dirty map holds can be freed.
Task<void> Volume::watch_shortage() {
  while (!stopping_) {
    co_await write_pages_.shortage().wait();
    if (!clean()) want_pass();
  }
}

Task<Status> Volume::pass() {
  if (fence_) co_return *fence_;
  if (last_lsn_ == checkpoint_lsn_) co_return Status{};
  const Lsn upto = last_lsn_;
  pass_upto_ = upto;
  dirty_.begin_generation();

  // Journal first: only what is durable there may reach the backing store (promise 1).
  Status status = co_await recorder_.flush(upto);
  // All up to `upto` is complete before the sync that covers it is issued (rule 5).
  if (status.ok() && !fence_) status = co_await write_back_.run(upto);
  if (!status.ok()) fence(status.error());
  if (fence_) co_return *fence_;

  status = co_await admit(0);
  if (!status.ok()) co_return status;
  if (fence_) {
    recorder_.cancel_admission(0);
    co_return *fence_;
  }
  const Stamp stamp = sequencer_.next();
  recorder_.record_checkpoint(options_.id, stamp, upto, std::nullopt);
  checkpoint_lsn_ = upto;
  checkpoint_record_ = stamp.lsn;
  co_return Status{};
}

Task<Status> Volume::checkpoint() {
  const Operation operation(*this);
  Status refused = refusal();
  if (!refused.ok() || clean()) co_return refused;
  const std::uint64_t wanted = passes_begun_ + 1;  // the one under way may have begun too early
  while (passes_ended_ < wanted && !fence_) {
    want_pass();
    co_await pass_ended_.wait();
  }
  if (fence_) co_return *fence_;
  co_return last_pass_;
}

void Volume::fence(const Error& cause) {
  if (fence_) return;
  fence_ = make_error(EIO, "volume {} is fenced and answers EIO: {}", options_.name, cause.message);
  dirty_.clear();  // the journal has it, and other volumes need the memory
  room_.notify_all();
  pass_ended_.notify_all();
}

Task<Status> Volume::close() {
  CHECK(!closing_);
  closing_ = true;
  room_.notify_all();
  while (operations_ > 0) co_await idle_.wait();
  stopping_ = true;
  wake_.notify_all();
  write_pages_.shortage().notify_all();
  co_await background_.join();

  Status status = co_await pass();
  if (status.ok() && recorder_.durable_lsn() < checkpoint_record_) {
    status = co_await recorder_.flush(checkpoint_record_);
    if (!status.ok()) fence(status.error());
  }
  dirty_.clear();
  co_return status;
}

}  // namespace cdp
