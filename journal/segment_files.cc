// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace journal {
namespace {

constexpr std::string_view kPreparedSuffix = ".prep";
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
  PreparedFile file{.disk = nullptr, .name = new_name()};
  Result<std::unique_ptr<cdp::Disk>> made = co_await directory_.create(file.name, segment_bytes_);
  preparing_ = false;
  if (made.ok()) {
    failure_.reset();
    file.disk = *std::move(made);
    next_ = std::move(file);
    co_await keep_reserve();
  } else {
    failed_at_ = scheduler_.now();
    failure_ =
        make_error(made.error().code, "the vault has no room for its next segment of {} MiB: {}",
                   segment_bytes_ >> 20, made.error().message);
  }
  changed_.notify_all();
}

std::string SegmentFiles::new_name() {
  return fmt::format("{}-{}{}", kPreparedSegmentPrefix, ++prepared_, kPreparedSuffix);
}

PreparedFile SegmentFiles::take_next() {
  CHECK(ready());
  return *std::exchange(next_, std::nullopt);
}

Task<Result<PreparedFile>> SegmentFiles::make_fresh(bool may_be_short) {
  while (preparing_) co_await changed_.wait();
  preparing_ = true;  // nobody else begins one that would be removed here
  Status removed = co_await remove_prepared();
  if (!removed.ok()) {
    preparing_ = false;
    changed_.notify_all();
    co_return removed.error();
  }
  co_await prepare();
  if (ready()) co_return take_next();
  if (may_be_short && failure_->code == ENOSPC) co_return co_await make_short();
  co_return *failure_;
}

Task<Status> SegmentFiles::remove_prepared() {
  next_.reset();
  Result<std::vector<std::string>> names = co_await directory_.list();
  if (!names.ok()) co_return names.error();
  for (std::string& name : *names) {
    if (!name.starts_with(kPreparedSegmentPrefix) || !name.ends_with(kPreparedSuffix)) continue;
    Status removed = co_await directory_.remove(std::move(name));
    if (!removed.ok() && removed.error().code != ENOENT) co_return removed;
  }
  co_return Status();
}

Task<Result<PreparedFile>> SegmentFiles::make_short() {
  Status removed = co_await directory_.remove(kReserveName);
  if (!removed.ok() && removed.error().code != ENOENT) co_return removed.error();
  for (std::uint64_t bytes = std::min(kReserveBytes, segment_bytes_); bytes >= kShortestBytes;
       bytes /= 2) {
    PreparedFile file{.disk = nullptr, .name = new_name()};
    Result<std::unique_ptr<cdp::Disk>> made = co_await directory_.create(file.name, bytes);
    if (made.ok()) {
      file.disk = *std::move(made);
      co_return file;
    }
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
  std::string from = segment.prepared_name;
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
  Status removed = co_await remove_prepared();
  static_cast<void>(removed.ok());  // the next start removes them
}

}  // namespace journal
