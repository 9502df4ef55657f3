// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_files.h"

#include <algorithm>

namespace journal {
namespace {

constexpr std::uint64_t kReserveBytes = 4u << 20;
// The state, a few control records and a footer.
constexpr std::uint64_t kShortestBytes = 256u << 10;

}  // namespace

SegmentFiles::SegmentFiles(cdp::Scheduler& scheduler, cdp::Directory& directory,
                           std::uint64_t segment_bytes, Nanos retry_interval)
    : scheduler_(scheduler),
      directory_(directory),
      segment_bytes_(segment_bytes),
      retry_interval_(retry_interval),
      changed_(scheduler),
      background_(scheduler),
      sealing_(scheduler) {}

void SegmentFiles::want_next() {
  if (ready() || preparing_) return;
  if (failure_.has_value() && scheduler_.now() < failed_at_ + retry_interval_) return;
  preparing_ = true;
  background_.spawn(prepare());
}

Task<void> SegmentFiles::prepare() {
  Result<std::unique_ptr<cdp::Disk>> made =
      co_await directory_.create(kNextSegmentName, segment_bytes_);
  preparing_ = false;
  if (made.ok()) {
    failure_.reset();
    next_ = *std::move(made);
    co_await keep_reserve();
  } else {
    failed_at_ = scheduler_.now();
    failure_ =
        make_error(made.error().code, "the vault has no room for its next segment of {} MiB: {}",
                   segment_bytes_ >> 20, made.error().message);
  }
  changed_.notify_all();
}

std::shared_ptr<cdp::Disk> SegmentFiles::take_next() {
  CHECK(ready());
  return std::move(next_);
}

Task<Result<std::shared_ptr<cdp::Disk>>> SegmentFiles::make_fresh(bool may_be_short) {
  while (preparing_) co_await changed_.wait();
  next_.reset();
  Status removed = co_await directory_.remove(kNextSegmentName);
  if (!removed.ok() && removed.error().code != ENOENT) co_return removed.error();
  preparing_ = true;
  co_await prepare();
  if (ready()) co_return take_next();
  if (may_be_short && failure_->code == ENOSPC) co_return co_await make_short();
  co_return *failure_;
}

Task<Result<std::shared_ptr<cdp::Disk>>> SegmentFiles::make_short() {
  Status removed = co_await directory_.remove(kReserveName);
  if (!removed.ok() && removed.error().code != ENOENT) co_return removed.error();
  for (std::uint64_t bytes = std::min(kReserveBytes, segment_bytes_); bytes >= kShortestBytes;
       bytes /= 2) {
    Result<std::unique_ptr<cdp::Disk>> made = co_await directory_.create(kNextSegmentName, bytes);
    if (made.ok()) co_return std::shared_ptr<cdp::Disk>(*std::move(made));
    if (made.error().code != ENOSPC) co_return made.error();
  }
  co_return *failure_;
}

Task<void> SegmentFiles::keep_reserve() {
  Result<std::unique_ptr<cdp::Disk>> made = co_await directory_.create(kReserveName, kReserveBytes);
  static_cast<void>(made.ok());  // it is there, or there is no room for it now
}

Task<Status> SegmentFiles::give_birth(const Segment& segment, const SegmentOpening& opening) {
  const std::span<const std::byte> bytes(opening.buffer.data(), opening.bytes);
  Status written = co_await segment.disk->write_durably(0, bytes);
  if (!written.ok()) co_return written;
  std::string from = kNextSegmentName;
  std::string to = segment_name(segment.number);
  Status renamed = co_await directory_.rename(std::move(from), std::move(to));
  if (!renamed.ok()) co_return renamed;
  co_return co_await directory_.sync();
}

void SegmentFiles::seal(std::uint32_t number, std::uint64_t bytes) {
  sealing_.spawn(run_seal(number, bytes));
}

Task<void> SegmentFiles::run_seal(std::uint32_t number, std::uint64_t bytes) {
  // Sealing protects and gives space back; what it did not do, the next start does.
  std::string name = segment_name(number);
  Status sealed = co_await directory_.seal(std::move(name), bytes);
  static_cast<void>(sealed.ok());
}

Task<void> SegmentFiles::close() {
  co_await background_.join();
  co_await sealing_.join();
  if (ready()) {
    next_.reset();
    Status removed = co_await directory_.remove(kNextSegmentName);
    static_cast<void>(removed.ok());  // the next start removes it
  }
}

}  // namespace journal
