// SPDX-License-Identifier: Apache-2.0
//
// What one volume does, case by case. Random and crash tests of it are in tests/sim.
#include "cdp/volume.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "cdp/null_recorder.h"
#include "tests/sim/sim_recorder.h"
#include "tests/sim/sim_store.h"

namespace cdp {
namespace {

using sim::IoKind;
using sim::SimLog;
using sim::SimRecorder;
using sim::SimScheduler;
using sim::SimStore;

// Any number of volumes on one recorder.
class VolumeTest : public testing::Test {
 protected:
  VolumeTest() {
    log_disk_ = store_->create_disk("log", SimRecorder::kDiskBytes);
    recorder_ = std::make_unique<SimRecorder>(scheduler_, *log_disk_, log_);
  }
  ~VolumeTest() override {
    for (auto& volume : volumes_) {
      if (!closed_.contains(volume.get())) scheduler_.run(volume->close()).ok();
    }
    volumes_.clear();
    scheduler_.run(recorder_->close());
  }

  Volume& make(VolumeOptions options, Recorder* recorder = nullptr) {
    const auto number = static_cast<std::uint32_t>(volumes_.size() + 1);
    options.id = VolumeId{number};
    options.name = fmt::format("v{}", number);
    backings_.push_back(
        store_->create_disk("backing/" + options.name, Volume::backing_bytes(options.size_bytes)));
    Recorder& records = recorder != nullptr ? *recorder : *recorder_;
    volumes_.push_back(std::make_unique<Volume>(
        VolumeParts{scheduler_, sequencer_, records, *backings_.back(), write_pages_, read_pages_},
        options));
    return *volumes_.back();
  }

  Status write(Volume& volume, std::uint64_t offset, std::uint32_t bytes, int fill) {
    return scheduler_.run(write_task(volume, offset, bytes, fill));
  }
  static Task<Status> write_task(Volume& volume, std::uint64_t offset, std::uint32_t bytes,
                                 int fill) {
    Result<PageList> pages = co_await volume.pages_for_write(offset, bytes);
    if (!pages.ok()) co_return pages.error();
    std::uint64_t at = offset;
    for (PageRef& page : *pages) {
      const std::uint64_t within = at % kBlockBytes;
      const std::uint64_t part = std::min(kBlockBytes - within, offset + bytes - at);
      std::memset(page.data() + within, fill, part);
      at += part;
    }
    co_return co_await volume.write(offset, bytes, std::move(*pages));
  }
  // The bytes, or nothing after an error.
  std::vector<int> read(Volume& volume, std::uint64_t offset, std::uint32_t bytes) {
    const Result<PageList> pages = scheduler_.run(volume.read(offset, bytes));
    std::vector<int> found;
    if (!pages.ok()) return found;
    for (std::uint64_t at = offset; at < offset + bytes; ++at) {
      const PageRef& page = (*pages)[at / kBlockBytes - offset / kBlockBytes];
      found.push_back(static_cast<int>(page.data()[at % kBlockBytes]));
    }
    return found;
  }
  Status close(Volume& volume) {
    closed_.insert(&volume);
    return scheduler_.run(volume.close());
  }

  SimScheduler scheduler_{7};
  sim::SimClock clock_{scheduler_};
  Sequencer sequencer_{clock_};
  std::shared_ptr<SimStore> store_ = SimStore::make(scheduler_, 7);
  std::shared_ptr<SimLog> log_ = std::make_shared<SimLog>();
  PagePool write_pages_{scheduler_, 1024};
  PagePool read_pages_{scheduler_, 600};
  std::unique_ptr<Disk> log_disk_;
  std::unique_ptr<SimRecorder> recorder_;
  std::vector<std::unique_ptr<Disk>> backings_;
  std::vector<std::unique_ptr<Volume>> volumes_;
  std::set<const Volume*> closed_;
};

std::vector<int> times(std::size_t count, int value) { return std::vector<int>(count, value); }

TEST_F(VolumeTest, WritesOfAnyAlignmentAreSeenAtOnceAndOnTheBackingStoreAfterACheckpoint) {
  Volume& volume = make({.size_bytes = 50'000});
  ASSERT_TRUE(write(volume, 4096, 8192, 1).ok());
  ASSERT_TRUE(write(volume, 5000, 10, 2).ok());
  ASSERT_TRUE(write(volume, 12'000, 1000, 3).ok());
  EXPECT_EQ(read(volume, 4999, 12), (std::vector<int>{1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1}));
  EXPECT_EQ(read(volume, 12'999, 2), (std::vector<int>{3, 0}));
  EXPECT_EQ(store_->ios(IoKind::kWrite), 0u);  // journal first
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  EXPECT_EQ(volume.statistics().dirty_bytes, 0u);
  EXPECT_EQ(store_->content("backing/v1", 5000, 1)[0], std::byte{2});
  EXPECT_EQ(read(volume, 5009, 2), (std::vector<int>{2, 1}));
  EXPECT_EQ(log_->back().kind, sim::LogRecord::Kind::kCheckpoint);
  EXPECT_EQ(log_->back().covered, volume.statistics().last);
}

TEST_F(VolumeTest, TheLastBlockIsFilledWithZeroesBehindTheEnd) {
  Volume& volume = make({.size_bytes = 5000});
  EXPECT_EQ(backings_[0]->size_bytes(), 8192u);
  ASSERT_TRUE(write(volume, 4096, 904, 1).ok());
  ASSERT_TRUE(write(volume, 4990, 10, 2).ok());
  EXPECT_EQ(log_->back().data[903], std::byte{2});
  EXPECT_EQ(log_->back().data[904], std::byte{0});
  ASSERT_TRUE(scheduler_.run(volume.trim(4096, 904)).ok());
  EXPECT_EQ(read(volume, 4096, 904), times(904, 0));
}

TEST_F(VolumeTest, AWholeBlockIsWrittenWithoutReading) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(write(volume, 0, 8192, 1).ok());
  EXPECT_EQ(store_->ios(IoKind::kRead), 0u);
  ASSERT_TRUE(write(volume, 100, 100, 1).ok());  // the block is dirty: no read either
  EXPECT_EQ(store_->ios(IoKind::kRead), 0u);
  ASSERT_TRUE(write(volume, 20'000, 10'000, 1).ok());
  EXPECT_EQ(store_->ios(IoKind::kRead), 2u);
}

TEST_F(VolumeTest, AReadOfManyGapsIsOneReadOfTheBackingStore) {
  Volume& volume = make({.size_bytes = 1 << 20});
  for (std::uint64_t block = 0; block < 256; block += 2) {
    ASSERT_TRUE(write(volume, block * kBlockBytes, kBlockBytes, 5).ok());
  }
  const std::vector<int> found = read(volume, 0, 1 << 20);
  EXPECT_EQ(store_->ios(IoKind::kRead), 1u);
  for (std::size_t at = 0; at < found.size(); at += 512) {
    ASSERT_EQ(found[at], at / kBlockBytes % 2 == 0 ? 5 : 0) << at;
  }
}

TEST_F(VolumeTest, ZeroesAndTrimsOfAnyAlignment) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(write(volume, 0, 40'000, 9).ok());
  ASSERT_TRUE(scheduler_.run(volume.zero(100, 50, {})).ok());
  ASSERT_TRUE(scheduler_.run(volume.zero(5000, 10'000, {.may_deallocate = false})).ok());
  EXPECT_EQ(read(volume, 99, 52)[0], 9);
  EXPECT_EQ(read(volume, 100, 50), times(50, 0));
  EXPECT_EQ(read(volume, 150, 4850), times(4850, 9));
  EXPECT_EQ(read(volume, 5000, 10'000), times(10'000, 0));
  EXPECT_EQ(read(volume, 15'000, 100), times(100, 9));
  // A trim leaves the edges as they were.
  ASSERT_TRUE(scheduler_.run(volume.trim(20'000, 10'000)).ok());
  EXPECT_EQ(read(volume, 20'000, 480), times(480, 9));
  EXPECT_EQ(read(volume, 20'480, 8192), times(8192, 0));
  EXPECT_EQ(read(volume, 28'672, 1000), times(1000, 9));
  const std::uint64_t before = sequencer_.last().value;
  ASSERT_TRUE(scheduler_.run(volume.trim(30'000, 100)).ok());
  EXPECT_EQ(sequencer_.last().value, before);  // nothing to do, nothing recorded
}

TEST_F(VolumeTest, AllocationShowsWhatIsKnownToBeZero) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(scheduler_.run(volume.trim(0, 1 << 20)).ok());
  ASSERT_TRUE(write(volume, 8192, 4096, 1).ok());
  ASSERT_TRUE(scheduler_.run(volume.zero(16384, 4096, {.may_deallocate = false})).ok());
  const auto extents = scheduler_.run(volume.allocation(100, 30'000, 16));
  ASSERT_TRUE(extents.ok());
  EXPECT_EQ(*extents, (std::vector<AllocationExtent>{{8092, true, true},
                                                     {4096, false, false},
                                                     {4096, true, true},
                                                     {4096, false, true},
                                                     {9620, true, true}}));
  EXPECT_EQ(scheduler_.run(volume.allocation(100, 30'000, 2))->size(), 2u);
}

TEST_F(VolumeTest, AFlushOfWhatIsDurableCostsNothing) {
  Volume& volume = make({.size_bytes = 1 << 20, .checkpoint_interval = seconds(100)});
  ASSERT_TRUE(scheduler_.run(volume.flush()).ok());
  EXPECT_EQ(store_->ios(), 0u);
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  ASSERT_TRUE(scheduler_.run(volume.flush()).ok());
  EXPECT_EQ(store_->ios(), 1u);
  ASSERT_TRUE(scheduler_.run(volume.flush()).ok());
  EXPECT_EQ(store_->ios(), 1u);
}

TEST_F(VolumeTest, ANullRecorderMakesEverythingDurableAtOnce) {
  NullRecorder nothing(scheduler_);
  {
    Volume& volume = make({.size_bytes = 1 << 20}, &nothing);
    ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
    EXPECT_EQ(nothing.durable_lsn(), sequencer_.last());
    ASSERT_TRUE(close(volume).ok());
    EXPECT_EQ(store_->content("backing/v1", 0, 1)[0], std::byte{1});
  }
  volumes_.clear();
}

TEST_F(VolumeTest, AReadOnlyVolumeRefusesChangesAndServesReads) {
  Volume& volume = make({.size_bytes = 1 << 20, .read_only = true});
  EXPECT_EQ(write(volume, 0, 4096, 1).error().code, EPERM);
  EXPECT_EQ(scheduler_.run(volume.zero(0, 4096, {})).error().code, EPERM);
  EXPECT_EQ(scheduler_.run(volume.trim(0, 4096)).error().code, EPERM);
  EXPECT_EQ(read(volume, 0, 100), times(100, 0));
  EXPECT_TRUE(scheduler_.run(volume.flush()).ok());
}

TEST_F(VolumeTest, AClosedVolumeIsWrittenBackAndRefusesRequests) {
  Volume& volume = make({.size_bytes = 1 << 20, .checkpoint_interval = seconds(100)});
  ASSERT_TRUE(write(volume, 4096, 4096, 4).ok());
  ASSERT_TRUE(close(volume).ok());
  EXPECT_EQ(store_->content("backing/v1", 4096, 1)[0], std::byte{4});
  EXPECT_EQ(recorder_->truly_durable(), sequencer_.last());  // the checkpoint too
  EXPECT_EQ(write(volume, 0, 4096, 1).error().code, ESHUTDOWN);
  EXPECT_EQ(scheduler_.run(volume.read(0, 4096)).error().code, ESHUTDOWN);
}

TEST_F(VolumeTest, AReadErrorIsTheReadersAlone) {
  Volume& volume = make({.size_bytes = 1 << 20});
  store_->inject({.path_contains = "backing", .kind = IoKind::kRead, .skip = 0});
  EXPECT_EQ(scheduler_.run(volume.read(0, 4096)).error().code, EIO);
  EXPECT_EQ(read(volume, 0, 10), times(10, 0));
  // Below a sub-block write as well; its admission is given back (SimRecorder checks).
  store_->inject({.path_contains = "backing", .kind = IoKind::kRead});
  EXPECT_EQ(write(volume, 10, 10, 1).error().code, EIO);
  EXPECT_TRUE(write(volume, 10, 10, 1).ok());
  EXPECT_FALSE(volume.fence_reason());
}

TEST_F(VolumeTest, DirtyMemoryIsBounded) {
  constexpr std::size_t kBudgetBlocks = 64;
  Volume& volume = make({.size_bytes = 64 << 20, .dirty_budget_bytes = kBudgetBlocks * 4096});
  TaskGroup group(scheduler_);
  const auto writer = [](Volume& to, std::uint64_t number) -> Task<void> {
    for (std::uint64_t i = 0; i < 30; ++i) {
      const Status status = co_await write_task(to, (i * 16 + number) * 32768, 32768, 1);
      CHECK(status.ok());
    }
  };
  for (std::uint64_t i = 0; i < 16; ++i) group.spawn(writer(volume, i));
  std::uint64_t most = 0;
  const bool ended = scheduler_.run_until([&] {
    most = std::max(most, volume.statistics().dirty_bytes);
    return group.running() == 0;
  });
  EXPECT_TRUE(ended);
  EXPECT_GT(most, kBudgetBlocks * 4096 / 2);
  EXPECT_LE(most, (kBudgetBlocks + 8) * 4096);  // one request over
}

TEST_F(VolumeTest, AShortageOfPagesIsRelievedByWriteBack) {
  // The budget alone would let the volume take all the pages of the pool, and more.
  Volume& volume = make({.size_bytes = 64 << 20, .checkpoint_interval = seconds(1000)});
  for (std::uint64_t i = 0; i < 64; ++i) {
    ASSERT_TRUE(write(volume, i << 18, 1 << 18, static_cast<int>(i)).ok());
  }
  EXPECT_GT(volume.statistics().passes, 2u);
  EXPECT_EQ(read(volume, 63 << 18, 1)[0], 63);
  EXPECT_EQ(read(volume, 1 << 18, 1)[0], 1);
}

TEST_F(VolumeTest, AnOldReadDoesNotHoldBackAFullPool) {
  Volume& volume = make({.size_bytes = 1 << 20});
  const Result<PageList> kept = scheduler_.run(volume.read(0, 1 << 20));
  ASSERT_TRUE(kept.ok());
  // Sub-block writes read through pages of their own, whoever sits on the pool's.
  const PageList rest = scheduler_.run(read_pages_.acquire(read_pages_.available()));
  EXPECT_TRUE(write(volume, 10, 10, 1).ok());
}

TEST_F(VolumeTest, Rule3AnIdleVolumeWritesNothing) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  scheduler_.run_for(seconds(10));
  EXPECT_EQ(volume.statistics().checkpoint, volume.statistics().last);
  const std::uint64_t ios = store_->ios();
  const std::size_t records = log_->size();
  scheduler_.run_for(seconds(3600));
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  EXPECT_EQ(store_->ios(), ios);
  EXPECT_EQ(log_->size(), records);
}

// Sub-block A waits for its read; B covers the same block and comes later.
TEST_F(VolumeTest, Rule4AWriteDoesNotOvertakeAReadModifyWriteOfItsBlock) {
  Volume& volume = make({.size_bytes = 1 << 20, .checkpoint_interval = seconds(1000)});
  TaskGroup group(scheduler_);
  const auto writer = [](Volume& to, std::uint64_t offset, std::uint32_t bytes,
                         int fill) -> Task<void> {
    const Status status = co_await write_task(to, offset, bytes, fill);
    CHECK(status.ok());
  };
  group.spawn(writer(volume, 100, 100, 1));
  const bool reading = scheduler_.run_until([&] { return store_->ios(IoKind::kRead) == 1; });
  ASSERT_TRUE(reading);
  group.spawn(writer(volume, 0, 4096, 2));
  const auto trimmer = [](Volume& to) -> Task<void> {
    const Status status = co_await to.trim(0, 1 << 20);
    CHECK(status.ok());
  };
  scheduler_.run(group.join());
  ASSERT_EQ(log_->size(), 2u);
  EXPECT_EQ((*log_)[0].data[100], std::byte{1});
  EXPECT_EQ((*log_)[0].data[99], std::byte{0});
  EXPECT_EQ((*log_)[1].data[100], std::byte{2});
  EXPECT_EQ(read(volume, 0, 4096), times(4096, 2));
  // A trim waits in the same way.
  group.spawn(writer(volume, 5000, 100, 3));
  ASSERT_TRUE(scheduler_.run_until([&] { return store_->ios(IoKind::kRead) == 2; }));
  group.spawn(trimmer(volume));
  scheduler_.run(group.join());
  EXPECT_EQ(log_->back().kind, sim::LogRecord::Kind::kTrim);
  EXPECT_EQ(read(volume, 5000, 100), times(100, 0));
}

// A block is written, a pass begins, and the block is written again with the same bytes: the pass
// leaves it out, and its checkpoint covers the first version. The second must bring the bytes.
TEST_F(VolumeTest, Rule5ARepeatDuringAPassIsRecordedWhole) {
  Volume& volume = make({.size_bytes = 1 << 20, .checkpoint_interval = seconds(1000)});
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  EXPECT_TRUE(log_->back().same[0]);
  TaskGroup group(scheduler_);
  const auto checkpoint = [](Volume& of) -> Task<void> {
    const Status status = co_await of.checkpoint();
    CHECK(status.ok());
  };
  group.spawn(checkpoint(volume));
  ASSERT_TRUE(scheduler_.run_until([&] { return store_->ios(IoKind::kWriteDurably) == 1; }));
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  EXPECT_EQ(log_->back().kind, sim::LogRecord::Kind::kWrite);
  EXPECT_FALSE(log_->back().same[0]);
  scheduler_.run(group.join());
  EXPECT_EQ(log_->back().kind, sim::LogRecord::Kind::kCheckpoint);
  EXPECT_EQ(log_->back().covered, Lsn{2});
}

// A boundary is drawn ahead of the pass that will write up to it. The same holds from then on.
TEST_F(VolumeTest, Rule5ARepeatBehindABoundaryThatIsAheadIsRecordedWhole) {
  Volume& volume = make({.size_bytes = 1 << 20,
                         .dirty_budget_bytes = 16 * kBlockBytes,
                         .checkpoint_interval = seconds(1000)});
  for (std::uint64_t block = 0; block < 7; ++block)  // more than three eighths of the budget
    ASSERT_TRUE(write(volume, block * kBlockBytes, kBlockBytes, 1).ok());
  ASSERT_TRUE(write(volume, 0, kBlockBytes, 1).ok());
  EXPECT_FALSE(log_->back().same[0]);
  ASSERT_TRUE(write(volume, 0, kBlockBytes, 1).ok());
  EXPECT_TRUE(log_->back().same[0]);
  ASSERT_EQ(store_->ios(IoKind::kWrite), 0u) << "no pass had begun to write";
  ASSERT_TRUE(scheduler_.run_until([&] { return volume.statistics().passes == 1; }));
  EXPECT_EQ(log_->back().covered, Lsn{7});
  EXPECT_EQ(volume.statistics().dirty_bytes, kBlockBytes);
}

TEST_F(VolumeTest, APassWritesWhileTheJournalIsFlushedForTheNext) {
  Volume& volume = make({.size_bytes = 1 << 20,
                         .dirty_budget_bytes = 32 * kBlockBytes,
                         .checkpoint_interval = seconds(1000)});
  const auto write_some = [&](std::uint64_t from) {
    for (std::uint64_t block = from; block < from + 13; ++block)
      ASSERT_TRUE(write(volume, block * kBlockBytes, kBlockBytes, 1).ok());
  };
  write_some(0);
  ASSERT_TRUE(scheduler_.run_until([&] { return store_->ios(IoKind::kWrite) > 0; }));
  const std::size_t frames = store_->ios(IoKind::kWriteDurably);
  write_some(20);
  // The last one drew a boundary ahead.
  EXPECT_EQ(volume.statistics().passes, 0u);
  ASSERT_TRUE(
      scheduler_.run_until([&] { return store_->ios(IoKind::kWriteDurably) == frames + 1; }));
  ASSERT_TRUE(scheduler_.run_until([&] { return volume.statistics().passes == 2; }));
  EXPECT_EQ(volume.statistics().dirty_bytes, 0u);
}

TEST_F(VolumeTest, ACheckpointThatIsAskedForCoversWhatCameBehindABoundaryThatIsAhead) {
  Volume& volume = make({.size_bytes = 1 << 20,
                         .dirty_budget_bytes = 16 * kBlockBytes,
                         .checkpoint_interval = seconds(1000)});
  for (std::uint64_t block = 0; block < 9; ++block)
    ASSERT_TRUE(write(volume, block * kBlockBytes, kBlockBytes, 1).ok());
  ASSERT_EQ(volume.statistics().passes, 0u);
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  EXPECT_EQ(log_->back().covered, Lsn{9});
  EXPECT_EQ(volume.statistics().dirty_bytes, 0u);
}

// I/Os and records that trimming `bytes` of a dirty volume and bringing it to disk take.
TEST_F(VolumeTest, Rule6ATrimOf16TiBCostsTheSameAsOneOf1MiB) {
  constexpr std::uint64_t kSize = std::uint64_t{16} << 40;
  std::vector<std::pair<std::uint64_t, std::size_t>> costs;
  for (const std::uint64_t bytes : {std::uint64_t{1} << 20, kSize}) {
    Volume& volume = make({.size_bytes = kSize});
    ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
    ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
    const std::uint64_t ios = store_->ios();
    const std::size_t records = log_->size();
    ASSERT_TRUE(scheduler_.run(volume.trim(0, bytes)).ok());
    EXPECT_EQ(volume.statistics().dirty_extents, 1u);
    ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
    costs.emplace_back(store_->ios() - ios, log_->size() - records);
    EXPECT_EQ(read(volume, 0, 10), times(10, 0));
    ASSERT_TRUE(close(volume).ok());
  }
  EXPECT_EQ(costs[0], costs[1]);
  EXPECT_EQ(costs[0].second, 2u);  // the trim and the checkpoint
}

TEST_F(VolumeTest, Rule13AFailedBackingStoreFencesItsVolumeAlone) {
  for (const IoKind kind : {IoKind::kWrite, IoKind::kSync, IoKind::kZeroRange}) {
    Volume& bad = make({.size_bytes = 1 << 20});
    Volume& good = make({.size_bytes = 1 << 20});
    ASSERT_TRUE(write(bad, 0, 4096, 1).ok());
    ASSERT_TRUE(scheduler_.run(bad.trim(8192, 4096)).ok());
    ASSERT_TRUE(write(good, 0, 4096, 1).ok());
    store_->inject({.path_contains = "backing/" + bad.name(), .kind = kind});
    EXPECT_EQ(scheduler_.run(bad.checkpoint()).error().code, EIO);
    ASSERT_TRUE(bad.fence_reason());
    EXPECT_NE(bad.fence_reason()->message.find("backing/" + bad.name()), std::string::npos)
        << bad.fence_reason()->message;
    EXPECT_EQ(write(bad, 0, 4096, 1).error().code, EIO);
    EXPECT_EQ(scheduler_.run(bad.read(0, 1)).error().code, EIO);
    EXPECT_EQ(scheduler_.run(bad.flush()).error().code, EIO);
    EXPECT_EQ(bad.statistics().dirty_bytes, 0u);
    EXPECT_EQ(close(bad).error().code, EIO);
    EXPECT_TRUE(scheduler_.run(good.checkpoint()).ok());
    EXPECT_TRUE(write(good, 0, 4096, 1).ok());
    EXPECT_FALSE(good.fence_reason());
  }
}

TEST_F(VolumeTest, Rule13AFailedRecorderFencesTheVolume) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  store_->inject({.path_contains = "log", .sticky = true});
  EXPECT_EQ(scheduler_.run(volume.flush()).error().code, EIO);
  EXPECT_EQ(write(volume, 0, 4096, 1).error().code, EIO);
  ASSERT_TRUE(volume.fence_reason());
  EXPECT_NE(volume.fence_reason()->message.find("log"), std::string::npos);
  EXPECT_EQ(store_->ios(IoKind::kWrite), 0u);  // what is not durable stays off the backing store
}

TEST_F(VolumeTest, Rule14AFullJournalRefusesChangesAndFencesNothing) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(write(volume, 0, 4096, 1).ok());
  recorder_->set_capacity(1);
  EXPECT_EQ(write(volume, 0, 4096, 2).error().code, ENOSPC);
  EXPECT_EQ(scheduler_.run(volume.trim(0, 4096)).error().code, ENOSPC);
  EXPECT_EQ(scheduler_.run(volume.checkpoint()).error().code, ENOSPC);
  EXPECT_TRUE(scheduler_.run(volume.flush()).ok());
  EXPECT_EQ(read(volume, 0, 4096), times(4096, 1));
  EXPECT_FALSE(volume.fence_reason());
  recorder_->set_capacity(100);
  EXPECT_TRUE(write(volume, 0, 4096, 2).ok());
  EXPECT_TRUE(scheduler_.run(volume.checkpoint()).ok());
}

TEST_F(VolumeTest, Rule17ShrinkingIsATrimOfTheTail) {
  Volume& volume = make({.size_bytes = 1 << 20});
  ASSERT_TRUE(write(volume, 0, 100'000, 6).ok());
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  ASSERT_TRUE(scheduler_.run(volume.resize(50'000)).ok());
  EXPECT_EQ(volume.size_bytes(), 50'000u);
  EXPECT_EQ(log_->back().kind, sim::LogRecord::Kind::kTrim);
  EXPECT_EQ(log_->back().first_block, 13u);
  EXPECT_EQ(log_->back().blocks, 256u - 13);
  ASSERT_TRUE(scheduler_.run(volume.resize(1 << 20)).ok());
  EXPECT_EQ(read(volume, 49'999, 2), (std::vector<int>{6, 0}));
  EXPECT_EQ(read(volume, 50'000, 50'000), times(50'000, 0));
  const Status longer = scheduler_.run(volume.resize(2 << 20));
  EXPECT_EQ(longer.error().code, EINVAL);  // the backing store is too short
  EXPECT_EQ(volume.size_bytes(), 1u << 20);
}

}  // namespace
}  // namespace cdp
