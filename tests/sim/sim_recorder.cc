// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_recorder.h"

#include <algorithm>
#include <cstring>

#include "cdp/base/endian.h"

namespace sim {

using cdp::kBlockBytes;
using cdp::Lsn;
using cdp::PageList;
using cdp::Stamp;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

void replay(const SimLog& log, VolumeId volume, Lsn after, Lsn upto,
            std::vector<std::byte>& content) {
  for (const LogRecord& record : log) {
    if (record.volume != volume || record.lsn <= after || record.lsn > upto) continue;
    if (!record.is_change()) continue;
    const std::uint64_t offset = record.first_block * kBlockBytes;
    if (offset >= content.size()) continue;
    const std::uint64_t bytes = std::min(record.blocks * kBlockBytes, content.size() - offset);
    if (record.kind == LogRecord::Kind::kWrite) {
      for (std::uint64_t at = 0; at < bytes; at += kBlockBytes) {
        if (record.same[at / kBlockBytes]) continue;
        const std::uint64_t part = std::min<std::uint64_t>(kBlockBytes, bytes - at);
        std::memcpy(content.data() + offset + at, record.data.data() + at, part);
      }
    } else {
      std::memset(content.data() + offset, 0, bytes);
    }
  }
}

Lsn covered_by_checkpoint(const SimLog& log, VolumeId volume) {
  Lsn covered;
  for (const LogRecord& record : log) {
    if (record.volume == volume && record.kind == LogRecord::Kind::kCheckpoint) {
      covered = std::max(covered, record.covered);
    }
  }
  return covered;
}

SimRecorder::SimRecorder(SimScheduler& scheduler, cdp::Disk& disk, std::shared_ptr<SimLog> log,
                         SimRecorderOptions options)
    : scheduler_(scheduler),
      disk_(disk),
      log_(std::move(log)),
      options_(options),
      frame_memory_(new std::byte[2 * kBlockBytes]()),
      progress_(scheduler),
      wake_(scheduler),
      background_(scheduler) {
  const auto address = reinterpret_cast<std::uintptr_t>(frame_memory_.get());
  frame_ = frame_memory_.get() + (cdp::round_up(address, kBlockBytes) - address);
  if (!log_->empty()) last_ = durable_ = claimed_durable_ = log_->back().lsn;
  background_.spawn(commit_loop());
}

SimRecorder::~SimRecorder() {
  CHECK(background_.running() == 0);
  CHECK(admissions_ == 0 && admitted_blocks_ == 0);  // somebody forgot to cancel
}

Task<std::size_t> SimRecorder::durable_records(cdp::Disk& disk) {
  const std::unique_ptr<std::byte[]> memory(new std::byte[2 * kBlockBytes]());
  const auto address = reinterpret_cast<std::uintptr_t>(memory.get());
  std::byte* block = memory.get() + (cdp::round_up(address, kBlockBytes) - address);
  const std::span<std::byte> into{block, kBlockBytes};
  const Status status = co_await disk.read(0, into);
  // Only a crash makes this fail in our tests, and then nobody looks at the answer.
  co_return status.ok() ? cdp::load_le<std::uint64_t>(block) : 0;
}

Task<Status> SimRecorder::admit(std::uint32_t blocks) {
  while (!failure_ && admitted_blocks_ + pending_blocks_ + blocks > options_.memory_blocks &&
         admitted_blocks_ + pending_blocks_ > 0) {
    wake_.notify_all();
    flush_wanted_ = last_;
    co_await progress_.wait();
  }
  if (failure_) co_return *failure_;
  if (log_->size() >= options_.capacity_records) {
    co_return cdp::make_error(ENOSPC, "the log is full (simulated)");
  }
  if (scheduler_.random().coin()) co_await cdp::yield(scheduler_);
  ++admissions_;
  admitted_blocks_ += blocks;
  co_return Status{};
}

void SimRecorder::cancel_admission(std::uint32_t blocks) {
  CHECK(admissions_ > 0 && admitted_blocks_ >= blocks);
  --admissions_;
  admitted_blocks_ -= blocks;
  progress_.notify_all();
}

void SimRecorder::append(LogRecord record, std::uint32_t blocks) {
  CHECK(record.lsn > last_);
  cancel_admission(blocks);
  last_ = record.lsn;
  pending_blocks_ += blocks;
  log_->push_back(std::move(record));
  if (options_.acknowledges_early) claimed_durable_ = last_;
  wake_.notify_all();
}

void SimRecorder::record_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                               const PageList& pages, const PageList& previous) {
  CHECK(pages.size() == previous.size());
  LogRecord record{
      LogRecord::Kind::kWrite,         volume, stamp.lsn, stamp.time, first_block, pages.size(), {},
      std::vector<bool>(pages.size()), {}};
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const auto bytes = pages[i].bytes();
    record.data.insert(record.data.end(), bytes.begin(), bytes.end());
    if (!previous[i]) continue;
    // The newest record of that block must have had this content.
    const std::uint64_t block = first_block + i;
    const auto newest = std::find_if(log_->rbegin(), log_->rend(), [&](const LogRecord& older) {
      if (older.volume != volume) return false;
      return older.kind == LogRecord::Kind::kRollback ||
             (older.is_change() && older.first_block <= block &&
              block < older.first_block + older.blocks);
    });
    CHECK(newest != log_->rend() && newest->kind == LogRecord::Kind::kWrite);
    CHECK(std::memcmp(previous[i].data(),
                      newest->data.data() + (block - newest->first_block) * kBlockBytes,
                      kBlockBytes) == 0);
    record.same[i] = std::memcmp(previous[i].data(), pages[i].data(), kBlockBytes) == 0;
  }
  append(std::move(record), static_cast<std::uint32_t>(pages.size()));
}

void SimRecorder::record_zero(VolumeId volume, Stamp stamp, cdp::ZeroKind kind,
                              std::uint64_t first_block, std::uint64_t count) {
  const auto what = kind == cdp::ZeroKind::kTrim ? LogRecord::Kind::kTrim : LogRecord::Kind::kZero;
  append({what, volume, stamp.lsn, stamp.time, first_block, count, {}, {}, {}}, 0);
}

void SimRecorder::record_checkpoint(VolumeId volume, Stamp stamp, Lsn covered,
                                    std::optional<std::uint64_t> hydrated_upto) {
  CHECK(covered < stamp.lsn && covered <= durable_lsn());
  if (options_.checkpoints_cover_all) covered = last_;
  LogRecord record{
      LogRecord::Kind::kCheckpoint, volume, stamp.lsn, stamp.time, 0, 0, {}, {}, covered};
  record.hydrated_upto = hydrated_upto;
  if (hydrated_upto) *record.hydrated_upto += options_.cursors_run_ahead;
  append(std::move(record), 0);
}

void SimRecorder::record_rollback(VolumeId volume, Stamp stamp, Lsn point,
                                  std::uint64_t size_bytes) {
  LogRecord record{LogRecord::Kind::kRollback, volume, stamp.lsn, stamp.time, 0, 0, {}, {}, {}};
  record.point = point;
  record.size_bytes = size_bytes;
  ++admissions_;  // control records take none
  append(std::move(record), 0);
}

void SimRecorder::record_resize(VolumeId volume, Stamp stamp, std::uint64_t size_bytes) {
  LogRecord record{LogRecord::Kind::kResize, volume, stamp.lsn, stamp.time, 0, 0, {}, {}, {}};
  record.size_bytes = size_bytes;
  ++admissions_;
  append(std::move(record), 0);
}

Task<Status> SimRecorder::flush(Lsn lsn) {
  CHECK(lsn <= last_);
  flush_wanted_ = std::max(flush_wanted_, lsn);
  wake_.notify_all();
  while (!failure_ && claimed_durable_ < lsn) co_await progress_.wait();
  if (claimed_durable_ >= lsn) co_return Status{};
  co_return *failure_;
}

Task<void> SimRecorder::commit_loop() {
  while (!failure_) {
    // What gathers is written when somebody wants it, or after a while.
    const cdp::Nanos deadline = scheduler_.now() + options_.commit_interval;
    while (!stopping_ &&
           (durable_ == last_ || (flush_wanted_ <= durable_ && scheduler_.now() < deadline))) {
      if (durable_ == last_) {
        co_await wake_.wait();
      } else {
        co_await wake_.wait_until(deadline);
      }
    }
    if (durable_ == last_) co_return;  // stopping
    const Lsn upto = last_;
    const std::size_t blocks = pending_blocks_;
    cdp::store_le<std::uint64_t>(frame_, log_->size());
    const std::span<const std::byte> frame{frame_, kBlockBytes};
    const Status written = co_await disk_.write_durably(0, frame);
    if (!written.ok()) {
      failure_ = written.error();
    } else {
      durable_ = upto;
      claimed_durable_ = std::max(claimed_durable_, durable_);
      pending_blocks_ -= blocks;
    }
    progress_.notify_all();
  }
}

Task<void> SimRecorder::close() {
  stopping_ = true;
  wake_.notify_all();
  co_await background_.join();
}

}  // namespace sim
