// SPDX-License-Identifier: Apache-2.0
//
// The journal on a vault that is full, slow or broken: what was accepted is kept, what cannot be is
// refused before it is answered, and a fence says why.
#include <gtest/gtest.h>

#include "journal/format.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

class JournalFailures : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, JournalFailures, testing::Range<std::uint64_t>(1, 9));

// Every way to record something, as it answers when the journal takes nothing.
std::vector<Status> try_everything(JournalWorld& world, VolumeId volume) {
  Journal& journal = *world.journal;
  const auto stamp = [&] { return world.sequencer->next(); };
  const Lsn point = journal.state().find(volume)->created.lsn;
  const auto status = [](const auto& result) { return result.ok() ? Status() : result.error(); };
  return {status(journal.record_volume_created(stamp(), Uuid::random(), "new", 4096, "")),
          status(journal.record_volume_created_from(stamp(), Uuid::random(), "newer", 4096, "",
                                                    volume, point)),
          journal.record_rollback(stamp(), point, {{volume, 4096}}, "ops", true),
          journal.record_volume_resized(volume, stamp(), 8192),
          journal.record_volume_renamed(volume, stamp(), "other"),
          journal.record_mark(volume, stamp(), "label", "ops"),
          journal.record_volume_removed(volume, stamp())};
}

TEST(Journal, WhatCannotBeRecordedIsRefusedForItsReasonAndChangesNothing) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db");
  const VolumeId log = world.create_volume("log");
  ASSERT_TRUE(world.flush().ok());
  Journal& journal = *world.journal;
  const Uuid uuid = journal.state().find(db)->uuid;
  const Lsn point = journal.state().lsn;
  const std::string unsaid(1 << 16, 'x');
  const auto create = [&](const Uuid& id, const std::string& name, const std::string& backing) {
    const auto made =
        journal.record_volume_created(world.sequencer->next(), id, name, 4096, backing);
    return made.ok() ? 0 : made.error().code;
  };
  const auto roll = [&](std::vector<RollbackRecord::Volume> volumes, const std::string& author) {
    const Status rolled =
        journal.record_rollback(world.sequencer->next(), point, std::move(volumes), author, false);
    return rolled.ok() ? 0 : rolled.error().code;
  };
  const auto rename = [&](VolumeId id, const std::string& name) {
    const Status renamed = journal.record_volume_renamed(id, world.sequencer->next(), name);
    return renamed.ok() ? 0 : renamed.error().code;
  };
  EXPECT_EQ(create(Uuid::random(), "a/b", ""), EINVAL);
  EXPECT_EQ(create(Uuid::random(), "new", unsaid), EINVAL);
  EXPECT_EQ(create(Uuid::random(), "db", ""), EEXIST);
  EXPECT_EQ(create(uuid, "new", ""), EEXIST);
  EXPECT_EQ(roll({}, "ops"), EINVAL);
  EXPECT_EQ(roll({{db, 0}}, "ops"), EINVAL);
  EXPECT_EQ(roll({{db, 4096}, {db, 4096}}, "ops"), EINVAL);
  EXPECT_EQ(roll({{VolumeId{99}, 4096}}, "ops"), ENOENT);
  EXPECT_EQ(roll({{db, 4096}}, unsaid), EINVAL);
  EXPECT_EQ(rename(VolumeId{99}, "new"), ENOENT);
  EXPECT_EQ(rename(db, "a@b"), EINVAL);
  EXPECT_EQ(rename(db, "log"), EEXIST);
  const Stamp stamp = world.sequencer->next();
  EXPECT_EQ(journal.record_volume_resumed(db, stamp).error().code, EINVAL);
  EXPECT_EQ(journal.record_volume_resumed(VolumeId{99}, stamp).error().code, ENOENT);
  EXPECT_EQ(journal.record_volume_resized(VolumeId{99}, stamp, 4096).error().code, ENOENT);
  EXPECT_EQ(journal.record_mark(db, stamp, "label", unsaid).error().code, EINVAL);
  EXPECT_EQ(journal.record_mark(db, stamp, "two\nlines", "ops").error().code, EINVAL);
  EXPECT_EQ(journal.state().lsn, point);
  EXPECT_EQ(journal.state().find("log"), journal.state().find(log));

  world.write(db, 0, {1, 2, 3});
  bool begun = false;
  cdp::TaskGroup closing(world.scheduler);
  closing.spawn([](JournalWorld& of, bool& has_begun) -> cdp::Task<void> {
    has_begun = true;
    const Status closed = co_await of.journal->close();
    EXPECT_TRUE(closed.ok());
  }(world, begun));
  ASSERT_TRUE(world.scheduler.run_until([&] { return begun; }, cdp::seconds(1)));
  for (std::size_t i = 0; const Status& refused : try_everything(world, db)) {
    SCOPED_TRACE(fmt::format("attempt {}", i++));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ESHUTDOWN) << refused.error().message;
  }
  world.scheduler.run(closing.join());
  world.journal.reset();
}

TEST(Rule14, AFullVaultRefusesBeforeAcknowledgementAndRecovers) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  ASSERT_TRUE(world.flush().ok());
  world.store->inject({.path_contains = "segments/next",
                       .kind = sim::IoKind::kCreate,
                       .sticky = true,
                       .code = ENOSPC});
  std::uint64_t block = 0;
  while (block < 10000 && world.write(volume, block, {2 * block + 1}, false)) ++block;
  ASSERT_LT(block, 10000u) << "the vault never filled up";
  EXPECT_EQ(world.last_refusal->code, ENOSPC);
  EXPECT_TRUE(world.journal->health().no_space.has_value());
  // What was accepted is durable all the same.
  ASSERT_TRUE(world.flush().ok());
  EXPECT_FALSE(world.journal->health().fenced.has_value());
  // Records of the appliance itself still have room.
  EXPECT_TRUE(world.journal->record_mark({}, world.sequencer->next(), "full", "ops").ok());
  ASSERT_TRUE(world.flush().ok());

  world.store->clear_faults();
  world.scheduler.run_for(cdp::seconds(2));
  for (std::uint64_t i = 0; i < 200; ++i)
    ASSERT_TRUE(world.write(volume, block + i, {2 * (block + i) + 1}, false));
  ASSERT_TRUE(world.flush().ok());
  EXPECT_FALSE(world.journal->health().no_space.has_value());
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(world.check_history().records.size(), world.model.size());
}

TEST_P(JournalFailures, Rule14_NoAcceptedWriteMeetsAFullDisk) {
  JournalWorld world(GetParam() + 300);
  // Room for two or three segments and a bit.
  world.store->set_capacity(world.options.segment_bytes * (2 + GetParam() % 3) + 100'000);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  ASSERT_TRUE(world.flush().ok());
  for (int i = 0; i < 1500; ++i) world.random_step({volume});
  ASSERT_TRUE(world.last_refusal.has_value());
  EXPECT_EQ(world.last_refusal->code, ENOSPC);
  ASSERT_TRUE(world.flush().ok());
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(world.check_history().records.size(), world.model.size());
}

TEST(Rule14, AJournalStartsOnAFullDiskTakesNothingAndGoesOnWhenThereIsRoom) {
  JournalOptions options = small_options();
  options.segment_bytes = 8u << 20;
  JournalWorld world(1, options);
  const auto used = [&world] {
    std::uint64_t bytes = 0;
    for (const std::string& path : world.store->paths()) bytes += world.store->size_of(path);
    return bytes;
  };
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (std::uint64_t i = 0; i < 500; ++i) ASSERT_TRUE(world.write(volume, i, {2 * i + 1}, false));
  ASSERT_TRUE(world.close().ok());
  world.store->set_capacity(used() + 300'000);
  for (std::uint64_t start = 0; start < 5; ++start) {
    const Status opened = world.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_FALSE(world.write(volume, 600, {3001}, false));
    EXPECT_EQ(world.last_refusal->code, ENOSPC);
    EXPECT_TRUE(world.journal->health().no_space.has_value());
    ASSERT_TRUE(
        world.journal->record_mark({}, world.sequencer->next(), fmt::format("{}", start), "ops")
            .ok());
    ASSERT_TRUE(world.flush().ok());
    if (start == 4) break;
    if (start % 2 == 0) {
      ASSERT_TRUE(world.close().ok());
    } else {
      world.crash_and_reboot(start);
      world.store->set_capacity(used() + 300'000);
    }
  }
  world.store->set_capacity(used() + (64u << 20));
  world.scheduler.run_for(cdp::seconds(2));
  for (std::uint64_t i = 0; i < 500; ++i)
    ASSERT_TRUE(world.write(volume, 7000 + i, {20001 + 2 * i}, false));
  ASSERT_TRUE(world.flush().ok());
  EXPECT_FALSE(world.journal->health().no_space.has_value());
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(world.check_history().records.size(), world.model.size());
}

TEST_P(JournalFailures, Rule13_AFailedAppendIsCutAndSentToAFreshSegment) {
  JournalWorld world(GetParam() + 400);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (int i = 0; i < 100; ++i) world.random_step({volume});
  for (std::uint64_t round = 0; round < 5; ++round) {
    ASSERT_TRUE(world.work_with_a_failing_append(volume).ok());
  }
  EXPECT_FALSE(world.last_refusal.has_value());
  EXPECT_GT(world.journal->statistics().resends, 2u);
  EXPECT_FALSE(world.journal->health().fenced.has_value());
  world.store->clear_faults();
  ASSERT_TRUE(world.close().ok());
  const Collector history = world.check_history();
  EXPECT_EQ(history.records.size(), world.model.size());
  EXPECT_TRUE(history.damages.empty());
  const VerifyReport report = world.verify_all(true);
  for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
}

// What wants to be admitted while a segment is on its way to its name finds room for the next one.
cdp::Task<void> keep_asking(JournalWorld& world, const bool& enough,
                            std::optional<Error>& refused) {
  while (!enough && !refused.has_value()) {
    const Status admitted = co_await world.journal->admit(4);
    if (admitted.ok())
      world.journal->cancel_admission(4);
    else
      refused = admitted.error();
    co_await cdp::sleep_for(world.scheduler, cdp::Nanos{20'000});
  }
}

TEST_P(JournalFailures, ASegmentThatIsNotBornYetIsNotTakenForAFullVault) {
  JournalWorld world(GetParam() + 500);
  world.boot(sim::SimStore::make(world.scheduler, GetParam(),
                                 {.slow_percent = 30, .slow = cdp::milliseconds(40)}));
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  bool enough = false;
  std::optional<Error> refused;
  cdp::TaskGroup asking(world.scheduler);
  asking.spawn(keep_asking(world, enough, refused));
  for (std::uint64_t round = 0; round < 25 && !refused.has_value(); ++round) {
    world.store->clear_faults();
    world.store->inject({.path_contains = "vault/segments",
                         .kind = sim::IoKind::kWriteDurably,
                         .skip = world.random.below(6)});
    for (int i = 0; i < 60; ++i) world.random_step({volume});
    EXPECT_TRUE(world.flush().ok());
  }
  enough = true;
  world.scheduler.run(asking.join());
  EXPECT_FALSE(refused.has_value()) << refused->message;
  EXPECT_FALSE(world.last_refusal.has_value()) << world.last_refusal->message;
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(world.check_history().records.size(), world.model.size());
}

TEST(Rule13, AJournalThatCannotBeWrittenIsFencedAndSaysWhy) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  ASSERT_TRUE(world.flush().ok());
  const Lsn durable = world.journal->durable_lsn();
  world.store->inject({.kind = sim::IoKind::kWriteDurably, .sticky = true});
  world.write(volume, 1, {3});
  const Status flushed = world.flush();
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code, EIO);
  EXPECT_NE(flushed.error().message.find("fenced"), std::string::npos);
  EXPECT_NE(flushed.error().message.find("simulated"), std::string::npos) << "it names the cause";
  EXPECT_EQ(world.journal->durable_lsn(), durable);
  EXPECT_FALSE(world.write(volume, 2, {5}));
  EXPECT_EQ(world.last_refusal->code, EIO);
  const Lsn last = world.journal->state().lsn;
  for (std::size_t i = 0; const Status& refused : try_everything(world, volume)) {
    SCOPED_TRACE(fmt::format("attempt {}", i++));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, EIO);
    EXPECT_NE(refused.error().message.find("fenced"), std::string::npos);
  }
  EXPECT_EQ(world.journal->state().lsn, last) << "what is refused changes nothing";
  EXPECT_FALSE(world.close().ok());
}

}  // namespace
}  // namespace journal
