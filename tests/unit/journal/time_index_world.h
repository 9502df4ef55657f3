// SPDX-License-Identifier: Apache-2.0
//
// TimeIndexWorld: a journal with the time index that follows it on a simulated machine. The oracle
// is what VaultReader says of the segments, gone through from the newest change on for every block
// and every question.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "journal/index/history_reader.h"
#include "journal/index/time_index.h"
#include "tests/unit/journal/journal_world.h"
#include "tests/unit/restore/model_block_map.h"

namespace journal::index {

class TimeIndexWorld {
 public:
  static constexpr std::uint64_t kBlocks = 260;  // changes touch the first ones of a volume
  static constexpr char kPath[] = "vault/index/";

  explicit TimeIndexWorld(std::uint64_t seed, std::size_t run_entries = 64, std::size_t fan_out = 4)
      : machine(seed) {
    options.run_entries = run_entries;
    options.fan_out = fan_out;
    options.cache_bytes = (seed % 2 == 0 ? 4 : 1000) * kPageBytes;
    options.pulse_cache_bytes = seed % 3 == 0 ? 2048 : PulseCache::kDefaultBytes;
  }
  ~TimeIndexWorld() {
    if (machine.journal != nullptr) close_journal();
    if (index != nullptr) static_cast<void>(close_index());
  }

  // The journal with its index; two volumes at first.
  void start() {
    const Status opened = machine.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    open_index();
    if (machine.journal->state().volumes.empty()) {
      for (const char* name : {"db", "log"}) machine.create_volume(name);
      ASSERT_TRUE(machine.flush().ok());
    }
    volumes.clear();
    for (const auto& [id, known] : machine.journal->state().volumes) volumes.push_back(id);
  }
  void stop() {
    close_journal();
    const Status saved = close_index();
    EXPECT_TRUE(saved.ok()) << (saved.ok() ? "" : saved.error().message);
  }
  void crash(std::uint64_t fate) {
    machine.store->crash_now();
    close_journal();
    static_cast<void>(close_index());
    machine.crash_and_reboot(fate);
  }

  // As a daemon does: it listens before it catches up.
  void open_index() {
    files = machine.store->directory("vault/index");
    index = cdp::value_or_throw(machine.scheduler.run(
        TimeIndex::open(machine.scheduler, *files, *machine.segments, machine.vault, options)));
    if (machine.journal == nullptr) return;
    machine.journal->set_listener(index.get());
    const Status known = machine.scheduler.run(index->catch_up(durable()));
    if (!machine.store->crashed()) {
      EXPECT_TRUE(known.ok()) << known.error().message;
    }
  }
  Status close_index() {
    if (machine.journal != nullptr) machine.journal->set_listener(nullptr);
    Status closed = machine.scheduler.run(index->close());
    index.reset();
    return closed;
  }
  void close_journal() {
    static_cast<void>(machine.scheduler.run(machine.journal->close()).ok());
    machine.journal->set_listener(nullptr);
    machine.journal.reset();
  }

  // One random change of any kind that the index or the state is about.
  void step() {
    auto& random = machine.random;
    const VolumeId volume = volumes[random.below(volumes.size())];
    if (random.chance(3)) {
      const Stamp stamp = machine.sequencer->next();
      static_cast<void>(
          machine.journal->record_volume_resized(volume, stamp, random.below(kBlocks) << 12).ok());
    } else if (random.chance(3)) {
      const Stamp stamp = machine.sequencer->next();
      const std::string label = fmt::format("mark {}", random.below(20));
      static_cast<void>(machine.journal->record_mark(volume, stamp, label, "tester").ok());
    } else if (random.chance(4)) {
      machine.zero(volume, random.below(kBlocks), std::uint64_t{1} << random.below(18));
    } else {
      machine.random_step({volume});
    }
  }
  // What somebody does who may: each of these may be refused.
  void act() {
    auto& random = machine.random;
    Journal& journal = *machine.journal;
    const std::string name = fmt::format("user-{}", random.below(6));
    UserRecord user{.stamp = machine.sequencer->next(), .name = name};
    user.rights = static_cast<std::uint32_t>(random.below(8));
    user.is_removed = random.chance(5);
    static_cast<void>(journal.record_user(user).ok());
    TokenRecord token{.stamp = machine.sequencer->next(), .user = name, .label = "a token"};
    token.digest[0] = static_cast<std::byte>(random.below(10));
    token.expires = token.stamp.time + random.nanos({1}, cdp::seconds(20));
    token.is_revoked = random.chance(20);
    static_cast<void>(journal.record_token(token).ok());
    AuditRecord audit{.stamp = machine.sequencer->next(), .status = 200, .actor = name};
    audit.act = "act";
    static_cast<void>(journal.record_audit(audit).ok());
  }
  void steps(int count) {
    for (int i = 0; i < count && !machine.store->crashed(); ++i) step();
    if (!machine.store->crashed()) {
      const Status flushed = machine.flush();
      EXPECT_TRUE(flushed.ok()) << flushed.error().message;
    }
  }
  void pass(std::int64_t seconds) { machine.scheduler.run_for(cdp::seconds(seconds)); }

  Lsn durable() const { return machine.journal->durable_state().lsn; }
  std::shared_ptr<restore::ModelBlockMap> model() {
    return restore::model_map(machine.scheduler, *machine.reader());
  }

  // Random points and ranges of LSNs of every volume, against the records in the segments.
  void check(TimeIndex& of, Lsn upto, int rounds) {
    const auto oracle = model();
    for (int i = 0; i < rounds && !testing::Test::HasFailure(); ++i) {
      const Lsn lsn = i == 0 ? upto : Lsn{machine.random.between(1, upto.value)};
      auto snapshot = machine.scheduler.run(of.snapshot(lsn));
      ASSERT_TRUE(snapshot.ok()) << "LSN " << lsn.value << ": " << snapshot.error().message;
      EXPECT_GE((*snapshot)->upto(), lsn);
      check_map(**snapshot, *oracle, lsn);
    }
  }
  void check(int rounds = 4) { check(*index, durable(), rounds); }

  void check_map(const BlockMap& map, const restore::ModelBlockMap& oracle, Lsn lsn) {
    for (const VolumeId volume : volumes) {
      const Lsn after{machine.random.coin() ? 0 : machine.random.below(lsn.value)};
      const Visibility visible{{volume, {{after, lsn}}}};
      SCOPED_TRACE(fmt::format("volume {} in ({}, {}]", volume.value, after.value, lsn.value));
      std::vector<BlockVersion> found(kBlocks);
      const Status looked = machine.scheduler.run(map.lookup(visible, 0, found));
      ASSERT_TRUE(looked.ok()) << looked.error().message;
      std::vector<BlockVersion> scanned(kBlocks);
      const auto scan = map.scan(visible, 0, kBlocks);
      for (;;) {
        auto extents = machine.scheduler.run(scan->next());
        ASSERT_TRUE(extents.ok()) << extents.error().message;
        if (extents->empty()) break;
        for (const Extent& extent : *extents) expand(extent, scanned);
      }
      for (std::uint64_t block = 0; block < kBlocks; ++block) {
        const BlockVersion wanted = oracle.version(visible, block);
        ASSERT_TRUE(same(found[block], wanted) && found[block].lsn == wanted.lsn)
            << "block " << block << " was found as of LSN " << found[block].lsn.value << ", not "
            << wanted.lsn.value;
        ASSERT_TRUE(same(scanned[block], wanted)) << "block " << block << " in a scan";
      }
    }
  }

  // States at random LSNs and what random times mean, against the records in the segments.
  void check_states(int rounds);
  void check_state(Lsn lsn);
  enum class Answer { kRight, kRightOrNone };
  void check_time(Answer answer);

  std::vector<std::string> index_files() const {
    std::vector<std::string> found;
    for (const std::string& path : machine.store->paths())
      if (path.starts_with(kPath)) found.push_back(path);
    return found;
  }
  Manifest manifest() const {
    const auto bytes = machine.store->content(std::string(kPath) + kManifestName);
    return cdp::value_or_throw(decode_manifest(bytes, machine.vault));
  }
  void remove(const std::string& path) {
    const auto directory = machine.store->directory("vault/index");
    const std::string name = path.substr(sizeof kPath - 1);
    ASSERT_TRUE(machine.scheduler.run(directory->remove(name)).ok());
    ASSERT_TRUE(machine.scheduler.run(directory->sync()).ok());
  }

  JournalWorld machine;
  TimeIndexOptions options;
  std::unique_ptr<cdp::Directory> files;
  std::unique_ptr<TimeIndex> index;
  std::vector<VolumeId> volumes;

 private:
  static void expand(const Extent& extent, std::vector<BlockVersion>& into) {
    for (std::uint64_t i = 0; i < extent.block_count; ++i) {
      BlockVersion& version = into.at(extent.first_block + i);
      EXPECT_EQ(version.state, BlockState::kUntouched) << "a block comes once";
      version.state = extent.state;
      version.place = extent.place;
      if (extent.state == BlockState::kData)
        version.place.index = static_cast<std::uint16_t>(extent.place.index + i);
    }
  }
  // run_bytes is an upper bound; the oracle adds its slack to it.
  static bool same(const BlockVersion& one, const BlockVersion& wanted) {
    if (one.state != wanted.state) return false;
    if (one.state != BlockState::kData) return true;
    return one.place.segment == wanted.place.segment &&
           one.place.run_offset == wanted.place.run_offset &&
           one.place.index == wanted.place.index &&
           one.place.run_bytes + restore::ModelBlockMap{}.slack_bytes >= wanted.place.run_bytes;
  }
};

}  // namespace journal::index
