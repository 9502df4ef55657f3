// SPDX-License-Identifier: Apache-2.0
//
// The journal at work: what is recorded is what is read back, at every LSN; what is not stored
// twice; when frames go; what is refused. Full and failing vaults are in journal_failures_test.cc,
// recovery is in recovery_test.cc.
#include <gtest/gtest.h>

#include <map>

#include "journal/format.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

class JournalSeeds : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, JournalSeeds, testing::Range<std::uint64_t>(1, 9));

TEST_P(JournalSeeds, EveryChangeIsReadBackAtEveryLsn) {
  JournalWorld world(GetParam());
  ASSERT_TRUE(world.open().ok());
  const std::vector<VolumeId> volumes = {world.create_volume("db"), world.create_volume("log")};
  for (int i = 0; i < 800; ++i) world.random_step(volumes);
  EXPECT_FALSE(world.last_refusal.has_value());
  ASSERT_TRUE(world.flush().ok());
  const Collector live = world.check_history();  // beside the running journal
  EXPECT_EQ(live.records.size(), world.model.size());
  ASSERT_TRUE(world.close().ok());
  const Collector history = world.check_history();
  EXPECT_EQ(history.records.size(), world.model.size());
  EXPECT_TRUE(history.damages.empty());
  EXPECT_TRUE(history.crashes.empty());
  const auto kinds = history.blocks_by_kind();
  for (const PieceKind kind : {PieceKind::kNew, PieceKind::kReference, PieceKind::kRepeat,
                               PieceKind::kZero, PieceKind::kSame})
    EXPECT_GT(kinds.contains(kind) ? kinds.at(kind) : 0, 0u) << static_cast<int>(kind);
  EXPECT_GT(world.reader()->segments().size(), 2u) << "the test should roll over segments";
  const VerifyReport report = world.verify_all(true);
  for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
  EXPECT_GT(report.blocks, 0u);
  EXPECT_GT(report.references, 0u);
}

TEST_P(JournalSeeds, VisitGivesExactlyTheRecordsOfTheRangeAsked) {
  JournalWorld world(GetParam() + 100);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (int i = 0; i < 200; ++i) world.random_step({volume});
  ASSERT_TRUE(world.close().ok());
  const std::uint64_t last = world.model.back().stamp.lsn.value;
  for (int i = 0; i < 30; ++i) {
    const std::uint64_t after = world.random.below(last + 1);
    const std::uint64_t upto = world.random.between(after, last + 5);
    const Collector part = world.collect({after}, {upto});
    std::vector<std::uint64_t> expected;
    for (const ModelChange& change : world.model)
      if (change.stamp.lsn.value > after && change.stamp.lsn.value <= upto)
        expected.push_back(change.stamp.lsn.value);
    std::vector<std::uint64_t> got;
    for (const ReadRecord& record : part.records) got.push_back(record.stamp.lsn.value);
    ASSERT_EQ(got, expected) << "seed " << world.seed << " (" << after << ", " << upto << "]";
  }
}

// Nearly every pair of blocks collides.
Fingerprint weak_fingerprint(const Secret&, std::span<const std::byte, cdp::kBlockBytes> block) {
  return {.low = std::to_integer<std::uint64_t>(block[0]) % 3, .high = 0};
}

TEST_P(JournalSeeds, Rule15_ForgedFingerprintsNeverChangeWhatIsRead) {
  JournalOptions options = small_options();
  options.fingerprint = weak_fingerprint;
  JournalWorld world(GetParam() + 200, options);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (int i = 0; i < 300; ++i) world.random_step({volume});
  ASSERT_TRUE(world.flush().ok());
  EXPECT_GT(world.journal->statistics().dedup_mismatches, 100u);
  EXPECT_GT(world.journal->statistics().duplicate_blocks, 0u);
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(world.check_history().records.size(), world.model.size());
}

TEST(Journal, ABlockThatIsZeroSameOrKnownIsNotStoredAgain) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {11, 13, 0});
  ASSERT_TRUE(world.flush().ok());
  EXPECT_EQ(world.journal->statistics().unique_bytes, 2 * cdp::kBlockBytes);
  world.write(volume, 0, {11, 13, 0});            // same as before
  world.write(volume, 10, {13, 11, 13, 17, 17});  // known; new and repeated
  ASSERT_TRUE(world.flush().ok());
  const JournalStatistics& statistics = world.journal->statistics();
  EXPECT_EQ(statistics.unique_bytes, 3 * cdp::kBlockBytes);
  EXPECT_EQ(statistics.same_blocks, 3u);
  EXPECT_EQ(statistics.zero_blocks, 1u);
  EXPECT_EQ(statistics.duplicate_blocks, 4u);
  ASSERT_TRUE(world.close().ok());
  world.check_history();
}

TEST(Journal, DuplicatesOfTheFrameInFlightAreFound) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  std::vector<std::uint64_t> seeds;
  for (std::uint64_t i = 0; i < world.options.frame_blocks; ++i) seeds.push_back(2 * i + 1);
  world.write(volume, 0, seeds);
  world.write(volume, 100, seeds);
  world.write(volume, 200, {1});  // pushes the second full frame out
  ASSERT_TRUE(world.flush().ok());
  EXPECT_EQ(world.journal->statistics().duplicate_blocks, seeds.size() + 1);
  ASSERT_TRUE(world.close().ok());
  world.check_history();
}

TEST(Journal, DedupReadsStayWithinTheirBudget) {
  JournalOptions options = small_options();
  options.dedup_reads = options.dedup_reads_flush = 2;
  options.run_blocks = 1;
  JournalWorld world(1, options);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  // 40 runs, more than the journal keeps in memory, all of them known to the table.
  for (std::uint64_t i = 0; i < 200; ++i) world.write(volume, i, {2 * i + 1});
  ASSERT_TRUE(world.flush().ok());
  const std::uint64_t frames = world.journal->statistics().frames;
  world.write(volume, 1000, {1, 3, 5, 7, 9, 11, 13, 15, 17, 19});
  ASSERT_TRUE(world.flush().ok());
  EXPECT_EQ(world.journal->statistics().frames, frames + 1);
  EXPECT_EQ(world.journal->statistics().dedup_reads, 2u);
  // One is of four runs at most, which lie side by side.
  EXPECT_EQ(world.journal->statistics().duplicate_blocks, 8u);
  ASSERT_TRUE(world.close().ok());
  world.check_history();
}

TEST(Rule1, OneFrameIsInFlight) {
  JournalWorld world(3);
  std::uint64_t appends = 0;
  std::uint64_t end = 0;
  world.store->set_observer([&](const sim::IoEvent& event) {
    if (event.kind != sim::IoKind::kWriteDurably) return;
    // A segment begins with its opening; every frame begins where the last one ended.
    if (event.offset != 0) {
      EXPECT_EQ(event.offset, end);
    }
    end = event.offset + event.bytes;
    ++appends;
    // Only what is durable may lie before it: one such write at a time.
    if (world.journal != nullptr) {
      EXPECT_EQ(world.journal->statistics().syncs, appends - 1);
    }
  });
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (int i = 0; i < 200; ++i) world.random_step({volume});
  ASSERT_TRUE(world.close().ok());
  EXPECT_GT(appends, 20u);
  EXPECT_EQ(world.store->overlapping_writes(), 0u);
}

TEST(Journal, AnUnflushedChangeIsDurableAfterTheCommitInterval) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  const Lsn last = world.sequencer->last();
  EXPECT_LT(world.journal->durable_lsn(), last);
  world.scheduler.run_for(cdp::milliseconds(400));
  EXPECT_GE(world.journal->durable_lsn(), last);
}

TEST(Journal, FlushOfWhatIsDurableOrWasNeverRecordedReturnsAtOnce) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  world.sequencer->next();  // taken, never recorded
  const std::uint64_t syncs = world.journal->statistics().syncs;
  EXPECT_TRUE(world.flush().ok());
  EXPECT_EQ(world.journal->statistics().syncs, syncs);
}

TEST(Journal, FlushesOfManyShareAFrame) {
  JournalWorld world(5);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  ASSERT_TRUE(world.flush().ok());
  const std::uint64_t before = world.journal->statistics().frames;
  int answered = 0;
  const auto one = [](JournalWorld* of, VolumeId to, std::uint64_t block, int* done) -> Task<void> {
    cdp::PageList pages = co_await of->pool->acquire(1);
    fill_block(2 * block + 1,
               std::span<std::byte, cdp::kBlockBytes>(pages[0].data(), cdp::kBlockBytes));
    const cdp::PageList none;
    Status admitted = co_await of->journal->admit(1);
    CHECK(admitted.ok());
    const Stamp stamp = of->sequencer->next();
    of->journal->record_write(to, stamp, block, pages, none);
    Status flushed = co_await of->journal->flush(stamp.lsn);
    CHECK(flushed.ok());
    ++*done;
  };
  for (std::uint64_t i = 0; i < 16; ++i) world.scheduler.spawn(one(&world, volume, i, &answered));
  ASSERT_TRUE(world.scheduler.run_until([&] { return answered == 16; }));
  EXPECT_LE(world.journal->statistics().frames - before, 3u);
}

TEST(Journal, IncompressibleBlocksCostAtMostTwoPercent) {
  JournalOptions options;
  options.segment_bytes = 64u << 20;
  options.zero_ahead = false;
  JournalWorld world(1, options);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  const std::uint64_t before = world.journal->statistics().journal_bytes;
  for (std::uint64_t i = 0; i < 4096; ++i) world.write(volume, i * 7, {2 * i + 1}, false);
  ASSERT_TRUE(world.flush().ok());
  const JournalStatistics& statistics = world.journal->statistics();
  EXPECT_EQ(statistics.unique_bytes, 4096 * cdp::kBlockBytes);
  const double ratio = static_cast<double>(statistics.journal_bytes - before) /
                       static_cast<double>(statistics.unique_bytes);
  RecordProperty("bytes_per_unique_byte", std::to_string(ratio));
  EXPECT_LE(ratio, 1.02);
  EXPECT_GE(ratio, 1.0);
}

TEST(Journal, CompressibleBlocksCostLess) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (std::uint64_t i = 0; i < 100; ++i) world.write(volume, i, {2 * i + 2}, false);
  ASSERT_TRUE(world.flush().ok());
  EXPECT_LT(world.journal->statistics().stored_bytes, world.journal->statistics().unique_bytes / 2);
  ASSERT_TRUE(world.close().ok());
  world.check_history();
}

TEST(Rule4, RecordsOutOfOrderAreABugOfTheCaller) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  ASSERT_TRUE(world.scheduler.run(world.journal->admit(0)).ok());
  EXPECT_DEATH(world.journal->record_zero(volume, {.lsn = {1}, .time = {}}, ZeroKind::kZero, 0, 1),
               "CHECK|recorded_");
  world.journal->cancel_admission(0);
}

TEST(Journal, VolumesAreCreatedRenamedResizedAndRemoved) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db", 1 << 20);
  const VolumeId log = world.create_volume("log");
  EXPECT_NE(db, log);
  Journal& journal = *world.journal;
  EXPECT_EQ(journal.record_volume_created(world.sequencer->next(), Uuid::random(), "db", 1, "")
                .error()
                .code,
            EEXIST);
  EXPECT_EQ(journal.record_volume_created(world.sequencer->next(), Uuid::random(), "../x", 1, "")
                .error()
                .code,
            EINVAL);
  EXPECT_TRUE(journal.record_volume_resized(db, world.sequencer->next(), 2 << 20).ok());
  EXPECT_TRUE(journal.record_volume_renamed(db, world.sequencer->next(), "data").ok());
  EXPECT_EQ(journal.record_volume_renamed(db, world.sequencer->next(), "log").error().code, EEXIST);
  EXPECT_TRUE(journal.record_volume_removed(log, world.sequencer->next()).ok());
  EXPECT_EQ(journal.record_volume_removed(log, world.sequencer->next()).error().code, ENOENT);
  EXPECT_EQ(journal.record_volume_resized({77}, world.sequencer->next(), 1).error().code, ENOENT);
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  const JournalState& state = world.journal->state();
  ASSERT_NE(state.find("data"), nullptr);
  EXPECT_EQ(state.find("data")->size_bytes, 2u << 20);
  EXPECT_EQ(state.find("db"), nullptr);
  ASSERT_NE(state.find("log"), nullptr);
  EXPECT_TRUE(state.find("log")->removed.has_value());
  EXPECT_EQ(state.next_volume_id, log.value + 1);
}

TEST(Rule17, ARemovedVolumesNameStaysReserved) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db");
  ASSERT_TRUE(world.journal->record_volume_removed(db, world.sequencer->next()).ok());
  EXPECT_EQ(
      world.journal->record_volume_created(world.sequencer->next(), Uuid::random(), "db", 1, "")
          .error()
          .code,
      EEXIST);
}

TEST(Journal, MarksAreUniqueAndKeepTheirPoint) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  const Stamp stamp = world.sequencer->next();
  ASSERT_TRUE(world.journal->record_mark(volume, stamp, "before upgrade", "ops").ok());
  EXPECT_EQ(
      world.journal->record_mark({}, world.sequencer->next(), "before upgrade", "ops").error().code,
      EEXIST);
  EXPECT_EQ(world.journal->record_mark({}, world.sequencer->next(), "a\nb", "").error().code,
            EINVAL);
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  ASSERT_EQ(world.journal->state().marks.count("before upgrade"), 1u);
  EXPECT_EQ(world.journal->state().marks.find("before upgrade")->second.stamp.lsn, stamp.lsn);
}

TEST(Rule7, EverySegmentOpensWithTheStateItNeeds) {
  JournalWorld world(9);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db", 4096 * 1000);
  std::map<std::uint64_t, std::string> names = {{world.sequencer->last().value, "db"}};
  std::map<std::uint64_t, std::size_t> marks;
  for (int i = 0; i < 60; ++i) {
    for (int j = 0; j < 40; ++j) world.random_step({db});
    const std::string name = fmt::format("db{}", i);
    const Stamp renamed = world.sequencer->next();
    ASSERT_TRUE(world.journal->record_volume_renamed(db, renamed, name).ok());
    names[renamed.lsn.value] = name;
    const Stamp mark = world.sequencer->next();
    ASSERT_TRUE(world.journal->record_mark({}, mark, name, "ops").ok());
    marks[mark.lsn.value] = marks.size() + 1;
  }
  ASSERT_TRUE(world.close().ok());
  const auto reader = world.reader();
  ASSERT_GT(reader->segments().size(), 3u);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t lsn =
        world.random.between(names.begin()->first, world.model.back().stamp.lsn.value);
    const auto state = world.scheduler.run(reader->state_at({lsn}));
    ASSERT_TRUE(state.ok()) << state.error().message;
    ASSERT_NE(state->find(db), nullptr);
    EXPECT_EQ(state->find(db)->name, std::prev(names.upper_bound(lsn))->second);
    const auto after = marks.upper_bound(lsn);
    EXPECT_EQ(state->marks.size(), after == marks.begin() ? 0 : std::prev(after)->second);
    EXPECT_LE(state->lsn.value, lsn);
  }
}

TEST(Journal, CheckpointsAreInTheState) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  const Lsn covered = world.sequencer->last();
  ASSERT_TRUE(world.scheduler.run(world.journal->admit(0)).ok());
  world.journal->record_checkpoint(volume, world.sequencer->next(), covered, std::nullopt);
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  EXPECT_EQ(world.journal->state().find(volume)->checkpoint, covered);
}

TEST(Journal, ARollbackIsOneRecordOfSeveralVolumesAndRefusesWhatCannotBe) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db");
  const Lsn point = world.sequencer->last();
  const VolumeId log = world.create_volume("log");
  const VolumeId gone = world.create_volume("gone");
  ASSERT_TRUE(world.journal->record_volume_removed(gone, world.sequencer->next()).ok());
  const Lsn later = world.sequencer->last();
  const auto roll_back = [&](Lsn to, std::vector<RollbackRecord::Volume> volumes,
                             std::string author = "ops") {
    const Status status = world.journal->record_rollback(world.sequencer->next(), to,
                                                         std::move(volumes), author, true);
    return status.ok() ? 0 : status.error().code;
  };
  EXPECT_EQ(roll_back(later, {}), EINVAL);
  EXPECT_EQ(roll_back(later, {{{9}, 4096}}), ENOENT);
  EXPECT_EQ(roll_back(later, {{gone, 4096}}), ENOENT);
  EXPECT_EQ(roll_back(point, {{db, 4096}, {log, 4096}}), EINVAL) << "one was not there yet";
  EXPECT_EQ(roll_back({later.value + 100}, {{db, 4096}}), EINVAL) << "the future";
  EXPECT_EQ(roll_back(later, {{db, 4096}, {db, 4096}}), EINVAL);
  EXPECT_EQ(roll_back(later, {{db, 0}}), EINVAL);
  EXPECT_EQ(roll_back(later, {{db, 4096}}, std::string(5000, 'a')), EINVAL);
  EXPECT_TRUE(world.journal->state().find(db)->rollbacks.empty());
  EXPECT_EQ(roll_back(later, {{db, 4096}, {log, 8192}}), 0);
  EXPECT_EQ(world.journal->state().find(db)->size_bytes, 4096u);
  EXPECT_EQ(world.journal->state().find(log)->size_bytes, 8192u);
  EXPECT_TRUE(world.journal->state().find(log)->writers_refused);
  EXPECT_TRUE(world.journal->record_volume_resumed(log, world.sequencer->next()).ok());
  EXPECT_EQ(world.journal->record_volume_resumed(log, world.sequencer->next()).error().code,
            EINVAL);
  EXPECT_FALSE(world.journal->state().find(log)->writers_refused);

  // A new volume may come from one that was removed, at a point at which it was there.
  const auto create_from = [&](VolumeId origin, Lsn at, const std::string& name) {
    const auto made = world.journal->record_volume_created_from(
        world.sequencer->next(), Uuid::random(), name, 4096, "", origin, at);
    return made.ok() ? 0 : made.error().code;
  };
  EXPECT_EQ(create_from(gone, later, "copy"), EINVAL);
  EXPECT_EQ(create_from({77}, later, "copy"), ENOENT);
  EXPECT_EQ(create_from(gone, {later.value - 1}, "db"), EEXIST);
  EXPECT_EQ(create_from(gone, {later.value - 1}, "copy"), 0);
  const VolumeState* copy = world.journal->state().find("copy");
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->origin, (VolumeState::Origin{gone, {later.value - 1}}));
  EXPECT_EQ(copy->hydration, (Hydration{}));
  ASSERT_TRUE(world.close().ok());
  EXPECT_TRUE(world.verify_all(true).problems.empty());
}

// Rule 7, of what visibility and hydration need: a start reads the newest segment alone.
TEST(Rule7, RollbacksSurviveARollOverAndAnOpenOfTheNewestSegmentAlone) {
  JournalWorld world(11);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db", 4096 * 1000);
  const Lsn point = world.sequencer->last();
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 30; ++j) world.random_step({db});
    const Status rolled = world.journal->record_rollback(
        world.sequencer->next(), point, {{db, 4096u * 100u * (static_cast<unsigned>(i) + 1)}},
        fmt::format("operator {}", i), i == 1);
    ASSERT_TRUE(rolled.ok()) << rolled.error().message;
  }
  const auto copy = world.journal->record_volume_created_from(
      world.sequencer->next(), Uuid::random(), "copy", 4096, "", db, point);
  ASSERT_TRUE(copy.ok());
  ASSERT_TRUE(world.scheduler.run(world.journal->admit(0)).ok());
  const Lsn covered = world.sequencer->last();
  world.journal->record_checkpoint(db, world.sequencer->next(), covered, 17);
  const VolumeState expected = *world.journal->state().find(db);
  EXPECT_EQ(expected.rollbacks.size(), 3u);
  EXPECT_EQ(expected.hydration->cursor, 17u);
  EXPECT_LE(expected.hydration->base, point);
  const auto expect_there = [&](const JournalState& state, const char* when) {
    const VolumeState* of = state.find(db);
    ASSERT_NE(of, nullptr) << when;
    EXPECT_EQ(of->rollbacks, expected.rollbacks) << when;
    EXPECT_EQ(of->hydration, expected.hydration) << when;
    EXPECT_EQ(of->size_bytes, expected.size_bytes) << when;
    EXPECT_TRUE(of->writers_refused) << when;
    EXPECT_EQ(state.find(*copy)->origin, (VolumeState::Origin{db, point})) << when;
    EXPECT_EQ(state.find(*copy)->hydration, (Hydration{})) << when;
  };
  const std::uint32_t before = world.journal->health().segment;
  while (world.journal->health().segment < before + 2) world.random_step({db});
  expect_there(world.journal->state(), "now");
  ASSERT_TRUE(world.flush().ok());
  const Lsn last = world.sequencer->last();
  world.crash_and_reboot(1);
  ASSERT_TRUE(world.open().ok());
  expect_there(world.journal->state(), "after a crash");
  ASSERT_TRUE(world.close().ok());
  const auto read = world.scheduler.run(world.reader()->state_at(last));
  ASSERT_TRUE(read.ok());
  expect_there(*read, "read from the segment");
  ASSERT_TRUE(world.open().ok());
  expect_there(world.journal->state(), "after a clean restart");
  ASSERT_TRUE(world.scheduler.run(world.journal->admit(0)).ok());
  const Lsn all = world.sequencer->last();
  world.journal->record_checkpoint(db, world.sequencer->next(), all, std::nullopt);
  EXPECT_FALSE(world.journal->state().find(db)->hydration.has_value());
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  EXPECT_FALSE(world.journal->state().find(db)->hydration.has_value());
  EXPECT_EQ(world.journal->state().find(db)->rollbacks, expected.rollbacks);
}

TEST(Journal, MemoryOfTheQueueIsBounded) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  bool exceeded = false;
  for (std::uint64_t i = 0; i < 400; ++i) {
    world.write(volume, i, {2 * i + 1, 2 * i + 3}, false);
    exceeded |= world.journal->health().queued_blocks > world.options.queue_blocks;
  }
  EXPECT_FALSE(exceeded);
}

TEST(Journal, SegmentsAreSealedWhenTheyEnd) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (std::uint64_t i = 0; i < 1000; ++i) world.write(volume, i, {2 * i + 1}, false);
  ASSERT_TRUE(world.close().ok());
  const auto reader = world.reader();
  ASSERT_GT(reader->segments().size(), 2u);
  for (const SegmentInfo& info : reader->segments()) {
    EXPECT_LE(world.store->size_of(world.path_of(info.number)), info.length_bytes);
    auto writable = world.scheduler.run(
        world.segments->open(segment_name(info.number), cdp::OpenMode::kReadWrite));
    if (!writable.ok()) continue;
    auto memory = std::make_unique<std::byte[]>(2 * 4096);
    auto* const aligned = reinterpret_cast<std::byte*>(
        (reinterpret_cast<std::uintptr_t>(memory.get()) + 4095) / 4096 * 4096);
    const std::span<const std::byte> block(aligned, 4096);
    EXPECT_FALSE(world.scheduler.run((*writable)->write(0, block)).ok()) << info.number;
  }
  for (const std::string& path : world.store->paths())
    EXPECT_FALSE(path.starts_with("vault/segments/next")) << path;
}

TEST(Journal, WhatItPreparedIsRemovedAndNothingElse) {
  JournalWorld world(1);
  for (const char* name : {"next-steps.txt", "next-7.prep", "next.prep"})
    ASSERT_TRUE(world.scheduler.run(world.segments->create(name, 4096)).ok());
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.close().ok());
  EXPECT_TRUE(world.store->exists("vault/segments/next-steps.txt"));
  EXPECT_FALSE(world.store->exists("vault/segments/next-7.prep"));
  EXPECT_FALSE(world.store->exists("vault/segments/next.prep")) << "of an earlier version";
}

TEST(Journal, OptionsThatCannotWorkAreRefused) {
  JournalOptions options = small_options();
  options.segment_bytes = 4096;
  JournalWorld world(1, options);
  const Status opened = world.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, EINVAL);
}

}  // namespace
}  // namespace journal
