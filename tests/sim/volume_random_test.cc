// SPDX-License-Identifier: Apache-2.0
//
// A volume under several clients at once, in every order that a seed draws: no answer may be one
// that a device of bytes could not give, and history must say what the live volume says.
#include <gtest/gtest.h>

#include "tests/sim/effort.h"
#include "tests/sim/volume_world.h"

namespace sim {
namespace {

using cdp::kBlockBytes;
using cdp::Lsn;
using cdp::Task;

struct Outcome {
  std::vector<std::string> findings;
  std::uint64_t overlapping_writes = 0;
  bool history_is_live = false;
  bool backing_is_live = false;
  std::uint64_t passes = 0;
};

Outcome run(std::uint64_t seed, WorldOptions options, Mix mix, std::size_t clients_count,
            std::size_t operations) {
  SimScheduler scheduler(seed);
  auto store = SimStore::make(scheduler, seed);
  auto log = std::make_shared<SimLog>();
  VolumeWorld world(seed, store, scheduler, log, options);
  EXPECT_TRUE(world.start());
  ByteModel model;
  Clients clients(model);
  cdp::TaskGroup group(scheduler);
  for (std::size_t i = 0; i < clients_count; ++i) {
    group.spawn(client(world.volume(), clients, seed * 100 + i, operations, mix));
  }
  scheduler.run(group.join());

  Outcome outcome;
  const std::vector<std::byte> live = world.read_all();
  outcome.history_is_live = live == world.replayed(Lsn{UINT64_MAX});
  outcome.passes = world.volume().statistics().passes;
  EXPECT_TRUE(world.stop().ok());
  outcome.backing_is_live = store->content(kBackingPath, 0, live.size()) == live;
  outcome.overlapping_writes = store->overlapping_writes();
  outcome.findings = clients.findings;
  EXPECT_EQ(covered_by_checkpoint(*log, kVolume).value, [&log] {
    for (auto record = log->rbegin(); record != log->rend(); ++record) {
      if (record->kind != LogRecord::Kind::kCheckpoint) return record->lsn.value;
    }
    return std::uint64_t{0};
  }());
  return outcome;
}

void expect_right(const Outcome& outcome, std::uint64_t seed) {
  EXPECT_TRUE(outcome.findings.empty()) << "seed " << seed << ": " << outcome.findings.front();
  EXPECT_TRUE(outcome.history_is_live) << "seed " << seed;
  EXPECT_TRUE(outcome.backing_is_live) << "seed " << seed;
  EXPECT_EQ(outcome.overlapping_writes, 0u) << "seed " << seed;
}

TEST(VolumeSim, AnswersAreThoseOfADeviceOfBytes) {
  std::uint64_t passes = 0;
  const std::uint64_t seeds = rounds(60);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Outcome one = run(seed, {}, {}, 6, 60);
    expect_right(one, seed);
    passes += one.passes;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(passes, 10 * seeds);  // write-back went on beside the clients
}

TEST(VolumeSim, ATinyDirtyBudgetSlowsWritersAndStopsNone) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const WorldOptions options{.dirty_budget_blocks = 1, .write_pages = 20};
    expect_right(run(seed, options, {}, 6, 30), seed);
    if (testing::Test::HasFailure()) return;
  }
}

// DESIGN: sub-block A gets its LSN and waits for its read, B gets the next and links first: live
// shows A, history B. Writers here do little else than overlap below the block.
TEST(Rule4, OneOrderForTheLiveVolumeAndHistory) {
  for (std::uint64_t seed = 1; seed <= rounds(60); ++seed) {
    const Mix mix{.writes = 85,
                  .repeats = 5,
                  .flushes = 2,
                  .zeroes = 3,
                  .trims = 3,
                  .checkpoints = 0,
                  .aligned = 30,
                  .max_blocks = 3,
                  .hot_blocks = 3};
    expect_right(run(seed, {}, mix, 8, 40), seed);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Rule5, OneBackingWritePerBlockInFlight) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const WorldOptions options{.dirty_budget_blocks = 8, .checkpoint_interval = {1'000'000}};
    const Mix mix{.writes = 55,
                  .repeats = 15,
                  .flushes = 5,
                  .zeroes = 8,
                  .trims = 8,
                  .checkpoints = 9,
                  .max_blocks = 4,
                  .hot_blocks = 4};
    const Outcome one = run(seed, options, mix, 8, 40);
    EXPECT_EQ(one.overlapping_writes, 0u) << "seed " << seed;
    expect_right(one, seed);
    if (testing::Test::HasFailure()) return;
  }
}

// The model can tell: a client that is answered with somebody else's bytes is found.
TEST(ByteModel, FindsStaleAndForeignBytes) {
  ByteModel model;
  const auto first = model.begin_write(100, 50);
  model.end(first);
  const auto second = model.begin_write(120, 50);
  std::vector<std::byte> found(70);
  model.fill(first, 100, {found.data(), 50});
  model.fill(second, 150, {found.data() + 50, 20});
  const std::uint64_t early = model.tick();
  EXPECT_FALSE(model.check(100, found, early));  // the second is under way: either value will do
  model.end(second);
  EXPECT_FALSE(model.check(100, found, early));
  EXPECT_TRUE(model.check(100, found, model.tick()));  // and now only the second's
  model.fill(second, 120, {found.data() + 20, 50});
  EXPECT_FALSE(model.check(100, found, model.tick()));
  found[3] = std::byte{0};
  EXPECT_TRUE(model.check(100, found, early));
}

}  // namespace
}  // namespace sim
