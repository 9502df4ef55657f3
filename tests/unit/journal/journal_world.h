// SPDX-License-Identifier: Apache-2.0
//
// JournalWorld: one simulated machine with a vault, a journal, and the naive model that it is held
// to: a list of every change by LSN, with the seeds that its blocks' bytes are made from. A crash
// ends the machine; `restart` boots the next one from what the crash left.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cdp/io/pages.h"
#include "journal/block_reader.h"
#include "journal/journal.h"
#include "journal/vault_reader.h"
#include "journal/verify.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_store.h"

namespace journal {

// Seed 0 is zeroes; even seeds compress, odd ones do not. Bytes of different seeds differ.
void fill_block(std::uint64_t seed, std::span<std::byte, cdp::kBlockBytes> block);
Vault test_vault(std::uint8_t fill = 7);
JournalOptions small_options();

struct ModelChange {
  enum class Kind { kWrite, kZero };
  Kind kind = Kind::kWrite;
  VolumeId volume{};
  Stamp stamp{};
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
  std::vector<std::uint64_t> seeds{};  // of a write's blocks
};

// Everything that a reader says, copied.
struct ReadRecord {
  bool is_write = false;
  VolumeId volume{};
  Stamp stamp{};
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
  struct Piece {
    WritePiece piece;
    std::vector<Fingerprint> fingerprints;
  };
  std::vector<Piece> pieces{};
};

class Collector final : public RecordVisitor {
 public:
  bool on_frame(const FrameInfo& frame) override {
    frames.push_back(frame);
    return true;
  }
  void on_write(const WriteRecord& record) override;
  void on_zero(const ZeroRecord& record) override;
  void on_volume_created(const VolumeCreated&) override { ++controls; }
  void on_mark(const MarkRecord& record) override { marks.push_back(record); }
  void on_user(const UserRecord& record) override { users.push_back(record); }
  void on_token(const TokenRecord& record) override { tokens.push_back(record); }
  void on_audit(const AuditRecord& record) override { audits.push_back(record); }
  void on_pulse(const PulseRecord& record) override { pulses.push_back(record); }
  void on_checkpoint(const CheckpointRecord&) override { ++controls; }
  void on_crash(const CrashRecord& record) override { crashes.push_back(record); }
  void on_clock(const ClockRecord& record) override { clocks.push_back(record); }
  void on_damage(const Damage& damage) override { damages.push_back(damage); }

  std::vector<FrameInfo> frames;
  std::vector<ReadRecord> records;
  std::vector<MarkRecord> marks;
  std::vector<UserRecord> users;
  std::vector<TokenRecord> tokens;
  std::vector<AuditRecord> audits;
  std::vector<PulseRecord> pulses;
  std::vector<CrashRecord> crashes;
  std::vector<ClockRecord> clocks;
  std::vector<Damage> damages;
  int controls = 0;

  std::map<PieceKind, std::size_t> blocks_by_kind() const;
};

class JournalWorld {
 public:
  explicit JournalWorld(std::uint64_t seed, JournalOptions options = small_options());
  ~JournalWorld();

  // Opens the journal; the error, if any.
  Status open();
  Status close();
  // The machine stops at once, and boots again with another fate of what was not durable. The
  // journal is not open afterwards.
  void crash_and_reboot(std::uint64_t fate);
  // Another storage: the machine boots with it. The journal must not be open.
  void boot(std::shared_ptr<sim::SimStore> with);

  VolumeId create_volume(const std::string& name, std::uint64_t size_bytes = 1u << 30);
  // Admitted and recorded; false (and nothing recorded) when admission failed.
  bool write(VolumeId volume, std::uint64_t first_block, std::vector<std::uint64_t> seeds,
             bool with_previous = true);
  bool zero(VolumeId volume, std::uint64_t first_block, std::uint64_t count,
            ZeroKind kind = ZeroKind::kTrim);
  Status flush() { return scheduler.run(journal->flush(sequencer->last())); }
  // One random change of the given volumes; now and then a flush, or time passes.
  void random_step(const std::vector<VolumeId>& volumes);
  // Random steps, and a flush, while one of the next appends fails.
  Status work_with_a_failing_append(VolumeId volume);

  // Reads the history after LSN 0 and compares it with every change of the model up to its end,
  // block by block. Gives what was read.
  Collector check_history();
  std::unique_ptr<VaultReader> reader();
  Collector collect(Lsn after = {}, Lsn upto = {UINT64_MAX});
  VerifyReport verify_all(bool deep);
  // What the model says of a block as of an LSN: a seed.
  std::uint64_t model_seed(VolumeId volume, std::uint64_t block, Lsn at) const;
  // The machine stopped: changes newer than `last` never happened.
  void forget_after(Lsn last);

  std::string path_of(std::uint32_t segment) const;

  std::uint64_t seed;
  JournalOptions options;
  sim::SimScheduler scheduler;
  sim::SimClock clock;
  sim::Random random;
  std::shared_ptr<sim::SimStore> store;
  std::unique_ptr<cdp::Directory> segments;
  std::unique_ptr<cdp::Directory> state;
  std::unique_ptr<cdp::Directory> index;
  bool saves_hooks = false;  // the journal has the directory `index`
  Vault vault = test_vault();
  std::unique_ptr<cdp::PagePool> pool;
  std::unique_ptr<cdp::Sequencer> sequencer;
  std::unique_ptr<Journal> journal;
  std::optional<Error> last_refusal;

  std::vector<ModelChange> model;

 private:
  void check_record(const ReadRecord& read, const ModelChange& expected, BlockReader& blocks);

  std::map<std::pair<VolumeId, std::uint64_t>, std::uint64_t> seeds_;  // now
  std::map<std::pair<VolumeId, std::uint64_t>, cdp::PageRef> dirty_;
  // Of the history being checked: where each block is; absent: zeroes.
  std::map<std::pair<VolumeId, std::uint64_t>, BlockPlace> map_;
  std::uint64_t next_seed_ = 1;
};

}  // namespace journal
