// SPDX-License-Identifier: Apache-2.0
// The production scheduler, disk and directory, on the real kernel.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "cdp/io/file_disk.h"
#include "cdp/io/pages.h"
#include "cdp/io/reactor.h"
#include "cdp/io/worker_pool.h"

namespace cdp {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hindsight-io-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const int fd = open(entry.path().c_str(), O_RDONLY);
      int flags = 0;
      if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL) != 0) {
        flags &= ~FS_IMMUTABLE_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
      }
      close(fd);
    }
    std::filesystem::remove_all(path_);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct AlignedDelete {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;

AlignedBytes aligned_bytes(std::size_t bytes) {
  AlignedBytes memory{static_cast<std::byte*>(std::aligned_alloc(4096, bytes))};
  std::fill_n(memory.get(), bytes, std::byte{0});
  return memory;
}

Task<void> push_after(Scheduler& scheduler, Nanos delay, std::vector<int>& order, int value) {
  co_await sleep_for(scheduler, delay);
  order.push_back(value);
}

TEST(Reactor, SleepersWakeInOrderOfTheirDeadlines) {
  Reactor reactor{{}};
  std::vector<int> order;
  reactor.run([](Reactor& r, std::vector<int>& o) -> Task<void> {
    TaskGroup group{r};
    group.spawn(push_after(r, milliseconds(20), o, 3));
    group.spawn(push_after(r, milliseconds(1), o, 1));
    group.spawn(push_after(r, milliseconds(10), o, 2));
    co_await group.join();
  }(reactor, order));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Reactor, WhatWaitsForTheTurnsEndRunsAfterEverythingReady) {
  Reactor reactor{{}};
  std::vector<int> order;
  reactor.run([](Reactor& r, std::vector<int>& o) -> Task<void> {
    TaskGroup group{r};
    group.spawn([](Reactor& in, std::vector<int>& to) -> Task<void> {
      co_await turn_end(in);
      to.push_back(3);
    }(r, o));
    group.spawn([](Reactor& in, std::vector<int>& to) -> Task<void> {
      to.push_back(1);
      co_await yield(in);
      to.push_back(2);
    }(r, o));
    co_await group.join();
  }(reactor, order));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Reactor, OffloadedWorkRunsOnAnotherThreadAndResumesHere) {
  Reactor reactor{{.workers = 2}};
  std::thread::id worker;
  std::thread::id resumed;
  reactor.run([](Reactor& r, std::thread::id& w, std::thread::id& here) -> Task<void> {
    co_await on_worker(r, [&w] { w = std::this_thread::get_id(); });
    here = std::this_thread::get_id();
  }(reactor, worker, resumed));
  EXPECT_NE(worker, std::this_thread::get_id());
  EXPECT_EQ(resumed, std::this_thread::get_id());
}

TEST(Reactor, TakesMessagesFromManyThreadsWithoutLosingOne) {
  Reactor reactor{{}};
  constexpr int kThreads = 4;
  constexpr int kMessages = 2000;
  int taken = 0;
  std::vector<std::thread> threads;
  reactor.run([](Reactor& r, int& count, std::vector<std::thread>& posters) -> Task<void> {
    Signal progress{r};
    for (int t = 0; t < kThreads; ++t) {
      posters.emplace_back([&r, &count, &progress] {
        for (int i = 0; i < kMessages; ++i) {
          r.post_from_any_thread([&count, &progress] {
            ++count;
            progress.notify_all();
          });
        }
      });
    }
    while (count < kThreads * kMessages) co_await progress.wait();
  }(reactor, taken, threads));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, kThreads * kMessages);
}

TEST(YieldCredit, AThreadIsAwayForNoLongerThanHalfOfWhatItHasRun) {
  using std::chrono::microseconds;
  YieldCredit credit;
  microseconds used{0};
  EXPECT_FALSE(credit.may_yield(used));  // before it has run
  EXPECT_TRUE(credit.may_yield(used += microseconds(100)));
  credit.was_away(microseconds(4000));  // behind a process that always computes
  int refused = 0;
  while (!credit.may_yield(used += microseconds(100))) ++refused;
  EXPECT_EQ(79, refused);
  for (int i = 0; i < 1000; ++i) {  // where nobody waits, nothing is refused
    credit.was_away(microseconds(1));
    ASSERT_TRUE(credit.may_yield(used += microseconds(100)));
  }
  // What it has not used up does not grow without bound.
  credit.was_away(microseconds(5000));
  EXPECT_FALSE(credit.may_yield(used += microseconds(100)));
}

TEST(Signal, TimedWaitTellsNotificationFromDeadline) {
  Reactor reactor{{}};
  bool first = true;
  bool second = false;
  reactor.run([](Reactor& r, bool& timed_out, bool& notified) -> Task<void> {
    Signal signal{r};
    timed_out = co_await signal.wait_until(r.now() + milliseconds(2));
    TaskGroup group{r};
    group.spawn([](Signal& s) -> Task<void> {
      s.notify_all();
      co_return;
    }(signal));
    notified = co_await signal.wait_until(r.now() + seconds(60));
    co_await group.join();
  }(reactor, first, second));
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
}

TEST(PagePool, WaitersAreServedInTheOrderInWhichTheyCame) {
  Reactor reactor{{}};
  std::vector<int> order;
  reactor.run([](Reactor& r, std::vector<int>& o) -> Task<void> {
    PagePool pool{r, 4};
    PageList held = co_await pool.acquire(3);
    TaskGroup group{r};
    const auto take = [](PagePool& from, std::size_t count, std::vector<int>& to, int id) -> Task<void> {
      PageList pages = co_await from.acquire(count);
      to.push_back(id);
      EXPECT_EQ(pages.size(), count);
    };
    group.spawn(take(pool, 4, o, 1));  // asks for more than is free
    group.spawn(take(pool, 1, o, 2));  // would fit at once, but came later
    co_await yield(r);
    co_await yield(r);
    EXPECT_TRUE(o.empty());
    held.clear();
    co_await group.join();
    EXPECT_EQ(pool.available(), 4u);
  }(reactor, order));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(FileDisk, ReadsBackRandomVectoredWritesAndZeroes) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  reactor.run([](Reactor& r, std::string path, unsigned with_seed) -> Task<void> {
    constexpr std::size_t kBytes = 4u << 20;
    auto directory = value_or_throw(FileDirectory::open(r, path, false));
    auto disk = value_or_throw(co_await directory->create("disk", kBytes));
    std::mt19937 random{with_seed};
    std::vector<std::byte> model(kBytes);
    for (int round = 0; round < 200; ++round) {
      const std::size_t blocks = 1 + random() % 64;
      const std::size_t offset = random() % (kBytes / 4096 - blocks) * 4096;
      if (random() % 4 == 0) {
        EXPECT_TRUE((co_await disk->zero_range(offset, blocks * 4096, random() % 2 == 0)).ok());
        std::fill_n(model.begin() + static_cast<long>(offset), blocks * 4096, std::byte{0});
        continue;
      }
      AlignedBytes memory = aligned_bytes(blocks * 4096);
      std::vector<iovec> vectors;
      for (std::size_t i = 0; i < blocks * 4096; ++i) memory[i] = static_cast<std::byte>(random());
      for (std::size_t i = 0; i < blocks; ++i) vectors.push_back({memory.get() + i * 4096, 4096});
      std::copy_n(memory.get(), blocks * 4096, model.begin() + static_cast<long>(offset));
      Status written;
      if (random() % 2 == 0) written = co_await disk->write(offset, vectors);
      else written = co_await disk->write_durably(offset, vectors);
      EXPECT_TRUE(written.ok());
    }
    EXPECT_TRUE((co_await disk->sync()).ok());
    AlignedBytes read = aligned_bytes(kBytes);
    EXPECT_TRUE((co_await disk->read(0, std::span{read.get(), kBytes})).ok());
    EXPECT_TRUE(std::equal(model.begin(), model.end(), read.get()));
  }(reactor, temporary.path(), seed));
}

TEST(FileDisk, ReadingPastTheEndIsAnError) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  reactor.run([](Reactor& r, std::string path) -> Task<void> {
    auto directory = value_or_throw(FileDirectory::open(r, path, false));
    auto disk = value_or_throw(co_await directory->create("disk", 8192));
    AlignedBytes memory = aligned_bytes(8192);
    const Status status = co_await disk->read(4096, std::span{memory.get(), 8192});
    EXPECT_FALSE(status.ok());
  }(reactor, temporary.path()));
}

TEST(FileDisk, ExclusiveOpenRefusesASecondOpener) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  const std::string path = temporary.path() + "/disk";
  std::ofstream{path} << std::string(8192, 'x');
  auto first = FileDisk::open(reactor, path, OpenMode::kReadWrite, true);
  ASSERT_TRUE(first.ok());
  auto second = FileDisk::open(reactor, path, OpenMode::kReadWrite, true);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, EBUSY);
}

TEST(FileDirectory, RefusesToReplaceByRenameAndToMakeTwice) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  reactor.run([](Reactor& r, std::string path) -> Task<void> {
    auto directory = value_or_throw(FileDirectory::open(r, path, false));
    value_or_throw(co_await directory->create("a", 4096));
    value_or_throw(co_await directory->create("b", 4096));
    const Status renamed = co_await directory->rename("a", "b");
    EXPECT_FALSE(renamed.ok());
    EXPECT_EQ(renamed.error().code, EEXIST);
    const auto again = co_await directory->create("a", 4096);
    EXPECT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, EEXIST);
  }(reactor, temporary.path()));
}

TEST(FileDirectory, SmallFilesAreReplacedWhole) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  reactor.run([](Reactor& r, std::string path) -> Task<void> {
    auto directory = value_or_throw(FileDirectory::open(r, path, false));
    std::vector<std::byte> first(10, std::byte{1});
    std::vector<std::byte> second(3, std::byte{2});
    EXPECT_TRUE((co_await directory->write_small("small", first)).ok());
    EXPECT_TRUE((co_await directory->write_small("small", second)).ok());
    const auto read = co_await directory->read_small("small");
    EXPECT_TRUE(read.ok());
    EXPECT_EQ(*read, second);
    const auto none = co_await directory->read_small("none");
    EXPECT_FALSE(none.ok());
    EXPECT_EQ(none.error().code, ENOENT);
  }(reactor, temporary.path()));
}

TEST(FileDirectory, SealedFileIsCutAndRefusesWriters) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  reactor.run([](Reactor& r, std::string path) -> Task<void> {
    auto directory = value_or_throw(FileDirectory::open(r, path, false));
    value_or_throw(co_await directory->create("segment", 65536));
    EXPECT_TRUE((co_await directory->seal("segment", 8192)).ok());
    EXPECT_TRUE((co_await directory->seal("segment", 8192)).ok());
    EXPECT_FALSE((co_await directory->seal("segment", 4096)).ok());
    struct stat info {};
    EXPECT_EQ(stat((path + "/segment").c_str(), &info), 0);
    EXPECT_EQ(info.st_size, 8192);
    EXPECT_EQ(info.st_mode & 0222, 0u);
  }(reactor, temporary.path()));
}

TEST(FileDirectory, SpaceThatIsNotThereIsRefusedAtCreation) {
  TemporaryDirectory temporary;
  Reactor reactor{{}};
  reactor.run([](Reactor& r, std::string path) -> Task<void> {
    auto directory = value_or_throw(FileDirectory::open(r, path, false));
    const auto free = co_await directory->free_bytes();
    EXPECT_TRUE(free.ok());
    const auto created = co_await directory->create("huge", *free * 4);
    EXPECT_FALSE(created.ok());
    const auto names = co_await directory->list();
    EXPECT_TRUE(names->empty());
  }(reactor, temporary.path()));
}

}  // namespace
}  // namespace cdp
