// SPDX-License-Identifier: Apache-2.0
//
// Activity from the change to the answer: what the journal meters, PulseKeeper records and
// read_activity reads, against what the records of the changes themselves say.
#include "restore/activity.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <map>
#include <optional>

#include "restore/pulse_sum.h"
#include "tests/unit/journal/time_index_world.h"
#include "tools/api/timeline.h"
#include "tools/daemon/pulse_keeper.h"

namespace tools {
namespace {

using cdp::Nanos;
using cdp::VolumeId;
using journal::PulseRecord;
using restore::ActivityStep;
using Step = PulseRecord::Step;

constexpr std::int64_t kDay = 86400;

// What the records of changes say, by volume and second.
class Changes final : public journal::RecordVisitor {
 public:
  void on_write(const journal::WriteRecord& record) override {
    PulseRecord& at = at_second(record.volume, record.stamp);
    ++at.writes;
    at.written_blocks += record.block_count;
    for (const journal::WritePiece& piece : record.pieces)
      if (piece.kind == journal::PieceKind::kNew) at.stored_blocks += piece.count;
  }
  void on_zero(const journal::ZeroRecord& record) override {
    PulseRecord& at = at_second(record.volume, record.stamp);
    (record.kind == cdp::ZeroKind::kTrim ? at.trimmed_blocks : at.zeroed_blocks) +=
        record.block_count;
  }
  void on_pulse(const PulseRecord& record) override { pulses.push_back(record); }
  bool on_frame(const journal::FrameInfo& frame) override {
    data_bytes += frame.data_bytes;
    return true;
  }

  std::map<std::pair<VolumeId, std::int64_t>, PulseRecord> seconds;
  std::vector<PulseRecord> pulses;
  std::uint64_t data_bytes = 0;

 private:
  PulseRecord& at_second(VolumeId volume, cdp::Stamp stamp) {
    return seconds[{volume, journal::second_of(stamp.time)}];
  }
};

// Without the estimates.
PulseRecord counts(PulseRecord pulse) {
  PulseRecord counts;
  counts.writes = pulse.writes;
  counts.written_blocks = pulse.written_blocks;
  counts.stored_blocks = pulse.stored_blocks;
  counts.zeroed_blocks = pulse.zeroed_blocks;
  counts.trimmed_blocks = pulse.trimmed_blocks;
  return counts;
}

std::map<std::int64_t, PulseRecord> by_begin(const std::vector<ActivityStep>& steps) {
  std::map<std::int64_t, PulseRecord> all;
  for (const ActivityStep& step : steps) all[step.begin] = counts(step.sum);
  return all;
}

class ActivityWorld {
 public:
  explicit ActivityWorld(std::uint64_t seed) : world(seed) {
    world.machine.options.meters_activity = true;
  }
  ~ActivityWorld() {
    if (keeper) stop();
  }

  void start() {
    ASSERT_NO_FATAL_FAILURE(world.start());
    keeper.emplace(PulseKeeper::Parts{.scheduler = world.machine.scheduler,
                                      .clock = world.machine.clock,
                                      .sequencer = *world.machine.sequencer,
                                      .journal = *world.machine.journal,
                                      .index = *world.index,
                                      .statistics_of = [this](VolumeId id) {
                                        const auto at = asked.find(id);
                                        return at == asked.end() ? nullptr : &at->second;
                                      }});
    keeper->start();
  }
  void stop() {
    world.machine.scheduler.run(keeper->stop());
    keeper.reset();
    world.stop();
  }
  void crash(std::uint64_t fate) {
    world.machine.store->crash_now();
    world.machine.scheduler.run(keeper->stop());
    keeper.reset();
    world.crash(fate);
  }
  void flush() { ASSERT_TRUE(world.machine.flush().ok()); }
  void pass(std::int64_t seconds) {
    for (; seconds > 1000; seconds -= 1000) world.pass(1000);
    world.pass(seconds);
  }
  std::int64_t now() { return journal::second_of(world.machine.clock.realtime()); }

  Changes changes() {
    Changes all;
    const auto reader = world.machine.reader();
    const auto read = world.machine.scheduler.run(reader->visit({}, {UINT64_MAX}, all));
    EXPECT_TRUE(read.ok());
    return all;
  }
  cdp::Result<restore::Activity> ask(VolumeId volume, std::int64_t from, std::int64_t until,
                                     std::int64_t step) {
    return world.machine.scheduler.run(
        restore::read_activity(*world.index, world.machine.journal->durable_state(),
                               {.volume = volume,
                                .from = from,
                                .until = until,
                                .step = step,
                                .nobody_records = !keeper || !keeper->is_up_to_date()}));
  }
  std::vector<ActivityStep> activity(VolumeId volume, std::int64_t from, std::int64_t until,
                                     std::int64_t step) {
    auto read = ask(volume, from, until, step);
    if (read.ok()) return std::move(read->steps);
    ADD_FAILURE() << read.error().message;
    return {};
  }

  journal::index::TimeIndexWorld world;
  std::map<VolumeId, cdp::IoStatistics> asked;
  std::optional<PulseKeeper> keeper;
};

// Bursts of changes, and between them moments, minutes, hours or a day.
void live(ActivityWorld& of, int bursts) {
  sim::Random& random = of.world.machine.random;
  for (int burst = 0; burst < bursts; ++burst) {
    const auto steps = static_cast<int>(random.between(1, 60));
    for (int i = 0; i < steps; ++i) {
      of.world.step();
      if (random.chance(20)) of.world.machine.scheduler.run_for(random.nanos({1}, cdp::seconds(1)));
    }
    const std::int64_t pauses[] = {0, 2, 70, 4000, kDay};
    of.pass(pauses[random.below(std::size(pauses))]);
  }
}

// Every answer, in steps of any length, is what the changes themselves say.
void check(ActivityWorld& of) {
  ASSERT_NO_FATAL_FAILURE(of.flush());
  const Changes changes = of.changes();
  ASSERT_FALSE(changes.seconds.empty());
  std::int64_t first = INT64_MAX;
  std::int64_t last = 0;
  for (const auto& [key, counted] : changes.seconds) {
    first = std::min(first, key.second);
    last = std::max(last, key.second);
  }
  for (const VolumeId volume : of.world.volumes) {
    for (const std::int64_t step : {std::int64_t{1}, std::int64_t{7}, std::int64_t{60},
                                    std::int64_t{600}, std::int64_t{3600}, kDay, 7 * kDay}) {
      SCOPED_TRACE(fmt::format("volume {} in steps of {} s", volume.value, step));
      std::map<std::int64_t, PulseRecord> expected;
      std::map<std::int64_t, restore::PulseSum> sums;
      for (const auto& [key, counted] : changes.seconds)
        if (key.first == volume) sums[key.second / step * step].add(counted);
      for (const auto& [begin, sum] : sums) expected[begin] = counts(sum.total());
      std::map<std::int64_t, PulseRecord> found;
      const std::int64_t window = step < 60 ? 9'000 : 5'000 * step;
      for (std::int64_t from = first / step * step; from <= last; from += window / step * step) {
        const auto part =
            of.activity(volume, from, std::min(from + window / step * step, last + 1), step);
        for (const auto& [begin, sum] : by_begin(part)) found[begin] = sum;
      }
      for (const auto& [begin, sum] : expected) {
        ASSERT_TRUE(found.contains(begin)) << "nothing at " << begin;
        ASSERT_EQ(found[begin], sum)
            << "at " << begin << ": " << found[begin].writes << " writes, not " << sum.writes;
      }
      for (const auto& [begin, sum] : found) {
        ASSERT_TRUE(expected.contains(begin)) << "something at " << begin;
      }
    }
  }
}

// And every sum is recorded, once a stop has ended the last ones: who reads goes by shorter ones
// where he has his doubts, and would not miss it.
void check_recorded(ActivityWorld& of) {
  of.stop();
  ASSERT_NO_FATAL_FAILURE(of.start());
  const Changes changes = of.changes();
  for (const Step step : {Step::kSecond, Step::kMinute, Step::kHour, Step::kDay}) {
    std::map<std::pair<VolumeId, std::int64_t>, restore::PulseSum> happened;
    std::map<std::pair<VolumeId, std::int64_t>, restore::PulseSum> recorded;
    for (const auto& [key, counted] : changes.seconds)
      happened[{key.first, key.second / seconds_of(step) * seconds_of(step)}].add(counted);
    for (const PulseRecord& pulse : changes.pulses)
      if (pulse.step == step) recorded[{pulse.volume, pulse.begin}].add(pulse);
    EXPECT_EQ(recorded.size(), happened.size()) << "in steps of " << seconds_of(step);
    for (const auto& [key, sum] : happened)
      ASSERT_EQ(counts(recorded[key].total()), counts(sum.total()))
          << "volume " << key.first.value << " at " << key.second << ", a step of "
          << seconds_of(step);
  }
}

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

std::uint64_t written(const std::vector<ActivityStep>& steps) {
  std::uint64_t blocks = 0;
  for (const ActivityStep& step : steps) blocks += step.sum.written_blocks;
  return blocks;
}

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
