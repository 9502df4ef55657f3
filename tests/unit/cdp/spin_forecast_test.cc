// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/spin_forecast.h"

#include <gtest/gtest.h>

namespace cdp {
namespace {

void wait_times(SpinForecast& forecast, int times, Nanos each) {
  for (int i = 0; i < times; ++i) forecast.waited(each);
}

TEST(SpinForecast, WhoIsAskedAgainAtOnceSpins) {
  SpinForecast forecast;
  EXPECT_FALSE(forecast.is_soon());
  wait_times(forecast, 8, microseconds(45));  // a sleep and a wake-up among it
  EXPECT_TRUE(forecast.is_soon());
  wait_times(forecast, 1000, microseconds(12));
  EXPECT_TRUE(forecast.is_soon());
}

TEST(SpinForecast, ASpinInVainIsNotRepeated) {
  SpinForecast forecast;
  wait_times(forecast, 8, microseconds(45));
  forecast.waited(microseconds(130));
  EXPECT_FALSE(forecast.is_soon());
  wait_times(forecast, 7, microseconds(45));
  EXPECT_FALSE(forecast.is_soon());
  forecast.waited(microseconds(45));
  EXPECT_TRUE(forecast.is_soon());
  // A sleep after the spin, of which the spin has saved nothing.
  forecast.waited(SpinForecast::kSpin + microseconds(45));
  EXPECT_FALSE(forecast.is_soon());
}

// A client that flushes each write: what the journal waits for takes longer than any spin.
TEST(SpinForecast, WhoWaitsForADiskInBetweenSleeps) {
  SpinForecast forecast;
  for (int i = 0; i < 1000; ++i) {
    wait_times(forecast, 2, microseconds(45));
    EXPECT_FALSE(forecast.is_soon());
    forecast.waited(microseconds(150));
    EXPECT_FALSE(forecast.is_soon());
  }
}

TEST(SpinForecast, AnIdleOneSleeps) {
  SpinForecast forecast;
  wait_times(forecast, 1000, milliseconds(100));
  EXPECT_FALSE(forecast.is_soon());
}

}  // namespace
}  // namespace cdp
