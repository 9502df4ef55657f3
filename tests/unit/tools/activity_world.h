// SPDX-License-Identifier: Apache-2.0
//
// ActivityWorld: an appliance's journal, index and PulseKeeper over a simulated machine, for tests
// of activity; and what the records of the changes themselves say, for comparison.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <map>
#include <optional>

#include "restore/activity.h"
#include "restore/pulse_sum.h"
#include "tests/unit/journal/time_index_world.h"
#include "tools/api/timeline.h"
#include "tools/daemon/pulse_keeper.h"

namespace tools {

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
inline PulseRecord counts(PulseRecord pulse) {
  PulseRecord counts;
  counts.writes = pulse.writes;
  counts.written_blocks = pulse.written_blocks;
  counts.stored_blocks = pulse.stored_blocks;
  counts.zeroed_blocks = pulse.zeroed_blocks;
  counts.trimmed_blocks = pulse.trimmed_blocks;
  return counts;
}

inline std::map<std::int64_t, PulseRecord> by_begin(const std::vector<ActivityStep>& steps) {
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
inline void live(ActivityWorld& of, int bursts) {
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
inline void check(ActivityWorld& of) {
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
inline void check_recorded(ActivityWorld& of) {
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

inline std::uint64_t written(const std::vector<ActivityStep>& steps) {
  std::uint64_t blocks = 0;
  for (const ActivityStep& step : steps) blocks += step.sum.written_blocks;
  return blocks;
}

}  // namespace tools
