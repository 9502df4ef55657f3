// SPDX-License-Identifier: Apache-2.0
#include "restore/clone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "tests/sim/effort.h"
#include "tests/unit/restore/recorded_vault.h"

namespace restore {
namespace {

using Block = std::array<std::byte, kBlockBytes>;

// A volume of several pages of map; what happens there happens around their ends, and at its own.
constexpr std::uint64_t kPage = OverlayMap::kPageBlocks;
constexpr std::uint64_t kSizeBytes = (5 * kPage - 3) * kBlockBytes - 1000;
constexpr std::uint64_t kEndBlock = 5 * kPage - 3;
constexpr std::uint64_t kPlaces[] = {0, kPage - 6, 2 * kPage - 6, 3 * kPage - 6, kEndBlock - 12};

// A clone of a volume with some content, on files of a simulated store that can crash, and the
// model: for each block that was touched the versions that a crash may leave, the newest last.
class CloneWorld {
 public:
  explicit CloneWorld(std::uint64_t seed) : random(seed), vault(seed) {
    shop_ = vault.create("shop", kSizeBytes);
    for (const std::uint64_t place : kPlaces) {
      vault.write(shop_, place + 2, {1, 2, 3, static_cast<unsigned>(place + 7), 4, 5});
    }
    vault.flush();
    const auto point = std::make_shared<PointReader>(
        vault.parts(), PointContent{all_upto(shop_, vault.last()), kSizeBytes, "shop@lsn:9"});
    base_ = std::make_shared<View>(point, ViewParts{view_pages_, background_});
    store = sim::SimStore::make(vault.scheduler, random());
    store->create_disk("data", Clone::data_bytes(kSizeBytes));
    store->create_disk("map", Clone::map_bytes(kSizeBytes));
    open();
  }
  ~CloneWorld() {
    if (clone != nullptr) (void)vault.scheduler.run(clone->close());
    clone.reset();
    vault.scheduler.run(background_.join());
  }

  void open() {
    auto opened = Clone::open(
        {vault.scheduler, base_, store->open_disk("data"), store->open_disk("map"), write_pages_},
        "copy", 4);
    clone = cdp::value_or_throw(std::move(opened));
  }
  void crash_and_reopen() {
    store->crash_now();
    (void)vault.scheduler.run(clone->close());
    clone.reset();
    store = store->reboot(vault.scheduler, random());
    open();
  }

  // A random change, in the model too; true when it was answered.
  bool change() {
    const std::uint64_t first = kPlaces[random() % std::size(kPlaces)] * kBlockBytes;
    std::uint64_t offset = first + random() % (12 * kBlockBytes);
    std::uint64_t bytes = 1 + random() % (5 * kBlockBytes);
    if (whole_blocks || random() % 2 == 0) offset = offset / kBlockBytes * kBlockBytes;
    if (whole_blocks || random() % 2 == 0) bytes = cdp::round_up(bytes, kBlockBytes);
    offset = std::min(offset, kSizeBytes - 1);
    bytes = std::min(bytes, kSizeBytes - offset);
    if (!whole_blocks && random() % 6 == 0)
      bytes = kSizeBytes - std::max(offset, kPlaces[4] * kBlockBytes);
    if (!whole_blocks) offset = std::min(offset, kSizeBytes - bytes);
    const unsigned kind = static_cast<unsigned>(random() % 4);
    bool answered = false;
    if (kind == 0) {
      answered = vault.scheduler.run(zero(offset, bytes));
    } else if (kind == 1) {
      answered = vault.scheduler.run(trim(offset, bytes));
    } else {
      answered = vault.scheduler.run(write(offset, static_cast<std::uint32_t>(bytes)));
    }
    for (std::uint64_t at = offset; !answered && at < offset + bytes; at += kBlockBytes)
      failed_.insert(at / kBlockBytes);
    return answered;
  }
  Task<bool> write(std::uint64_t offset, std::uint32_t bytes) {
    std::mt19937_64 payload{random()};
    cdp::Result<cdp::PageList> pages = co_await clone->pages_for_write(offset, bytes);
    if (!pages.ok()) co_return false;
    for (std::uint64_t at = offset; at < offset + bytes; ++at) {
      const auto value = static_cast<std::byte>(payload());
      (*pages)[at / kBlockBytes - offset / kBlockBytes].data()[at % kBlockBytes] = value;
    }
    touch(offset, bytes, [&](std::uint64_t at) {
      return (*pages)[at / kBlockBytes - offset / kBlockBytes].data()[at % kBlockBytes];
    });
    for (std::uint64_t block = offset / kBlockBytes; block * kBlockBytes < offset + bytes;
         ++block) {
      ++under_way_[block];
    }
    const Status written = co_await clone->write(offset, bytes, *std::move(pages));
    for (std::uint64_t block = offset / kBlockBytes; block * kBlockBytes < offset + bytes;
         ++block) {
      --under_way_[block];
    }
    co_return written.ok();
  }
  Task<bool> zero(std::uint64_t offset, std::uint64_t bytes) {
    touch(offset, bytes, [](std::uint64_t) { return std::byte{0}; });
    const Status zeroed = co_await clone->zero(offset, bytes, {});
    co_return zeroed.ok();
  }
  Task<bool> trim(std::uint64_t offset, std::uint64_t bytes) {
    const std::uint64_t end = offset + bytes;
    const std::uint64_t from = cdp::round_up(offset, kBlockBytes);
    const std::uint64_t upto = end == kSizeBytes ? end : end / kBlockBytes * kBlockBytes;
    if (from < upto) touch(from, upto - from, [](std::uint64_t) { return std::byte{0}; });
    const Status trimmed = co_await clone->trim(offset, bytes);
    co_return trimmed.ok();
  }
  // What a flush covers when it is asked for becomes the oldest that may be found.
  Task<bool> flush() {
    std::map<std::uint64_t, std::size_t> covered;
    for (const auto& [block, versions] : versions_) {
      covered[block] = versions.size() - 1 - std::min(under_way_[block], versions.size() - 1);
    }
    const Status flushed = co_await clone->flush();
    if (!flushed.ok()) co_return false;
    for (const auto& [block, count] : covered) {
      if (failed_.contains(block)) continue;  // its newest version may not be what is there
      std::vector<Block>& versions = versions_[block];
      versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(count));
    }
    co_return true;
  }

  // Every block is as the newest version says.
  void expect_newest() {
    for (const auto& [block, versions] : versions_) {
      ASSERT_TRUE(read(*clone, block) == versions.back()) << "block " << block;
    }
  }
  // After a crash, every sector is of a version that may be there; then that is what it is.
  void expect_after_crash() {
    for (auto& [block, versions] : versions_) {
      const Block found = read(*clone, block);
      for (std::size_t at = 0; at < kBlockBytes; at += sim::kSectorBytes) {
        const bool known = std::any_of(versions.begin(), versions.end(), [&](const Block& one) {
          return std::equal(one.begin() + static_cast<std::ptrdiff_t>(at),
                            one.begin() + static_cast<std::ptrdiff_t>(at + sim::kSectorBytes),
                            found.begin() + static_cast<std::ptrdiff_t>(at));
        });
        ASSERT_TRUE(known) << "block " << block << " of page " << block / kPage << " at " << at;
      }
      versions.assign(1, found);
    }
  }

  bool whole_blocks = false;  // what changes touch, so that none builds on one that failed
  std::mt19937_64 random;
  RecordedVault vault;
  std::shared_ptr<sim::SimStore> store;
  std::unique_ptr<Clone> clone;

 private:
  template <typename Content>
  void touch(std::uint64_t offset, std::uint64_t bytes, Content content) {
    for (std::uint64_t block = offset / kBlockBytes; block * kBlockBytes < offset + bytes;
         ++block) {
      std::vector<Block>& versions = versions_[block];
      CHECK(!versions.empty());
      Block next = versions.back();
      const std::uint64_t start = block * kBlockBytes;
      for (std::uint64_t at = std::max(offset, start);
           at < std::min(offset + bytes, start + kBlockBytes); ++at) {
        next[at - start] = content(at);
      }
      versions.push_back(next);
    }
  }
  Block read(cdp::BlockDevice& device, std::uint64_t block) {
    const auto bytes = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(kBlockBytes, kSizeBytes - block * kBlockBytes));
    auto pages = vault.scheduler.run(device.read(block * kBlockBytes, bytes));
    EXPECT_TRUE(pages.ok()) << pages.error().message;
    Block found{};
    if (pages.ok()) std::copy_n(pages->front().data(), kBlockBytes, found.begin());
    return found;
  }

 public:
  // The blocks that changes may touch, as the view shows them.
  void load_model() {
    for (const std::uint64_t place : kPlaces) {
      for (std::uint64_t block = place; block < std::min(place + 24, kEndBlock); ++block) {
        versions_[block] = {read(*base_, block)};
      }
    }
  }

 private:
  cdp::VolumeId shop_{};
  cdp::PagePool view_pages_{vault.scheduler, 600};
  cdp::PagePool write_pages_{vault.scheduler, 600};
  cdp::TaskGroup background_{vault.scheduler};
  std::shared_ptr<View> base_;
  std::map<std::uint64_t, std::vector<Block>> versions_;
  std::set<std::uint64_t> failed_;                  // blocks of which a change failed
  std::map<std::uint64_t, std::size_t> under_way_;  // versions that were not answered
};

TEST(Clone, ReadsItsOwnChangesAndTheViewElsewhereAlsoWhenOpenedAgain) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  CloneWorld world{seed};
  world.load_model();
  const std::uint64_t vault_writes = world.vault.store().ios(sim::IoKind::kWrite) +
                                     world.vault.store().ios(sim::IoKind::kWriteDurably);
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(world.change());
    world.expect_newest();
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_TRUE(world.vault.scheduler.run(world.clone->close()).ok());
    world.clone.reset();
    world.open();
  }
  world.expect_newest();
  EXPECT_EQ(world.vault.store().ios(sim::IoKind::kWrite) +
                world.vault.store().ios(sim::IoKind::kWriteDurably),
            vault_writes);
}

TEST(Clone, LongReadsMixBlocksOfBoth) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  CloneWorld world{seed};
  world.load_model();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.change());
  for (const std::uint64_t place : kPlaces) {
    const std::uint64_t offset = place * kBlockBytes + 100;
    const auto bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(200 * kBlockBytes, kSizeBytes - offset));
    auto all = world.vault.scheduler.run(world.clone->read(offset, bytes));
    ASSERT_TRUE(all.ok());
    for (std::size_t i = 0; i < all->size(); ++i) {
      const std::uint64_t block = place + i;
      const auto one = world.vault.scheduler.run(world.clone->read(block * kBlockBytes, 1));
      ASSERT_TRUE(one.ok());
      ASSERT_TRUE(std::equal((*all)[i].bytes().begin(), (*all)[i].bytes().end(),
                             one->front().bytes().begin()));
    }
  }
}

Task<void> count(Task<bool> task, int* answered) {
  const bool done = co_await std::move(task);
  if (done) ++*answered;
}

TEST(Clone, WritesOfPartsOfABlockSideBySideAreAllKept) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  CloneWorld world{seed};
  world.load_model();
  cdp::TaskGroup writers{world.vault.scheduler};
  int answered = 0;
  const std::uint64_t start = (kPlaces[1] + 2) * kBlockBytes;  // and the model takes them in order
  for (std::uint64_t i = 0; i < 60; ++i) {
    writers.spawn(count(world.write(start + i * 300, 300), &answered));
  }
  world.vault.scheduler.run(writers.join());
  EXPECT_EQ(answered, 60);
  world.expect_newest();
}

// At any I/O: what was flushed is there, and nothing shows that was never written.
TEST(Clone, ACrashAtAnyIoLosesNothingThatWasFlushedAndShowsNothingTorn) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  for (std::uint64_t run = 0; run < sim::rounds(250) && !testing::Test::HasFatalFailure(); ++run) {
    SCOPED_TRACE(testing::Message() << "run " << run);
    CloneWorld world{seed + run};
    world.load_model();
    for (int crash = 0; crash < 3; ++crash) {
      world.store->crash_at(world.store->ios() + 1 + (run * 3 + world.random() % 3) % 160);
      while (!world.store->crashed()) {
        if (world.random() % 5 != 0) {
          (void)world.change();
          continue;
        }
        // A change that comes while a flush is under way.
        cdp::TaskGroup both{world.vault.scheduler};
        int answered = 0;
        both.spawn(count(world.flush(), &answered));
        const std::uint64_t place = kPlaces[world.random() % 4] + world.random() % 12;
        both.spawn(count(world.write(place * kBlockBytes, kBlockBytes), &answered));
        world.vault.scheduler.run(both.join());
      }
      world.crash_and_reopen();
      world.expect_after_crash();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Clone, AFlushThatFailsFencesItUntilItIsOpenedAgain) {
  for (const char* file : {"data", "map"}) {
    CloneWorld world{7};
    world.load_model();
    ASSERT_TRUE(world.vault.scheduler.run(world.write(0, 5000)));
    ASSERT_TRUE(world.vault.scheduler.run(world.flush()));
    ASSERT_TRUE(world.vault.scheduler.run(world.write(6000, 5000)));
    world.store->inject({.path_contains = file, .kind = sim::IoKind::kSync});
    ASSERT_TRUE(world.vault.scheduler.run(world.write(kPage * kBlockBytes, 5000)));
    EXPECT_FALSE(world.vault.scheduler.run(world.flush()));
    EXPECT_FALSE(world.vault.scheduler.run(world.flush())) << "a failed sync is not tried again";
    const auto read = world.vault.scheduler.run(world.clone->read(0, 4096));
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, EIO);
    EXPECT_NE(read.error().message.find("clone copy has failed"), std::string::npos);
    world.crash_and_reopen();
    world.expect_after_crash();
  }
}

TEST(Clone, AWriteThatFailsIsAnsweredAndTheCloneGoesOn) {
  CloneWorld world{7};
  world.load_model();
  world.store->inject({.path_contains = "data", .kind = sim::IoKind::kWrite, .code = ENOSPC});
  auto pages = world.vault.scheduler.run(world.clone->pages_for_write(0, 4096));
  const Status written = world.vault.scheduler.run(world.clone->write(0, 4096, *std::move(pages)));
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ENOSPC);
  world.expect_newest();  // the view's block shows, not what the data file holds
  EXPECT_TRUE(world.change());
  world.expect_newest();
}

// Of its own files or of the vault below; once or from then on.
TEST(Clone, AnyIoThatFailsIsToldAndLosesNothingThatWasFlushed) {
  for (std::uint64_t run = 0; run < sim::rounds(200); ++run) {
    SCOPED_TRACE(testing::Message() << "run " << run);
    CloneWorld world{run + 1};
    world.load_model();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(world.change());
    ASSERT_TRUE(world.vault.scheduler.run(world.flush()));
    world.whole_blocks = true;
    sim::SimStore& failing = run % 4 == 0 ? world.vault.store() : *world.store;
    failing.inject({.skip = run / 4, .sticky = run % 2 == 0, .code = run % 3 == 0 ? ENOSPC : EIO});
    std::uint64_t answered = 0;
    for (int i = 0; i < 40; ++i) {
      answered += world.change() ? 1 : 0;
      if (i % 6 == 0) answered += world.vault.scheduler.run(world.flush()) ? 1 : 0;
      const std::uint64_t offset = kPlaces[world.random() % std::size(kPlaces)] * kBlockBytes;
      const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(100'000, kSizeBytes - offset));
      (void)world.vault.scheduler.run(world.clone->read(offset, most));
      (void)world.vault.scheduler.run(world.clone->allocation(offset, most, 100));
    }
    failing.clear_faults();
    world.crash_and_reopen();
    world.expect_after_crash();
    ASSERT_FALSE(testing::Test::HasFailure()) << answered << " answers";
  }
}

TEST(Clone, WhatItHoldsItselfIsDataAndTheRestAsTheViewSays) {
  CloneWorld world{7};
  world.load_model();
  ASSERT_TRUE(world.vault.scheduler.run(world.write(kBlockBytes * 10, kBlockBytes)));
  ASSERT_TRUE(world.vault.scheduler.run(world.zero(kBlockBytes * 4, kBlockBytes * 2)));
  constexpr std::uint64_t kBlock = kBlockBytes;
  using Extents = std::vector<cdp::AllocationExtent>;
  const auto ask = [&](std::uint64_t offset, std::uint64_t bytes, std::size_t most) {
    return *world.vault.scheduler.run(world.clone->allocation(offset, bytes, most));
  };
  const Extents all{{2 * kBlock, true, true},
                    {6 * kBlock, false, false},
                    {2 * kBlock, true, true},
                    {kBlock, false, false},
                    {9 * kBlock, true, true}};
  EXPECT_EQ(ask(0, 20 * kBlock, 9), all);
  EXPECT_EQ(ask(0, 20 * kBlock, 2), Extents(all.begin(), all.begin() + 2));
  EXPECT_EQ(ask(10 * kBlock + 7, 1, 1), (Extents{{1, false, false}}));
}

TEST(Clone, FilesThatAreTooShortAreRefused) {
  CloneWorld world{7};
  ASSERT_TRUE(world.vault.scheduler.run(world.clone->close()).ok());
  EXPECT_EQ(world.vault.scheduler.run(world.clone->flush()).error().code, ESHUTDOWN);
  world.store->create_disk("short", 4096);
  cdp::PagePool pages{world.vault.scheduler, 16};
  cdp::TaskGroup background{world.vault.scheduler};
  const auto point = std::make_shared<PointReader>(world.vault.parts(),
                                                   PointContent{{}, kSizeBytes, "shop@lsn:9"});
  const auto view = std::make_shared<View>(point, ViewParts{pages, background});
  EXPECT_FALSE(Clone::open({world.vault.scheduler, view, world.store->open_disk("data"),
                            world.store->open_disk("short"), pages},
                           "copy")
                   .ok());
}

TEST(OverlayMap, KeepsFewPagesInMemoryHoweverManyChange) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  sim::SimScheduler scheduler{seed};
  const auto store = sim::SimStore::make(scheduler, seed);
  const std::uint64_t blocks = 40 * kPage;
  const auto data = store->create_disk("data", blocks * kBlockBytes);
  const auto file = store->create_disk("map", OverlayMap::file_bytes(blocks));
  std::vector<bool> model(blocks);
  {
    OverlayMap map{scheduler, *data, *file, 6};
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t first = random() % blocks;
      const std::uint64_t count = std::min<std::uint64_t>(
          blocks - first, 1 + random() % (random() % 10 == 0 ? 3 * kPage : 40));
      map.data_changed();
      ASSERT_TRUE(scheduler.run(map.set(first, count)).ok());
      std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(first), count, true);
      EXPECT_LE(map.pages_in_memory(), 6u);
    }
    ASSERT_TRUE(scheduler.run(map.flush()).ok());
  }
  OverlayMap again{scheduler, *data, *file, 6};
  std::vector<bool> found(blocks);
  ASSERT_TRUE(scheduler.run(again.read(0, found)).ok());
  EXPECT_TRUE(found == model);
  for (std::uint64_t block = 0; block < blocks;) {
    const auto stretch = scheduler.run(again.stretch(block, blocks - block));
    ASSERT_TRUE(stretch.ok());
    for (std::uint64_t i = 0; i < stretch->block_count; ++i, ++block) {
      ASSERT_EQ(model[block], stretch->set);
    }
  }
}

}  // namespace
}  // namespace restore
