// SPDX-License-Identifier: Apache-2.0
//
// A volume whose content is replaced, and how it comes to have a source. How content is copied is
// in hydrator.h, when in volume_write_back.cc.
#include <utility>

#include "cdp/volume.h"

namespace cdp {

// All of the backing store, also behind the volume's end: what lies there was cut off, and reads as
// zeroes if a later rollback, or growing, shows it again.
std::uint64_t Volume::backing_blocks() const { return backing_.size_bytes() / kBlockBytes; }

void Volume::start_hydration(VolumeHydration hydration) {
  hydrator_.begin(std::move(hydration.source), hydration.first_block, backing_blocks());
  expect_cursor(hydration.first_block);
  // The first pass records that the source has everything up to here, so nothing before it will
  // be replayed over it.
  last_lsn_ = replaced_lsn_ = hydration.upto;
}

Task<void> Volume::pass_gate() {
  while (held_) co_await gate_.wait();
}

// Changes that are past the gate may need passes to have room, so those go on until the last one is
// through. Who waits at the gate may hold pages of payloads; so nobody behind it waits for any.
Task<Status> Volume::begin_replacement() {
  const Operation operation(*this);
  Status refused = refusal();
  if (refused.ok() && options_.read_only)
    refused = make_error(EPERM, "volume {} is read-only", options_.name);
  if (refused.ok() && held_)
    refused = make_error(EBUSY, "volume {} is being rolled back already", options_.name);
  if (!refused.ok()) co_return refused;
  held_ = true;
  wake_.notify_all();
  while (changes_ > 0 || passing_) co_await quiet_.wait();
  if (!fence_) co_return Status{};
  abandon_replacement();
  co_return *fence_;
}

void Volume::finish_replacement(std::shared_ptr<HydrationSource> source, std::uint64_t size_bytes,
                                Lsn at) {
  CHECK(held_ && changes_ == 0 && !passing_);
  CHECK(size_bytes > 0 && backing_.size_bytes() >= backing_bytes(size_bytes));
  dirty_.clear();
  room_.notify_all();
  size_bytes_ = size_bytes;
  ++replaced_;
  // Later changes find nothing in the map, so none of them is recorded as the same as something
  // that was dropped; and the next checkpoint covers `at`, so none of that is replayed.
  CHECK(at > last_lsn_);
  last_lsn_ = replaced_lsn_ = at;
  draw_boundary();
  hydrator_.begin(std::move(source), 0, backing_blocks());
  expect_cursor(0);
  write_back_due_ = scheduler_.now();
  abandon_replacement();
}

void Volume::abandon_replacement() {
  CHECK(held_);
  held_ = false;
  gate_.notify_all();
  wake_.notify_all();
}

// One step in a pass; more where write-back is about to add to more intervals than there should be.
Task<Status> Volume::hydrate() {
  Status status = co_await hydrator_.step();
  while (status.ok() && hydrator_.crowded() && !hydrator_.problem() && !held_ && !fence_)
    status = co_await hydrator_.step();
  co_return status;
}

void Volume::set_hydration_rate(std::uint64_t bytes_per_second) {
  hydrator_.set_rate(bytes_per_second);
  wake_.notify_all();
}

}  // namespace cdp
