// SPDX-License-Identifier: Apache-2.0
#include "journal/zero_ahead.h"

#include <algorithm>
#include <cstring>

namespace journal {
namespace {

constexpr std::uint64_t kChunkBytes = 1u << 20;
constexpr std::uint64_t kAheadBytes = 16u << 20;

}  // namespace

ZeroAhead::ZeroAhead(cdp::Scheduler& scheduler, bool enabled)
    : scheduler_(scheduler), enabled_(enabled), ended_(scheduler) {
  if (!enabled_) return;
  const std::span<std::byte> zeroes = zeroes_.reserve(kChunkBytes);
  std::memset(zeroes.data(), 0, zeroes.size());
}

bool ZeroAhead::has_work() const {
  return enabled_ && idle_ && disk_ != nullptr &&
         zeroed_ < std::min(disk_->size_bytes(), appended_ + kAheadBytes);
}

void ZeroAhead::start() {
  if (running_ || !has_work()) return;
  running_ = true;
  scheduler_.spawn(run());
}

cdp::Task<void> ZeroAhead::run() {
  bool wrote = false;
  while (has_work()) {
    const std::shared_ptr<cdp::Disk> disk = disk_;
    const std::uint64_t from = zeroed_;
    const std::uint64_t bytes = std::min(kChunkBytes, disk->size_bytes() - from);
    zeroed_ = from + bytes;
    const std::span<const std::byte> zeroes(zeroes_.data(), bytes);
    writing_ = true;
    writing_from_ = from;
    cdp::Status written = co_await disk->write(from, zeroes);
    writing_ = false;
    wrote = true;
    ended_.notify_all();
    if (!written.ok()) disk_ = nullptr;  // an append will find out what is wrong
  }
  // One sync brings the blocks' new state to the medium, so that no append has to.
  if (wrote && disk_ != nullptr) {
    const std::shared_ptr<cdp::Disk> disk = disk_;
    cdp::Status synced = co_await disk->sync();
    if (!synced.ok()) disk_ = nullptr;
  }
  running_ = false;
  ended_.notify_all();
  start();
}

cdp::Task<void> ZeroAhead::follow(std::shared_ptr<cdp::Disk> disk, std::uint64_t offset) {
  disk_ = nullptr;
  while (running_) co_await ended_.wait();
  disk_ = std::move(disk);
  appended_ = zeroed_ = offset;
  start();
}

void ZeroAhead::advance(std::uint64_t offset) {
  appended_ = std::max(appended_, offset);
  zeroed_ = std::max(zeroed_, offset);
  start();
}

void ZeroAhead::set_idle(bool idle) {
  idle_ = idle;
  start();
}

cdp::Task<void> ZeroAhead::keep_clear(std::uint64_t end) {
  // zeroed_ counts what is on its way; beyond it nothing has begun.
  zeroed_ = std::max(zeroed_, end);
  while (writing_ && writing_from_ < end) co_await ended_.wait();
}

cdp::Task<void> ZeroAhead::stop() {
  disk_ = nullptr;
  while (running_) co_await ended_.wait();
}

}  // namespace journal
