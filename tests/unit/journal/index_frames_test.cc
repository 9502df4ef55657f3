// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/unit/journal/index_world.h"

namespace journal::index {
namespace {

// Runs of frames alone.
class Frames {
 public:
  explicit Frames(std::uint64_t seed) : world(seed, 20 * kPageBytes) {}

  // `count` frames whose clock steps back now and then; LSNs have gaps.
  void add_run(std::size_t count, unsigned step_percent) {
    const Lsn after = lsn;
    std::vector<FrameRow> rows;
    for (std::size_t i = 0; i < count; ++i) {
      FrameRow row;
      row.segment = static_cast<std::uint32_t>(1 + all.size() / 1000);
      row.offset = static_cast<std::uint32_t>((all.size() % 1000 + 1) * 4096);
      row.total_bytes = 4096;
      row.first_lsn = {lsn.value + world.random.between(1, 3)};
      row.last_lsn = lsn = {row.first_lsn.value + world.random.below(5)};
      if (world.random.below(1000) < step_percent * 10) time -= world.random.below(5000);
      row.min_time = {time += world.random.below(10)};
      row.max_time = {time += world.random.below(10)};
      if (world.random.chance(1)) row.flags = FrameRow::kControl;
      if (world.random.chance(1)) row.flags |= FrameRow::kClock;
      if (world.random.chance(20)) row.flags |= FrameRow::pulse_flag(PulseRecord::Step::kSecond);
      if (world.random.chance(1)) row.flags |= FrameRow::pulse_flag(PulseRecord::Step::kDay);
      if (world.random.chance(1)) row.flags |= FrameRow::kPulseOfOtherTime;
      all.push_back(row);
      rows.push_back(row);
    }
    const RunImage image = build_run(world.vault, ++number, {after, lsn}, {}, rows);
    ASSERT_TRUE(world.scheduler.run(write_run(*world.directory, world.vault, image)).ok());
    world.runs.push_back(*world.open(number));
  }

  IndexWorld world;
  std::vector<FrameRow> all;
  std::uint32_t number = 0;
  Lsn lsn{};
  std::int64_t time = -2000;
};

// Ends of the stretches of frames at or before a time, and the frames on both sides of it: what a
// search for the time has of being shown frames.
std::vector<std::pair<std::uint64_t, bool>> outcome(const std::vector<FrameRow>& frames,
                                                    Nanos time) {
  std::vector<std::pair<std::uint64_t, bool>> ends;
  enum { kNone, kBefore, kAfter, kBoth } side = kNone;
  for (const FrameRow& frame : frames) {
    if (frame.max_time <= time) {
      if (side == kBefore)
        ends.back().first = frame.last_lsn.value;
      else
        ends.push_back({frame.last_lsn.value, false});
      side = kBefore;
    } else if (frame.min_time > time) {
      side = kAfter;
    } else {
      ends.push_back({frame.last_lsn.value, true});
      side = kBoth;
    }
  }
  return ends;
}

TEST(FrameTable, AnswersAsAListOfAllFramesDoes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Frames frames(seed);
    sim::Random& random = frames.world.random;
    const unsigned steps = random.coin() ? 0 : 2;
    const std::size_t runs = random.between(1, 4);
    for (std::size_t i = 0; i < runs; ++i)
      frames.add_run(random.between(1, random.coin() ? 200 : 30'000), steps);
    const Snapshot map = frames.world.snapshot();
    for (int i = 0; i < 40; ++i) {
      const Nanos time{static_cast<std::int64_t>(
                           random.below(static_cast<std::uint64_t>(frames.time + 2000) + 100)) -
                       2050};
      const auto deciding = *frames.world.scheduler.run(map.deciding_frames(time));
      ASSERT_EQ(outcome(deciding, time), outcome(frames.all, time)) << "time " << time.value;
      ASSERT_LE(deciding.size(), steps == 0 ? 2 * runs + 2 : frames.all.size());

      const Lsn lsn{random.below(frames.lsn.value + 10)};
      const auto frame = *frames.world.scheduler.run(map.frame_at(lsn));
      const auto expected = std::find_if(frames.all.begin(), frames.all.end(),
                                         [&](const FrameRow& of) { return of.last_lsn >= lsn; });
      ASSERT_EQ(frame.has_value(), expected != frames.all.end());
      if (frame.has_value()) {
        ASSERT_EQ(*frame, *expected);
      }

      const LsnInterval interval{lsn, {lsn.value + random.below(20'000)}};
      std::vector<FrameRow> control;
      for (const FrameRow& of : frames.all) {
        if ((of.flags & FrameRow::kControl) != 0 && of.last_lsn > interval.after && of.first_lsn <= interval.upto)
          control.push_back(of);
      }
      ASSERT_EQ(*frames.world.scheduler.run(map.control_frames(interval)), control);
      const auto step = random.coin() ? PulseRecord::Step::kSecond : PulseRecord::Step::kDay;
      const Nanos until{time.value + static_cast<std::int64_t>(random.below(5000))};
      std::vector<FrameRow> pulses;
      for (const FrameRow& of : frames.all) {
        const bool is_in = of.max_time >= time && of.min_time <= until;
        if ((of.flags & FrameRow::pulse_flag(step)) != 0 &&
            (is_in || (of.flags & FrameRow::kPulseOfOtherTime) != 0))
          pulses.push_back(of);
      }
      ASSERT_EQ(*frames.world.scheduler.run(map.pulse_frames(step, time, until)), pulses);
      std::vector<FrameRow> in;
      for (const FrameRow& of : frames.all) {
        if (of.last_lsn > interval.after && of.first_lsn <= interval.upto) in.push_back(of);
      }
      ASSERT_EQ(*frames.world.scheduler.run(map.frames_in(interval)), in);
      const WantedFrame wanted{.flags = random.coin() ? FrameRow::pulse_flag(step) : std::uint16_t{0},
                               .before = time};
      const auto last = std::find_if(frames.all.rbegin(), frames.all.rend(), [&](auto& of) {
        return (wanted.flags == 0 || (of.flags & wanted.flags) != 0) && of.max_time < time &&
               interval.contains(of.last_lsn);
      });
      const auto found_last = *frames.world.scheduler.run(map.last_frame(interval, wanted));
      ASSERT_EQ(found_last.has_value(), last != frames.all.rend());
      if (found_last.has_value()) {
        ASSERT_EQ(*found_last, *last);
      }
      const auto clock = std::find_if(frames.all.rbegin(), frames.all.rend(), [&](auto& of) {
        return (of.flags & FrameRow::kClock) != 0 && interval.contains(of.last_lsn);
      });
      const auto found = *frames.world.scheduler.run(map.last_clock_frame(interval));
      ASSERT_EQ(found.has_value(), clock != frames.all.rend());
      if (found.has_value()) {
        ASSERT_EQ(*found, *clock);
      }
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(FrameTable, ATimeIsFoundWithoutReadingHistory) {
  Frames frames(5);
  frames.add_run(100'000, 0);
  EXPECT_GT(frames.world.runs.front()->header().frames.leaf_pages, 100u);
  const Snapshot map = frames.world.snapshot();
  const std::uint64_t reads = frames.world.store->ios(sim::IoKind::kRead);
  const auto deciding = *frames.world.scheduler.run(map.deciding_frames({frames.time / 2}));
  EXPECT_LE(deciding.size(), 4u);
  EXPECT_LE(frames.world.store->ios(sim::IoKind::kRead) - reads, 8u);
}

}  // namespace
}  // namespace journal::index
