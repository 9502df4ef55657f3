// SPDX-License-Identifier: Apache-2.0
//
// SimRecorder: the plainest Recorder that can lose its unflushed end at a crash. The records lie in
// a SimLog, which survives; how many of them are durable is a number in the first sector of a
// simulated disk, written durably once per frame, so that a frame is there or is not.
//
// It checks what a Recorder may demand: a change comes under an admission, LSNs grow, `previous` is
// what the block held. Options make it lie, to show that the tests notice.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cdp/recorder.h"
#include "tests/sim/sim_store.h"

namespace sim {

struct LogRecord {
  enum class Kind { kWrite, kZero, kTrim, kCheckpoint, kRollback, kResize };
  Kind kind = Kind::kWrite;
  cdp::VolumeId volume;
  cdp::Lsn lsn;
  cdp::Nanos time;
  std::uint64_t first_block = 0;
  std::uint64_t blocks = 0;
  std::vector<std::byte> data;  // of writes
  std::vector<bool> same;  // blocks of it that held these bytes already: replay passes over them
  cdp::Lsn covered;        // of checkpoints
  std::optional<std::uint64_t> hydrated_upto{};  // of checkpoints
  cdp::Lsn point{};                              // of rollbacks
  std::uint64_t size_bytes = 0;                  // of rollbacks and resizes

  bool is_change() const { return kind <= Kind::kTrim; }
};
using SimLog = std::vector<LogRecord>;

// The content of a volume, without rollbacks, after the records with LSNs in (after, upto], from
// `content` on.
void replay(const SimLog& log, cdp::VolumeId volume, cdp::Lsn after, cdp::Lsn upto,
            std::vector<std::byte>& content);
// Where replay of a volume starts.
cdp::Lsn covered_by_checkpoint(const SimLog& log, cdp::VolumeId volume);

struct SimRecorderOptions {
  std::size_t memory_blocks = 256;  // that are not durable yet, at most
  std::size_t capacity_records = SIZE_MAX;
  cdp::Nanos commit_interval = cdp::milliseconds(200);
  bool acknowledges_early = false;      // lie: durable before the frame is
  bool checkpoints_cover_all = false;   // lie: a checkpoint covers what came after the pass began
  std::uint64_t cursors_run_ahead = 0;  // lie: blocks more are said to be hydrated
};

class SimRecorder final : public cdp::Recorder {
 public:
  static constexpr std::uint64_t kDiskBytes = cdp::kBlockBytes;

  // `log` holds what `durable_records(disk)` says it does. close() ends it.
  SimRecorder(SimScheduler& scheduler, cdp::Disk& disk, std::shared_ptr<SimLog> log,
              SimRecorderOptions options = {});
  ~SimRecorder() override;

  static cdp::Task<std::size_t> durable_records(cdp::Disk& disk);

  cdp::Task<cdp::Status> admit(std::uint32_t blocks) override;
  void cancel_admission(std::uint32_t blocks) override;
  void record_write(cdp::VolumeId volume, cdp::Stamp stamp, std::uint64_t first_block,
                    const cdp::PageList& pages, const cdp::PageList& previous) override;
  void record_zero(cdp::VolumeId volume, cdp::Stamp stamp, cdp::ZeroKind kind,
                   std::uint64_t first_block, std::uint64_t count) override;
  void record_checkpoint(cdp::VolumeId volume, cdp::Stamp stamp, cdp::Lsn covered,
                         std::optional<std::uint64_t> hydrated_upto) override;
  void record_rollback(cdp::VolumeId volume, cdp::Stamp stamp, cdp::Lsn point,
                       std::uint64_t size_bytes);
  void record_resize(cdp::VolumeId volume, cdp::Stamp stamp, std::uint64_t size_bytes);
  cdp::Task<cdp::Status> flush(cdp::Lsn lsn) override;
  cdp::Lsn durable_lsn() const override { return claimed_durable_; }
  cdp::Signal& progress() override { return progress_; }

  cdp::Task<void> close();
  cdp::Lsn truly_durable() const { return durable_; }
  const SimLog& log() const { return *log_; }
  void set_capacity(std::size_t records) { options_.capacity_records = records; }

 private:
  cdp::Task<void> commit_loop();
  void append(LogRecord record, std::uint32_t blocks);

  SimScheduler& scheduler_;
  cdp::Disk& disk_;
  const std::shared_ptr<SimLog> log_;
  SimRecorderOptions options_;
  std::unique_ptr<std::byte[]> frame_memory_;
  std::byte* frame_ = nullptr;  // an aligned block of it
  cdp::Lsn last_;
  cdp::Lsn durable_;
  cdp::Lsn claimed_durable_;
  cdp::Lsn flush_wanted_;
  std::size_t admissions_ = 0;
  std::size_t admitted_blocks_ = 0;
  std::size_t pending_blocks_ = 0;
  std::optional<cdp::Error> failure_;
  bool stopping_ = false;
  cdp::Signal progress_;
  cdp::Signal wake_;
  cdp::TaskGroup background_;
};

}  // namespace sim
