// SPDX-License-Identifier: Apache-2.0
//
// RecordedVault: a real journal with its time index on a simulated machine, and beside them a naive
// model of what was recorded: a list of changes by LSN, replayed from the beginning for every
// question.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cdp/io/pages.h"
#include "cdp/sequencer.h"
#include "journal/index/time_index.h"
#include "journal/journal.h"
#include "restore/history.h"
#include "restore/image_source.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_store.h"
#include "tests/unit/restore/model_block_map.h"

namespace restore {

using cdp::kBlockBytes;

class RecordedVault {
 public:
  explicit RecordedVault(std::uint64_t seed)
      : random(seed),
        scheduler(seed),
        clock(scheduler),
        store_(sim::SimStore::make(scheduler, seed)),
        pool_(scheduler, 1024) {
    root_ = store_->directory("vault");
    vault = cdp::value_or_throw(scheduler.run(journal::create_vault(*root_, clock.realtime())));
    start();
  }
  ~RecordedVault() {
    if (journal_ != nullptr) stop();
  }

  // Opens the journal, recovering it, and the index, which follows it from then on.
  void start() {
    segments_ = store_->directory("vault/segments");
    state_ = store_->directory("state");
    sequencer_ = std::make_unique<cdp::Sequencer>(clock);
    journal::JournalOptions options;
    options.segment_bytes = std::max<std::uint64_t>(options.minimum_segment_bytes(), 8u << 20);
    options.dedup_bytes = 1u << 20;
    options.zero_ahead = false;
    auto opened = scheduler.run(journal::Journal::open(scheduler, clock, *sequencer_, *segments_,
                                                       state_.get(), vault, options));
    journal_ = cdp::value_or_throw(std::move(opened));
    index_files_ = store_->directory("vault/index");
    // Small runs, so that a short history has several, stored and merged ones among them.
    journal::index::TimeIndexOptions wanted;
    wanted.run_entries = 64;
    index_ = cdp::value_or_throw(scheduler.run(journal::index::TimeIndex::open(
        scheduler, *index_files_, *segments_, vault, std::move(wanted))));
    journal_->set_listener(index_.get());
    const Status known = scheduler.run(index_->catch_up(journal_->durable_lsn()));
    EXPECT_TRUE(known.ok()) << (known.ok() ? "" : known.error().message);
  }
  void stop() {
    const Status closed = scheduler.run(journal_->close());
    EXPECT_TRUE(closed.ok()) << (closed.ok() ? "" : closed.error().message);
    journal_->set_listener(nullptr);
    const Status saved = scheduler.run(index_->close());
    EXPECT_TRUE(saved.ok()) << (saved.ok() ? "" : saved.error().message);
    journal_.reset();
    index_.reset();
  }
  // Power is lost: what was not durable may be gone.
  void crash_and_restart() {
    store_->crash_now();
    (void)scheduler.run(journal_->close());
    journal_->set_listener(nullptr);
    (void)scheduler.run(index_->close());  // every I/O of it fails
    journal_.reset();
    index_.reset();
    store_ = store_->reboot(scheduler, random());
    root_ = store_->directory("vault");
    start();
    forget_lost();
  }

  cdp::VolumeId create(const std::string& name, std::uint64_t size_bytes) {
    const cdp::Stamp stamp = sequencer_->next();
    const auto id = cdp::value_or_throw(
        journal_->record_volume_created(stamp, journal::Uuid::random(), name, size_bytes, ""));
    note(stamp, id, [size_bytes](Blocks&, std::uint64_t& size) { size = size_bytes; });
    flush();
    return id;
  }
  void rename(cdp::VolumeId id, const std::string& name) {
    const cdp::Stamp stamp = sequencer_->next();
    ASSERT_TRUE(journal_->record_volume_renamed(id, stamp, name).ok());
    note(stamp, id, {});
  }
  void remove(cdp::VolumeId id) {
    const cdp::Stamp stamp = sequencer_->next();
    ASSERT_TRUE(journal_->record_volume_removed(id, stamp).ok());
    note(stamp, id, {});
  }
  void resize(cdp::VolumeId id, std::uint64_t size_bytes) {
    const cdp::Stamp stamp = sequencer_->next();
    ASSERT_TRUE(journal_->record_volume_resized(id, stamp, size_bytes).ok());
    note(stamp, id, [size_bytes](Blocks& blocks, std::uint64_t& size) {
      size = size_bytes;
      blocks.erase(blocks.lower_bound(cdp::blocks_for(size_bytes)), blocks.end());
    });
  }
  cdp::Stamp roll_back(cdp::VolumeId id, Lsn point) {
    const cdp::Stamp stamp = sequencer_->next();
    Content then = content(id, point);
    EXPECT_TRUE(journal_->record_rollback(stamp, point, {{id, then.second}}, "tester", false).ok());
    note(stamp, id, [then = std::move(then)](Blocks& blocks, std::uint64_t& size) {
      std::tie(blocks, size) = then;
    });
    return stamp;
  }
  cdp::Stamp mark(cdp::VolumeId id, const std::string& label) {
    const cdp::Stamp stamp = sequencer_->next();
    EXPECT_TRUE(journal_->record_mark(id, stamp, label, "tester").ok());
    note(stamp, id, {});
    return stamp;
  }
  cdp::Stamp audit(const std::string& act, const std::string& detail) {
    journal::AuditRecord record{.stamp = sequencer_->next(), .status = 200, .actor = "ops"};
    record.origin = "10.0.0.7";
    record.act = act;
    record.detail = detail;
    EXPECT_TRUE(journal_->record_audit(record).ok());
    note(record.stamp, {}, {});
    return record.stamp;
  }
  // What the model says of a point inside is what history has, not what the volume held.
  cdp::Stamp begin_gap(cdp::VolumeId id, const std::string& cause) {
    const cdp::Stamp stamp = sequencer_->next();
    EXPECT_TRUE(journal_->record_gap(id, stamp, cause).ok());
    note(stamp, id, {});
    return stamp;
  }
  cdp::Stamp end_gap(cdp::VolumeId id) {
    const cdp::Stamp stamp = sequencer_->next();
    EXPECT_TRUE(journal_->record_gap_over(id, stamp).ok());
    note(stamp, id, {});
    return stamp;
  }
  // Each block is filled from its seed; equal seeds are equal blocks, 0 is a block of zeroes.
  cdp::Stamp write(cdp::VolumeId id, std::uint64_t first, const std::vector<unsigned>& seeds) {
    scheduler.run(record_write(id, first, &seeds));
    const cdp::Stamp stamp = last_stamp_;
    note(stamp, id, [first, seeds](Blocks& blocks, std::uint64_t&) {
      for (std::size_t i = 0; i < seeds.size(); ++i) blocks[first + i] = seeds[i];
    });
    return stamp;
  }
  cdp::Stamp zero(cdp::VolumeId id, cdp::ZeroKind kind, std::uint64_t first, std::uint64_t count) {
    EXPECT_TRUE(scheduler.run(journal_->admit(0)).ok());
    const cdp::Stamp stamp = sequencer_->next();
    journal_->record_zero(id, stamp, kind, first, count);
    note(stamp, id, [first, count](Blocks& blocks, std::uint64_t&) {
      blocks.erase(blocks.lower_bound(first), blocks.lower_bound(first + count));
    });
    return stamp;
  }
  void checkpoint(cdp::VolumeId id) {
    EXPECT_TRUE(scheduler.run(journal_->admit(0)).ok());
    const cdp::Stamp stamp = sequencer_->next();
    journal_->record_checkpoint(id, stamp, Lsn{stamp.lsn.value - 1}, std::nullopt);
    note(stamp, id, {});
  }
  void flush() { scheduler.run(make_durable()); }
  Task<void> make_durable() {
    const Status durable = co_await journal_->flush(sequencer_->last());
    EXPECT_TRUE(durable.ok());
  }
  Lsn last() const { return sequencer_->last(); }

  // What the model says of a volume at an LSN.
  std::vector<std::byte> image(cdp::VolumeId id, Lsn lsn) const {
    const auto [blocks, size_bytes] = content(id, lsn);
    std::vector<std::byte> bytes(cdp::blocks_for(size_bytes) * kBlockBytes);
    for (const auto& [block, block_seed] : blocks) {
      if (block < cdp::blocks_for(size_bytes)) fill(bytes.data() + block * kBlockBytes, block_seed);
    }
    bytes.resize(size_bytes);
    return bytes;
  }

  std::unique_ptr<journal::VaultReader> reader() {
    return cdp::value_or_throw(
        scheduler.run(journal::VaultReader::open(scheduler, *segments_, vault)));
  }
  // As of what is durable; read from the segments, as one does who has nothing else.
  journal::JournalState newest() {
    auto state = scheduler.run(journal::newest_state(scheduler, *segments_, vault));
    if (!state.ok() && state.error().code == ERANGE) return {};
    return cdp::value_or_throw(std::move(state));
  }
  History history(HistoryOptions options = {}) { return {newest(), std::move(options)}; }
  journal::index::TimeIndex& index() { return *index_; }
  cdp::Directory& segments() { return *segments_; }
  // A naive map of the blocks up to now, and the journal's bytes.
  PointParts parts(journal::BlockReaderOptions options = {}) {
    const auto read = reader();
    return {scheduler, model_map(scheduler, *read),
            std::make_shared<journal::BlockReader>(scheduler, *segments_, vault, options)};
  }
  sim::SimStore& store() { return *store_; }

  std::mt19937_64 random;
  sim::SimScheduler scheduler;
  sim::SimClock clock;
  journal::Vault vault;

 private:
  using Blocks = std::map<std::uint64_t, unsigned>;
  using Content = std::pair<Blocks, std::uint64_t>;  // and the volume's size
  struct Change {
    cdp::Stamp stamp;
    cdp::VolumeId volume;
    std::function<void(Blocks&, std::uint64_t&)> apply;  // null: no change of content
  };

  Content content(cdp::VolumeId id, Lsn lsn) const {
    Content found;
    for (const Change& change : changes_) {
      if (change.stamp.lsn <= lsn && change.volume == id && change.apply)
        change.apply(found.first, found.second);
    }
    return found;
  }

  static constexpr unsigned kFilledMax = 1024;
  struct Filled {
    unsigned seed = 0;
    std::vector<std::byte> bytes;
  };
  void fill(std::byte* block, unsigned block_seed) const {
    if (block_seed == 0) {
      std::memset(block, 0, kBlockBytes);
      return;
    }
    // Images are asked for more often than blocks are new.
    Filled& filled = filled_[block_seed % kFilledMax];
    if (filled.seed != block_seed) {
      filled = {block_seed, std::vector<std::byte>(kBlockBytes)};
      std::mt19937 bytes{block_seed};
      for (std::size_t i = 0; i < kBlockBytes; i += 4) {
        const auto word = static_cast<std::uint32_t>(i % 512 < 128 ? bytes() : block_seed);
        std::memcpy(filled.bytes.data() + i, &word, 4);
      }
    }
    std::memcpy(block, filled.bytes.data(), kBlockBytes);
  }
  Task<void> record_write(cdp::VolumeId id, std::uint64_t first,
                          const std::vector<unsigned>* seeds) {
    const auto count = static_cast<std::uint32_t>(seeds->size());
    const Status admitted = co_await journal_->admit(count);
    EXPECT_TRUE(admitted.ok());
    cdp::PageList pages = co_await pool_.acquire(count);
    for (std::uint32_t i = 0; i < count; ++i) fill(pages[i].data(), (*seeds)[i]);
    const cdp::PageList previous(count);
    last_stamp_ = sequencer_->next();
    journal_->record_write(id, last_stamp_, first, pages, previous);
  }
  void note(cdp::Stamp stamp, cdp::VolumeId id,
            std::function<void(Blocks&, std::uint64_t&)> apply) {
    changes_.push_back({stamp, id, std::move(apply)});
  }
  // After a crash, the model keeps what the journal found.
  void forget_lost() {
    const Lsn kept = journal_->state().crashes.back().last_lsn;
    std::erase_if(changes_, [kept](const Change& change) { return change.stamp.lsn > kept; });
  }

  mutable std::vector<Filled> filled_{kFilledMax};  // by seed, modulo

  std::shared_ptr<sim::SimStore> store_;
  cdp::PagePool pool_;
  std::unique_ptr<cdp::Directory> root_;
  std::unique_ptr<cdp::Directory> segments_;
  std::unique_ptr<cdp::Directory> state_;
  std::unique_ptr<cdp::Sequencer> sequencer_;
  std::unique_ptr<cdp::Directory> index_files_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<journal::index::TimeIndex> index_;
  cdp::Stamp last_stamp_{};
  std::vector<Change> changes_;
};

}  // namespace restore
