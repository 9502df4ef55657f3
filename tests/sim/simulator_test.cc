// SPDX-License-Identifier: Apache-2.0
//
// The simulator itself: what it must keep, what it must be able to lose, and that one seed is one
// run.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>

#include "cdp/io/pages.h"
#include "cdp/io/signal.h"
#include "tests/sim/sim_store.h"

namespace sim {
namespace {

using cdp::kBlockBytes;
using cdp::Nanos;
using cdp::Status;
using cdp::Task;

// On the heap: a coroutine's frame does not heed alignments beyond 16 bytes.
class Aligned {
 public:
  explicit Aligned(int fill) : blocks_(new Blocks) {
    std::memset(blocks_->bytes, fill, sizeof blocks_->bytes);
  }
  std::span<const std::byte> span() const { return blocks_->bytes; }

 private:
  struct Blocks {
    alignas(kBlockBytes) std::byte bytes[2 * kBlockBytes];
  };
  std::unique_ptr<Blocks> blocks_;
};

Task<void> write_and_sync(cdp::Disk& disk, int fill, bool sync) {
  const Aligned data(fill);
  Status status = co_await disk.write(kBlockBytes, data.span());
  CHECK(status.ok());
  if (sync) {
    status = co_await disk.sync();
    CHECK(status.ok());
  }
}

// Which of the sectors of the written range hold `fill` (the others hold zeroes).
std::set<std::size_t> sectors_with(const SimStore& store, const std::string& path, int fill) {
  std::set<std::size_t> found;
  const std::vector<std::byte> content = store.content(path, kBlockBytes, 2 * kBlockBytes);
  for (std::size_t i = 0; i < content.size() / kSectorBytes; ++i) {
    const std::byte first = content[i * kSectorBytes];
    for (std::size_t b = 0; b < kSectorBytes; ++b) CHECK(content[i * kSectorBytes + b] == first);
    if (first == static_cast<std::byte>(fill)) {
      found.insert(i);
    } else {
      CHECK(first == std::byte{0});
    }
  }
  return found;
}

constexpr std::size_t kSectorsWritten = 2 * kBlockBytes / kSectorBytes;

TEST(SimDisk, ASyncedWriteSurvivesEveryCrash) {
  SimScheduler scheduler(1);
  auto store = SimStore::make(scheduler, 1);
  auto disk = store->create_disk("disk", 1 << 20);
  scheduler.run(write_and_sync(*disk, 7, true));
  store->crash_now();
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    auto after = store->reboot(scheduler, seed);
    EXPECT_EQ(sectors_with(*after, "disk", 7).size(), kSectorsWritten) << "seed " << seed;
  }
}

TEST(SimDisk, AnUnsyncedWriteIsSometimesKeptSometimesLostSometimesTorn) {
  SimScheduler scheduler(1);
  auto store = SimStore::make(scheduler, 1);
  auto disk = store->create_disk("disk", 1 << 20);
  scheduler.run(write_and_sync(*disk, 7, false));
  EXPECT_EQ(sectors_with(*store, "disk", 7).size(), kSectorsWritten);
  store->crash_now();
  int kept = 0;
  int lost = 0;
  int torn = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::size_t sectors = sectors_with(*store->reboot(scheduler, seed), "disk", 7).size();
    ++(sectors == 0 ? lost : sectors == kSectorsWritten ? kept : torn);
  }
  EXPECT_GT(kept, 30);
  EXPECT_GT(lost, 30);
  EXPECT_GT(torn, 30);
}

TEST(SimDisk, AWriteInFlightAtTheCrashHasAnyFate) {
  std::set<std::size_t> fates;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimScheduler scheduler(seed);
    auto store = SimStore::make(scheduler, seed);
    auto disk = store->create_disk("disk", 1 << 20);
    store->crash_at(1);
    const Aligned data(9);
    bool answered = false;
    auto write = [](cdp::Disk& on, const Aligned& from, bool& done) -> Task<void> {
      const Status status = co_await on.write_durably(kBlockBytes, from.span());
      CHECK(!status.ok());
      done = true;
    };
    scheduler.spawn(write(*disk, data, answered));
    ASSERT_TRUE(scheduler.run_until([&] { return store->crashed(); }));
    EXPECT_FALSE(answered);
    fates.insert(sectors_with(*store->reboot(scheduler, seed), "disk", 9).size());
    // The crashed world unwinds: the write ends with an error.
    ASSERT_TRUE(scheduler.run_until([&] { return answered; }));
  }
  EXPECT_TRUE(fates.contains(0));
  EXPECT_TRUE(fates.contains(kSectorsWritten));
  EXPECT_GT(fates.size(), 5u);
}

TEST(SimDisk, ASyncCoversOnlyWritesCompletedBeforeItWasIssued) {
  bool lost_once = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimScheduler scheduler(seed);
    auto store = SimStore::make(scheduler, seed);
    auto disk = store->create_disk("disk", 1 << 20);
    bool synced = false;
    bool written = false;
    const Aligned data(5);
    auto write = [](cdp::Disk& on, const Aligned& from, bool& done) -> Task<void> {
      const Status status = co_await on.write(kBlockBytes, from.span());
      CHECK(status.ok());
      done = true;
    };
    auto sync = [](cdp::Disk& on, bool& done) -> Task<void> {
      const Status status = co_await on.sync();
      CHECK(status.ok());
      done = true;
    };
    scheduler.spawn(write(*disk, data, written));
    scheduler.spawn(sync(*disk, synced));
    ASSERT_TRUE(scheduler.run_until([&] { return synced && written; }));
    store->crash_now();
    const std::size_t sectors = sectors_with(*store->reboot(scheduler, seed), "disk", 5).size();
    lost_once = lost_once || sectors != kSectorsWritten;
  }
  EXPECT_TRUE(lost_once);
}

TEST(SimDisk, AFailedSyncIsNotMadeGoodByTheNext) {
  bool lost_once = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimScheduler scheduler(seed);
    auto store = SimStore::make(scheduler, seed);
    auto disk = store->create_disk("disk", 1 << 20);
    scheduler.run(write_and_sync(*disk, 3, false));
    store->inject({.kind = IoKind::kSync});
    EXPECT_FALSE(scheduler.run(disk->sync()).ok());
    EXPECT_TRUE(scheduler.run(disk->sync()).ok());
    store->crash_now();
    lost_once = lost_once || sectors_with(*store->reboot(scheduler, seed), "disk", 3).empty();
  }
  EXPECT_TRUE(lost_once);
}

TEST(SimDisk, InjectedFaultsComeAtTheChosenIo) {
  SimScheduler scheduler(4);
  auto store = SimStore::make(scheduler, 4);
  auto disk = store->create_disk("a/disk", 1 << 20);
  const Aligned data(3);
  store->inject({.path_contains = "a/", .kind = IoKind::kWrite, .skip = 1, .code = ENOSPC});
  EXPECT_TRUE(scheduler.run(disk->write(0, data.span())).ok());
  EXPECT_EQ(scheduler.run(disk->write(0, data.span())).error().code, ENOSPC);
  EXPECT_TRUE(scheduler.run(disk->write(0, data.span())).ok());
  store->inject({.kind = IoKind::kSync, .sticky = true});
  EXPECT_FALSE(scheduler.run(disk->sync()).ok());
  EXPECT_FALSE(scheduler.run(disk->sync()).ok());
  EXPECT_EQ(store->ios(), 5u);
  EXPECT_EQ(store->ios(IoKind::kWrite), 3u);
}

TEST(SimDisk, ZeroRangesOfAnySizeCostTheSame) {
  SimScheduler scheduler(4);
  auto store = SimStore::make(scheduler, 4);
  auto disk = store->create_disk("disk", std::uint64_t{16} << 40);
  scheduler.run(write_and_sync(*disk, 3, true));
  EXPECT_TRUE(scheduler.run(disk->zero_range(0, std::uint64_t{16} << 40, true)).ok());
  EXPECT_TRUE(sectors_with(*store, "disk", 3).empty());
  store->crash_now();
  std::set<std::size_t> fates;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    fates.insert(sectors_with(*store->reboot(scheduler, seed), "disk", 3).size());
  }
  EXPECT_TRUE(fates.contains(0));
  EXPECT_TRUE(fates.contains(kSectorsWritten));
}

TEST(SimDisk, FlippedBitsAreSeen) {
  SimScheduler scheduler(4);
  auto store = SimStore::make(scheduler, 4);
  auto disk = store->create_disk("disk", 1 << 20);
  store->flip_bit("disk", 8 * 4097 + 2);
  EXPECT_EQ(store->content("disk", 4097, 1)[0], std::byte{4});
}

TEST(SimDirectory, UnsyncedNamesAreSometimesLostSyncedOnesNever) {
  SimScheduler scheduler(4);
  auto store = SimStore::make(scheduler, 4);
  auto directory = store->directory("vault");
  ASSERT_TRUE(scheduler.run(directory->create("one", 8192)).ok());
  ASSERT_TRUE(scheduler.run(directory->sync()).ok());
  ASSERT_TRUE(scheduler.run(directory->create("two", 8192)).ok());
  ASSERT_TRUE(scheduler.run(directory->rename("one", "uno")).ok());
  std::vector<std::byte> small(10, std::byte{42});
  ASSERT_TRUE(scheduler.run(directory->write_small("small", small)).ok());
  EXPECT_EQ(scheduler.run(directory->create("two", 4096)).error().code, EEXIST);
  EXPECT_EQ(scheduler.run(directory->rename("two", "uno")).error().code, EEXIST);
  EXPECT_EQ(*scheduler.run(directory->list()), (std::vector<std::string>{"small", "two", "uno"}));
  store->crash_now();
  std::set<std::vector<std::string>> seen;
  std::set<std::uint64_t> sizes_of_two;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    auto after = store->reboot(scheduler, seed);
    seen.insert(after->paths());
    EXPECT_EQ(after->content("vault/small"), small);
    if (after->exists("vault/two")) sizes_of_two.insert(after->size_of("vault/two"));
  }
  EXPECT_EQ(seen, (std::set<std::vector<std::string>>{{"vault/one", "vault/small"},
                                                      {"vault/one", "vault/small", "vault/two"},
                                                      {"vault/small", "vault/two", "vault/uno"}}));
  EXPECT_EQ(sizes_of_two, (std::set<std::uint64_t>{0, 4096, 8192}));
}

TEST(SimDirectory, SealedFilesAreCutDurableAndReadOnly) {
  SimScheduler scheduler(4);
  auto store = SimStore::make(scheduler, 4);
  auto directory = store->directory("vault");
  auto disk = std::move(*scheduler.run(directory->create("one", 1 << 20)));
  ASSERT_TRUE(scheduler.run(directory->sync()).ok());
  scheduler.run(write_and_sync(*disk, 6, false));
  ASSERT_TRUE(scheduler.run(directory->seal("one", 3 * kBlockBytes)).ok());
  ASSERT_TRUE(scheduler.run(directory->seal("one", 3 * kBlockBytes)).ok());
  EXPECT_EQ(disk->size_bytes(), 3 * kBlockBytes);
  const Aligned data(1);
  EXPECT_EQ(scheduler.run(disk->write(0, data.span())).error().code, EPERM);
  EXPECT_EQ(scheduler.run(directory->open("one", cdp::OpenMode::kReadWrite)).error().code, EPERM);
  store->crash_now();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto after = store->reboot(scheduler, seed);
    EXPECT_EQ(after->size_of("vault/one"), 3 * kBlockBytes);
    EXPECT_EQ(sectors_with(*after, "vault/one", 6).size(), kSectorsWritten);
  }
}

TEST(SimDirectory, AFullStoreRefusesNewFiles) {
  SimScheduler scheduler(4);
  auto store = SimStore::make(scheduler, 4, {.capacity_bytes = 16384});
  auto directory = store->directory("vault");
  ASSERT_TRUE(scheduler.run(directory->create("one", 12288)).ok());
  EXPECT_EQ(*scheduler.run(directory->free_bytes()), 4096u);
  EXPECT_EQ(scheduler.run(directory->create("two", 8192)).error().code, ENOSPC);
  EXPECT_TRUE(scheduler.run(directory->create("two", 4096)).ok());
}

// What one seed does with ten coroutines, as one string.
std::string trace_of(std::uint64_t seed) {
  SimScheduler scheduler(seed);
  auto store = SimStore::make(scheduler, seed);
  auto disk = store->create_disk("disk", 1 << 20);
  std::string trace;
  cdp::TaskGroup group(scheduler);
  auto client = [](SimScheduler& on, cdp::Disk& of, int id, std::string& log) -> Task<void> {
    const Aligned data(id);
    for (int i = 0; i < 5; ++i) {
      const Status status = co_await of.write(0, data.span());
      CHECK(status.ok());
      co_await cdp::on_worker(on, [] {});
      co_await cdp::sleep_for(on, Nanos{1000});
      co_await cdp::turn_end(on);
      log += fmt::format("{} ", id);
    }
  };
  for (int id = 0; id < 10; ++id) group.spawn(client(scheduler, *disk, id, trace));
  scheduler.run(group.join());
  return trace + fmt::format("{} {}", scheduler.now().value, store->overlapping_writes());
}

TEST(SimScheduler, OneSeedIsOneRun) {
  EXPECT_EQ(trace_of(1), trace_of(1));
  EXPECT_NE(trace_of(1), trace_of(2));
}

TEST(SimScheduler, ADeadlockIsNoticed) {
  SimScheduler scheduler(1);
  cdp::Signal never(scheduler);
  bool done = false;
  auto wait = [](cdp::Signal& signal, bool& ended) -> Task<void> {
    co_await signal.wait();
    ended = true;
  };
  scheduler.spawn(wait(never, done));
  EXPECT_FALSE(scheduler.run_until([&] { return done; }));
  never.notify_all();
  EXPECT_TRUE(scheduler.run_until([&] { return done; }));
}

TEST(SimScheduler, ABuriedWorldIsLeftAsItIs) {
  struct World {
    SimScheduler scheduler{1};
    cdp::PagePool pool{scheduler, 4};
    cdp::Signal never{scheduler};
  };
  auto world = std::make_shared<World>();
  bool started = false;
  auto wait = [](World& of, bool& begun) -> Task<void> {
    const cdp::PageList held = co_await of.pool.acquire(2);
    begun = true;
    co_await of.never.wait();
  };
  world->scheduler.spawn(wait(*world, started));
  ASSERT_TRUE(world->scheduler.run_until([&] { return started; }));
  bury(std::move(world));  // its destructors would find a waiter and missing pages
}

TEST(SimClock, StepsTheWallClockOnly) {
  SimScheduler scheduler(1);
  SimClock clock(scheduler);
  const Nanos wall = clock.realtime();
  const Nanos boot = clock.boottime();
  clock.step(Nanos{-5'000'000'000});
  EXPECT_EQ(clock.realtime(), wall - cdp::seconds(5));
  scheduler.run_for(cdp::seconds(2));
  EXPECT_GE(clock.realtime(), wall - cdp::seconds(3));
  EXPECT_GE(clock.boottime(), boot + cdp::seconds(2));
}

}  // namespace
}  // namespace sim
