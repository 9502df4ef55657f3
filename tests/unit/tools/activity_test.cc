// SPDX-License-Identifier: Apache-2.0
//
// Activity from the change to the answer: what the journal meters, PulseKeeper records and
// read_activity reads, against what the records of the changes themselves say.
#include "restore/activity.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "restore/pulse_sum.h"
#include "tests/unit/journal/time_index_world.h"
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
  cdp::Result<std::vector<ActivityStep>> ask(VolumeId volume, std::int64_t from, std::int64_t until,
                                             std::int64_t step) {
    return world.machine.scheduler.run(
        restore::read_activity(*world.index, world.machine.journal->durable_state(),
                               {.volume = volume, .from = from, .until = until, .step = step}));
  }
  std::vector<ActivityStep> activity(VolumeId volume, std::int64_t from, std::int64_t until,
                                     std::int64_t step) {
    auto read = ask(volume, from, until, step);
    if (read.ok()) return *std::move(read);
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

// Every answer, in steps of any length, is what the changes themselves say; `lost` is a second of
// which some may be missing.
void check(ActivityWorld& of, const std::vector<std::int64_t>& ends_by_force) {
  ASSERT_NO_FATAL_FAILURE(of.flush());
  const Changes changes = of.changes();
  ASSERT_FALSE(changes.seconds.empty());
  std::int64_t first = INT64_MAX;
  std::int64_t last = 0;
  for (const auto& [key, counted] : changes.seconds) {
    first = std::min(first, key.second);
    last = std::max(last, key.second);
  }
  const auto may_lack = [&](std::int64_t begin, std::int64_t length) {
    return std::any_of(ends_by_force.begin(), ends_by_force.end(),
                       [&](std::int64_t end) { return begin <= end && begin + length > end - 2; });
  };
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
        if (may_lack(begin, step)) continue;
        ASSERT_TRUE(found.contains(begin)) << "nothing at " << begin;
        ASSERT_EQ(found[begin], sum)
            << "at " << begin << ": " << found[begin].writes << " writes, not " << sum.writes;
      }
      for (const auto& [begin, sum] : found) {
        ASSERT_TRUE(expected.contains(begin)) << "something at " << begin;
        ASSERT_LE(sum.writes, expected[begin].writes);
      }
    }
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
    ASSERT_NO_FATAL_FAILURE(check(of, {}));
    of.stop();
    if (i == 1) of.pass(kDay / 2);
    ASSERT_NO_FATAL_FAILURE(of.start());
    ASSERT_NO_FATAL_FAILURE(check(of, {}));
  }
}

TEST_P(ActivitySeeds, OfMinutesHoursAndDaysIsWhatSecondsSayAfterEndsByForce) {
  ActivityWorld of(GetParam() + 100);
  ASSERT_NO_FATAL_FAILURE(of.start());
  std::vector<std::int64_t> ends;
  for (int i = 0; i < 4; ++i) {
    live(of, 5);
    if (i % 2 == 0) of.pass(2);
    ends.push_back(of.now());
    of.crash(GetParam() + static_cast<std::uint64_t>(i));
    of.pass(i == 1 ? 5000 : 1);
    ASSERT_NO_FATAL_FAILURE(of.start());
    of.pass(2);
    ASSERT_NO_FATAL_FAILURE(check(of, ends));
  }
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
