// SPDX-License-Identifier: Apache-2.0
//
// When a volume writes back, and what a pass is. How a pass writes is in write_back.h.
#include <algorithm>
#include <utility>

#include "cdp/base/planted_bug.h"
#include "cdp/volume.h"

namespace cdp {

void Volume::want_pass() {
  if (pass_wanted_) return;
  pass_wanted_ = true;
  wake_.notify_all();
}

void Volume::draw_boundary() {
  boundary_ = last_lsn_;
  boundary_is_ahead_ = false;
  nodes_behind_boundary_ = 0;
  dirty_.begin_generation();
}

// So that the next pass need not wait for the journal. What it will write is enough to be worth its
// sync and its checkpoint.
void Volume::draw_boundary_ahead() {
  draw_boundary();
  boundary_is_ahead_ = true;
  background_.spawn(flush_ahead(boundary_));
}

Task<void> Volume::flush_ahead(Lsn upto) {
  static_cast<void>((co_await recorder_.flush(upto)).ok());  // the pass hears of a failure
  if (boundary_is_ahead_ && boundary_ == upto) want_pass();  // else one has begun already
}

Task<void> Volume::write_back_loop() {
  while (!stopping_) {
    if (held_ && changes_ == 0) {  // no pass until the replacement has ended
      quiet_.notify_all();
      co_await wake_.wait();
      continue;
    }
    const Nanos now = scheduler_.now();
    const bool hydrating = hydrator_.active() && !fence_;
    const bool write_back = pass_wanted_ || (behind() && now >= write_back_due_);
    const bool hydrate = hydrating && now >= hydrator_.ready_at();
    if (!write_back && !hydrate) {
      if (!behind() && !hydrating) {
        co_await wake_.wait();
      } else {
        Nanos due = behind() ? write_back_due_ : hydrator_.ready_at();
        if (hydrating) due = std::min(due, hydrator_.ready_at());
        co_await wake_.wait_until(due);
      }
      continue;
    }
    passing_ = true;
    if (write_back) {
      pass_wanted_ = false;
      ++passes_begun_;
      last_pass_ = co_await pass(hydrate ? Work::kBoth : Work::kWriteBack);
      write_back_due_ = scheduler_.now() + options_.checkpoint_interval;
      passes_ended_ = passes_begun_;
      pass_ended_.notify_all();
    } else {
      static_cast<void>((co_await pass(Work::kHydration)).ok());
    }
    passing_ = false;
  }
}

// Pages of payloads run short: those that only the dirty map holds can be freed.
Task<void> Volume::watch_shortage() {
  while (!stopping_) {
    co_await write_pages_.shortage().wait();
    if (behind()) want_pass();
  }
}

Task<Status> Volume::pass(Work work) {
  if (fence_) co_return *fence_;
  // Hydration alone says nothing new about changes, except that the first checkpoint after a
  // replacement covers it: what it dropped must never be replayed.
  if (work == Work::kHydration && checkpoint_lsn_ < replaced_lsn_) work = Work::kBoth;
  const bool write_back = work != Work::kHydration;
  if (work == Work::kWriteBack && !behind() && !cursor_is_due()) co_return Status{};
  if (write_back && (!boundary_is_ahead_ || boundary_ < must_cover_)) draw_boundary();
  const Lsn upto = write_back ? boundary_ : checkpoint_lsn_;
  Status status;
  if (write_back) {
    boundary_is_ahead_ = false;
    // Journal first: only what is durable there may reach the backing store (promise 1).
    status = co_await recorder_.flush(upto);
  }
  if (status.ok() && !fence_ && work != Work::kWriteBack) status = co_await hydrate();
  // All up to `upto`, and all that the cursor will pass, is complete before the sync that covers it
  // is issued (rule 5).
  if (status.ok() && !fence_) {
    if (write_back) {
      status = co_await write_back_.run(upto, hydrator_.needs_sync());
    } else if (hydrator_.needs_sync()) {
      status = co_await backing_.sync();
    }
  }
  if (!status.ok()) fence(status.error());
  if (fence_) co_return *fence_;
  hydrator_.synced();

  const bool for_the_cursor = upto == checkpoint_lsn_;
  if (for_the_cursor && !cursor_is_due()) co_return Status{};
  status = co_await admit(0);
  if (!status.ok()) co_return status;
  if (fence_) {
    recorder_.cancel_admission(0);
    co_return *fence_;
  }
  const Stamp stamp = sequencer_.next();
  const Lsn covered = planted(PlantedBug::kCheckpointIsTooEarly) ? last_lsn_ : upto;
  recorder_.record_checkpoint(options_.id, stamp, covered, hydrator_.cursor());
  checkpoint_lsn_ = upto;
  checkpoint_record_ = stamp.lsn;
  recorded_cursor_ = hydrator_.cursor();
  if (for_the_cursor)
    cursor_interval_ = std::min(cursor_interval_ + cursor_interval_, kCursorIntervalMax);
  cursor_due_ = scheduler_.now() + cursor_interval_;
  co_return Status{};
}

// Whether a checkpoint is worth its bytes for the sake of the cursor alone. What none has said, a
// start after a crash copies again.
bool Volume::cursor_is_due() const {
  if (hydrator_.cursor() == recorded_cursor_) return false;
  return !hydrator_.active() || stopping_ || scheduler_.now() >= cursor_due_;
}

void Volume::expect_cursor(std::uint64_t recorded) {
  recorded_cursor_ = recorded;
  cursor_interval_ = options_.checkpoint_interval;
  cursor_due_ = scheduler_.now() + cursor_interval_;
}

Task<Status> Volume::checkpoint() {
  const Operation operation(*this);
  if (held_) co_await pass_gate();
  Status refused = refusal();
  if (!refused.ok() || !behind()) co_return refused;
  must_cover_ = last_lsn_;
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
  CHECK(!closing_ && !held_);
  closing_ = true;
  room_.notify_all();
  while (operations_ > 0) co_await idle_.wait();
  stopping_ = true;
  wake_.notify_all();
  write_pages_.shortage().notify_all();
  co_await background_.join();

  must_cover_ = last_lsn_;
  Status status = co_await pass(Work::kWriteBack);
  if (status.ok() && recorder_.durable_lsn() < checkpoint_record_) {
    status = co_await recorder_.flush(checkpoint_record_);
    if (!status.ok()) fence(status.error());
  }
  dirty_.clear();
  co_return status;
}

}  // namespace cdp
