// SPDX-License-Identifier: Apache-2.0
#include "cdp/io_statistics.h"

#include <gtest/gtest.h>

#include <numeric>

namespace cdp {
namespace {

TEST(IoStatistics, ALatencyCountsInTheFirstBucketThatItDoesNotExceed) {
  for (std::size_t i = 0; i < IoStatistics::kBounds.size(); ++i) {
    IoStatistics statistics;
    statistics.count(IoStatistics::Kind::kRead, 1, IoStatistics::kBounds[i], true);
    statistics.count(IoStatistics::Kind::kRead, 1, IoStatistics::kBounds[i] + Nanos{1}, true);
    const IoStatistics::OfKind& reads = statistics.of(IoStatistics::Kind::kRead);
    EXPECT_EQ(reads.by_latency[i], 1u) << i;
    EXPECT_EQ(reads.by_latency[i + 1], 1u) << i;
    EXPECT_EQ(reads.waited.value, 2 * IoStatistics::kBounds[i].value + 1);
  }
}

TEST(IoStatistics, EveryRequestIsCountedOnceAndBytesOnlyOfThoseThatWentWell) {
  IoStatistics statistics;
  statistics.count(IoStatistics::Kind::kWrite, 4096, seconds(100), true);
  statistics.count(IoStatistics::Kind::kWrite, 8192, Nanos{}, false);
  statistics.count(IoStatistics::Kind::kFlush, 0, milliseconds(3), true);
  const IoStatistics::OfKind& writes = statistics.of(IoStatistics::Kind::kWrite);
  EXPECT_EQ(writes.requests, 2u);
  EXPECT_EQ(writes.errors, 1u);
  EXPECT_EQ(writes.bytes, 4096u);
  EXPECT_EQ(std::accumulate(writes.by_latency.begin(), writes.by_latency.end(), 0u), 2u);
  EXPECT_EQ(writes.by_latency.front(), 1u);
  EXPECT_EQ(writes.by_latency.back(), 1u) << "behind them all";
  EXPECT_EQ(statistics.of(IoStatistics::Kind::kFlush).requests, 1u);
  EXPECT_EQ(statistics.of(IoStatistics::Kind::kRead).requests, 0u);
}

}  // namespace
}  // namespace cdp
