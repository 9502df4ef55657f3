// SPDX-License-Identifier: Apache-2.0
#include "cdp/dirty_map.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "tests/sim/sim_scheduler.h"

namespace cdp {
namespace {

// For each block: what it holds, and by which change; absent where the map knows nothing.
struct NaiveBlock {
  std::byte* data = nullptr;  // null: zeroes
  Lsn lsn;
  bool may_deallocate = true;
};
using Naive = std::map<std::uint64_t, NaiveBlock>;

class DirtyMapTest : public testing::Test {
 protected:
  PageList pages(std::size_t count) { return scheduler_.run(pool_.acquire(count)); }
  void write(std::uint64_t first, std::size_t count) {
    const PageList list = pages(count);
    PageList previous(count);
    map_.link_write(first, list, Lsn{++lsn_}, Lsn{0}, previous);
    for (std::size_t i = 0; i < count; ++i) {
      const auto was = naive_.find(first + i);
      const bool was_dirty = was != naive_.end() && was->second.data != nullptr;
      EXPECT_EQ(static_cast<bool>(previous[i]), was_dirty);
      if (was_dirty && previous[i]) {
        EXPECT_EQ(previous[i].data(), was->second.data);
      }
      naive_[first + i] = {list[i].data(), Lsn{lsn_}};
    }
  }
  void zero(std::uint64_t first, std::uint64_t count, bool may_deallocate) {
    map_.link_zeroes(first, count, Lsn{++lsn_}, may_deallocate);
    for (std::uint64_t i = 0; i < count; ++i) {
      naive_[first + i] = {nullptr, Lsn{lsn_}, may_deallocate};
    }
  }
  void expect_equal(std::uint64_t blocks) {
    std::vector<PageRef> found(blocks);
    map_.find(0, found);
    for (std::uint64_t b = 0; b < blocks; ++b) {
      const auto known = naive_.find(b);
      if (known == naive_.end()) {
        ASSERT_FALSE(found[b]) << "block " << b;
      } else {
        ASSERT_TRUE(found[b]) << "block " << b;
        const std::byte* expected =
            known->second.data == nullptr ? zero_page().data() : known->second.data;
        ASSERT_EQ(found[b].data(), expected) << "block " << b;
      }
    }
    expect_stretches(blocks);
  }
  void expect_stretches(std::uint64_t blocks) {
    for (std::uint64_t b = 0; b < blocks;) {
      const DirtyMap::Stretch stretch = map_.stretch_at(b, blocks - b);
      ASSERT_GT(stretch.blocks, 0u);
      ASSERT_LE(stretch.blocks, blocks - b);
      for (std::uint64_t i = b; i < b + stretch.blocks; ++i) {
        const auto known = naive_.find(i);
        const DirtyMap::State expected = known == naive_.end()           ? DirtyMap::State::kUnknown
                                         : known->second.data != nullptr ? DirtyMap::State::kData
                                         : known->second.may_deallocate  ? DirtyMap::State::kHole
                                                                         : DirtyMap::State::kZeroes;
        ASSERT_EQ(stretch.state, expected) << "block " << i;
      }
      b += stretch.blocks;
    }
  }

  sim::SimScheduler scheduler_{1};
  PagePool pool_{scheduler_, 4096};
  DirtyMap map_;
  Naive naive_;
  std::uint64_t lsn_ = 0;
};

TEST_F(DirtyMapTest, BehavesAsAMapOfBlocks) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    sim::Random random(seed);
    map_.clear();
    naive_.clear();
    constexpr std::uint64_t kBlocks = 120;
    for (int step = 0; step < 200; ++step) {
      const std::uint64_t first = random.below(kBlocks);
      const std::uint64_t count = random.between(1, std::min<std::uint64_t>(20, kBlocks - first));
      if (random.chance(60)) {
        write(first, count);
      } else {
        zero(first, count, random.chance(70));
      }
      if (random.chance(10)) map_.begin_generation();
      if (random.chance(5)) {
        map_.clear();
        naive_.clear();
      }
      if (step % 10 == 0) expect_equal(kBlocks);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(DirtyMapTest, APassTakesWhatIsOldEnoughAndLeavesWhatChanges) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    sim::Random random(seed);
    map_.clear();
    naive_.clear();
    constexpr std::uint64_t kBlocks = 100;
    const auto change = [&] {
      const std::uint64_t first = random.below(kBlocks);
      const std::uint64_t count = random.between(1, std::min<std::uint64_t>(12, kBlocks - first));
      if (random.chance(60)) {
        write(first, count);
      } else {
        zero(first, count, random.coin());
      }
    };
    for (int i = 0; i < 40; ++i) change();
    const Lsn upto{lsn_};
    map_.begin_generation();
    for (int i = 0; i < 5; ++i) change();

    // What is written, by block: the pass's LSN rule makes all of it the newest version or nothing.
    DirtyMap::ZeroRun zeroes;
    for (std::uint64_t from = 0; map_.next_zeroes(from, upto, zeroes);) {
      from = zeroes.first + zeroes.count;
      if (random.chance(30)) change();
      map_.zeroes_written(zeroes, upto);
      for (std::uint64_t b = zeroes.first; b < from; ++b) {
        const auto known = naive_.find(b);
        if (known == naive_.end() || known->second.data != nullptr) continue;
        if (known->second.lsn <= upto) naive_.erase(known);
      }
    }
    DirtyMap::BlockRun blocks;
    for (std::uint64_t from = 0; map_.next_blocks(from, upto, 7, blocks);) {
      from = blocks.first + blocks.pages.size();
      ASSERT_LE(blocks.pages.size(), 7u);
      for (std::size_t i = 0; i < blocks.pages.size(); ++i) {
        const NaiveBlock& known = naive_.at(blocks.first + i);
        ASSERT_EQ(blocks.pages[i].data(), known.data);
        ASSERT_LE(known.lsn, upto);
      }
      if (random.chance(30)) change();
      map_.blocks_written(blocks);
      for (std::size_t i = 0; i < blocks.pages.size(); ++i) {
        const auto known = naive_.find(blocks.first + i);
        if (known->second.data == blocks.pages[i].data() && known->second.lsn == blocks.lsns[i]) {
          naive_.erase(known);
        }
      }
    }
    // All that is left came later.
    for (const auto& [block, known] : naive_) ASSERT_GT(known.lsn, upto) << "block " << block;
    expect_equal(kBlocks);
    if (HasFatalFailure()) return;
  }
}

TEST_F(DirtyMapTest, AdjacentExtentsMergeWithinAGeneration) {
  for (std::uint64_t i = 0; i < 1000; ++i) map_.link_zeroes(i * 256, 256, Lsn{i + 1}, true);
  EXPECT_EQ(map_.extents(), 1u);
  for (std::uint64_t i = 2000; i > 1000; --i) {
    map_.link_zeroes((i - 1) * 256, 256, Lsn{i + 1000}, true);
  }
  EXPECT_EQ(map_.extents(), 1u);
  map_.begin_generation();
  map_.link_zeroes(2000 * 256, 256, Lsn{5000}, true);
  EXPECT_EQ(map_.extents(), 2u);
  // So that what a pass has to write does not become too new for it.
  DirtyMap::ZeroRun run;
  ASSERT_TRUE(map_.next_zeroes(0, Lsn{4999}, run));
  EXPECT_EQ(run.count, 2000u * 256);
  EXPECT_FALSE(map_.next_zeroes(run.count, Lsn{4999}, run));
}

TEST_F(DirtyMapTest, ExtentsThatMustStayAllocatedDoNotMergeWithOthers) {
  map_.link_zeroes(0, 10, Lsn{1}, true);
  map_.link_zeroes(10, 10, Lsn{2}, false);
  map_.link_zeroes(20, 10, Lsn{3}, true);
  EXPECT_EQ(map_.extents(), 3u);
  map_.link_zeroes(5, 20, Lsn{4}, true);
  EXPECT_EQ(map_.extents(), 1u);
}

TEST_F(DirtyMapTest, PreviousContentIsGivenOnlyWhereItIsNewEnough) {
  const PageList first = pages(2);
  const PageList second = pages(2);
  const PageList third = pages(2);
  PageList previous(2);
  map_.link_write(0, first, Lsn{1}, Lsn{0}, previous);
  map_.link_write(0, second, Lsn{5}, Lsn{1}, previous);
  EXPECT_FALSE(previous[0] || previous[1]);
  map_.link_write(0, third, Lsn{6}, Lsn{1}, previous);
  EXPECT_EQ(previous[1].data(), second[1].data());
}

TEST(Rule6, AnExtentOf16TiBIsOneNodeAsOneOf1MiBIs) {
  DirtyMap map;
  map.link_zeroes(0, 256, Lsn{1}, true);
  EXPECT_EQ(map.size(), 1u);
  map.link_zeroes(0, std::uint64_t{1} << 32, Lsn{2}, true);
  EXPECT_EQ(map.size(), 1u);
  DirtyMap::ZeroRun run;
  ASSERT_TRUE(map.next_zeroes(0, Lsn{2}, run));
  EXPECT_EQ(run.count, std::uint64_t{1} << 32);
}

}  // namespace
}  // namespace cdp
