// SPDX-License-Identifier: Apache-2.0
#include "cdp/in_flight_limit.h"

#include <gtest/gtest.h>

namespace cdp {
namespace {

// A store that serves `per_second` writes, one after the other: each waits for those before it.
void write_full(InFlightLimit& limit, std::int64_t per_second, int writes) {
  for (int i = 0; i < writes; ++i) {
    const auto ahead = static_cast<std::int64_t>(limit.now());
    limit.took(Nanos{ahead * 1'000'000'000 / per_second}, limit.now());
  }
}

TEST(InFlightLimit, GrowsForAStoreThatAnswersQuickly) {
  InFlightLimit limit;
  EXPECT_EQ(InFlightLimit::kFewest, limit.now());
  write_full(limit, 200'000, 600);
  EXPECT_EQ(InFlightLimit::kMost, limit.now());
}

TEST(InFlightLimit, StaysLowForASlowStore) {
  InFlightLimit limit;
  write_full(limit, 3'000, 100'000);
  EXPECT_EQ(InFlightLimit::kFewest, limit.now());
}

TEST(InFlightLimit, FindsItsPlaceBetweenThemAndStays) {
  InFlightLimit limit;
  write_full(limit, 20'000, 10'000);  // of which 40 in flight take 2 ms
  const std::size_t found = limit.now();
  EXPECT_GE(found, 40);
  EXPECT_LE(found, 50);
  write_full(limit, 20'000, 10'000);
  EXPECT_EQ(found, limit.now());
}

TEST(InFlightLimit, FallsWhereAStoreBecomesSlow) {
  InFlightLimit limit;
  write_full(limit, 200'000, 1'000);
  write_full(limit, 3'000, 1'000);
  EXPECT_EQ(InFlightLimit::kFewest, limit.now());
}

TEST(InFlightLimit, LearnsNothingWhereFewAreInFlight) {
  InFlightLimit limit;
  for (int i = 0; i < 10'000; ++i) limit.took(microseconds(10), InFlightLimit::kFewest / 2 - 1);
  EXPECT_EQ(InFlightLimit::kFewest, limit.now());
}

}  // namespace
}  // namespace cdp
