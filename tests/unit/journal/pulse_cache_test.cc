// SPDX-License-Identifier: Apache-2.0
#include "journal/index/pulse_cache.h"

#include <gtest/gtest.h>

#include "tests/sim/random.h"

namespace journal::index {
namespace {

PulseCache::Pulses pulses_of(cdp::Lsn frame, std::size_t count) {
  std::vector<PulseRecord> pulses(count);
  for (std::size_t i = 0; i < count; ++i) pulses[i].begin = static_cast<std::int64_t>(frame.value + i);
  return std::make_shared<const std::vector<PulseRecord>>(std::move(pulses));
}

TEST(PulseCache, StaysWithinItsBytesAndGivesWhatWasPutInOrNothing) {
  constexpr std::size_t kBytes = 64u << 10;
  PulseCache cache(kBytes);
  sim::Random random(7);
  std::size_t found = 0;
  std::size_t asked = 0;
  for (int i = 0; i < 50'000; ++i) {
    const cdp::Lsn frame{random.below(2000)};
    const auto pulses = cache.find(frame);
    ++asked;
    if (pulses != nullptr) {
      ++found;
      ASSERT_EQ(pulses->size(), frame.value % 4);
      ASSERT_EQ(*pulses, *pulses_of(frame, frame.value % 4));
    } else {
      cache.add(frame, pulses_of(frame, frame.value % 4));
    }
    ASSERT_LE(cache.bytes(), kBytes);
  }
  EXPECT_GT(found, asked / 20);
  EXPECT_LT(found, asked);
}

// As a dashboard asks: the frames of an hour, again each second.
TEST(PulseCache, KeepsWhatIsAskedForAgainAndAgain) {
  PulseCache cache(1u << 20);
  constexpr std::uint64_t kHour = 1000;
  std::size_t missed = 0;
  for (std::uint64_t now = kHour; now < 10 * kHour; ++now) {
    for (std::uint64_t frame = now - kHour; frame < now; ++frame) {
      if (cache.find({frame}) != nullptr) continue;
      ++missed;
      cache.add({frame}, pulses_of({frame}, 1));
    }
  }
  EXPECT_EQ(missed, 10 * kHour - 1) << "each frame once";
}

TEST(PulseCache, PassesOverWhatIsLargerThanItself) {
  PulseCache cache(1u << 10);
  cache.add({1}, pulses_of({1}, 1000));
  EXPECT_EQ(cache.find({1}), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace journal::index
