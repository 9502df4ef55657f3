// SPDX-License-Identifier: Apache-2.0
#include "restore/difference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "journal/visibility.h"
#include "tests/sim/same_bytes.h"
#include "tests/unit/restore/recorded_vault.h"

namespace restore {
namespace {

constexpr std::uint64_t kBlocks = 500;

class DifferenceSeeds : public testing::TestWithParam<std::uint64_t> {
 protected:
  struct Touch {
    Lsn lsn{};
    std::uint64_t first = 0;
    std::uint64_t end = 0;  // blocks
  };

  void change() {
    auto& random = world_.random;
    const std::uint64_t first = random() % kBlocks;
    const std::uint64_t count = std::min<std::uint64_t>(kBlocks - first, 1 + random() % 30);
    if (random() % 4 == 0) {
      const auto kind = random() % 2 == 0 ? cdp::ZeroKind::kZero : cdp::ZeroKind::kTrim;
      touches_.push_back({world_.zero(id_, kind, first, count).lsn, first, first + count});
    } else if (random() % 25 == 0) {
      // Never below what is changed above, and not always whole blocks. What is cut off is gone.
      const std::uint64_t before = world_.image(id_, world_.last()).size();
      const std::uint64_t after = (kBlocks + random() % 200) * kBlockBytes - random() % 3 * 512;
      world_.resize(id_, after);
      touches_.push_back({world_.last(), std::min(before, after) / kBlockBytes, UINT64_MAX});
    } else {
      std::vector<unsigned> seeds(count);
      for (unsigned& seed : seeds) seed = static_cast<unsigned>(random() % 6);  // 0: zeroes
      touches_.push_back({world_.write(id_, first, seeds).lsn, first, first + count});
    }
  }

  bool touched(std::uint64_t block, Lsn from, Lsn to) const {
    return std::any_of(touches_.begin(), touches_.end(), [&](const Touch& touch) {
      return touch.lsn > std::min(from, to) && touch.lsn <= std::max(from, to) &&
             block >= touch.first && block < touch.end;
    });
  }

  VolumeAtPoint at(Lsn lsn) {
    return {journal::visible_at(world_.newest(), id_, lsn), world_.image(id_, lsn).size()};
  }

  Difference difference(Lsn from, Lsn to, std::size_t extents_max = SIZE_MAX) {
    const Lsn newest = std::max(from, to);
    const auto map = cdp::value_or_throw(world_.scheduler.run(world_.index().snapshot(newest)));
    return cdp::value_or_throw(world_.scheduler.run(
        find_difference(world_.scheduler, *map, at(from), at(to), extents_max)));
  }

  // Whoever has the one point and copies the extents of the other has the other; what was not
  // written in between is not copied.
  void check(Lsn from, Lsn to) {
    const Difference found = difference(from, to);
    std::vector<std::byte> image = world_.image(id_, from);
    const std::vector<std::byte> wanted = world_.image(id_, to);
    const std::uint64_t smaller = std::min(image.size(), wanted.size());
    const std::uint64_t larger = std::max(image.size(), wanted.size());
    std::uint64_t bytes = 0;
    std::uint64_t last_end = 0;
    bool last_zeroes = false;
    image.resize(larger);
    std::vector<std::byte> target = wanted;
    target.resize(larger);
    for (const Difference::Extent& extent : found.extents) {
      ASSERT_GT(extent.bytes, 0u);
      ASSERT_LE(extent.offset + extent.bytes, larger);
      ASSERT_TRUE(bytes == 0 || extent.offset > last_end ||
                  (extent.offset == last_end && extent.zeroes != last_zeroes))
          << "neighbours of one kind, or out of order, at " << extent.offset;
      for (std::uint64_t at = extent.offset; at < extent.offset + extent.bytes; at += kBlockBytes)
        ASSERT_TRUE(touched(at / kBlockBytes, from, to) || at + kBlockBytes > smaller)
            << "block " << at / kBlockBytes << " was not written between the points";
      const auto first = static_cast<std::ptrdiff_t>(extent.offset);
      const auto end = first + static_cast<std::ptrdiff_t>(extent.bytes);
      if (extent.zeroes) {
        std::fill(image.begin() + first, image.begin() + end, std::byte{});
      } else {
        std::copy(target.begin() + first, target.begin() + end, image.begin() + first);
      }
      bytes += extent.bytes;
      last_end = extent.offset + extent.bytes;
      last_zeroes = extent.zeroes;
    }
    EXPECT_EQ(found.bytes, bytes);
    image.resize(wanted.size());
    EXPECT_TRUE(sim::same_bytes(image, wanted)) << "from LSN " << from.value << " to " << to.value;
  }

  RecordedVault world_{GetParam()};
  cdp::VolumeId id_{};
  std::vector<Touch> touches_;
};

TEST_P(DifferenceSeeds, LeadsFromOnePointToTheOther) {
  id_ = world_.create("shop", kBlocks * kBlockBytes);
  std::vector<Lsn> points{world_.last()};
  for (int i = 0; i < 8; ++i) {
    for (std::uint64_t changes = 1 + world_.random() % 30; changes > 0; --changes) change();
    world_.flush();
    points.push_back(world_.last());
  }
  for (const Lsn from : points)
    for (const Lsn to : points) ASSERT_NO_FATAL_FAILURE(check(from, to));
  EXPECT_TRUE(difference(points[3], points[3]).extents.empty());
}

// Longer than what is looked up block by block: a large volume that is discarded as a whole.
TEST_P(DifferenceSeeds, LongStretchesAreToldByExtents) {
  constexpr std::uint64_t kMany = 1u << 20;  // blocks
  id_ = world_.create("large", kMany * kBlockBytes);
  world_.write(id_, 5, {1, 2});
  world_.write(id_, kMany - 3, {3, 4, 5});
  world_.flush();
  const Lsn before = world_.last();
  world_.zero(id_, cdp::ZeroKind::kTrim, 1, kMany - 1);
  world_.write(id_, 300'000, {6, 0, 7});
  world_.flush();
  const Lsn after = world_.last();
  const VolumeAtPoint from{journal::visible_at(world_.newest(), id_, before), kMany * kBlockBytes};
  const VolumeAtPoint to{journal::visible_at(world_.newest(), id_, after), kMany * kBlockBytes};
  const auto map =
      cdp::value_or_throw(world_.scheduler.run(world_.index().snapshot(world_.last())));
  const auto blocks = [](std::uint64_t first, std::uint64_t end, bool zeroes) {
    return Difference::Extent{first * kBlockBytes, (end - first) * kBlockBytes, zeroes};
  };
  const Difference forth = cdp::value_or_throw(
      world_.scheduler.run(find_difference(world_.scheduler, *map, from, to, SIZE_MAX)));
  EXPECT_EQ(forth.extents,
            (std::vector{blocks(1, 300'000, true), blocks(300'000, 300'001, false),
                         blocks(300'001, 300'002, true), blocks(300'002, 300'003, false),
                         blocks(300'003, kMany, true)}));
  const Difference back = cdp::value_or_throw(
      world_.scheduler.run(find_difference(world_.scheduler, *map, to, from, SIZE_MAX)));
  EXPECT_EQ(back.extents,
            (std::vector{blocks(1, 5, true), blocks(5, 7, false), blocks(7, kMany - 3, true),
                         blocks(kMany - 3, kMany, false)}));
  EXPECT_EQ(back.bytes, forth.bytes);
}

// However many are told, the sums are of all.
TEST_P(DifferenceSeeds, TellsOfAsManyExtentsAsAreWanted) {
  id_ = world_.create("shop", kBlocks * kBlockBytes);
  const Lsn first = world_.last();
  for (int i = 0; i < 40; ++i) change();
  world_.flush();
  const Lsn last = world_.last();
  const Difference whole = difference(first, last);
  EXPECT_EQ(whole.extents_left_out, 0u);
  std::uint64_t zeroed = 0;
  for (const Difference::Extent& extent : whole.extents) zeroed += extent.zeroes ? extent.bytes : 0;
  EXPECT_EQ(whole.zeroed_bytes, zeroed);
  for (std::size_t most = 0; most <= whole.extents.size() + 1; ++most) {
    const Difference found = difference(first, last, most);
    std::vector<Difference::Extent> told = whole.extents;
    told.resize(std::min(most, told.size()));
    EXPECT_EQ(found.extents, told) << most;
    EXPECT_EQ(found.extents_left_out, whole.extents.size() - told.size()) << most;
    EXPECT_EQ(found.bytes, whole.bytes) << most;
    EXPECT_EQ(found.zeroed_bytes, zeroed) << most;
  }
}

// Whether they are found by the frames or by a scan, it is the same.
TEST_P(DifferenceSeeds, FewChangesAreFoundByTheirFrames) {
  auto& random = world_.random;
  id_ = world_.create("shop", kBlocks * kBlockBytes);
  world_.create("another", kBlocks * kBlockBytes);
  std::vector<Lsn> points{world_.last()};
  for (int i = 0; i < 150; ++i) {
    for (std::uint64_t changes = 1 + random() % 6; changes > 0; --changes) change();
    if (random() % 20 == 0) world_.roll_back(id_, points[random() % points.size()]);
    if (random() % 2 == 0) world_.flush();
    points.push_back(world_.last());
  }
  world_.flush();
  const Lsn last = world_.last();
  std::size_t few = 0;
  for (int i = 0; i < 200; ++i) {
    const std::size_t one = random() % points.size();
    const std::size_t other = std::min(points.size() - 1, one + random() % 5);
    const Lsn from = random() % 2 == 0 ? points[one] : points[other];
    const Lsn to = from == points[one] ? points[other] : points[one];
    const auto map = cdp::value_or_throw(world_.scheduler.run(world_.index().snapshot(last)));
    auto touched = cdp::value_or_throw(world_.scheduler.run(
        world_.index().touched_by_few(journal::difference(at(from).visible, at(to).visible))));
    if (!touched) continue;
    ++few;
    const Difference by_frames = cdp::value_or_throw(world_.scheduler.run(
        find_difference(world_.scheduler, *map, at(from), at(to), SIZE_MAX, *std::move(touched))));
    const Difference scanned = difference(from, to);
    EXPECT_EQ(by_frames.extents, scanned.extents) << from.value << " to " << to.value;
    EXPECT_EQ(by_frames.bytes, scanned.bytes) << from.value << " to " << to.value;
  }
  EXPECT_GT(few, 50u) << "of 200";
}

// What cannot be looked up is an error, not a difference that is too small.
TEST_P(DifferenceSeeds, AnIndexThatCannotBeReadIsAnError) {
  id_ = world_.create("shop", kBlocks * kBlockBytes);
  const Lsn first = world_.last();
  for (int i = 0; i < 200; ++i) change();
  world_.flush();
  const Lsn last = world_.last();
  const VolumeAtPoint from = at(first);
  const VolumeAtPoint to = at(last);
  const Difference whole = difference(first, last);
  world_.stop();  // the index is stored
  world_.start();
  for (std::uint64_t skip = 0; skip < 40; ++skip) {
    world_.store().clear_faults();
    const auto map =
        cdp::value_or_throw(world_.scheduler.run(world_.index().snapshot(world_.last())));
    world_.store().inject({.path_contains = "vault/", .skip = skip, .sticky = true});
    const Result<Difference> found =
        world_.scheduler.run(find_difference(world_.scheduler, *map, from, to, SIZE_MAX));
    if (found.ok()) {
      EXPECT_EQ(found->extents, whole.extents) << "after " << skip << " I/Os";
    }
  }
  world_.store().clear_faults();
}

INSTANTIATE_TEST_SUITE_P(Seeds, DifferenceSeeds, testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace restore
