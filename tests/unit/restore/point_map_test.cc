// SPDX-License-Identifier: Apache-2.0
#include "restore/point_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "restore/map_builder.h"

namespace restore {
namespace {

journal::BlockPlace place(std::uint32_t segment, std::uint32_t offset = 4096,
                          std::uint16_t index = 0) {
  return {segment, offset, 100, index};
}

// What the map should say, block by block.
struct ModelBlock {
  BlockState state = BlockState::kUntouched;
  journal::BlockPlace place;
  bool operator==(const ModelBlock&) const = default;
};

ModelBlock block_of_map(const PointMap& map, std::uint64_t block) {
  ModelBlock result{map.state_of(block), {}};
  if (result.state == BlockState::kData) result.place = map.place_of(block);
  return result;
}

// The extents of a map tile its range, alternate in state, and agree with every block.
void check_extents(const PointMap& map, const std::vector<ModelBlock>& model, std::uint64_t end) {
  std::uint64_t block = map.first_block();
  std::optional<BlockState> before;
  while (block < end) {
    const PointMap::Extent extent = map.extent_at(block, end);
    ASSERT_EQ(extent.first_block, block);
    ASSERT_GT(extent.block_count, 0u);
    ASSERT_LE(block + extent.block_count, end);
    ASSERT_NE(before, extent.state) << "two extents of one state at " << block;
    for (std::uint64_t i = 0; i < extent.block_count; ++i) {
      ASSERT_EQ(model[block + i].state, extent.state) << block + i;
    }
    before = extent.state;
    block += extent.block_count;
  }
}

TEST(PointMap, IsUntouchedAtFirst) {
  const PointMap map;
  EXPECT_EQ(map.extent_at(0, kVolumeBlocksMax),
            (PointMap::Extent{0, kVolumeBlocksMax, BlockState::kUntouched}));
  EXPECT_EQ(map.memory_bytes(), 0u);
}

TEST(PointMap, ZeroedAndUntouchedAreNotTheSame) {
  PointMap map;
  map.put(5, place(1));
  map.zero(3, 1);
  EXPECT_EQ(map.state_of(2), BlockState::kUntouched);
  EXPECT_EQ(map.state_of(3), BlockState::kZero);
  EXPECT_EQ(map.state_of(5), BlockState::kData);
  EXPECT_EQ(map.place_of(5), place(1));
  map.zero(0, kVolumeBlocksMax);
  EXPECT_EQ(map.extent_at(0, kVolumeBlocksMax),
            (PointMap::Extent{0, kVolumeBlocksMax, BlockState::kZero}));
}

TEST(PointMap, ZeroingSixteenTebibytesTakesNoMemoryAndGivesTheOldBack) {
  PointMap map;
  for (std::uint64_t block = 0; block < (1u << 26); block += 100'000) map.put(block, place(1));
  EXPECT_GT(map.memory_bytes(), 0u);
  map.zero(0, 1ull << 32);
  EXPECT_EQ(map.memory_bytes(), 0u);
  EXPECT_EQ(map.extent_at(0, 1ull << 32), (PointMap::Extent{0, 1ull << 32, BlockState::kZero}));
  EXPECT_EQ(map.state_of(1ull << 32), BlockState::kUntouched);
}

TEST(PointMap, ExtentsThatReachBeyondAllBlocksAreCut) {
  PointMap map;
  map.zero(kVolumeBlocksMax - 1, UINT64_MAX);
  map.zero(UINT64_MAX, UINT64_MAX);
  map.zero(10, 0);
  map.put(UINT64_MAX, place(1));
  EXPECT_EQ(map.state_of(kVolumeBlocksMax - 1), BlockState::kZero);
  EXPECT_EQ(map.state_of(10), BlockState::kUntouched);
}

TEST(PointMap, AgreesWithAModelUnderRandomChanges) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t blocks = 1 + random() % (PointMap::kChunkBlocks * 6);
    const std::uint64_t first = random() % 2 * PointMap::kChunkBlocks;
    PointMap map{first};
    std::vector<ModelBlock> model(std::max(blocks, first + 1) + 1);
    for (std::uint32_t step = 1; step < 300; ++step) {
      const std::uint64_t from = random() % blocks;
      const std::uint64_t count =
          std::min<std::uint64_t>(blocks - from, 1 + random() % (random() % 4 == 0 ? 9000 : 30));
      if (random() % 3 == 0) {
        map.zero(from, count);
        for (std::uint64_t i = from; i < from + count; ++i) {
          if (i >= first) model[i] = {BlockState::kZero, {}};
        }
      } else {
        for (std::uint64_t i = from; i < from + std::min<std::uint64_t>(count, 40); ++i) {
          map.put(i, place(step, static_cast<std::uint32_t>(i)));
          if (i >= first) {
            model[i] = {BlockState::kData, place(step, static_cast<std::uint32_t>(i))};
          }
        }
      }
    }
    for (std::uint64_t i = first; i < blocks; ++i) {
      ASSERT_EQ(block_of_map(map, i), model[i]) << i;
    }
    check_extents(map, model, std::max(blocks, first + 1));
  }
}

TEST(PointMap, UnderABudgetSeveralMapsTogetherSayWhatOneWouldHave) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 30; ++round) {
    const std::uint64_t blocks = PointMap::kChunkBlocks * 20;
    struct Change {
      std::uint64_t block;
      std::uint64_t zero_blocks;  // 0: data
    };
    std::vector<Change> changes;
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t block = random() % blocks;
      changes.push_back({block, random() % 4 == 0 ? 1 + random() % 20'000 : 0});
    }
    const auto fill = [&](PointMap& map) {
      for (std::uint32_t i = 0; i < changes.size(); ++i) {
        if (changes[i].zero_blocks != 0) {
          map.zero(changes[i].block, changes[i].zero_blocks);
        } else {
          map.put(changes[i].block, place(i + 1));
        }
      }
    };
    PointMap whole;
    fill(whole);
    const std::size_t budget = (random() % 8) * (64u << 10);
    std::uint64_t covered = 0;
    int maps = 0;
    while (covered < blocks) {
      PointMap part{covered, budget};
      fill(part);
      ASSERT_GT(part.end_block(), covered);
      ASSERT_EQ(part.end_block() % PointMap::kChunkBlocks, 0u);
      ASSERT_LE(part.memory_bytes(), std::max<std::size_t>(budget, 64u << 10) + (64u << 10));
      const std::uint64_t end = std::min(part.end_block(), blocks);
      for (std::uint64_t i = covered; i < end; ++i) {
        ASSERT_EQ(block_of_map(part, i), block_of_map(whole, i)) << i;
      }
      covered = end;
      ++maps;
    }
    if (budget < (2u << 16)) {
      EXPECT_GT(maps, 1);
    }
  }
}

TEST(MapBuilder, FollowsTheRecordsOfItsVolumeAlone) {
  PointMap map;
  MapBuilder builder{journal::VolumeId{7}, &map};
  const journal::WritePiece pieces[] = {
      {journal::PieceKind::kNew, 2, 10, place(1, 4096, 3), {}},
      {journal::PieceKind::kZero, 1, 12, {}, {}},
      {journal::PieceKind::kSame, 1, 13, {}, {}},
      {journal::PieceKind::kReference, 1, 14, place(0, 8192, 5), {}},
      {journal::PieceKind::kRepeat, 1, 15, place(1, 4096, 3), {}},
  };
  builder.on_write({journal::VolumeId{7}, {}, 10, 6, pieces});
  builder.on_write({journal::VolumeId{8}, {}, 100, 6, pieces});
  builder.on_zero({journal::VolumeId{8}, {}, cdp::ZeroKind::kZero, 10, 1});
  builder.on_zero({journal::VolumeId{7}, {}, cdp::ZeroKind::kTrim, 11, 1});
  EXPECT_EQ(map.place_of(10), place(1, 4096, 3));
  EXPECT_EQ(map.state_of(11), BlockState::kZero);
  EXPECT_EQ(map.state_of(12), BlockState::kZero);
  EXPECT_EQ(map.state_of(13), BlockState::kUntouched);
  EXPECT_EQ(map.place_of(14), place(0, 8192, 5));
  EXPECT_EQ(map.place_of(15), place(1, 4096, 3));
}

TEST(MapBuilder, BlocksOfOneWriteCountThroughTheirRun) {
  PointMap map;
  MapBuilder builder{journal::VolumeId{7}, &map};
  const journal::WritePiece piece{journal::PieceKind::kNew, 3, 10, place(1, 4096, 3), {}};
  builder.on_write({journal::VolumeId{7}, {}, 10, 3, std::span{&piece, 1}});
  EXPECT_EQ(map.place_of(12), place(1, 4096, 5));
}

// Rule 17.
TEST(MapBuilder, ShrinkingIsATrimOfTheTail) {
  PointMap map;
  MapBuilder builder{journal::VolumeId{7}, &map};
  const journal::WritePiece piece{journal::PieceKind::kNew, 3, 10, place(1), {}};
  builder.on_write({journal::VolumeId{7}, {}, 10, 3, std::span{&piece, 1}});
  builder.on_volume_resized({journal::VolumeId{8}, {}, 4096});
  builder.on_volume_resized({journal::VolumeId{7}, {}, 11 * 4096});
  builder.on_volume_resized({journal::VolumeId{7}, {}, 20 * 4096});
  EXPECT_EQ(map.state_of(10), BlockState::kData);
  EXPECT_EQ(map.state_of(11), BlockState::kZero);
  EXPECT_EQ(map.state_of(12), BlockState::kZero);
}

TEST(MapBuilder, DamageIsKeptAsASentence) {
  PointMap map;
  MapBuilder builder{journal::VolumeId{7}, &map};
  builder.on_damage({3, 4096, 8192, journal::Lsn{10}, journal::Lsn{20}, "a bad checksum"});
  ASSERT_EQ(builder.damage().size(), 1u);
  EXPECT_EQ(builder.damage()[0],
            "history between LSN 10 and 20 cannot be read, and its changes are missing: a bad "
            "checksum");
}

}  // namespace
}  // namespace restore
