// SPDX-License-Identifier: Apache-2.0
//
// Hydration and replacement of a volume, case by case. Random and crash tests of it are in
// tests/sim.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <set>

#include "cdp/block_set.h"
#include "cdp/volume.h"
#include "tests/sim/random.h"
#include "tests/sim/sim_recorder.h"
#include "tests/sim/sim_store.h"

namespace cdp {
namespace {

using sim::IoKind;
using sim::SimLog;
using sim::SimRecorder;
using sim::SimScheduler;
using sim::SimStore;

// ---------------------------------------------------------------- BlockSet

TEST(BlockSet, IsASetOfBlocks) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    sim::Random random(seed);
    BlockSet set;
    std::set<std::uint64_t> model;
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t first = random.below(200);
      const std::uint64_t end = first + random.below(random.coin() ? 3 : 30);
      if (random.chance(95)) {
        set.add(first, end);
        for (std::uint64_t b = first; b < end; ++b) model.insert(b);
      } else {
        set.remove_before(first / 4);
        model.erase(model.begin(), model.lower_bound(first / 4));
      }
      ASSERT_EQ(set.blocks(), model.size()) << "seed " << seed;
      std::size_t intervals = 0;
      for (const std::uint64_t b : model) intervals += b == 0 || !model.contains(b - 1) ? 1 : 0;
      ASSERT_EQ(set.intervals(), intervals) << "seed " << seed;
      const std::uint64_t at = random.below(230);
      const BlockSet::Stretch stretch = set.stretch_at(at, 40);
      ASSERT_EQ(stretch.in, model.contains(at));
      ASSERT_EQ(set.contains(at), model.contains(at));
      ASSERT_GE(stretch.blocks, 1u);
      for (std::uint64_t b = at; b < at + stretch.blocks; ++b)
        ASSERT_EQ(model.contains(b), stretch.in) << "seed " << seed;
      ASSERT_TRUE(stretch.blocks == 40 || model.contains(at + stretch.blocks) != stretch.in);
      std::uint64_t end_of = at;
      while (model.contains(end_of)) ++end_of;
      ASSERT_EQ(set.end_of(at), end_of);
    }
  }
}

TEST(BlockSet, SixteenTebibytesAreOneIntervalAndCrowdsAreFound) {
  BlockSet set;
  set.add(0, std::uint64_t{1} << 32);
  EXPECT_EQ(set.intervals(), 1u);
  EXPECT_FALSE(set.most_crowded(4096).has_value());
  set.clear();
  for (const std::uint64_t block : {5u, 100u, 102u, 104u, 210u, 220u}) set.add(block, block + 1);
  EXPECT_EQ(set.most_crowded(100), 1u);
}

// ---------------------------------------------------------------- the volume

constexpr std::uint64_t kBlocks = 64;

// Every block is filled with one value; those of value 0 are zeroes.
class FilledSource final : public HydrationSource {
 public:
  FilledSource(Scheduler& scheduler, PagePool& pages, std::vector<int> fills)
      : scheduler_(scheduler), pages_(pages), fills_(std::move(fills)) {}

  Task<Result<PageList>> read(std::uint64_t first, std::uint32_t count) override {
    ++reads;
    blocks_read += count;
    PageList pages = co_await pages_.acquire(count);
    co_await sleep_for(scheduler_, delay);
    if (fails) co_return make_error(EIO, "the vault is gone (simulated)");
    for (std::uint32_t i = 0; i < count; ++i)
      std::memset(pages[i].data(), fill(first + i), kBlockBytes);
    co_return std::move(pages);
  }
  Task<Result<Differing>> differing(std::uint64_t first, std::uint64_t end) override {
    Differing found{.stretches = {}, .next = end};
    for (std::uint64_t block = first; block < end; ++block)
      if (!same.contains(block)) found.stretches.push_back({block, 1, fill(block) == 0});
    co_return found;
  }

  std::set<std::uint64_t> same;  // the backing store does not differ there
  bool fails = false;
  Nanos delay = milliseconds(1);
  std::uint64_t reads = 0;
  std::uint64_t blocks_read = 0;

 private:
  int fill(std::uint64_t block) const { return block < fills_.size() ? fills_[block] : 0; }

  Scheduler& scheduler_;
  PagePool& pages_;
  const std::vector<int> fills_;
};

class HydrationTest : public testing::Test {
 protected:
  HydrationTest() {
    log_disk_ = store_->create_disk("log", SimRecorder::kDiskBytes);
    recorder_ = std::make_unique<SimRecorder>(scheduler_, *log_disk_, log_);
  }
  ~HydrationTest() override {
    for (auto& volume : volumes_) scheduler_.run(volume->close()).ok();
    volumes_.clear();
    sources_.clear();
    scheduler_.run(recorder_->close());
  }

  std::shared_ptr<FilledSource> source(std::vector<int> fills) {
    sources_.push_back(std::make_shared<FilledSource>(scheduler_, source_pages_, std::move(fills)));
    return sources_.back();
  }
  Volume& make(VolumeOptions options, VolumeHydration hydration = {}) {
    const auto number = static_cast<std::uint32_t>(volumes_.size() + 1);
    options.id = VolumeId{number};
    options.name = fmt::format("v{}", number);
    if (options.size_bytes == 0) options.size_bytes = kBlocks * kBlockBytes;
    backings_.push_back(store_->create_disk("backing/" + options.name,
                                            std::max(options.size_bytes, kBlocks * kBlockBytes)));
    volumes_.push_back(
        std::make_unique<Volume>(VolumeParts{scheduler_, sequencer_, *recorder_, *backings_.back(),
                                             write_pages_, read_pages_},
                                 options, std::move(hydration)));
    return *volumes_.back();
  }
  static Task<Status> write_task(Volume& volume, std::uint64_t offset, std::uint32_t bytes,
                                 int fill) {
    Result<PageList> pages = co_await volume.pages_for_write(offset, bytes);
    if (!pages.ok()) co_return pages.error();
    for (PageRef& page : *pages) std::memset(page.data(), fill, kBlockBytes);
    co_return co_await volume.write(offset, bytes, std::move(*pages));
  }
  Status write(Volume& volume, std::uint64_t block, int fill) {
    return scheduler_.run(write_task(volume, block * kBlockBytes, kBlockBytes, fill));
  }
  // The first byte of each block, or nothing after an error.
  std::vector<int> read(Volume& volume, std::uint64_t first, std::uint32_t count) {
    const Result<PageList> pages =
        scheduler_.run(volume.read(first * kBlockBytes, count * kBlockBytes));
    std::vector<int> found;
    if (!pages.ok()) return found;
    for (const PageRef& page : *pages) found.push_back(static_cast<int>(page.data()[7]));
    return found;
  }
  std::vector<int> stored(const char* path) {
    std::vector<int> found;
    for (std::uint64_t block = 0; block < kBlocks; ++block)
      found.push_back(static_cast<int>(store_->content(path, block * kBlockBytes, 1)[0]));
    return found;
  }
  bool hydrate(Volume& volume) {
    return scheduler_.run_until([&] { return !volume.statistics().hydrating; }, seconds(600));
  }
  // As an appliance does.
  Status roll_back(Volume& volume, std::shared_ptr<HydrationSource> to, std::uint64_t size_bytes) {
    const Status held = scheduler_.run(volume.begin_replacement());
    if (!held.ok()) return held;
    record_and_finish(volume, std::move(to), size_bytes);
    return {};
  }
  void record_and_finish(Volume& volume, std::shared_ptr<HydrationSource> to,
                         std::uint64_t size_bytes) {
    const Stamp stamp = sequencer_.next();
    recorder_->record_rollback(volume.id(), stamp, Lsn{stamp.lsn.value - 1}, size_bytes);
    ASSERT_TRUE(scheduler_.run(recorder_->flush(stamp.lsn)).ok());
    volume.finish_replacement(std::move(to), size_bytes, stamp.lsn);
  }

  SimScheduler scheduler_{7};
  sim::SimClock clock_{scheduler_};
  Sequencer sequencer_{clock_};
  std::shared_ptr<SimStore> store_ = SimStore::make(scheduler_, 7);
  std::shared_ptr<SimLog> log_ = std::make_shared<SimLog>();
  PagePool write_pages_{scheduler_, 64};
  PagePool read_pages_{scheduler_, 600};
  PagePool source_pages_{scheduler_, 600};
  std::unique_ptr<Disk> log_disk_;
  std::unique_ptr<SimRecorder> recorder_;
  std::vector<std::unique_ptr<Disk>> backings_;
  std::vector<std::unique_ptr<Volume>> volumes_;
  std::vector<std::shared_ptr<FilledSource>> sources_;
};

std::vector<int> filled(int with) { return std::vector<int>(kBlocks, with); }

TEST_F(HydrationTest, AnswersAtOnceAndCopiesOnlyWhatDiffers) {
  std::vector<int> wanted = filled(5);
  wanted[9] = 0;
  const auto of = source(wanted);
  of->same = {9, 10, 11};
  Volume& volume = make({}, {.source = of, .first_block = 0, .upto = Lsn{0}});
  EXPECT_EQ(read(volume, 8, 4), (std::vector<int>{5, 0, 5, 5}));
  EXPECT_TRUE(volume.statistics().hydrating);
  ASSERT_TRUE(hydrate(volume));
  EXPECT_EQ(volume.statistics().hydrated_bytes, (kBlocks - 3) * kBlockBytes);
  EXPECT_EQ(of->blocks_read, kBlocks - 3 + 4);
  std::vector<int> found = stored("backing/v1");
  EXPECT_EQ(found[8], 5);
  EXPECT_EQ(found[10], 0) << "the source said that it does not differ";
  const auto recorded = [&] { return !log_->empty() && !log_->back().hydrated_upto; };
  ASSERT_TRUE(scheduler_.run_until(recorded, seconds(10)));
  EXPECT_EQ(of.use_count(), 2) << "the source is released";
  EXPECT_FALSE(volume.hydration_problem().has_value());
}

TEST_F(HydrationTest, PartOfABlockIsWrittenOverWhatTheSourceHas) {
  const auto of = source(filled(5));
  Volume& volume = make({}, {.source = of, .first_block = 0, .upto = Lsn{0}});
  of->fails = true;
  EXPECT_EQ(scheduler_.run(write_task(volume, 50 * kBlockBytes + 100, 10, 6)).error().code, EIO);
  of->fails = false;
  ASSERT_TRUE(scheduler_.run(write_task(volume, 50 * kBlockBytes + 100, 10, 6)).ok());
  EXPECT_EQ(read(volume, 50, 1), (std::vector<int>{5}));
  EXPECT_EQ(log_->back().data[99], std::byte{5});
  EXPECT_EQ(log_->back().data[100], std::byte{6});
  const auto extents = scheduler_.run(volume.allocation(0, kBlocks * kBlockBytes, 8));
  EXPECT_EQ(*extents, (std::vector<AllocationExtent>{{kBlocks * kBlockBytes, false, false}}));
}

TEST_F(HydrationTest, WhatClientsWriteIsNeverReadFromTheSourceAgain) {
  const auto of = source(filled(5));
  of->delay = seconds(1);  // writes overtake it
  Volume& volume = make({.checkpoint_interval = milliseconds(1),
                         .hydration = {.zone_blocks = 8, .step_bytes = 8 * kBlockBytes}},
                        {.source = of, .first_block = 0, .upto = Lsn{0}});
  scheduler_.run_for(milliseconds(100));  // a step copies the first blocks
  for (std::uint64_t block = 0; block < kBlocks; ++block) ASSERT_TRUE(write(volume, block, 7).ok());
  EXPECT_EQ(read(volume, 0, kBlocks), filled(7));
  ASSERT_TRUE(hydrate(volume));
  EXPECT_EQ(read(volume, 0, kBlocks), filled(7));
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  EXPECT_EQ(stored("backing/v1"), filled(7));
  EXPECT_LE(of->blocks_read, 16u);
}

TEST_F(HydrationTest, WhatClientsReadComesFirst) {
  const auto of = source(filled(5));
  of->delay = milliseconds(50);
  Volume& volume = make({.hydration = {.zone_blocks = 8, .step_bytes = 8 * kBlockBytes}},
                        {.source = of, .first_block = 0, .upto = Lsn{0}});
  EXPECT_EQ(read(volume, 42, 1), (std::vector<int>{5}));
  const auto zone_is_there = [&] {
    const std::vector<int> found = stored("backing/v1");
    return std::count(found.begin() + 40, found.begin() + 48, 5) == 8;
  };
  ASSERT_TRUE(scheduler_.run_until(zone_is_there, seconds(10)));
  EXPECT_EQ(stored("backing/v1")[31], 0);
  EXPECT_TRUE(volume.statistics().hydrating);
}

TEST_F(HydrationTest, ManyIntervalsAreMadeFewer) {
  const auto of = source(filled(5));
  Volume& volume = make({.checkpoint_interval = milliseconds(1),
                         .hydration = {.zone_blocks = 16,
                                       .step_bytes = 16 * kBlockBytes,
                                       .intervals_max = 4,
                                       .bytes_per_second = 1 << 10}},
                        {.source = of, .first_block = 0, .upto = Lsn{0}});
  for (std::uint64_t block = 17; block < 32; block += 2) ASSERT_TRUE(write(volume, block, 7).ok());
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  // The rate would allow one block in four seconds; memory comes first.
  scheduler_.run_for(seconds(80));
  EXPECT_EQ(stored("backing/v1")[30], 5);
  EXPECT_EQ(stored("backing/v1")[31], 7);
}

TEST_F(HydrationTest, ARateIsKeptAndCanBeChanged) {
  const auto of = source(filled(5));
  Volume& volume = make({.hydration = {.bytes_per_second = 64 << 10}},
                        {.source = of, .first_block = 0, .upto = Lsn{0}});
  scheduler_.run_for(milliseconds(1900));
  const std::uint64_t slow = volume.statistics().hydrated_bytes;
  EXPECT_GE(slow, 64u << 10);
  EXPECT_LE(slow, 128u << 10);
  volume.set_hydration_rate(0);
  scheduler_.run_for(milliseconds(400));
  EXPECT_FALSE(volume.statistics().hydrating);
}

TEST_F(HydrationTest, ItsCheckpointsAreFewAndAStopSaysHowFarItHasCome) {
  constexpr std::uint64_t kSteps = 64;
  constexpr std::uint64_t kStepBlocks = 16;
  const auto of = source(std::vector<int>(kSteps * kStepBlocks, 5));
  of->delay = seconds(1);  // a step takes as long
  Volume& volume = make({.size_bytes = kSteps * kStepBlocks * kBlockBytes,
                         .checkpoint_interval = seconds(1),
                         .hydration = {.step_bytes = kStepBlocks * kBlockBytes}},
                        {.source = of, .first_block = 0, .upto = Lsn{0}});
  scheduler_.run_for(seconds(50));
  // After some 1, 3, 7, 15 and 31 seconds.
  EXPECT_EQ(log_->size(), 5u);
  EXPECT_GE(log_->back().hydrated_upto, 25 * kStepBlocks);
  const std::uint64_t hydrated = volume.statistics().hydrated_bytes / kBlockBytes;
  EXPECT_GE(hydrated, 45 * kStepBlocks);
  EXPECT_TRUE(volume.statistics().hydrating);
  ASSERT_TRUE(scheduler_.run(volume.close()).ok());
  volumes_.clear();
  ASSERT_TRUE(log_->back().hydrated_upto.has_value());
  EXPECT_GE(log_->back().hydrated_upto, hydrated);
}

TEST_F(HydrationTest, AFullDiskPausesItAndSaysSo) {
  const auto of = source(filled(5));
  store_->inject(
      {.path_contains = "backing", .kind = IoKind::kWrite, .sticky = true, .code = ENOSPC});
  Volume& volume = make({}, {.source = of, .first_block = 0, .upto = Lsn{0}});
  scheduler_.run_for(seconds(1));
  ASSERT_TRUE(volume.hydration_problem().has_value());
  EXPECT_EQ(volume.hydration_problem()->code, ENOSPC);
  EXPECT_FALSE(volume.fence_reason().has_value());
  EXPECT_EQ(read(volume, 0, kBlocks), filled(5));
  const std::uint64_t records = log_->size();
  scheduler_.run_for(seconds(30));
  EXPECT_EQ(log_->size(), records) << "what does not go on records nothing";
  store_->clear_faults();
  ASSERT_TRUE(hydrate(volume));
  EXPECT_FALSE(volume.hydration_problem().has_value());
  EXPECT_EQ(stored("backing/v1"), filled(5));
}

TEST_F(HydrationTest, ASourceThatCannotBeReadPausesItAndFencesNothing) {
  const auto of = source(filled(5));
  of->fails = true;
  Volume& volume = make({}, {.source = of, .first_block = 0, .upto = Lsn{0}});
  EXPECT_EQ(scheduler_.run(volume.read(0, 4096)).error().code, EIO);
  scheduler_.run_for(seconds(1));
  ASSERT_TRUE(volume.hydration_problem().has_value());
  EXPECT_NE(volume.hydration_problem()->message.find("the vault is gone"), std::string::npos);
  EXPECT_FALSE(volume.fence_reason().has_value());
  ASSERT_TRUE(write(volume, 3, 7).ok());
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok()) << "write-back goes on";
  EXPECT_EQ(read(volume, 3, 1), (std::vector<int>{7}));
  of->fails = false;
  ASSERT_TRUE(hydrate(volume));
  EXPECT_EQ(stored("backing/v1")[3], 7);
  EXPECT_EQ(stored("backing/v1")[4], 5);
}

TEST_F(HydrationTest, AnyOtherFailedWriteFencesTheVolume) {
  const auto of = source(filled(5));
  store_->inject({.path_contains = "backing", .kind = IoKind::kWrite, .sticky = true});
  Volume& volume = make({}, {.source = of, .first_block = 0, .upto = Lsn{0}});
  scheduler_.run_for(seconds(1));
  EXPECT_TRUE(volume.fence_reason().has_value());
  store_->clear_faults();
}

TEST_F(HydrationTest, ARollbackDropsWhatIsDirtyAndTheNextCheckpointCoversIt) {
  Volume& volume = make({.checkpoint_interval = seconds(1000)});
  ASSERT_TRUE(write(volume, 1, 3).ok());
  ASSERT_TRUE(roll_back(volume, source(filled(5)), (kBlocks - 1) * kBlockBytes).ok());
  const Lsn at = log_->back().lsn;
  EXPECT_EQ(volume.size_bytes(), (kBlocks - 1) * kBlockBytes);
  EXPECT_EQ(volume.statistics().dirty_bytes, 0u);
  EXPECT_EQ(read(volume, 1, 1), (std::vector<int>{5}));
  // The same bytes as what was dropped: the recorder checks that it is not told "as before".
  ASSERT_TRUE(write(volume, 1, 3).ok());
  ASSERT_TRUE(hydrate(volume));
  const auto checkpoint = std::find_if(log_->begin(), log_->end(), [&](const sim::LogRecord& r) {
    return r.kind == sim::LogRecord::Kind::kCheckpoint && r.lsn > at;
  });
  ASSERT_NE(checkpoint, log_->end());
  EXPECT_GE(checkpoint->covered, at);
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  EXPECT_EQ(stored("backing/v1")[1], 3);
  EXPECT_EQ(stored("backing/v1")[2], 5);
}

Task<void> write_late(Volume& volume, std::uint64_t offset, int fill, Status& outcome, bool& done,
                      Task<Status> (*task)(Volume&, std::uint64_t, std::uint32_t, int)) {
  outcome = co_await task(volume, offset, kBlockBytes, fill);
  done = true;
}

TEST_F(HydrationTest, RequestsWaitWhileVolumesAreHeldAndMeetTheNewSize) {
  Volume& one = make({});
  Volume& two = make({});
  ASSERT_TRUE(write(one, 0, 1).ok());
  ASSERT_TRUE(write(two, 0, 1).ok());
  ASSERT_TRUE(scheduler_.run(one.begin_replacement()).ok());
  ASSERT_TRUE(scheduler_.run(two.begin_replacement()).ok());
  EXPECT_EQ(scheduler_.run(one.begin_replacement()).error().code, EBUSY);
  TaskGroup group(scheduler_);
  Status inside, behind, other;
  bool inside_done = false, behind_done = false, other_done = false;
  group.spawn(write_late(one, 0, 9, inside, inside_done, &write_task));
  group.spawn(write_late(one, (kBlocks - 1) * kBlockBytes, 9, behind, behind_done, &write_task));
  group.spawn(write_late(two, 0, 9, other, other_done, &write_task));
  scheduler_.run_for(seconds(5));
  EXPECT_FALSE(inside_done || behind_done || other_done);
  record_and_finish(one, source(filled(5)), 8 * kBlockBytes);
  two.abandon_replacement();
  scheduler_.run(group.join());
  EXPECT_TRUE(inside.ok());
  EXPECT_EQ(behind.error().code, EIO);
  EXPECT_TRUE(other.ok());
  EXPECT_EQ(read(one, 0, 2), (std::vector<int>{9, 5}));
  EXPECT_EQ(read(two, 0, 2), (std::vector<int>{9, 0}));
}

// What waits at the gate holds pages; what is past it must get through all the same.
TEST_F(HydrationTest, AGateFullOfWritersStopsNoReplacement) {
  Volume& one = make({});
  Volume& two = make({.dirty_budget_bytes = kBlockBytes});
  ASSERT_TRUE(scheduler_.run(one.begin_replacement()).ok());
  TaskGroup group(scheduler_);
  std::vector<Status> outcomes(80);
  std::unique_ptr<bool[]> done(new bool[80]());
  for (std::size_t i = 0; i < 40; ++i)
    group.spawn(write_late(one, i * kBlockBytes, 9, outcomes[i], done[i], &write_task));
  for (std::size_t i = 40; i < 80; ++i)
    group.spawn(write_late(two, (i - 40) * kBlockBytes, 9, outcomes[i], done[i], &write_task));
  scheduler_.run_for(milliseconds(1));
  ASSERT_TRUE(scheduler_.run(two.begin_replacement()).ok());
  two.abandon_replacement();
  one.abandon_replacement();
  scheduler_.run(group.join());
  for (const Status& outcome : outcomes) EXPECT_TRUE(outcome.ok());
}

TEST_F(HydrationTest, Rule10_WritersAreRefusedUntilTheVolumeIsResumed) {
  Volume& volume = make({});
  volume.refuse_changes(true);
  EXPECT_TRUE(volume.read_only());
  const Status refused = write(volume, 0, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EPERM);
  EXPECT_NE(refused.error().message.find("unmount"), std::string::npos);
  EXPECT_NE(refused.error().message.find("hindsight volume resume v1"), std::string::npos);
  EXPECT_EQ(scheduler_.run(volume.trim(0, 4096)).error().code, EPERM);
  EXPECT_EQ(scheduler_.run(volume.zero(0, 4096, {})).error().code, EPERM);
  EXPECT_EQ(read(volume, 0, 1), (std::vector<int>{0}));
  EXPECT_TRUE(scheduler_.run(volume.flush()).ok());
  ASSERT_TRUE(roll_back(volume, source(filled(5)), kBlocks * kBlockBytes).ok());
  EXPECT_FALSE(write(volume, 0, 1).ok()) << "a rollback may follow, and does not lift it";
  volume.refuse_changes(false);
  EXPECT_FALSE(volume.read_only());
  EXPECT_TRUE(write(volume, 0, 1).ok());
}

// Rolled back to when it was smaller, and on to when it was longer: what the backing store has
// behind the nearer end must not come back.
TEST_F(HydrationTest, Rule11_WhatLiesBehindTheEndIsHydratedToo) {
  Volume& volume = make({});
  for (std::uint64_t block = 0; block < kBlocks; ++block) ASSERT_TRUE(write(volume, block, 7).ok());
  ASSERT_TRUE(scheduler_.run(volume.checkpoint()).ok());
  std::vector<int> half = filled(0);
  std::fill_n(half.begin(), kBlocks / 2, 5);
  ASSERT_TRUE(roll_back(volume, source(half), kBlocks / 2 * kBlockBytes).ok());
  ASSERT_TRUE(hydrate(volume));
  EXPECT_EQ(stored("backing/v1"), half);
}

}  // namespace
}  // namespace cdp
