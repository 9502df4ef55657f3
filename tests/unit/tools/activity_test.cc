// SPDX-License-Identifier: Apache-2.0
//
// Activity from the change to the answer: what the journal meters, PulseKeeper records and
// read_activity reads, against what the records of the changes themselves say.
#include "tests/unit/tools/activity_world.h"

namespace tools {
namespace {

class ActivitySeeds : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Activity, ActivitySeeds, testing::Range<std::uint64_t>(1, 9));

TEST_P(ActivitySeeds, IsWhatTheChangesSayInStepsOfAnyLength) {
  ActivityWorld of(GetParam());
  ASSERT_NO_FATAL_FAILURE(of.start());
  for (int i = 0; i < 3; ++i) {
    live(of, 8);
    of.pass(3);
    ASSERT_NO_FATAL_FAILURE(check(of));
    of.stop();
    if (i == 1) of.pass(kDay / 2);
    ASSERT_NO_FATAL_FAILURE(of.start());
    ASSERT_NO_FATAL_FAILURE(check(of));
  }
}

TEST_P(ActivitySeeds, OfMinutesHoursAndDaysIsWhatSecondsSayAfterEndsByForce) {
  ActivityWorld of(GetParam() + 100);
  ASSERT_NO_FATAL_FAILURE(of.start());
  for (int i = 0; i < 4; ++i) {
    live(of, 5);
    if (i % 2 == 0) of.pass(2);
    of.crash(GetParam() + static_cast<std::uint64_t>(i));
    of.pass(i == 1 ? 5000 : 1);
    ASSERT_NO_FATAL_FAILURE(of.start());
    of.pass(2);
    ASSERT_NO_FATAL_FAILURE(check(of));
  }
  ASSERT_NO_FATAL_FAILURE(check_recorded(of));
}

// What was not recorded is read from the changes, before a daemon has recorded it as after that.
TEST_P(ActivitySeeds, OfAVaultWithoutItsDaemonIsWhatTheChangesSay) {
  ActivityWorld of(GetParam() + 300);
  for (int i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(of.start());
    live(of, 4);
    of.crash(GetParam() + static_cast<std::uint64_t>(i));
    ASSERT_NO_FATAL_FAILURE(of.world.start());
    ASSERT_NO_FATAL_FAILURE(check(of));
    of.world.stop();
  }
}

// A daemon that is ended while it records what the one before it left.
TEST_P(ActivitySeeds, CountsOnceWhenStartsAreCutShort) {
  ActivityWorld of(GetParam() + 400);
  sim::Random& random = of.world.machine.random;
  for (int i = 0; i < 4; ++i) {
    ASSERT_NO_FATAL_FAILURE(of.start());
    live(of, 3);
    of.crash(GetParam() + static_cast<std::uint64_t>(i));
    for (int start = 0; start < 6; ++start) {
      of.pass(static_cast<std::int64_t>(random.below(3)));
      ASSERT_NO_FATAL_FAILURE(of.start());
      of.world.machine.scheduler.run_for(random.nanos({1}, cdp::milliseconds(400)));
      of.crash(random.below(1000));
    }
    ASSERT_NO_FATAL_FAILURE(of.start());
    of.pass(2);
    ASSERT_NO_FATAL_FAILURE(check(of));
    ASSERT_NO_FATAL_FAILURE(check_recorded(of));
    of.stop();
  }
}

// Kills, stops, starts that are cut short, and a clock that is set, in any order.
TEST_P(ActivitySeeds, IsRecordedWhateverEndsTheDaemon) {
  ActivityWorld of(GetParam() + 500);
  sim::Random& random = of.world.machine.random;
  ASSERT_NO_FATAL_FAILURE(of.start());
  for (int i = 0; i < 12; ++i) {
    live(of, 2);
    if (random.chance(50)) {
      const std::int64_t steps[] = {-2, -70, -4000, 2, 100, 5000, kDay};
      of.world.machine.clock.step(cdp::seconds(steps[random.below(std::size(steps))]));
      if (random.chance(50)) live(of, 1);
      of.pass(static_cast<std::int64_t>(random.below(3)));
    }
    if (random.chance(30)) {
      of.stop();
    } else {
      of.crash(random.below(1000));
    }
    of.pass(static_cast<std::int64_t>(random.below(3)));
    ASSERT_NO_FATAL_FAILURE(of.start());
  }
  of.pass(2);
  ASSERT_NO_FATAL_FAILURE(check(of));
  ASSERT_NO_FATAL_FAILURE(check_recorded(of));
}

TEST_P(ActivitySeeds, CountsOnceWhenTheClockSteps) {
  ActivityWorld of(GetParam() + 200);
  ASSERT_NO_FATAL_FAILURE(of.start());
  for (const std::int64_t step : {std::int64_t{-50}, std::int64_t{4000}, std::int64_t{-3700}}) {
    live(of, 3);
    of.pass(3);
    of.world.machine.clock.step(cdp::seconds(step));
  }
  live(of, 3);
  of.pass(3);
  ASSERT_NO_FATAL_FAILURE(of.flush());
  ASSERT_NO_FATAL_FAILURE(check(of));
  const Changes changes = of.changes();
  std::map<VolumeId, restore::PulseSum> recorded;
  std::map<VolumeId, restore::PulseSum> happened;
  for (const PulseRecord& pulse : changes.pulses)
    if (pulse.step == Step::kSecond) recorded[pulse.volume].add(pulse);
  for (const auto& [key, counted] : changes.seconds) happened[key.first].add(counted);
  for (const auto& [volume, sum] : happened)
    EXPECT_EQ(counts(recorded[volume].total()), counts(sum.total()));
}

TEST(Activity, BytesStoredAreThoseOfTheRuns) {
  ActivityWorld of(31);
  ASSERT_NO_FATAL_FAILURE(of.start());
  live(of, 20);
  of.stop();
  ASSERT_NO_FATAL_FAILURE(of.start());
  const Changes changes = of.changes();
  std::uint64_t stored = 0;
  for (const PulseRecord& pulse : changes.pulses) {
    if (pulse.step == Step::kSecond) stored += pulse.stored_bytes;
    EXPECT_LE(pulse.begin, journal::second_of(pulse.stamp.time));
  }
  EXPECT_GT(stored, 0u);
  EXPECT_EQ(stored, changes.data_bytes);
}

// Rule 3: what does not change costs next to nothing.
TEST(Rule3, PulsesLeaveAnIdleJournalAtOneFrameAMinute) {
  ActivityWorld of(32);
  ASSERT_NO_FATAL_FAILURE(of.start());
  live(of, 3);
  of.pass(120);
  const std::uint64_t frames = of.world.machine.journal->statistics().frames;
  const std::int64_t minutes = 26 * 60;  // past the end of the hour and the day
  of.pass(minutes * 60);
  EXPECT_LE(of.world.machine.journal->statistics().frames - frames,
            static_cast<std::uint64_t>(minutes) + 1);
  const Changes changes = of.changes();
  EXPECT_EQ(std::count_if(changes.pulses.begin(), changes.pulses.end(),
                          [](const PulseRecord& of_day) { return of_day.step == Step::kDay; }),
            static_cast<std::ptrdiff_t>(of.world.volumes.size()));
}

TEST(Activity, TellsBlocksThatHeldDataFromOthers) {
  for (const std::size_t run_entries : {std::size_t{16}, std::size_t{1} << 20}) {
    SCOPED_TRACE(fmt::format("runs of {}", run_entries));
    ActivityWorld of(33);
    of.world.options.run_entries = run_entries;
    ASSERT_NO_FATAL_FAILURE(of.start());
    auto& machine = of.world.machine;
    const VolumeId volume = of.world.volumes[0];
    std::uint64_t content = 1;
    std::vector<std::int64_t> begins;
    const auto write_all = [&](std::uint64_t first) {
      begins.push_back(of.now());
      for (std::uint64_t block = first; block < first + 100; ++block)
        machine.write(volume, block, {++content});
      ASSERT_TRUE(machine.flush().ok());
      of.pass(3);
    };
    ASSERT_NO_FATAL_FAILURE(write_all(0));  // for the first time
    ASSERT_NO_FATAL_FAILURE(write_all(0));  // over it
    machine.zero(volume, 0, 1 << 20);
    of.pass(3);
    ASSERT_NO_FATAL_FAILURE(write_all(0));   // where zeroes are
    ASSERT_NO_FATAL_FAILURE(write_all(50));  // half of it over data
    const auto overwritten = [&](std::int64_t begin) {
      const auto steps = of.activity(volume, begin, begin + 2, 2);
      return steps.size() == 1 ? steps[0].sum.overwritten : -1;
    };
    EXPECT_EQ(overwritten(begins[0] / 2 * 2), 0);
    EXPECT_EQ(overwritten(begins[1] / 2 * 2), 100);
    EXPECT_EQ(overwritten(begins[2] / 2 * 2), 0);
    const int half = overwritten(begins[3] / 2 * 2);
    EXPECT_GT(half, 10);
    EXPECT_LT(half, 90);
    of.stop();
  }
}

TEST(Activity, HasWhatClientsAskedForAndHowLongTheyWaited) {
  ActivityWorld of(34);
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  cdp::IoStatistics& asked = of.asked[volume];
  using Kind = cdp::IoStatistics::Kind;
  for (int i = 0; i < 990; ++i) asked.count(Kind::kWrite, 4096, cdp::microseconds(150), true);
  for (int i = 0; i < 10; ++i) asked.count(Kind::kWrite, 4096, cdp::seconds(3), true);
  for (int i = 0; i < 5; ++i) asked.count(Kind::kFlush, 0, cdp::milliseconds(1), true);
  const std::int64_t begin = of.now();
  of.world.machine.write(volume, 0, {1});
  of.pass(3);
  asked.count(Kind::kWrite, 4096, cdp::seconds(20), true);
  of.world.machine.write(volume, 0, {2});
  of.pass(3);
  ASSERT_NO_FATAL_FAILURE(of.flush());
  const auto steps = of.activity(volume, begin, begin + 10, 1);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].sum.flushes, 5u);
  EXPECT_EQ(steps[0].sum.p99, 2) << "at most 200 us";
  EXPECT_EQ(steps[1].sum.flushes, 0u) << "each is told once";
  EXPECT_EQ(steps[1].sum.p99, cdp::IoStatistics::kBounds.size()) << "beyond all bounds";

  const restore::History history(of.world.machine.journal->durable_state(), {});
  const auto timeline = of.world.machine.scheduler.run(
      api::read_timeline(*of.world.index, history, "db", {.step = 1}, true));
  ASSERT_TRUE(timeline.ok()) << timeline.error().message;
  const auto& told = timeline->at("steps").as_array();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].at("p99_us").to_number<int>(), 200);
  EXPECT_FALSE(told[0].as_object().contains("p99_is_more"));
  EXPECT_EQ(told[1].at("p99_us").to_number<int>(), 10'000'000);
  EXPECT_TRUE(told[1].at("p99_is_more").as_bool());
}

TEST(Activity, ThatWouldBeTooMuchIsRefusedWithWhatToAskFor) {
  ActivityWorld of(35);
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  const auto refusal = [&](std::int64_t seconds, std::int64_t step) {
    const auto read = of.ask(volume, of.now() - seconds, of.now(), step);
    return read.ok() ? std::string{} : read.error().message;
  };
  EXPECT_EQ(refusal(10'000, 1), "");
  EXPECT_NE(refusal(10'001, 1).find("10000 can be asked for"), std::string::npos);
  EXPECT_NE(refusal(kDay, 90).find("whole minutes"), std::string::npos);
  EXPECT_NE(refusal(366 * kDay, 600 * 61).find("whole hours or days"), std::string::npos);
  EXPECT_EQ(refusal(366 * kDay, kDay), "");
  EXPECT_NE(refusal(1, 0).find("at least a second"), std::string::npos);
}

TEST(Activity, IsTakenByFirstChangesAndNothingBefore) {
  journal::ActivityCounts counts;
  const auto add = [&](std::uint32_t volume, std::int64_t second, std::uint64_t lsn) {
    counts.add_zeroes({.volume = {volume},
                       .stamp = {.lsn = {lsn}, .time = cdp::seconds(second)},
                       .block_count = 1});
  };
  const auto take = [&](std::int64_t before, std::int64_t after) {
    std::vector<std::uint64_t> lsns;
    for (const auto& activity : counts.take(before, after))
      lsns.push_back(activity.first_lsn.value);
    return lsns;
  };
  using Lsns = std::vector<std::uint64_t>;
  add(2, 100, 1);
  add(1, 101, 2);
  add(1, 100, 3);
  add(2, 102, 4);
  EXPECT_EQ(take(102, 102), (Lsns{1, 2, 3}));
  add(1, 101, 5);  // the clock was set back
  add(1, 100, 6);
  EXPECT_EQ(take(100, 100), (Lsns{4, 5})) << "102 and 101 are still to come";
  EXPECT_EQ(take(101, 101), (Lsns{6}));
}

TEST(Activity, WhatWasAskedForLongBeforeAChangeIsNoPartOfIt) {
  ActivityWorld of(45);
  const VolumeId volume{1};
  cdp::IoStatistics& asked = of.asked[volume];
  using Kind = cdp::IoStatistics::Kind;
  ASSERT_NO_FATAL_FAILURE(of.start());
  ASSERT_EQ(of.world.volumes[0], volume);
  for (int i = 0; i < 200; ++i) asked.count(Kind::kFlush, 0, cdp::milliseconds(1), true);
  for (int i = 0; i < 200; ++i) asked.count(Kind::kWrite, 4096, cdp::seconds(3), true);
  of.pass(5);
  asked.count(Kind::kWrite, 4096, cdp::microseconds(30), true);
  asked.count(Kind::kFlush, 0, cdp::milliseconds(1), true);
  const std::int64_t begin = of.now();
  of.world.machine.write(volume, 0, {1});
  of.pass(3);
  ASSERT_NO_FATAL_FAILURE(of.flush());
  const auto steps = of.activity(volume, begin, begin + 10, 1);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].sum.flushes, 1u) << "the first pulse of the volume";
  EXPECT_EQ(steps[0].sum.p99, 0);
}

// The largest random number is one that a double cannot tell from the end of its range.
TEST(Activity, SamplesStayInTheirPlacesWhateverComesUp) {
  // What the generator must hold before a step, so that it holds `after` behind it.
  const auto before = [](std::uint64_t after) {
    const auto undo = [](std::uint64_t value, int shift) {
      std::uint64_t x = value;
      for (int i = 0; i < 64; ++i) x = value ^ (shift > 0 ? x << shift : x >> -shift);
      return x;
    };
    return undo(undo(undo(after, -27), 25), -12);
  };
  const auto inverse = [](std::uint64_t odd) {
    std::uint64_t x = odd;
    for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
    return x;
  };
  int tried = 0;
  for (std::uint64_t low = 0; low < 2048; ++low) {
    std::uint64_t state = (~std::uint64_t{0} << 11 | low) * inverse(0x2545f4914f6cdd1d);
    for (int step = 0; step < 3; ++step) state = before(state);  // the third one is of a place
    if (state % 2 == 0) continue;
    const std::uint64_t key = state * inverse(0x9e3779b97f4a7c15);
    if (key >> 32 > INT32_MAX) continue;  // a time that there is
    ++tried;
    journal::ActivityCounts counts;
    const VolumeId volume{static_cast<std::uint32_t>(key)};
    const cdp::Stamp stamp{.lsn = {1}, .time = cdp::seconds(static_cast<std::int64_t>(key >> 32))};
    counts.add_write(volume, stamp, 1000, 1000);
    const auto taken = counts.take(INT64_MAX);
    ASSERT_EQ(taken.size(), 1u);
    ASSERT_EQ(taken[0].sample_count, journal::VolumeActivity::kSamplesMax);
    for (const std::uint64_t block : taken[0].samples) ASSERT_TRUE(block >= 1000 && block < 2000);
  }
  EXPECT_GT(tried, 0);
}

// Of a month in which every hour had its changes, few frames are read for its days: those of them,
// and of the last days the hours, minutes and seconds.
TEST(Activity, ADayIsAFrameToBeRead) {
  constexpr int kDays = 30;
  ActivityWorld of(36);
  of.world.options.cache_bytes = 1u << 20;
  ASSERT_NO_FATAL_FAILURE(of.start());
  const VolumeId volume = of.world.volumes[0];
  const std::int64_t begin = of.now();
  for (int hour = 0; hour < kDays * 24; ++hour) {
    of.world.machine.write(volume, static_cast<std::uint64_t>(hour) % 64, {1});
    of.pass(3600);
  }
  ASSERT_NO_FATAL_FAILURE(of.flush());
  const std::uint64_t reads = of.world.machine.store->ios(sim::IoKind::kRead);
  const auto days = of.activity(volume, begin, of.now(), kDay);
  EXPECT_LE(of.world.machine.store->ios(sim::IoKind::kRead) - reads, kDays * 2 + 150u);
  EXPECT_GT(of.world.machine.journal->statistics().frames, kDays * 24 * 60u);
  EXPECT_GE(days.size(), std::size_t{kDays});
  std::uint64_t writes = 0;
  for (const ActivityStep& day : days) writes += day.sum.writes;
  EXPECT_EQ(writes, kDays * 24u);
}

// A minute that ends because of a change in the next one ends neither the hour nor the day.
TEST(Activity, LooksThatComeLateLeaveADayOnePulse) {
  ActivityWorld of(37);
  ASSERT_NO_FATAL_FAILURE(of.start());
  of.world.machine.scheduler.run(of.keeper->stop());
  const VolumeId volume = of.world.volumes[0];
  for (std::uint64_t minute = 0; minute < 10; ++minute) {
    of.world.machine.write(volume, minute, {minute + 1});
    ASSERT_NO_FATAL_FAILURE(of.flush());
    of.pass(2);
    of.world.machine.scheduler.run(of.keeper->look(of.now()));
    of.pass(60);
  }
  of.stop();
  ASSERT_NO_FATAL_FAILURE(of.start());
  const Changes changes = of.changes();
  const auto recorded = [&](Step step) {
    return std::count_if(changes.pulses.begin(), changes.pulses.end(),
                         [&](const PulseRecord& pulse) { return pulse.step == step; });
  };
  EXPECT_EQ(recorded(Step::kMinute), 10);
  EXPECT_LE(recorded(Step::kHour), 2);
  EXPECT_LE(recorded(Step::kDay), 2);
}

TEST(Activity, EntropyIsThatOfTheBytes) {
  std::array<std::byte, cdp::kBlockBytes> block{};
  EXPECT_EQ(journal::entropy_of(block), 0);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i);
  EXPECT_EQ(journal::entropy_of(block), PulseRecord::kEntropyMax) << "8 bits";
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i % 2);
  EXPECT_EQ(journal::entropy_of(block), 25) << "1 bit";
  sim::Random random(1);
  for (std::byte& byte : block) byte = static_cast<std::byte>(random.below(256));
  EXPECT_GT(journal::entropy_of(block), 195);
}

}  // namespace
}  // namespace tools
