// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/journal/index_world.h"

namespace journal::index {
namespace {

constexpr VolumeId kOne{1};

// A run of some fifty pages, of all kinds.
void fill(IndexWorld& world) {
  for (int i = 0; i < 12'000; ++i) world.write(kOne, world.random.below(1'000'000));
  world.zero(kOne, 500, 3000);
  world.cut(2);
}

TEST(Run, NoDamagedPageGivesAWrongAnswer) {
  IndexWorld world(21);
  fill(world);
  const Visibility visible{{kOne, {{{}, world.last}}}};
  const std::string path = world.path_of(1);
  const std::uint64_t pages = world.store->size_of(path) / kPageBytes;
  ASSERT_GT(pages, 30u);
  const std::vector<Extent> whole = world.scan(visible, 0, kVolumeBlocksMax);
  std::size_t refused = 0;
  for (std::uint64_t page = 0; page < pages; ++page) {
    const std::uint64_t bit = page * kPageBytes * 8 + world.random.below(kPageBytes * 8);
    world.store->flip_bit(path, bit);
    world.runs.front()->pages().clear();
    const Result<RunPtr> opened = world.open(1);
    ASSERT_EQ(opened.ok(), page != 0);
    const Snapshot map = world.snapshot();
    bool failed = !opened.ok();
    const std::unique_ptr<Scan> sweep = map.scan(visible, 0, kVolumeBlocksMax);
    std::vector<Extent> found;
    for (;;) {
      const auto some = world.scheduler.run(sweep->next());
      if (!some.ok()) {
        EXPECT_EQ(some.error().code, EIO);
      }
      failed |= !some.ok();
      if (!some.ok() || some->empty()) break;
      found.insert(found.end(), some->begin(), some->end());
    }
    if (!failed) {
      EXPECT_EQ(found, whole);
    }
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t block = world.random.coin()
                                      ? world.random.below(1'000'000)
                                      : whole[world.random.below(whole.size())].first_block;
      BlockVersion version;
      const Status done = world.scheduler.run(map.lookup(visible, block, {&version, 1}));
      if (done.ok()) {
        ASSERT_EQ(version, world.version(visible, block));
      } else {
        EXPECT_EQ(done.error().code, EIO);
      }
      failed |= !done.ok();
    }
    const Status framed = [&]() -> Status {
      auto frames = world.scheduler.run(map.control_frames({{0}, world.last}));
      if (!frames.ok()) return frames.error();
      for (const FrameRow& frame : world.frames) {
        auto found_frame = world.scheduler.run(map.frame_at(frame.last_lsn));
        if (!found_frame.ok()) return found_frame.error();
        EXPECT_EQ(**found_frame, frame);
      }
      return {};
    }();
    failed |= !framed.ok();
    if (failed) ++refused;
    world.store->flip_bit(path, bit);
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_EQ(refused, pages) << "every page of the file is needed by something";
}

TEST(Run, PagesThatChangedPlacesAreRefused) {
  IndexWorld world(22);
  fill(world);
  const std::string path = world.path_of(1);
  const auto one = world.store->content(path, 2 * kPageBytes, kPageBytes);
  const auto two = world.store->content(path, 3 * kPageBytes, kPageBytes);
  world.store->overwrite(path, 2 * kPageBytes, two);
  world.store->overwrite(path, 3 * kPageBytes, one);
  const Snapshot map = world.snapshot();
  std::vector<BlockVersion> into(1);
  const Visibility visible{{kOne, {{{}, world.last}}}};
  int refused = 0;
  for (std::uint64_t block = 0; block < 1'000'000; block += 1009) {
    const Status done = world.scheduler.run(map.lookup(visible, block, into));
    if (!done.ok()) {
      ++refused;
    } else {
      ASSERT_EQ(into[0], world.version(visible, block));
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(Run, OfAnotherVaultOrNumberOrLengthIsRefused) {
  IndexWorld world(23);
  fill(world);
  ASSERT_TRUE(world.scheduler.run(world.directory->rename(run_name(1), run_name(5))).ok());
  EXPECT_EQ(world.open(5).error().code, EIO);
  EXPECT_EQ(world.open(1).error().code, ENOENT);
  ASSERT_TRUE(world.scheduler.run(world.directory->rename(run_name(5), run_name(1))).ok());
  ASSERT_TRUE(world.open(1).ok());
  const std::uint64_t bytes = world.store->size_of(world.path_of(1));
  ASSERT_TRUE(world.scheduler.run(world.directory->seal(run_name(1), bytes - kPageBytes)).ok());
  EXPECT_EQ(world.open(1).error().code, EIO);
  world.vault.secret[3] ^= std::byte{1};
  EXPECT_EQ(world.open(1).error().code, EIO);
}

TEST(Run, AReadErrorIsGivenToWhoAsked) {
  IndexWorld world(24);
  fill(world);
  world.store->inject({.path_contains = ".run", .kind = sim::IoKind::kRead, .sticky = true});
  std::vector<BlockVersion> into(3);
  const Snapshot map = world.snapshot();
  const Visibility visible{{kOne, {{{}, world.last}}}};
  EXPECT_EQ(world.scheduler.run(map.lookup(visible, 1, into)).error().code, EIO);
  EXPECT_EQ(world.scheduler.run(map.scan(visible, 0, 10)->next()).error().code, EIO);
  EXPECT_EQ(world.scheduler.run(map.frame_at({1})).error().code, EIO);
  EXPECT_EQ(
      world.scheduler.run(merge_runs(world.scheduler, *world.directory, world.vault, world.runs, 9))
          .error()
          .code,
      EIO);
  world.store->clear_faults();
  EXPECT_TRUE(world.scheduler.run(map.lookup(visible, 1, into)).ok());
}

TEST(Run, AFullDiskIsAnErrorOfWritingIt) {
  IndexWorld world(25);
  fill(world);
  world.store->set_capacity(world.store->size_of(world.path_of(1)) + 8192);
  EXPECT_EQ(
      world.scheduler.run(merge_runs(world.scheduler, *world.directory, world.vault, world.runs, 9))
          .error()
          .code,
      ENOSPC);
}

TEST(Run, AMergedOneReturnsTheSpaceThatItDoesNotNeed) {
  IndexWorld world(26);
  fill(world);
  fill(world);
  world.merge(0, 2);
  const RunHeader& header = world.runs.front()->header();
  const auto content = world.store->content(world.path_of(header.number));
  EXPECT_LT(header.used_bytes(), content.size());
  EXPECT_TRUE(all_zero(std::span{content}.subspan(header.used_bytes())));
}

}  // namespace
}  // namespace journal::index
