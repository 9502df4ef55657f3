// SPDX-License-Identifier: Apache-2.0
#include "cdp/range_lock.h"

#include <gtest/gtest.h>

#include <vector>

#include "cdp/io/signal.h"
#include "tests/sim/sim_scheduler.h"

namespace cdp {
namespace {

struct Shared {
  sim::SimScheduler& scheduler;
  RangeLock& lock;
  std::vector<int> holders;  // per block
  std::vector<int> order = {};
  bool collided = false;
};

Task<void> hold(Shared& shared, int id, std::uint64_t first, std::uint64_t count, Nanos duration) {
  RangeLock::Guard guard(shared.lock, first, count);
  co_await guard.acquired();
  shared.order.push_back(id);
  for (std::uint64_t b = first; b < first + count; ++b) {
    shared.collided = shared.collided || ++shared.holders[b] > 1;
  }
  co_await sleep_for(shared.scheduler, duration);
  for (std::uint64_t b = first; b < first + count; ++b) --shared.holders[b];
}

TEST(RangeLock, NoTwoHoldABlockAndNobodyWaitsForEver) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::SimScheduler scheduler(seed);
    RangeLock lock(scheduler);
    Shared shared{scheduler, lock, std::vector<int>(40)};
    TaskGroup group(scheduler);
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t first = scheduler.random().below(36);
      const std::uint64_t count = scheduler.random().between(1, 4);
      group.spawn(hold(shared, i, first, count, Nanos{1000}));
    }
    scheduler.run(group.join());
    EXPECT_FALSE(shared.collided) << "seed " << seed;
    EXPECT_EQ(shared.order.size(), 100u);
    EXPECT_FALSE(lock.overlaps(0, 40));
  }
}

TEST(RangeLock, OverlappingLocksComeInTheOrderOfAskingAndOthersDoNotWait) {
  sim::SimScheduler scheduler(1);
  RangeLock lock(scheduler);
  Shared shared{scheduler, lock, std::vector<int>(40)};
  TaskGroup group(scheduler);
  const auto ask = [&](int id, std::uint64_t first, std::uint64_t count) {
    group.spawn(hold(shared, id, first, count, milliseconds(10)));
    scheduler.run_for(Nanos{100'000});
  };
  ask(1, 0, 4);
  ask(2, 3, 4);  // waits for 1
  ask(3, 6, 2);  // waits for 2, though nobody holds its blocks yet
  ask(4, 10, 1);
  EXPECT_EQ(shared.order, (std::vector<int>{1, 4}));
  EXPECT_TRUE(lock.overlaps(7, 1));
  EXPECT_FALSE(lock.overlaps(8, 2));
  scheduler.run(group.join());
  EXPECT_EQ(shared.order, (std::vector<int>{1, 4, 2, 3}));
}

}  // namespace
}  // namespace cdp
