// SPDX-License-Identifier: Apache-2.0
//
// What the journal records of time: steps of the clock, and that nothing came for a while.
#include <gtest/gtest.h>

#include "journal/format.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

TEST(Rule16, AStepOfTheClockIsRecorded) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  ASSERT_TRUE(world.flush().ok());
  world.clock.step(cdp::milliseconds(400));  // within what a clock may be off
  world.write(volume, 0, {3});
  ASSERT_TRUE(world.flush().ok());
  world.clock.step(cdp::seconds(-3600));
  world.write(volume, 0, {5});
  ASSERT_TRUE(world.flush().ok());
  world.write(volume, 0, {7});
  ASSERT_TRUE(world.close().ok());
  const Collector history = world.check_history();
  ASSERT_EQ(history.clocks.size(), 2u);  // and the one of the stop
  EXPECT_EQ(history.clocks[0].reason, ClockRecord::Reason::kStep);
  EXPECT_NEAR(static_cast<double>(history.clocks[0].step.value) / 1e9, -3600.0, 1.0);
}

TEST(Rule3, AnIdleJournalWritesAtMostOneSmallFrameAMinute) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  world.scheduler.run_for(cdp::seconds(2));
  const JournalStatistics before = world.journal->statistics();
  world.scheduler.run_for(cdp::seconds(600));
  const JournalStatistics& after = world.journal->statistics();
  EXPECT_EQ(after.frames, before.frames + 10);
  EXPECT_EQ(after.journal_bytes, before.journal_bytes + 10 * kAppendUnit);
  ASSERT_TRUE(world.close().ok());
}

// The vault alone must be able to tell that nothing was written between the last change and a
// moment after it: of the second just passed, of an idle hour to the minute, of a clean stop.
TEST(Rule16, AJustPassedSecondIsClosedDurably) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  const Nanos written = world.clock.realtime();
  world.scheduler.run_for(cdp::milliseconds(1500));
  Collector history = world.collect();
  ASSERT_EQ(history.clocks.size(), 1u);
  EXPECT_EQ(history.clocks[0].reason, ClockRecord::Reason::kHeartbeat);
  EXPECT_GE(history.clocks[0].stamp.time, written + cdp::seconds(1));

  world.scheduler.run_for(cdp::seconds(3600));
  history = world.collect();
  EXPECT_GE(history.clocks.back().stamp.time, world.clock.realtime() - cdp::seconds(61));

  const Nanos stopped = world.clock.realtime();
  ASSERT_TRUE(world.close().ok());
  history = world.collect();
  EXPECT_GE(history.clocks.back().stamp.time, stopped);
}

}  // namespace
}  // namespace journal
