// SPDX-License-Identifier: Apache-2.0
//
// The time index behind a journal that grows: what it answers is what the records say, however it
// came to know them, and whatever happened to its own files.
#include "journal/index/time_index.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "journal/segment_reader.h"
#include "tests/unit/journal/time_index_world.h"

namespace journal::index {
namespace {

class TimeIndexSeeds : public testing::TestWithParam<std::uint64_t> {
 protected:
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Seeds, TimeIndexSeeds, testing::Range<std::uint64_t>(1, 7));

TEST_P(TimeIndexSeeds, AnswersAsTheRecordsSayWhileTheJournalGrows) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  for (int i = 0; i < 12; ++i) {
    world.steps(60);
    if (i % 3 == 0) world.pass(1);
    world.check(2);
    if (HasFailure()) return;
  }
  EXPECT_GT(world.machine.reader()->segments().size(), 2u) << "there should be several segments";
  EXPECT_FALSE(world.index->statistics().problem.has_value());
  EXPECT_EQ(world.index->learnt(), world.durable());
  world.stop();
}

// A snapshot is of its moment, whatever is merged and removed behind it.
TEST_P(TimeIndexSeeds, ASnapshotKeepsWhatItIsMadeOf) {
  TimeIndexWorld world(GetParam(), 16, 2);
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(100);
  const Lsn then = world.durable();
  const auto oracle = world.model();
  auto snapshot = cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(then)));
  const std::uint64_t merges = world.index->statistics().merges;
  world.steps(200);
  world.pass(5);
  EXPECT_GT(world.index->statistics().merges, merges);
  for (int i = 0; i < 5; ++i) world.check_map(*snapshot, *oracle, then);
  snapshot.reset();
  world.stop();
}

TEST_P(TimeIndexSeeds, RunsAreMergedSoThatFewStay) {
  TimeIndexWorld world(GetParam(), 16, 4);
  ASSERT_NO_FATAL_FAILURE(world.start());
  for (int i = 0; i < 25; ++i) {
    world.steps(40);
    // Asking makes a small run each time.
    ASSERT_TRUE(world.machine.scheduler.run(world.index->snapshot(world.durable())).ok());
    world.pass(1);
    // Less than fan_out stored runs of each tier, and as many that are not stored yet.
    const TimeIndexStatistics now = world.index->statistics();
    std::size_t tiers = 1;
    for (std::uint64_t entries = 32; entries <= now.entries; entries *= 4) ++tiers;
    ASSERT_LE(now.runs, 3 * (tiers + 1)) << now.entries << " entries";
  }
  EXPECT_GT(world.index->statistics().merges, 5u);
  world.check();
  world.stop();
  // What was merged away is gone.
  EXPECT_EQ(world.index_files().size(), world.manifest().runs.size() + 1);
}

TEST_P(TimeIndexSeeds, StatesAndTimesAreThoseOfTheRecords) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(300);
  world.machine.clock.step(cdp::seconds(-3));
  world.steps(300);
  world.check_states(25);
  world.stop();
}

// An idle journal says once a minute how late it is.
TEST_P(TimeIndexSeeds, StatesHaveTheNewestClockRecordUpToThem) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  for (int i = 0; i < 40; ++i) {
    world.steps(static_cast<int>(world.machine.random.below(15)));
    world.pass(static_cast<std::int64_t>(world.machine.random.below(200)));
    if (world.machine.random.chance(20)) world.machine.clock.step(cdp::seconds(-3));
  }
  world.check_states(60);
  world.stop();
}

// What a crash lost, and what was refused, leaves LSNs that no record has.
TEST_P(TimeIndexSeeds, StatesAtLsnsBetweenFramesAreThoseOfTheRecordsBefore) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  std::vector<Lsn> unused;
  for (int i = 0; i < 30; ++i) {
    world.steps(static_cast<int>(world.machine.random.between(1, 20)));
    const std::uint64_t count = world.machine.random.between(1, 50);
    for (std::uint64_t n = 0; n < count; ++n) unused.push_back(world.machine.sequencer->next().lsn);
  }
  world.steps(1);
  for (int i = 0; i < 60; ++i) {
    world.check_state(unused[world.machine.random.below(unused.size())]);
    if (HasFailure()) return;
  }
  world.stop();
}

TEST_P(TimeIndexSeeds, IsReadFromItsFilesWhenItIsOpenedAgain) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(600);
  world.stop();
  const Manifest saved = world.manifest();
  ASSERT_GT(saved.last_frame.segment, 2u);
  ASSERT_TRUE(world.machine.open().ok());
  std::set<std::string> read;
  world.machine.store->set_observer([&](const sim::IoEvent& event) {
    if (event.kind == sim::IoKind::kRead && event.path.starts_with("vault/segments"))
      read.insert(event.path);
  });
  world.open_index();
  world.machine.store->set_observer({});
  for (std::uint32_t segment = 1; segment < saved.last_frame.segment; ++segment)
    EXPECT_FALSE(read.contains(world.machine.path_of(segment))) << "segment " << segment;
  world.check();
  world.steps(100);
  world.check();
  world.stop();
}

// Everything that can become of its files; each time the answers are those of the records, and
// nothing stays that the new manifest does not name.
TEST_P(TimeIndexSeeds, IsMadeAnewWhereItsFilesCannotBeUsed) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(300);
  const std::string manifest = std::string(TimeIndexWorld::kPath) + kManifestName;
  enum class Harm { kAllGone, kManifestGone, kManifestDamaged, kOtherVault, kRunGone, kRunEmpty };
  for (const Harm harm : {Harm::kAllGone, Harm::kManifestGone, Harm::kManifestDamaged,
                          Harm::kOtherVault, Harm::kRunGone, Harm::kRunEmpty}) {
    SCOPED_TRACE(fmt::format("harm {}", static_cast<int>(harm)));
    world.stop();
    sim::SimStore& store = *world.machine.store;
    const Manifest saved = world.manifest();
    ASSERT_FALSE(saved.runs.empty());
    const std::string run =
        TimeIndexWorld::kPath +
        run_name(saved.runs[world.machine.random.below(saved.runs.size())].number);
    switch (harm) {
      case Harm::kAllGone:
        for (const std::string& path : world.index_files()) world.remove(path);
        break;
      case Harm::kManifestGone:
        world.remove(manifest);
        break;
      case Harm::kManifestDamaged:
        store.flip_bit(manifest, world.machine.random.below(store.size_of(manifest) * 8));
        break;
      case Harm::kOtherVault:
        store.overwrite(manifest, 0, encode_manifest(saved, test_vault(9)));
        break;
      case Harm::kRunGone:
        world.remove(run);
        break;
      case Harm::kRunEmpty:
        store.overwrite(run, 0, std::vector<std::byte>(kPageBytes));
        break;
    }
    ASSERT_NO_FATAL_FAILURE(world.start());
    world.check();
    world.steps(80);
    world.check();
    if (HasFailure()) return;
    world.pass(1);
  }
  world.stop();
  EXPECT_EQ(world.index_files().size(), world.manifest().runs.size() + 1);
}

// The storage of the journal lied about what it had made durable: recovery cuts the segment before
// the frame where the saved index ends.
TEST_P(TimeIndexSeeds, IsMadeAnewWhereTheJournalLostWhatItKnows) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(200);
  do {
    world.steps(20);
    world.pass(1);
  } while (world.manifest().last_frame.segment != world.machine.journal->health().segment);
  const FrameMark last = world.manifest().last_frame;
  const Lsn knew = world.manifest().upto();
  world.crash(world.machine.random.next());
  const std::string path = world.machine.path_of(last.segment);
  const std::vector<std::byte> nothing(world.machine.store->size_of(path) - last.offset);
  world.machine.store->overwrite(path, last.offset, nothing);

  ASSERT_NO_FATAL_FAILURE(world.start());
  ASSERT_FALSE(world.machine.journal->state().crashes.empty());
  EXPECT_LT(world.machine.journal->state().crashes.back().last_lsn, knew);
  world.check();
  world.steps(200);
  world.check();
  world.check_states(10);
  world.stop();
}

// Power is lost at any moment of the journal's work or its own.
TEST_P(TimeIndexSeeds, AnswersRightAfterEveryCrash) {
  TimeIndexWorld world(GetParam(), 16, 3);
  auto& random = world.machine.random;
  for (int i = 0; i < 15; ++i) {
    ASSERT_NO_FATAL_FAILURE(world.start());
    world.check(3);
    if (HasFailure()) return;
    world.machine.store->crash_at(world.machine.store->ios() + random.between(1, 400));
    for (int step = 0; step < 2000 && !world.machine.store->crashed(); ++step) {
      world.step();
      if (random.chance(2)) world.pass(1);
    }
    world.crash(random.next());
  }
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.check();
  world.check_states(10);
  world.stop();
}

// A disk that refuses one kind of work, or is full.
TEST_P(TimeIndexSeeds, AnswersFromMemoryWhileItsDiskFailsAndSavesItselfLater) {
  using sim::IoKind;
  for (const IoKind kind : {IoKind::kCreate, IoKind::kWrite, IoKind::kSync, IoKind::kWriteSmall,
                            IoKind::kSyncNames, IoKind::kRemove}) {
    SCOPED_TRACE(fmt::format("I/O kind {}", static_cast<int>(kind)));
    TimeIndexWorld world(GetParam());
    ASSERT_NO_FATAL_FAILURE(world.start());
    world.steps(100);
    world.check(1);
    world.machine.store->inject({.path_contains = "vault/index",
                                 .kind = kind,
                                 .sticky = true,
                                 .code = world.machine.random.coin() ? ENOSPC : EIO});
    for (int i = 0; i < 5; ++i) {
      world.steps(80);
      world.pass(1);
      world.check(2);
      if (HasFailure()) return;
    }
    if (kind != IoKind::kRemove) {
      EXPECT_TRUE(world.index->statistics().problem.has_value());
    }
    const bool is_left_failing = world.machine.random.coin();
    if (!is_left_failing) {
      world.machine.store->clear_faults();
      world.steps(20);
      world.pass(6);
      EXPECT_FALSE(world.index->statistics().problem.has_value());
      world.check(2);
      const Lsn last = world.durable();
      world.stop();
      EXPECT_GE(world.manifest().upto(), last);
    } else {
      world.close_journal();
      static_cast<void>(world.close_index());
      world.machine.store->clear_faults();
    }
    ASSERT_NO_FATAL_FAILURE(world.start());
    world.check();
    world.stop();
  }
}

// What it cannot keep in memory for ever, it reads from the segments when the disk is well again;
// the journal is not held up, and no answer is a wrong one meanwhile.
TEST_P(TimeIndexSeeds, LetsGoOfWhatItCannotStoreAndReadsItLater) {
  TimeIndexWorld world(GetParam(), 4, 4);
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(50);
  world.check(1);
  world.machine.store->inject(
      {.path_contains = "vault/index", .kind = sim::IoKind::kWrite, .sticky = true, .code = ENOSPC});
  for (int i = 0; i < 10; ++i) world.steps(100);
  const auto oracle = world.model();
  for (int i = 0; i < 5; ++i) {
    const Lsn lsn{world.machine.random.between(1, world.durable().value)};
    auto snapshot = world.machine.scheduler.run(world.index->snapshot(lsn));
    if (snapshot.ok()) world.check_map(**snapshot, *oracle, lsn);
    world.check_time(TimeIndexWorld::Answer::kRightOrNone);
  }
  // The first of them wakes it; what comes while it reads waits for the end of that.
  world.machine.store->clear_faults();
  for (int i = 0; i < 5; ++i) world.check_time(TimeIndexWorld::Answer::kRight);
  world.pass(10);
  world.check();
  EXPECT_FALSE(world.index->statistics().problem.has_value());
  EXPECT_EQ(world.index->learnt(), world.durable());
  world.steps(50);
  world.check();
  world.stop();
}

Task<void> ask(TimeIndex& index, Lsn lsn) { static_cast<void>((co_await index.snapshot(lsn)).ok()); }

TEST(TimeIndex, IsNotClosedWhileSomebodyWaitsForAnAnswer) {
  TimeIndexWorld world(1);
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(20);
  EXPECT_DEATH(
      {
        cdp::TaskGroup group(world.machine.scheduler);
        group.spawn(ask(*world.index, world.durable()));
        static_cast<void>(world.machine.scheduler.run(world.index->close()).ok());
      },
      "questions_ == 0");
  world.stop();
}

// However often somebody asks, and however long it lasts.
TEST_P(TimeIndexSeeds, KeepsABoundedPartInMemoryWhileItsDiskFails) {
  for (const std::size_t steps : {std::size_t{3}, std::size_t{30}}) {
    SCOPED_TRACE(fmt::format("{} steps between questions", steps));
    TimeIndexWorld world(GetParam(), 1, 4);
    ASSERT_NO_FATAL_FAILURE(world.start());
    world.steps(50);
    world.check(1);
    world.machine.store->inject({.path_contains = "vault/index",
                                 .kind = sim::IoKind::kWrite,
                                 .sticky = true,
                                 .code = ENOSPC});
    const TimeIndexStatistics before = world.index->statistics();
    int refused = 0;
    for (std::size_t i = 0; i < (steps == 3 ? 250 : 100); ++i) {
      world.steps(static_cast<int>(steps));
      auto snapshot = world.machine.scheduler.run(world.index->snapshot(world.durable()));
      if (!snapshot.ok()) {
        ++refused;
        EXPECT_EQ(snapshot.error().code, ENOSPC) << snapshot.error().message;
      }
      const TimeIndexStatistics now = world.index->statistics();
      constexpr std::size_t kMost = TimeIndex::kUnstoredRunsMax * TimeIndex::kRunsAtOnce;
      ASSERT_LE(now.entries - before.entries, kMost + 2000);
      if (refused > 3) {
        ASSERT_EQ(now.runs, world.index->statistics().runs);
      }
      if (steps == 30) {
        ASSERT_LE(now.runs - before.runs, TimeIndex::kUnstoredRunsMax + 1);
      }
    }
    EXPECT_GT(refused, 3);
    world.machine.store->clear_faults();
    world.check();
    world.pass(30);
    EXPECT_FALSE(world.index->statistics().problem.has_value())
        << world.index->statistics().problem->message;
    world.stop();
  }
}

// A reader beside the daemon uses what is saved and leaves it alone.
TEST_P(TimeIndexSeeds, AReaderBesideItChangesNothingAndKnowsWhatCameSince) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(300);
  world.pass(1);
  const auto scratch = world.machine.store->directory("scratch");
  const auto saved = world.machine.store->directory("vault/index");
  const auto content = [&] {
    std::map<std::string, std::vector<std::byte>> all;
    for (const std::string& path : world.index_files())
      all[path] = world.machine.store->content(path);
    return all;
  };
  const auto before = content();
  auto reader = cdp::value_or_throw(world.machine.scheduler.run(
      TimeIndex::open_beside(world.machine.scheduler, saved.get(), *scratch,
                             *world.machine.segments, world.machine.vault, world.options)));
  ASSERT_TRUE(world.machine.scheduler.run(reader->catch_up({UINT64_MAX})).ok());
  world.check(*reader, world.durable(), 4);
  EXPECT_TRUE(before == content());
  world.steps(300);
  world.pass(1);
  ASSERT_TRUE(world.machine.scheduler.run(reader->catch_up({UINT64_MAX})).ok());
  world.check(*reader, world.durable(), 4);
  ASSERT_TRUE(world.machine.scheduler.run(reader->close()).ok());
  reader.reset();
  world.check(1);
  world.stop();
}

}  // namespace

// ---------------------------------------------------------------- states and times

namespace {

// The LSNs of all records that are stamped at or before a time, as stretches.
class Stretches final : public RecordVisitor {
 public:
  explicit Stretches(Nanos time) : time_(time) {}
  bool on_frame(const FrameInfo& frame) override {
    if (frame.kind != FrameKind::kRecords) return false;
    if (frame.max_time > time_ && frame.min_time <= time_) return true;
    take({frame.last_lsn, frame.min_time > time_ ? frame.min_time : frame.max_time});
    return false;
  }
  void on_write(const WriteRecord& r) override { take(r.stamp); }
  void on_zero(const ZeroRecord& r) override { take(r.stamp); }
  void on_volume_created(const VolumeCreated& r) override { take(r.stamp); }
  void on_volume_resized(const VolumeResized& r) override { take(r.stamp); }
  void on_mark(const MarkRecord& r) override { take(r.stamp); }
  void on_checkpoint(const CheckpointRecord& r) override { take(r.stamp); }
  void on_crash(const CrashRecord& r) override { take(r.stamp); }
  void on_clock(const ClockRecord& r) override { take(r.stamp); }

  std::vector<Lsn> ends;

 private:
  void take(Stamp stamp) {
    if (stamp.time > time_) {
      in_stretch_ = false;
    } else if (in_stretch_) {
      ends.back() = stamp.lsn;
    } else {
      ends.push_back(stamp.lsn);
      in_stretch_ = true;
    }
  }
  const Nanos time_;
  bool in_stretch_ = false;
};

void expect_same_state(const JournalState& got, const JournalState& wanted) {
  EXPECT_EQ(got.lsn, wanted.lsn);
  EXPECT_EQ(got.time, wanted.time);
  EXPECT_EQ(got.next_volume_id, wanted.next_volume_id);
  ASSERT_EQ(got.volumes.size(), wanted.volumes.size());
  for (const auto& [id, volume] : wanted.volumes) {
    const VolumeState* found = got.find(id);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->name, volume.name);
    EXPECT_EQ(found->size_bytes, volume.size_bytes);
    EXPECT_EQ(found->created, volume.created);
    EXPECT_EQ(found->removed, volume.removed);
    EXPECT_EQ(found->rollbacks, volume.rollbacks);
  }
  ASSERT_EQ(got.marks.size(), wanted.marks.size());
  for (const auto& [label, mark] : wanted.marks) {
    const auto found = got.marks.find(label);
    ASSERT_NE(found, got.marks.end()) << label;
    EXPECT_EQ(found->second.stamp, mark.stamp);
    EXPECT_EQ(found->second.volume, mark.volume);
  }
  EXPECT_EQ(got.users, wanted.users);
  EXPECT_EQ(got.tokens, wanted.tokens);
  ASSERT_EQ(got.clock.has_value(), wanted.clock.has_value());
  if (wanted.clock.has_value()) {
    EXPECT_EQ(got.clock->stamp, wanted.clock->stamp);
    EXPECT_EQ(got.clock->boottime, wanted.clock->boottime);
  }
  ASSERT_EQ(got.crashes.size(), wanted.crashes.size());
  for (std::size_t i = 0; i < wanted.crashes.size(); ++i)
    EXPECT_EQ(got.crashes[i].stamp, wanted.crashes[i].stamp);
}

}  // namespace

void TimeIndexWorld::check_states(int rounds) {
  for (int i = 0; i < rounds && !testing::Test::HasFailure(); ++i) {
    check_state({machine.random.between(1, durable().value)});
    check_time(Answer::kRight);
  }
}

void TimeIndexWorld::check_state(Lsn lsn) {
  SCOPED_TRACE(fmt::format("LSN {}", lsn.value));
  auto snapshot = cdp::value_or_throw(machine.scheduler.run(index->snapshot(lsn)));
  HistoryReader history(*machine.segments, machine.vault, std::move(snapshot));
  const auto state = machine.scheduler.run(history.state_at(lsn));
  ASSERT_TRUE(state.ok()) << state.error().message;
  const auto wanted = machine.scheduler.run(machine.reader()->state_at(lsn));
  ASSERT_TRUE(wanted.ok()) << wanted.error().message;
  expect_same_state(*state, *wanted);
}

void TimeIndexWorld::check_time(Answer answer) {
  const auto reader = machine.reader();
  const JournalState& newest = machine.journal->durable_state();
  const Nanos first = machine.scheduler.run(reader->state_at({1}))->time;
  const Nanos time = machine.random.nanos(first, newest.time + cdp::seconds(1));
  SCOPED_TRACE(fmt::format("time {}", time.value));
  Stretches all(time);
  ASSERT_TRUE(machine.scheduler.run(reader->visit({}, newest.lsn, all)).ok());
  const auto snapshot = machine.scheduler.run(index->snapshot_for(time));
  if (!snapshot.ok() && answer == Answer::kRightOrNone) return;
  ASSERT_TRUE(snapshot.ok()) << snapshot.error().message;
  HistoryReader history(*machine.segments, machine.vault, *snapshot);
  Stretches found(time);
  ASSERT_TRUE(machine.scheduler.run(history.visit_deciding(time, found)).ok());
  EXPECT_EQ(found.ends, all.ends);
}

namespace {

TEST_P(TimeIndexSeeds, StatesHaveTheUsersAndTokensOfTheirTime) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  for (int i = 0; i < 150; ++i) {
    world.act();
    world.steps(static_cast<int>(world.machine.random.below(8)));
    if (world.machine.random.chance(10)) world.pass(5);
  }
  EXPECT_FALSE(world.machine.journal->state().users.empty());
  world.check_states(100);
}

// What segments open with cannot be read, up to as many in a row as are passed over.
TEST_P(TimeIndexSeeds, StatesAreKnownWhereSegmentsHaveLostTheirs) {
  TimeIndexWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(1500);
  auto& machine = world.machine;
  std::map<Lsn, JournalState> wanted;
  for (int i = 0; i < 40; ++i) {
    const Lsn lsn{machine.random.between(1, world.durable().value)};
    wanted[lsn] = cdp::value_or_throw(machine.scheduler.run(machine.reader()->state_at(lsn)));
  }
  const std::vector<SegmentInfo> segments = machine.reader()->segments();
  ASSERT_GT(segments.size(), 2u);
  std::size_t in_a_row = 0;
  for (const SegmentInfo& segment : segments) {
    const bool hurt = segment.number > 1 && in_a_row + 1 < kOpeningStatesTried &&
                      (machine.random.chance(80) || &segment == &segments.back());
    in_a_row = hurt ? in_a_row + 1 : 0;
    if (hurt) machine.store->flip_bit(machine.path_of(segment.number), (kSegmentHeaderBytes + 99) * 8);
  }
  const auto snapshot =
      cdp::value_or_throw(machine.scheduler.run(world.index->snapshot(world.durable())));
  for (const auto& [lsn, state] : wanted) {
    SCOPED_TRACE(fmt::format("LSN {}", lsn.value));
    HistoryReader history(*machine.segments, machine.vault, snapshot);
    const auto found = machine.scheduler.run(history.state_at(lsn));
    ASSERT_TRUE(found.ok()) << found.error().message;
    expect_same_state(*found, state);
    const auto read = machine.scheduler.run(machine.reader()->state_at(lsn));
    ASSERT_TRUE(read.ok()) << read.error().message;
    expect_same_state(*read, state);
  }
}

}  // namespace
}  // namespace journal::index
