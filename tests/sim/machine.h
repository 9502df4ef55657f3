// SPDX-License-Identifier: Apache-2.0
//
// Machine: one start of a simulated appliance, whole: volumes on the real journal, on simulated
// disks, recovered as the daemon recovers. Everything that the volumes record is copied on its way
// to the journal, and that copy is what history is compared with, record by record.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cdp/volume.h"
#include "journal/block_reader.h"
#include "journal/journal.h"
#include "journal/vault_reader.h"
#include "tests/sim/sim_recorder.h"
#include "tests/sim/sim_store.h"

namespace sim {

// Hands everything on to another Recorder, and keeps a copy. One that lies answers a flush at once,
// to show that the tests notice.
class TapRecorder final : public cdp::Recorder {
 public:
  TapRecorder(cdp::Recorder& to, SimLog& log, bool lies) : to_(to), log_(log), lies_(lies) {}

  cdp::Task<cdp::Status> admit(std::uint32_t blocks) override { return to_.admit(blocks); }
  void cancel_admission(std::uint32_t blocks) override { to_.cancel_admission(blocks); }
  void record_write(cdp::VolumeId volume, cdp::Stamp stamp, std::uint64_t first_block,
                    const cdp::PageList& pages, const cdp::PageList& previous) override;
  void record_zero(cdp::VolumeId volume, cdp::Stamp stamp, cdp::ZeroKind kind,
                   std::uint64_t first_block, std::uint64_t count) override;
  void record_checkpoint(cdp::VolumeId volume, cdp::Stamp stamp, cdp::Lsn covered,
                         std::optional<std::uint64_t> hydrated_upto) override {
    to_.record_checkpoint(volume, stamp, covered, hydrated_upto);
  }
  cdp::Task<cdp::Status> flush(cdp::Lsn lsn) override;
  cdp::Lsn durable_lsn() const override { return to_.durable_lsn(); }
  cdp::Signal& progress() override { return to_.progress(); }

 private:
  cdp::Recorder& to_;
  SimLog& log_;
  const bool lies_;
};

class Machine {
 public:
  static constexpr std::size_t kVolumes = 2;
  static constexpr std::uint64_t kSizeBytes[kVolumes] = {64 * cdp::kBlockBytes,
                                                         40 * cdp::kBlockBytes + 777};

  // `log` has what was recorded at earlier starts.
  Machine(SimScheduler& scheduler, std::shared_ptr<SimStore> store, std::shared_ptr<SimLog> log,
          bool flushes_lie = false);

  // Makes or recovers vault and volumes. False where that failed; findings() says why, unless the
  // machine has crashed. What the recovered history does not have is dropped from the log.
  bool start();
  // Ends everything, crashed or not; the first thing that could not be closed.
  cdp::Status stop();

  bool started() const { return !volumes_.empty(); }
  cdp::Volume& volume(std::size_t index) { return *volumes_[index]; }
  const journal::Journal& journal() const { return *journal_; }

  // What `log` says that a volume holds, from the beginning of history on.
  std::vector<std::byte> logged(std::size_t index) const;
  // What the volume answers.
  std::vector<std::byte> live(std::size_t index);
  // Flushes, reads all of history back, and compares every record, so every past point, with the
  // log.
  void check_history();
  std::vector<std::string>& findings() { return findings_; }

 private:
  struct Change {  // a record of history, and the bytes that it brings
    cdp::VolumeId volume;
    cdp::Lsn lsn;
    std::uint64_t first_block = 0;
    std::uint64_t blocks = 0;
    bool zero = false;
    std::vector<std::byte> data;
    std::vector<bool> same;
  };
  class ChangeCollector;

  cdp::Task<cdp::Status> begin();
  cdp::Task<cdp::Status> open_journal();
  cdp::Task<cdp::Status> create_volumes();
  // All changes after `after`, with their bytes; those of "same" blocks are left zero.
  cdp::Task<cdp::Result<std::vector<Change>>> history(cdp::Lsn after);
  cdp::Task<cdp::Status> replay_history(const std::vector<Change>& changes);
  void drop_lost(const std::vector<Change>& changes);

  SimScheduler& scheduler_;
  const bool flushes_lie_;
  SimClock clock_;
  cdp::Sequencer sequencer_;
  const std::shared_ptr<SimStore> store_;
  const std::shared_ptr<SimLog> log_;
  std::unique_ptr<cdp::Directory> root_;
  std::unique_ptr<cdp::Directory> segments_;
  std::unique_ptr<cdp::Directory> state_;
  std::vector<std::unique_ptr<cdp::Disk>> backings_;
  cdp::PagePool write_pages_;
  cdp::PagePool read_pages_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<TapRecorder> tap_;
  std::vector<cdp::VolumeId> ids_;
  std::vector<std::unique_ptr<cdp::Volume>> volumes_;
  std::vector<std::string> findings_;
};

}  // namespace sim
