// SPDX-License-Identifier: Apache-2.0
#include "cdp/write_back.h"

#include <utility>

#include "cdp/base/planted_bug.h"

namespace cdp {
namespace {

// A write costs the kernel 5 us or so before it is under way, and those of one turn are given to it
// together: clients are looked after in between.
constexpr std::uint64_t kIssuedAtOnce = 32;

}  // namespace

Task<Status> WriteBack::run(Lsn upto, bool must_sync) {
  CHECK(group_.running() == 0);
  issued_ = 0;
  outcome_ = Status{};
  co_await zero_extents(upto);
  if (outcome_.ok()) co_await write_blocks(upto);
  if (!outcome_.ok() || (issued_ == 0 && !must_sync)) co_return outcome_;
  co_return co_await backing_.sync();
}

Task<void> WriteBack::zero_extents(Lsn upto) {
  DirtyMap::ZeroRun run;
  std::uint64_t next = 0;
  while (outcome_.ok() && dirty_.next_zeroes(next, upto, run)) {
    next = run.first + run.count;
    ++issued_;
    group_.spawn(zero_one(run, upto));
    co_await wait_for_slot();
  }
  co_await group_.join();
}

Task<void> WriteBack::write_blocks(Lsn upto) {
  DirtyMap::BlockRun run;
  std::uint64_t next = 0;
  while (outcome_.ok() && dirty_.next_blocks(next, upto, kMaxPieceBlocks, run)) {
    next = run.first + run.pages.size();
    ++issued_;
#ifdef HINDSIGHT_PLANTED_BUGS
    if (planted(PlantedBug::kSecondBackingWrite)) group_.spawn(write_only(run));
#endif
    group_.spawn(write_one(std::move(run)));
    if (issued_ % kIssuedAtOnce == 0) co_await sleep_for(scheduler_, Nanos{});
    co_await wait_for_slot();
  }
  co_await group_.join();
}

Task<void> WriteBack::wait_for_slot() {
  const auto limit = [this] {
    return flushes_waiting_ > 0 ? InFlightLimit::kFewest : limit_.now();
  };
  while (group_.running() >= limit()) co_await slot_.wait();
}

Task<void> WriteBack::zero_one(DirtyMap::ZeroRun run, Lsn upto) {
  const Status status = co_await backing_.zero_range(run.first * kBlockBytes,
                                                     run.count * kBlockBytes, run.may_deallocate);
  note(status);
  if (!status.ok()) co_return;
  dirty_.zeroes_written(run, upto);
  hydrator_.written(run.first, run.first + run.count);
  freed_.notify_all();
}

Task<void> WriteBack::write_one(DirtyMap::BlockRun run) {
  const IoVectors vectors = vectors_of(run.pages);
  const Nanos begun = scheduler_.now();
  const Status status = co_await backing_.write(run.first * kBlockBytes, vectors);
  limit_.took(scheduler_.now() - begun, group_.running());
  note(status);
  if (!status.ok()) co_return;
  written_bytes_ += run.pages.size() * kBlockBytes;
  dirty_.blocks_written(run);
  hydrator_.written(run.first, run.first + run.pages.size());
  run.pages.clear();
  freed_.notify_all();
}

#ifdef HINDSIGHT_PLANTED_BUGS
Task<void> WriteBack::write_only(DirtyMap::BlockRun run) {
  const IoVectors vectors = vectors_of(run.pages);
  (void)co_await backing_.write(run.first * kBlockBytes, vectors);
  run.pages.clear();
}
#endif

// Called when an operation has completed. Its task ends before who waits for a slot is resumed.
void WriteBack::note(const Status& status) {
  if (!status.ok() && outcome_.ok()) outcome_ = status;
  slot_.notify_all();
}

}  // namespace cdp
