// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "cdp/io/signal.h"
#include "tests/sim/effort.h"
#include "tests/unit/journal/index_world.h"

namespace journal::index {
namespace {

constexpr VolumeId kOne{1};
constexpr VolumeId kTwo{2};
constexpr VolumeId kThree{7};
const std::vector<VolumeId> kVolumes{kOne, kTwo, kThree};

Visibility everything(VolumeId volume, Lsn upto) { return {{volume, {{{}, upto}}}}; }

void random_history(IndexWorld& world, std::size_t changes, std::uint64_t blocks) {
  for (std::size_t i = 0; i < changes; ++i) {
    const VolumeId volume = kVolumes[world.random.below(kVolumes.size())];
    const std::uint64_t block = world.random.below(blocks);
    if (world.random.chance(85)) {
      world.write(volume, block);
    } else {
      const std::uint64_t length = std::uint64_t{1} << world.random.below(12);
      world.zero(volume, block, world.random.between(1, length));
    }
  }
}

// Everything that the map answers, against the naive model: random changes, runs and visibilities,
// with a cache of any size, merged now and then.
TEST(Snapshot, AnswersAsTheModelDoes) {
  for (std::uint64_t seed = 1; seed <= sim::rounds(25); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const std::size_t cache_pages = sim::Random(seed).coin() ? 3 : 1000;
    IndexWorld world(seed, cache_pages * kPageBytes);
    const std::uint64_t blocks = world.random.chance(30) ? 40 : 2500;
    const std::size_t runs = world.random.between(1, 12);
    for (std::size_t i = 0; i < runs; ++i) {
      random_history(world, world.random.between(1, world.random.chance(30) ? 3000 : 200), blocks);
      world.cut();
      if (world.random.chance(20) && world.runs.size() > 1) {
        const std::size_t from = world.random.below(world.runs.size() - 1);
        world.merge(from, world.random.between(2, world.runs.size() - from));
      }
    }
    for (int i = 0; i < 12; ++i) {
      world.check(world.random_visibility(kVolumes), blocks + 600);
      if (testing::Test::HasFailure()) return;
    }
  }
}

Task<void> ask(const Snapshot& map, const Visibility& visible, std::uint64_t first,
               std::vector<BlockVersion>& into) {
  const Status done = co_await map.lookup(visible, first, into);
  EXPECT_TRUE(done.ok());
}

TEST(Snapshot, AnswersManyAtOnceFromACacheThatHoldsNone) {
  IndexWorld world(31, 2 * kPageBytes);
  for (int i = 0; i < 5; ++i) {
    random_history(world, 4000, 3000);
    world.cut();
  }
  const Visibility visible = world.random_visibility(kVolumes);
  const Snapshot map = world.snapshot();
  std::vector<std::vector<BlockVersion>> found(20);
  cdp::TaskGroup group(world.scheduler);
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].resize(i % 2 == 0 ? 1 : 40);
    group.spawn(ask(map, visible, i * 100, found[i]));
  }
  world.scheduler.run(group.join());
  EXPECT_LE(world.cache.size(), 2u);
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (std::size_t of = 0; of < found[i].size(); ++of)
      ASSERT_EQ(found[i][of], world.version(visible, i * 100 + of));
  }
}

TEST(Snapshot, OfNoRunsHasNothing) {
  IndexWorld world(1);
  EXPECT_EQ(world.snapshot().upto(), Lsn{});
  EXPECT_EQ(world.lookup(everything(kOne, {9}), 0, 2), (std::vector<BlockVersion>(2)));
  EXPECT_TRUE(world.scan(everything(kOne, {9}), 0, kVolumeBlocksMax).empty());
}

// The newest run that has a visible version of a block ends the search, so the runs must be in LSN
// order, one beginning where the other ends.
TEST(Snapshot, Rule9RunsThatDoNotMeetAreRefused) {
  IndexWorld world(2);
  for (int i = 0; i < 3; ++i) {
    world.write(kOne, 5);
    world.cut();
  }
  std::vector<RunPtr> wrong{world.runs[1], world.runs[0]};
  EXPECT_DEATH(Snapshot(world.scheduler, wrong), "upto == .*after");
  wrong = {world.runs[0], world.runs[2]};
  EXPECT_DEATH(Snapshot(world.scheduler, wrong), "upto == .*after");
  EXPECT_DEATH(static_cast<void>(world.scheduler.run(
                   merge_runs(world.scheduler, *world.directory, world.vault, wrong, 99))),
               "upto == .*after");
}

TEST(Snapshot, Rule9AnOlderRunIsAskedWhereTheNewerOneHasNothingVisible) {
  IndexWorld world(3);
  const Lsn first = world.write(kOne, 5);
  world.cut();
  const Lsn second = world.write(kOne, 5);
  world.cut();
  EXPECT_EQ(world.lookup(everything(kOne, second), 5, 1).front().lsn, second);
  EXPECT_EQ(world.lookup(everything(kOne, first), 5, 1).front().lsn, first);
  const Visibility hole{{kOne, {{second, {100}}, {{}, first}}}};
  EXPECT_EQ(world.lookup(hole, 5, 1).front().lsn, first);
}

// 16 TiB trimmed: a few entries, and a sweep of a few steps.
TEST(Snapshot, Rule6AnyLengthCostsTheSame) {
  IndexWorld world(4);
  constexpr std::uint64_t blocks = std::uint64_t{16} << 40 >> 12;
  world.write(kOne, 12345);
  world.zero(kOne, 3, blocks - 5);
  const Lsn written = world.write(kOne, blocks / 2 + 1);
  world.cut();
  EXPECT_LE(world.runs.front()->header().entries.rows, 2u + 14 * kLevels);
  const std::vector<Extent> extents = world.scan(everything(kOne, written), 0, kVolumeBlocksMax);
  std::uint64_t zeroes = 0;
  for (const Extent& extent : extents)
    if (extent.state == BlockState::kZero) zeroes += extent.block_count;
  EXPECT_EQ(zeroes, blocks - 6);
  EXPECT_LE(extents.size(), 4u);
  EXPECT_EQ(extents.front().first_block, 3u);
  EXPECT_EQ(world.lookup(everything(kOne, written), blocks - 3, 1).front().state,
            BlockState::kZero);
  EXPECT_EQ(world.lookup(everything(kOne, written), blocks - 2, 1).front().state,
            BlockState::kUntouched);
}

TEST(Snapshot, SweepsStopAtTheEndThatWasAsked) {
  IndexWorld world(5);
  const Lsn last = world.zero(kOne, 0, kVolumeBlocksMax);
  world.cut();
  const std::vector<Extent> extents = world.scan(everything(kOne, last), 70, 1'000'001);
  ASSERT_EQ(extents.size(), 1u);
  EXPECT_EQ(extents[0], (Extent{70, 999'931, BlockState::kZero, {}}));
}

// A block with very many versions in one run: neither looking it up nor sweeping over it may look
// at each of them.
TEST(Snapshot, AHotBlockWithAHundredThousandVersionsIsNotWalked) {
  IndexWorld world(6, 64 * kPageBytes);
  std::vector<Lsn> versions;
  world.write(kOne, 1);
  for (int i = 0; i < 100'000; ++i) versions.push_back(world.write(kOne, 2));
  const Lsn after = world.write(kOne, 3);
  world.cut();
  EXPECT_GT(world.runs.front()->header().entries.leaf_pages, 100u);
  for (const std::size_t at : {0u, 1u, 777u, 50'000u, 99'999u}) {
    const std::uint64_t reads = world.store->ios(sim::IoKind::kRead);
    EXPECT_EQ(world.lookup(everything(kOne, versions[at]), 2, 1).front().lsn, versions[at]);
    EXPECT_LE(world.store->ios(sim::IoKind::kRead) - reads, 6u);
  }
  const Visibility old{{kOne, {{versions.back(), after}, {{}, versions[5]}}}};
  const std::uint64_t reads = world.store->ios(sim::IoKind::kRead);
  const std::vector<Extent> extents = world.scan(old, 0, 100);
  ASSERT_EQ(extents.size(), 3u);
  EXPECT_EQ(extents[1].place, world.changes[6].place);
  EXPECT_LE(world.store->ios(sim::IoKind::kRead) - reads, 12u);
}

TEST(Snapshot, AThousandIntervalsAreNotWalkedForEachBlock) {
  IndexWorld world(7);
  // Of every ten writes of a block two are visible.
  Visibility visible{{kOne, {}}};
  for (int i = 0; i < 1000; ++i) {
    const Lsn after = world.last;
    for (int of = 0; of < 2; ++of) world.write(kOne, world.random.below(300));
    visible[0].intervals.insert(visible[0].intervals.begin(), {after, world.last});
    for (int of = 0; of < 8; ++of) world.write(kOne, world.random.below(300));
    if (i % 300 == 299) world.cut();
  }
  world.cut();
  world.check(visible, 320);
  world.merge(0, world.runs.size());
  world.check(visible, 320);
}

TEST(Snapshot, MergedAnswersAsUnmerged) {
  IndexWorld world(8);
  for (int i = 0; i < 8; ++i) {
    random_history(world, 6000, 20'000);
    world.cut();
  }
  std::uint64_t rows = 0;
  for (const RunPtr& run : world.runs) rows += run->header().entries.rows;
  std::vector<Visibility> points;
  std::vector<std::vector<Extent>> expected;
  for (int i = 0; i < 20; ++i) {
    points.push_back(world.random_visibility(kVolumes));
    expected.push_back(world.scan(points.back(), 0, 25'000));
  }
  const std::vector<FrameRow> control =
      *world.scheduler.run(world.snapshot().control_frames({{0}, world.last}));
  world.merge(2, 3);
  world.merge(0, world.runs.size());
  ASSERT_EQ(world.runs.size(), 1u);
  const RunHeader& header = world.runs.front()->header();
  EXPECT_EQ(header.entries.rows, rows);
  EXPECT_EQ(header.frames.rows, world.frames.size());
  EXPECT_EQ(header.after, Lsn{});
  EXPECT_EQ(header.upto, world.last);
  EXPECT_NE(header.filter_lines, 0u);
  for (std::size_t i = 0; i < points.size(); ++i)
    EXPECT_EQ(world.scan(points[i], 0, 25'000), expected[i]);
  for (int i = 0; i < 3; ++i) world.check(points[static_cast<std::size_t>(i)], 500);
  const Snapshot map = world.snapshot();
  EXPECT_EQ(*world.scheduler.run(map.control_frames({{0}, world.last})), control);
}

}  // namespace
}  // namespace journal::index
