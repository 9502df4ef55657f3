// SPDX-License-Identifier: Apache-2.0
//
// Activity that was not recorded when the daemon ended: it is found in the changes, and recorded at
// the next start.
#include "tests/unit/tools/activity_world.h"

namespace tools {
namespace {

TEST(Activity, IsThereOfTheLastSecondBeforeAKill) {
  ActivityWorld of(43);
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  std::uint64_t content = 1;
  for (std::uint64_t block = 0; block < 200; ++block)
    of.world.machine.write(volume, block, {++content});
  of.pass(100);
  const std::int64_t begin = of.now();
  of.world.machine.zero(volume, 0, 1000);
  for (std::uint64_t block = 0; block < 200; ++block)
    of.world.machine.write(volume, 100 + block, {++content});
  ASSERT_NO_FATAL_FAILURE(of.flush());
  of.crash(1);
  of.pass(1);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(100);
  const Changes changes = of.changes();
  const auto steps = of.activity(volume, begin, begin + 50, 1);
  ASSERT_EQ(steps.size(), 1u) << "durable, and nowhere on the timeline";
  EXPECT_EQ(steps[0].sum.trimmed_blocks, 1000u);
  EXPECT_EQ(steps[0].sum.written_blocks, 200u);
  EXPECT_GT(steps[0].sum.stored_bytes, 0u);
  EXPECT_EQ(steps[0].sum.entropy, PulseRecord::kUnknown);
  EXPECT_EQ(steps[0].sum.p99, PulseRecord::kUnknown);
  EXPECT_NE(steps[0].sum.overwritten, PulseRecord::kUnknown);
  // And it is recorded: every sum is.
  for (const Step step : {Step::kSecond, Step::kMinute, Step::kHour, Step::kDay}) {
    std::uint64_t trimmed = 0;
    for (const PulseRecord& pulse : changes.pulses)
      if (pulse.step == step) trimmed += pulse.trimmed_blocks;
    EXPECT_EQ(trimmed, 1000u) << "in steps of " << seconds_of(step);
  }
}

// The clock is set ahead, or a machine is resumed, between changes and the pulses of their sums.
TEST(Activity, IsFoundWhenItsPulsesCameLate) {
  ActivityWorld of(40);
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  of.pass(7200 - of.now() % 3600 + 600);
  const std::int64_t begin = of.now();
  of.world.machine.write(volume, 0, {1});
  of.pass(30);
  of.world.machine.write(volume, 1, {1});
  ASSERT_NO_FATAL_FAILURE(of.flush());
  const std::int64_t last = of.now();
  of.world.machine.clock.step(cdp::seconds(8 * 3600));
  of.pass(3);
  of.world.machine.write(volume, 2, {1});
  of.pass(4000);
  ASSERT_NO_FATAL_FAILURE(of.flush());
  EXPECT_EQ(written(of.activity(volume, begin, last + 10, 1)), 2u);
  EXPECT_EQ(written(of.activity(volume, begin / 60 * 60, begin / 60 * 60 + 120, 60)), 2u);
  EXPECT_EQ(written(of.activity(volume, begin / 3600 * 3600, begin / 3600 * 3600 + 3600, 3600)),
            2u);
}

TEST(Activity, IsFoundWhenItsPulsesCameBeforeItsTime) {
  ActivityWorld of(42);
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  of.pass(7200 - of.now() % 3600 + 600);
  const std::int64_t begin = of.now();
  of.world.machine.write(volume, 0, {1});
  ASSERT_NO_FATAL_FAILURE(of.flush());
  of.world.machine.clock.step(cdp::seconds(-300));
  of.pass(3);
  EXPECT_EQ(written(of.activity(volume, begin, begin + 2, 1)), 1u) << "it is over";
  of.stop();
  of.pass(1000);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(1000);
  EXPECT_EQ(written(of.activity(volume, begin, begin + 2, 1)), 1u);
}

// The clock is set back so little that a second which was not recorded comes again, and what was
// recorded meanwhile is of later ones.
TEST(Activity, OfASecondThatComesAgainIsNotLostInAKill) {
  ActivityWorld of(48);
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  sim::SimScheduler& scheduler = of.world.machine.scheduler;
  const std::int64_t begin = of.now() + 2;
  const auto until = [&](std::int64_t second, std::int64_t milliseconds) {
    scheduler.run_for(cdp::seconds(second) + cdp::milliseconds(milliseconds) -
                      of.world.machine.clock.realtime());
  };
  until(begin, 400);
  of.world.machine.write(volume, 0, {1});
  until(begin + 1, 150);  // it is not durable when that of the second is to be told
  of.world.machine.write(volume, 1, {1});
  until(begin + 2, 100);
  of.world.machine.write(volume, 2, {1});
  of.world.machine.clock.step(cdp::seconds(-2));
  scheduler.run_for(cdp::milliseconds(600));
  ASSERT_NO_FATAL_FAILURE(of.flush());
  of.crash(1);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(2);
  ASSERT_NO_FATAL_FAILURE(check(of));
  ASSERT_NO_FATAL_FAILURE(check_recorded(of));
}

// The clock is set back for so long that the minute and hour of a change are not over for a while.
TEST(Activity, SumsOfATimeThatIsStillToComeAreNotLostInAKill) {
  ActivityWorld of(49);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.world.machine.write(of.world.volumes[0], 0, {1});
  of.pass(3);
  of.world.machine.clock.step(cdp::seconds(-7200));
  for (std::uint64_t block = 0; block < 3; ++block) {
    of.pass(100);
    of.world.machine.write(of.world.volumes[1], block, {1});
  }
  of.pass(3);
  of.crash(1);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(2);
  ASSERT_NO_FATAL_FAILURE(check(of));
  ASSERT_NO_FATAL_FAILURE(check_recorded(of));
}

// A daemon that could not read what is missing leaves all of it to the next one: once anything
// newer is recorded, nobody looks for it.
TEST(Activity, WhatCouldNotBeReadAtAStartIsRecordedAtTheNext) {
  ActivityWorld of(50);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(10);
  of.world.machine.write(of.world.volumes[0], 0, {1});
  ASSERT_NO_FATAL_FAILURE(of.flush());
  of.crash(1);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.world.machine.store->inject(
      {.path_contains = ".seg", .kind = sim::IoKind::kRead, .sticky = true});
  of.pass(2);
  EXPECT_FALSE(of.keeper->is_up_to_date());
  of.world.machine.store->clear_faults();
  of.world.machine.write(of.world.volumes[0], 1, {1});
  of.pass(1);
  ASSERT_NO_FATAL_FAILURE(check(of)) << "it is read from the changes";
  of.stop();
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(2);
  ASSERT_NO_FATAL_FAILURE(check(of));
  ASSERT_NO_FATAL_FAILURE(check_recorded(of));
}

// A vault that is full when the daemon is stopped to make room: what it held back is recorded at
// the next start, and until then read from the changes.
TEST(Activity, IsCompleteAfterAStopWithAFullVault) {
  ActivityWorld of(44);
  ASSERT_NO_FATAL_FAILURE(of.start());
  auto& machine = of.world.machine;
  const VolumeId volume = of.world.volumes[0];
  of.pass(7200 - of.now() % 3600 + 600);
  const std::int64_t begin = of.now();
  std::uint64_t blocks = 0;
  const auto write = [&] {
    const bool is_taken = machine.write(volume, blocks % 200, {1000 + blocks});
    if (is_taken) ++blocks;
    return is_taken;
  };
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(write());
    ASSERT_NO_FATAL_FAILURE(of.flush());
    of.pass(61);
  }
  const auto expect_all = [&] {
    for (const std::int64_t step : {std::int64_t{1}, std::int64_t{60}, std::int64_t{3600}, kDay}) {
      const std::int64_t from = begin / step * step;
      const std::int64_t length = std::max<std::int64_t>(step, 7200);
      EXPECT_EQ(written(of.activity(volume, from, from + length, step)), blocks)
          << "in steps of " << step;
    }
  };
  machine.store->set_capacity(1);  // no new segment
  while (write())
    if (blocks % 50 == 0) {
      ASSERT_NO_FATAL_FAILURE(of.flush());
      of.pass(1);
    }
  of.pass(3);
  ASSERT_NO_FATAL_FAILURE(expect_all());
  of.pass(2 * kDay);
  EXPECT_FALSE(of.keeper->is_up_to_date()) << "the day's sum";
  ASSERT_NO_FATAL_FAILURE(expect_all());
  machine.scheduler.run(of.keeper->stop());
  of.keeper.reset();
  of.world.close_journal();
  (void)of.world.close_index();  // it does not fit
  machine.store->set_capacity(std::uint64_t{1} << 40);
  of.pass(1000);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(3 * kDay);
  EXPECT_TRUE(of.keeper->is_up_to_date());
  ASSERT_NO_FATAL_FAILURE(expect_all());
  std::map<Step, std::uint64_t> recorded;
  for (const PulseRecord& pulse : of.changes().pulses) recorded[pulse.step] += pulse.written_blocks;
  for (const Step step : {Step::kSecond, Step::kMinute, Step::kHour, Step::kDay})
    EXPECT_EQ(recorded[step], blocks) << "in steps of " << seconds_of(step);
}

// Ends by force cost so much, and no more: of a year's hundred, what was recorded is believed.
TEST(Activity, OfMoreEndsByForceThanAreLookedAtIsTold) {
  ActivityWorld of(46);
  const std::int64_t begin = of.now();
  std::uint64_t blocks = 0;
  for (int i = 0; i < 40; ++i) {
    ASSERT_NO_FATAL_FAILURE(of.start());
    of.world.machine.write(of.world.volumes[0], blocks++, {1});
    ASSERT_NO_FATAL_FAILURE(of.flush());
    of.pass(3000);
    of.crash(1);
  }
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.pass(2);
  const auto all = of.ask(of.world.volumes[0], begin, of.now() + 1, kDay);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->ends_passed_over, 8u);
  EXPECT_EQ(written(all->steps), blocks);
  const auto some = of.ask(of.world.volumes[0], begin, begin + 3000, 60);
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(some->ends_passed_over, 0u);
}

}  // namespace
}  // namespace tools
