// SPDX-License-Identifier: Apache-2.0
#include "journal/block_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <vector>

#include "cdp/io/signal.h"
#include "journal/format.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

struct Stored {
  BlockPlace place;
  std::uint64_t seed = 0;
};

// A journal with a volume whose every block was written once, and where those blocks lie.
class BlockReaderTest : public testing::Test {
 protected:
  void record(std::uint64_t blocks) {
    ASSERT_TRUE(world_.open().ok());
    const VolumeId volume = world_.create_volume("db");
    for (std::uint64_t block = 0; block < blocks; block += 8) {
      std::vector<std::uint64_t> seeds;
      for (std::uint64_t i = 0; i < 8; ++i) seeds.push_back(1000 + block + i);
      ASSERT_TRUE(world_.write(volume, block, std::move(seeds)));
    }
    ASSERT_TRUE(world_.close().ok());
    for (const ReadRecord& read : world_.collect().records) {
      for (const ReadRecord::Piece& one : read.pieces) {
        if (!one.piece.has_place()) continue;
        for (std::uint32_t i = 0; i < one.piece.count; ++i) {
          BlockPlace place = one.piece.place;
          place.index = static_cast<std::uint16_t>(place.index + i);
          stored_.push_back({place, 1000 + one.piece.first_block + i});
        }
      }
    }
    ASSERT_EQ(stored_.size(), blocks);
  }

  std::unique_ptr<BlockReader> reader(std::size_t cache_bytes = 64u << 20) {
    return std::make_unique<BlockReader>(
        world_.scheduler, *world_.segments, world_.vault,
        BlockReaderOptions{.cache_bytes = cache_bytes, .open_segments = 4});
  }
  // The first place of each run of the first segment, in order.
  std::vector<BlockPlace> runs_of_first_segment() const {
    std::vector<BlockPlace> runs;
    for (const Stored& one : stored_) {
      if (one.place.segment != stored_.front().place.segment) continue;
      if (runs.empty() || runs.back().run_offset < one.place.run_offset) runs.push_back(one.place);
    }
    return runs;
  }
  void expect_block(BlockReader& reader, const BlockPlace& place, std::uint64_t seed) {
    std::array<std::byte, cdp::kBlockBytes> found;
    std::array<std::byte, cdp::kBlockBytes> wanted;
    const Status read = world_.scheduler.run(reader.read(place, nullptr, found));
    ASSERT_TRUE(read.ok()) << read.error().message;
    fill_block(seed, wanted);
    EXPECT_TRUE(found == wanted);
  }
  std::uint64_t disk_reads() const { return world_.store->ios(sim::IoKind::kRead); }

  JournalWorld world_{1};
  std::vector<Stored> stored_;
};

Task<void> ask(BlockReader& reader, BlockPlace place, RunRef& into) {
  Result<RunRef> run = co_await reader.run(place);
  EXPECT_TRUE(run.ok());
  if (run.ok()) into = *run;
}
Task<void> ask_for_all(cdp::Scheduler& scheduler, BlockReader& reader,
                       const std::vector<BlockPlace>& places, std::vector<RunRef>& into) {
  cdp::TaskGroup group(scheduler);
  into.resize(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) group.spawn(ask(reader, places[i], into[i]));
  co_await group.join();
}

TEST_F(BlockReaderTest, ReadsRunsOfWhichOnlyAnUpperBoundOfTheSizeIsKnown) {
  record(512);
  for (const std::uint32_t more : {1u, 4096u, 70'000u, 4'000'000u}) {
    const auto blocks = reader();
    for (const Stored& one : stored_) {
      BlockPlace place = one.place;
      place.run_bytes += more;
      expect_block(*blocks, place, one.seed);
    }
  }
}

TEST_F(BlockReaderTest, ALengthBelowTheRunsOwnIsNoRun) {
  record(64);
  BlockPlace place = stored_.front().place;
  --place.run_bytes;
  EXPECT_FALSE(world_.scheduler.run(reader()->run(place)).ok());
  place.run_bytes = 10;
  EXPECT_FALSE(world_.scheduler.run(reader()->run(place)).ok());
  place.run_bytes = 100'000;
  place.run_offset = 1u << 31;
  EXPECT_FALSE(world_.scheduler.run(reader()->run(place)).ok());
}

TEST_F(BlockReaderTest, ThoseThatWantOneRunAtTheSameTimeShareOneRead) {
  record(64);
  const auto blocks = reader();
  const std::uint64_t before = disk_reads();
  std::vector<RunRef> found;
  const std::vector<BlockPlace> places(20, stored_.front().place);
  world_.scheduler.run(ask_for_all(world_.scheduler, *blocks, places, found));
  EXPECT_EQ(disk_reads(), before + 1);
  for (const RunRef& run : found) EXPECT_EQ(run, found.front());
}

TEST_F(BlockReaderTest, TheCacheIsBoundedInDecodedBytes) {
  record(512);
  const std::vector<BlockPlace> places = runs_of_first_segment();
  ASSERT_GT(places.size(), 6u);
  const auto run_bytes = world_.scheduler.run(reader()->run(places[1])).value()->size_bytes();
  const auto blocks = reader(3 * run_bytes);
  for (const BlockPlace& place : places) {
    ASSERT_TRUE(world_.scheduler.run(blocks->run(place)).ok());
    std::size_t cached_bytes = 0;
    for (const BlockPlace& other : places) {
      if (const RunRef run = blocks->cached(other)) cached_bytes += run->size_bytes();
    }
    EXPECT_GT(cached_bytes, 0u);
    EXPECT_LE(cached_bytes, 3 * run_bytes);
  }
  blocks->clear();
  for (const BlockPlace& place : places) EXPECT_EQ(blocks->cached(place), nullptr);

  const auto none = reader(0);
  ASSERT_TRUE(world_.scheduler.run(none->run(places[0])).ok());
  EXPECT_EQ(none->cached(places[0]), nullptr);
}

TEST_F(BlockReaderTest, NeighbouringRunsComeByOneReadOfTheDisk) {
  record(512);
  std::vector<BlockPlace> places = runs_of_first_segment();
  ASSERT_GT(places.size(), 6u);
  places.resize(6);
  const auto blocks = reader();
  ASSERT_TRUE(world_.scheduler.run(blocks->run(places[2])).ok());
  const std::uint64_t before = disk_reads();
  const auto found = world_.scheduler.run(blocks->runs(places));
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(disk_reads(), before + 1);
  ASSERT_EQ(found->size(), places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto stored = std::find_if(stored_.begin(), stored_.end(),
                                     [&](const Stored& one) { return one.place == places[i]; });
    std::array<std::byte, cdp::kBlockBytes> wanted;
    fill_block(stored->seed, wanted);
    EXPECT_TRUE(
        std::equal(wanted.begin(), wanted.end(), (*found)[i]->block(places[i].index).begin()));
    EXPECT_EQ(blocks->cached(places[i]), (*found)[i]);
  }
}

TEST_F(BlockReaderTest, DamageInOneRunIsNoDamageOfItsNeighbours) {
  record(512);
  std::vector<BlockPlace> places = runs_of_first_segment();
  ASSERT_GT(places.size(), 3u);
  places.resize(3);
  world_.store->flip_bit(world_.path_of(places[1].segment),
                         8u * (places[1].run_offset + kRunHeaderBytes + 5));
  const auto blocks = reader();
  const auto all = world_.scheduler.run(blocks->runs(places));
  ASSERT_FALSE(all.ok());
  EXPECT_NE(all.error().message.find("checksum"), std::string::npos) << all.error().message;
  EXPECT_TRUE(world_.scheduler.run(blocks->run(places[0])).ok());
  EXPECT_FALSE(world_.scheduler.run(blocks->run(places[1])).ok());
  EXPECT_TRUE(world_.scheduler.run(blocks->run(places[2])).ok());
}

TEST_F(BlockReaderTest, AReadThatFailsIsNotRemembered) {
  record(64);
  const auto blocks = reader();
  world_.store->inject({.path_contains = ".seg", .kind = sim::IoKind::kRead, .sticky = true});
  EXPECT_FALSE(world_.scheduler.run(blocks->run(stored_.front().place)).ok());
  world_.store->clear_faults();
  expect_block(*blocks, stored_.front().place, stored_.front().seed);
}

TEST_F(BlockReaderTest, WhatIsReadWhileItIsClearedIsNotKept) {
  record(64);
  const auto blocks = reader();
  const BlockPlace place = stored_.front().place;
  RunRef found;
  world_.scheduler.spawn(ask(*blocks, place, found));
  world_.scheduler.run_for(cdp::Nanos{1000});
  blocks->clear();
  ASSERT_TRUE(world_.scheduler.run_until([&] { return found != nullptr; }));
  EXPECT_EQ(blocks->cached(place), nullptr);
  expect_block(*blocks, place, stored_.front().seed);
}

// A reader that follows a growing segment has opened its file before it is cut to what is used.
TEST_F(BlockReaderTest, ASegmentThatIsSealedMeanwhileIsOpenedAgain) {
  ASSERT_TRUE(world_.open().ok());
  const VolumeId volume = world_.create_volume("db");
  ASSERT_TRUE(world_.write(volume, 0, {11}));
  ASSERT_TRUE(world_.flush().ok());
  const BlockPlace first = world_.collect().records.front().pieces.front().piece.place;
  const auto blocks = reader(0);
  expect_block(*blocks, first, 11);
  ASSERT_TRUE(world_.write(volume, 1, {13}));
  ASSERT_TRUE(world_.close().ok());
  BlockPlace last = world_.collect().records.back().pieces.front().piece.place;
  ASSERT_EQ(last.segment, first.segment);
  last.run_bytes = kRunBytesMax;
  expect_block(*blocks, last, 13);
}

}  // namespace
}  // namespace journal
