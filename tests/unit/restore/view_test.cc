// SPDX-License-Identifier: Apache-2.0
#include "restore/view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "restore/point_hydration.h"
#include "tests/unit/restore/recorded_vault.h"

namespace restore {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::vector<std::byte> bytes_of(const cdp::PageList& pages) {
  std::vector<std::byte> bytes;
  for (const cdp::PageRef& page : pages) {
    bytes.insert(bytes.end(), page.bytes().begin(), page.bytes().end());
  }
  return bytes;
}

class ViewTest : public testing::Test {
 protected:
  void some_changes(cdp::VolumeId id, std::uint64_t blocks, int count) {
    auto& random = world_.random;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t first = random() % blocks;
      const std::uint64_t most = std::min<std::uint64_t>(blocks - first, 1 + random() % 40);
      if (random() % 5 == 0) {
        world_.zero(id, random() % 2 == 0 ? cdp::ZeroKind::kZero : cdp::ZeroKind::kTrim, first,
                    most);
        continue;
      }
      std::vector<unsigned> seeds;
      for (std::uint64_t b = 0; b < most; ++b) {
        seeds.push_back(static_cast<unsigned>(random() % 8 == 0 ? 0 : random()));
      }
      world_.write(id, first, seeds);
    }
    world_.flush();
  }
  std::shared_ptr<PointReader> point(const PointParts& parts, cdp::VolumeId id, cdp::Lsn lsn,
                                     std::uint64_t size_bytes) {
    return std::make_shared<PointReader>(
        parts, PointContent{all_upto(id, lsn), size_bytes, fmt::format("shop@lsn:{}", lsn.value)});
  }
  std::unique_ptr<View> view(std::shared_ptr<PointReader> of) {
    return std::make_unique<View>(std::move(of), ViewParts{pages_, background_});
  }
  cdp::PageList read(View& view, std::uint64_t offset, std::uint32_t bytes) {
    auto pages = world_.scheduler.run(view.read(offset, bytes));
    EXPECT_TRUE(pages.ok()) << pages.error().message;
    return pages.ok() ? *std::move(pages) : cdp::PageList{};
  }
  void TearDown() override { world_.scheduler.run(background_.join()); }

  const std::uint64_t seed_ = std::random_device{}();
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
  RecordedVault world_{seed_};
  cdp::PagePool pages_{world_.scheduler, 512};
  cdp::TaskGroup background_{world_.scheduler};
};

TEST_F(ViewTest, AViewOfAnyPointReadsWhatTheVolumeHeldThere) {
  const std::uint64_t size_bytes = 2 * kMiB + 1000;
  const auto shop = world_.create("shop", size_bytes);
  const cdp::Lsn created = world_.last();
  some_changes(shop, 513, 120);
  const PointParts parts = world_.parts();
  for (int check = 0; check < 20; ++check) {
    const cdp::Lsn lsn{created.value + world_.random() % (world_.last().value - created.value + 1)};
    const auto image = world_.image(shop, lsn);
    const auto shown = view(point(parts, shop, lsn, size_bytes));
    ASSERT_EQ(shown->size_bytes(), size_bytes);
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t offset = world_.random() % size_bytes;
      const auto bytes = static_cast<std::uint32_t>(
          1 + world_.random() %
                  std::min<std::uint64_t>(size_bytes - offset, cdp::kMaxPieceBytes - kBlockBytes));
      const auto found = bytes_of(read(*shown, offset, bytes));
      const auto from = found.begin() + static_cast<std::ptrdiff_t>(offset % kBlockBytes);
      ASSERT_GE(found.size(), offset % kBlockBytes + bytes);
      ASSERT_TRUE(
          std::equal(from, from + bytes, image.begin() + static_cast<std::ptrdiff_t>(offset)))
          << "lsn " << lsn.value << " offset " << offset << " bytes " << bytes;
    }
  }
}

TEST_F(ViewTest, ReadsSideBySideAgreeAndHoldNoMorePagesThanThereAre) {
  const auto shop = world_.create("shop", 2 * kMiB);
  some_changes(shop, 512, 80);
  const auto image = world_.image(shop, world_.last());
  const auto shown = view(point(world_.parts(), shop, world_.last(), 2 * kMiB));
  struct Ask {
    static Task<void> one(View* of, std::uint64_t offset, const std::vector<std::byte>* expected) {
      auto pages = co_await of->read(offset, 256u << 10);
      EXPECT_TRUE(pages.ok());
      if (!pages.ok()) co_return;
      const auto found = bytes_of(*pages);
      EXPECT_TRUE(std::equal(found.begin(), found.end(),
                             expected->begin() + static_cast<std::ptrdiff_t>(offset)));
    }
  };
  cdp::TaskGroup readers{world_.scheduler};
  for (int i = 0; i < 40; ++i) {
    readers.spawn(Ask::one(shown.get(), world_.random() % 449 * kBlockBytes, &image));
  }
  world_.scheduler.run(readers.join());
  world_.scheduler.run(background_.join());
  EXPECT_EQ(pages_.available(), pages_.capacity());
}

TEST_F(ViewTest, NothingCanBeWritten) {
  const auto shop = world_.create("shop", kMiB);
  const auto shown = view(point(world_.parts(), shop, world_.last(), kMiB));
  EXPECT_TRUE(shown->read_only());
  const auto code = [](const auto& result) { return result.ok() ? 0 : result.error().code; };
  EXPECT_EQ(code(world_.scheduler.run(shown->pages_for_write(0, 4096))), EPERM);
  EXPECT_EQ(code(world_.scheduler.run(shown->write(0, 4096, cdp::PageList{}))), EPERM);
  EXPECT_EQ(code(world_.scheduler.run(shown->zero(0, 4096, {}))), EPERM);
  EXPECT_EQ(code(world_.scheduler.run(shown->trim(0, 4096))), EPERM);
  EXPECT_EQ(code(world_.scheduler.run(shown->flush())), 0);
}

TEST_F(ViewTest, WhatIsZeroedOrWasNeverWrittenIsAHole) {
  const auto shop = world_.create("shop", kMiB + 100);
  world_.write(shop, 10, {1, 2, 0, 3});
  world_.write(shop, 14, {4, 5, 6});
  world_.zero(shop, cdp::ZeroKind::kZero, 15, 1);
  world_.flush();
  const auto shown = view(point(world_.parts(), shop, world_.last(), kMiB + 100));
  const auto ask = [&](std::uint64_t offset, std::uint64_t bytes, std::size_t most) {
    return *world_.scheduler.run(shown->allocation(offset, bytes, most));
  };
  using Extents = std::vector<cdp::AllocationExtent>;
  constexpr std::uint64_t kBlock = kBlockBytes;
  const Extents all{{10 * kBlock, true, true},
                    {2 * kBlock, false, false},
                    {kBlock, true, true},
                    {2 * kBlock, false, false},
                    {kBlock, true, true},
                    {kBlock, false, false},
                    {kMiB + 100 - 17 * kBlock, true, true}};
  EXPECT_EQ(ask(0, kMiB + 100, 100), all);
  EXPECT_EQ(ask(0, kMiB + 100, 3), Extents(all.begin(), all.begin() + 3));
  EXPECT_EQ(ask(10 * kBlock + 5, 100, 9), (Extents{{100, false, false}}));
  EXPECT_EQ(ask(9 * kBlock + 5, kBlock, 9), (Extents{{kBlock - 5, true, true}, {5, false, false}}));
  EXPECT_EQ(ask(kMiB, 100, 9), (Extents{{100, true, true}}));
}

TEST_F(ViewTest, AReaderThatGoesOnFindsTheRunsInMemory) {
  const std::uint64_t size_bytes = 4 * kMiB;
  const auto shop = world_.create("shop", size_bytes);
  unsigned seed = 1;
  for (std::uint64_t first = 0; first < 1024; first += 16) {
    std::vector<unsigned> seeds;
    for (int i = 0; i < 16; ++i) seeds.push_back(++seed);
    world_.write(shop, first, seeds);
  }
  world_.flush();
  const auto image = world_.image(shop, world_.last());
  const PointParts parts = world_.parts();
  const auto shown = view(point(parts, shop, world_.last(), size_bytes));
  // Two streams, interleaved.
  int waited = 0;
  for (std::uint64_t i = 0; i < 16; ++i) {
    for (const std::uint64_t base : {std::uint64_t{0}, 3 * kMiB}) {
      const std::uint64_t offset = base + i * 64 * 1024;
      const std::uint64_t before = world_.store().ios(sim::IoKind::kRead);
      const auto found = bytes_of(read(*shown, offset, 64 * 1024));
      ASSERT_TRUE(std::equal(found.begin(), found.end(),
                             image.begin() + static_cast<std::ptrdiff_t>(offset)));
      world_.scheduler.run(background_.join());
      if (world_.store().ios(sim::IoKind::kRead) != before) ++waited;
    }
  }
  EXPECT_LE(waited, 16) << "of 32 reads; with read-ahead most find what they want";
}

TEST_F(ViewTest, CacheBringsTheRunsIntoMemory) {
  const auto shop = world_.create("shop", kMiB);
  for (std::uint64_t first = 0; first < 128; first += 8) {
    world_.write(shop, first, {1, 2, 3, 4, 5, 6, 7, static_cast<unsigned>(100 + first)});
  }
  world_.flush();
  const auto shown = view(point(world_.parts(), shop, world_.last(), kMiB));
  ASSERT_TRUE(world_.scheduler.run(shown->cache(0, kMiB)).ok());
  const std::uint64_t before = world_.store().ios(sim::IoKind::kRead);
  read(*shown, 100, 500'000);
  EXPECT_EQ(world_.store().ios(sim::IoKind::kRead), before);
}

TEST_F(ViewTest, AnErrorNamesTheVolumeThePointAndTheBlock) {
  const auto shop = world_.create("shop", kMiB);
  world_.write(shop, 40, {1, 2, 3});
  world_.flush();
  auto parts = world_.parts();
  const auto shown = view(point(parts, shop, world_.last(), kMiB));
  world_.store().inject({.path_contains = ".seg", .kind = sim::IoKind::kRead, .sticky = true});
  auto pages = world_.scheduler.run(shown->read(0, kMiB));
  world_.store().clear_faults();
  ASSERT_FALSE(pages.ok());
  EXPECT_EQ(pages.error().code, EIO);
  EXPECT_EQ(pages.error().message.find(
                fmt::format("reading shop@lsn:{} at block 40: ", world_.last().value)),
            0u)
      << pages.error().message;
  EXPECT_EQ(pages_.available(), pages_.capacity());
}

TEST_F(ViewTest, AnIndexThatCannotBeReadIsAnErrorThatNamesTheBlock) {
  const auto shop = world_.create("shop", kMiB);
  world_.write(shop, 40, {1, 2, 3});
  world_.flush();
  PointParts parts = world_.parts();
  auto map = std::make_shared<ModelBlockMap>();
  map->fault = cdp::make_error(EIO, "the index is damaged");
  const PointParts faulty{parts.scheduler, map, parts.runs};
  const auto shown = view(point(faulty, shop, world_.last(), kMiB));
  const auto pages = world_.scheduler.run(shown->read(40 * kBlockBytes, kBlockBytes));
  ASSERT_FALSE(pages.ok());
  EXPECT_EQ(pages.error().code, EIO);
  const auto extents = world_.scheduler.run(shown->allocation(40 * kBlockBytes, kBlockBytes, 10));
  ASSERT_FALSE(extents.ok());
  EXPECT_EQ(
      extents.error().message,
      fmt::format("looking up shop@lsn:{} at block 40: the index is damaged", world_.last().value));
}

// Rule 8: 100 -> 50 and back to 99: what differs is not the newer LSNs.
TEST_F(ViewTest, HydrationNamesWhatMayDifferAndWhatItReadsAs) {
  const std::uint64_t blocks = 3000;
  const auto shop = world_.create("shop", blocks * kBlockBytes);
  some_changes(shop, blocks, 60);
  const cdp::Lsn old = world_.last();
  some_changes(shop, blocks, 60);
  world_.zero(shop, cdp::ZeroKind::kTrim, 100, 2500);
  some_changes(shop, blocks, 5);
  const cdp::Lsn last = world_.last();
  const PointParts parts = world_.parts();
  const auto before = world_.image(shop, last);
  const auto after = world_.image(shop, old);
  PointHydration source{
      point(parts, shop, old, blocks * kBlockBytes), {{shop, {{old, last}}}}, pages_};

  auto backing = before;
  backing.resize(4000 * kBlockBytes);  // the volume has grown since
  std::uint64_t next = 0;
  std::uint64_t end_of_last = 0;
  while (next < 4000) {
    const auto found = world_.scheduler.run(source.differing(next, 4000));
    ASSERT_TRUE(found.ok());
    ASSERT_GT(found->next, next);
    ASSERT_LE(found->next, 4000u);
    for (const auto& stretch : found->stretches) {
      ASSERT_GE(stretch.first_block, std::max(next, end_of_last));
      ASSERT_GT(stretch.block_count, 0u);
      end_of_last = stretch.first_block + stretch.block_count;
      ASSERT_LE(end_of_last, found->next);
      for (std::uint64_t block = stretch.first_block; block < end_of_last; ++block) {
        auto pages = world_.scheduler.run(source.read(block, 1));
        ASSERT_TRUE(pages.ok());
        const auto bytes = bytes_of(*pages);
        if (stretch.zeroes) {
          ASSERT_TRUE(std::all_of(bytes.begin(), bytes.end(),
                                  [](std::byte b) { return b == std::byte{0}; }));
        }
        std::copy(bytes.begin(), bytes.end(),
                  backing.begin() + static_cast<std::ptrdiff_t>(block * kBlockBytes));
      }
    }
    next = found->next;
  }
  EXPECT_TRUE(std::equal(after.begin(), after.end(), backing.begin()));
}

TEST(ReadAhead, AStreamIsFoundAtItsThirdReadAndItsWindowGrows) {
  ReadAhead ahead;
  EXPECT_FALSE(ahead.note(0, 64));
  EXPECT_FALSE(ahead.note(64, 128));
  EXPECT_EQ(ahead.note(128, 192), (ReadAhead::Window{192, 192 + 128}));
  std::uint64_t brought = 320;
  std::uint64_t widest = 0;
  for (std::uint64_t at = 192; at < 20'000; at += 64) {
    if (const auto window = ahead.note(at, at + 64)) {
      EXPECT_GE(window->first_block, brought);
      brought = window->end_block;
      widest = std::max(widest, brought - (at + 64));
    }
    EXPECT_GE(brought, at + 64);
  }
  EXPECT_EQ(widest, ReadAhead::kWindowBlocksMax);
}

TEST(ReadAhead, ScatteredReadsAreNoStream) {
  ReadAhead ahead;
  std::mt19937_64 random{7};
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t first = random() % (1ull << 30);
    EXPECT_FALSE(ahead.note(first, first + 2));
  }
}

TEST(ReadAhead, SeveralStreamsThatComeOutOfOrderAreToldApart) {
  ReadAhead ahead;
  std::uint64_t windows[4] = {};
  for (std::uint64_t step = 0; step < 64; ++step) {
    for (std::uint64_t stream = 0; stream < 4; ++stream) {
      const std::uint64_t at = stream * 1'000'000 + (step ^ 1) * 64;  // 1, 0, 3, 2...
      if (const auto window = ahead.note(at, at + 64)) {
        ++windows[stream];
        EXPECT_EQ(window->first_block / 1'000'000, stream);
      }
    }
  }
  for (const std::uint64_t count : windows) EXPECT_GT(count, 3u);
}

}  // namespace
}  // namespace restore
