// SPDX-License-Identifier: Apache-2.0
#include "restore/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "tests/sim/same_bytes.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/unit/restore/model_block_map.h"

namespace restore {
namespace {

using cdp::kBlockBytes;

// Runs made up on demand: byte i of a block tells segment, run and index.
class FakeRuns final : public RunSource {
 public:
  explicit FakeRuns(cdp::Scheduler& scheduler) : scheduler_(scheduler) {}

  static std::byte content(const journal::BlockPlace& place, std::size_t i) {
    return std::byte(
        (place.segment * 31 + place.run_offset / 4096 * 7 + place.index * 3u + i / 512 + 1) & 0xff);
  }
  Task<cdp::Result<std::vector<journal::RunRef>>> runs(
      std::vector<journal::BlockPlace> places) override {
    EXPECT_LE(places.size(), journal::BlockReader::kStretchRunsMax);
    EXPECT_LE(places.back().run_offset + places.back().run_bytes - places.front().run_offset,
              journal::BlockReader::kStretchBytesMax);
    ++in_flight;
    most_in_flight = std::max(most_in_flight, in_flight);
    co_await cdp::yield(scheduler_);
    --in_flight;
    std::vector<journal::RunRef> found;
    for (const journal::BlockPlace& place : places) {
      ++reads[{place.segment, place.run_offset}];
      EXPECT_EQ(place.segment, places.front().segment);
      if (place.segment == bad_segment) co_return cdp::make_error(EIO, "run is damaged");
      found.push_back(made_up(place));
    }
    co_return found;
  }

  std::map<std::pair<std::uint32_t, std::uint32_t>, int> reads;
  int in_flight = 0;
  int most_in_flight = 0;
  std::uint32_t bad_segment = 0;

 private:
  static journal::RunRef made_up(const journal::BlockPlace& place) {
    std::vector<std::byte> blocks;
    for (std::uint16_t index = 0; index <= place.index; ++index) {
      journal::BlockPlace at = place;
      at.index = index;
      for (std::size_t i = 0; i < kBlockBytes; ++i) blocks.push_back(content(at, i));
    }
    return std::make_shared<const journal::Run>(std::move(blocks));
  }

  cdp::Scheduler& scheduler_;
};

// The image; a byte may be given once only.
class ModelConsumer final : public ExtentConsumer {
 public:
  ModelConsumer(cdp::Scheduler& scheduler, std::uint64_t size_bytes, bool ordered)
      : image(size_bytes, std::byte{0xee}),
        times(size_bytes, 0),
        scheduler_(scheduler),
        ordered_(ordered) {}

  Task<Status> data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    begin(offset, bytes.size());
    if (ordered_) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % kBlockBytes, 0u);
    }
    co_await cdp::yield(scheduler_);
    std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
    if (fail_after > 0 && --fail_after == 0) co_return cdp::make_error(ENOSPC, "full");
    co_return Status{};
  }
  Task<Status> zero(std::uint64_t offset, std::uint64_t length) override {
    begin(offset, length);
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    co_return Status{};
  }
  Task<Status> untouched(std::uint64_t offset, std::uint64_t length) override {
    begin(offset, length);
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0xaa});
    co_return Status{};
  }
  bool wants_offset_order() const override { return ordered_; }

  std::vector<std::byte> image;
  std::vector<int> times;
  int fail_after = 0;

 private:
  void begin(std::uint64_t offset, std::uint64_t length) {
    EXPECT_GT(length, 0u);
    if (ordered_) {
      EXPECT_EQ(offset, next_);
    }
    next_ = offset + length;
    for (std::uint64_t i = offset; i < next_; ++i) ++times.at(i);
  }
  cdp::Scheduler& scheduler_;
  bool ordered_;
  std::uint64_t next_ = 0;
};

constexpr journal::VolumeId kVolume{1};

// What the map has at its end.
ExportedRange everything(std::uint64_t size_bytes) {
  return {.visible = all_upto(kVolume, journal::Lsn{UINT64_MAX}), .size_bytes = size_bytes};
}

struct RandomMap {
  ModelBlockMap map;
  std::vector<std::byte> image;  // untouched 0xaa
};

RandomMap random_map(std::mt19937_64& random, std::uint64_t size_bytes) {
  RandomMap result;
  const std::uint64_t blocks = cdp::blocks_for(size_bytes);
  std::vector<std::byte> image(blocks * kBlockBytes, std::byte{0xaa});
  for (std::uint64_t lsn = 1; lsn <= 80; ++lsn) {
    const std::uint64_t first = random() % blocks;
    const std::uint64_t count = std::min<std::uint64_t>(1 + random() % 20, blocks - first);
    if (random() % 3 == 0) {
      result.map.add({{lsn}, kVolume, first, count});
      std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(first * kBlockBytes),
                  count * kBlockBytes, std::byte{0});
      continue;
    }
    journal::BlockPlace place{1 + static_cast<std::uint32_t>(random() % 3),
                              4096 * (1 + static_cast<std::uint32_t>(random() % 10)), 500,
                              static_cast<std::uint16_t>(random() % 16)};
    const std::uint64_t stored = std::min<std::uint64_t>(count, 16u - place.index);
    result.map.add({{lsn}, kVolume, first, stored, journal::index::BlockState::kData, place});
    for (std::uint64_t b = first; b < first + stored; ++b, ++place.index) {
      for (std::size_t k = 0; k < kBlockBytes; ++k) {
        image[b * kBlockBytes + k] = FakeRuns::content(place, k);
      }
    }
  }
  image.resize(size_bytes);
  result.image = std::move(image);
  return result;
}

class ImageTest : public testing::Test {
 protected:
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

TEST_F(ImageTest, AnExportIsTheImageOfTheMapInEitherOrder) {
  for (int round = 0; round < 60; ++round) {
    sim::SimScheduler scheduler{random_()};
    const std::uint64_t size_bytes =
        1 + random_() % 120 * kBlockBytes + (random_() % 2 == 0 ? random_() % kBlockBytes : 0);
    const RandomMap made = random_map(random_, size_bytes);
    for (const bool ordered : {false, true}) {
      FakeRuns runs{scheduler};
      ModelConsumer consumer{scheduler, size_bytes, ordered};
      ExportOptions options;
      options.reads_in_flight = 1 + static_cast<unsigned>(random_() % 5);
      options.buffer_bytes = (1 + random_() % 30) * kBlockBytes;
      options.batch_blocks = 1 + random_() % 50;
      std::uint64_t done = 0;
      options.progress = [&done](std::uint64_t bytes) {
        EXPECT_GT(bytes, done);
        done = bytes;
      };
      const unsigned in_flight = options.reads_in_flight;
      const Status status = scheduler.run(export_blocks(
          scheduler, runs, made.map, everything(size_bytes), consumer, std::move(options)));
      ASSERT_TRUE(status.ok()) << status.error().message;
      ASSERT_TRUE(sim::same_bytes(consumer.image, made.image));
      ASSERT_EQ(done, size_bytes);
      ASSERT_TRUE(
          std::all_of(consumer.times.begin(), consumer.times.end(), [](int n) { return n == 1; }));
      ASSERT_LE(runs.most_in_flight, static_cast<int>(in_flight));
    }
  }
}

TEST_F(ImageTest, ARunIsReadOncePerBatchHoweverItsBlocksAreScattered) {
  sim::SimScheduler scheduler{seed_};
  ModelBlockMap map;
  for (std::uint64_t block = 0; block < 1600; ++block) {
    // Too far from each other to be read at once.
    const journal::BlockPlace place{1, 100'000 * static_cast<std::uint32_t>(1 + block % 100), 500,
                                    static_cast<std::uint16_t>(block / 100)};
    map.add({{block + 1}, kVolume, block, 1, journal::index::BlockState::kData, place});
  }
  FakeRuns runs{scheduler};
  ModelConsumer consumer{scheduler, 1600 * kBlockBytes, false};
  ASSERT_TRUE(scheduler
                  .run(export_blocks(scheduler, runs, map, everything(1600 * kBlockBytes), consumer,
                                     ExportOptions{}))
                  .ok());
  EXPECT_EQ(runs.reads.size(), 100u);
  for (const auto& [run, reads] : runs.reads) EXPECT_EQ(reads, 1);
  EXPECT_GE(runs.most_in_flight, 3);
}

TEST_F(ImageTest, ARunThatCannotBeReadFailsTheExport) {
  for (const bool ordered : {false, true}) {
    sim::SimScheduler scheduler{seed_};
    ModelBlockMap map;
    for (std::uint64_t block = 0; block < 100; ++block) {
      map.add({{block + 1},
               kVolume,
               block,
               1,
               journal::index::BlockState::kData,
               {block == 50 ? 9u : 1u, 4096, 500, 0}});
    }
    FakeRuns runs{scheduler};
    runs.bad_segment = 9;
    ModelConsumer consumer{scheduler, 100 * kBlockBytes, ordered};
    const Status status = scheduler.run(export_blocks(
        scheduler, runs, map, everything(100 * kBlockBytes), consumer, ExportOptions{}));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "run is damaged");
  }
}

TEST_F(ImageTest, AConsumerThatFailsEndsTheExportWithItsError) {
  for (const bool ordered : {false, true}) {
    sim::SimScheduler scheduler{seed_};
    const RandomMap made = random_map(random_, 100 * kBlockBytes);
    FakeRuns runs{scheduler};
    ModelConsumer consumer{scheduler, 100 * kBlockBytes, ordered};
    consumer.fail_after = 2;
    ExportOptions options;
    options.buffer_bytes = 4 * kBlockBytes;
    const Status status = scheduler.run(export_blocks(
        scheduler, runs, made.map, everything(100 * kBlockBytes), consumer, std::move(options)));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ENOSPC);
  }
}

// A disk in memory that insists on aligned blocks.
class MemoryDisk final : public cdp::Disk {
 public:
  explicit MemoryDisk(std::uint64_t bytes) : content(bytes, std::byte{0xaa}) {}
  using Disk::read;
  using Disk::write;
  using Disk::write_durably;

  Task<Status> read(std::uint64_t, std::span<const iovec>) override { co_return Status{}; }
  Task<Status> write(std::uint64_t offset, std::span<const iovec> from) override {
    for (const iovec& part : from) {
      EXPECT_EQ(offset % kBlockBytes, 0u);
      EXPECT_EQ(part.iov_len % kBlockBytes, 0u);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(part.iov_base) % kBlockBytes, 0u);
      EXPECT_LE(offset + part.iov_len, content.size());
      std::memcpy(content.data() + offset, part.iov_base, part.iov_len);
      offset += part.iov_len;
    }
    synced = false;
    co_return Status{};
  }
  Task<Status> write_durably(std::uint64_t offset, std::span<const iovec> from) override {
    return write(offset, from);
  }
  Task<Status> sync() override {
    synced = true;
    co_return Status{};
  }
  Task<Status> zero_range(std::uint64_t offset, std::uint64_t bytes, bool) override {
    EXPECT_EQ(offset % kBlockBytes, 0u);
    EXPECT_EQ(bytes % kBlockBytes, 0u);
    EXPECT_LE(offset + bytes, content.size());
    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(offset), bytes, std::byte{0});
    synced = false;
    co_return Status{};
  }
  std::uint64_t size_bytes() const override { return content.size(); }

  std::vector<std::byte> content;
  bool synced = false;
};

TEST_F(ImageTest, ReplayChangesWhatTheMapNamesAndLeavesTheRest) {
  for (int round = 0; round < 30; ++round) {
    sim::SimScheduler scheduler{random_()};
    const std::uint64_t size_bytes = (1 + random_() % 120) * kBlockBytes - random_() % 4096;
    const RandomMap made = random_map(random_, size_bytes);
    FakeRuns runs{scheduler};
    MemoryDisk disk{cdp::round_up(size_bytes, kBlockBytes)};
    const Status status =
        scheduler.run(apply_to_disk(scheduler, runs, made.map, everything(size_bytes), disk));
    ASSERT_TRUE(status.ok()) << status.error().message;
    ASSERT_TRUE(disk.synced);
    ASSERT_TRUE(std::equal(made.image.begin(), made.image.end(), disk.content.begin()));
  }
}

// While a volume is hydrated, its backing store follows up to a block only.
TEST_F(ImageTest, ReplayEndsWhereItIsTold) {
  for (int round = 0; round < 10; ++round) {
    sim::SimScheduler scheduler{random_()};
    const std::uint64_t size_bytes = 120 * kBlockBytes;
    const RandomMap made = random_map(random_, size_bytes);
    FakeRuns runs{scheduler};
    MemoryDisk disk{size_bytes};
    ExportedRange range = everything(size_bytes);
    range.end_block = random_() % 121;
    const auto end = static_cast<std::ptrdiff_t>(range.end_block * kBlockBytes);
    const Status status =
        scheduler.run(apply_to_disk(scheduler, runs, made.map, std::move(range), disk));
    ASSERT_TRUE(status.ok()) << status.error().message;
    ASSERT_TRUE(std::equal(made.image.begin(), made.image.begin() + end, disk.content.begin()));
    ASSERT_TRUE(std::all_of(disk.content.begin() + end, disk.content.end(),
                            [](std::byte b) { return b == std::byte{0xaa}; }));
  }
}

TEST_F(ImageTest, DataIsCountedBeforeTheExport) {
  for (int round = 0; round < 10; ++round) {
    sim::SimScheduler scheduler{random_()};
    const std::uint64_t size_bytes = 1 + random_() % (120 * kBlockBytes);
    const RandomMap made = random_map(random_, size_bytes);
    std::uint64_t expected = 0;
    for (std::uint64_t block = 0; block < cdp::blocks_for(size_bytes); ++block) {
      const auto found = made.map.version(everything(0).visible, block);
      if (found.state != journal::index::BlockState::kData) continue;
      expected += std::min<std::uint64_t>(kBlockBytes, size_bytes - block * kBlockBytes);
    }
    const auto counted = scheduler.run(count_data_bytes(made.map, everything(size_bytes)));
    ASSERT_TRUE(counted.ok());
    EXPECT_EQ(*counted, expected);
  }
}

TEST_F(ImageTest, AnIndexThatCannotBeReadFailsTheExport) {
  for (const bool ordered : {false, true}) {
    sim::SimScheduler scheduler{seed_};
    RandomMap made = random_map(random_, 100 * kBlockBytes);
    made.map.fault = cdp::make_error(EIO, "the index is damaged");
    FakeRuns runs{scheduler};
    ModelConsumer consumer{scheduler, 100 * kBlockBytes, ordered};
    const Status status = scheduler.run(export_blocks(
        scheduler, runs, made.map, everything(100 * kBlockBytes), consumer, ExportOptions{}));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "the index is damaged");
  }
}

TEST_F(ImageTest, ReplayOntoAStoreThatIsTooSmallIsRefusedBeforeItBegins) {
  sim::SimScheduler scheduler{seed_};
  const RandomMap made = random_map(random_, 100 * kBlockBytes);
  FakeRuns runs{scheduler};
  MemoryDisk disk{99 * kBlockBytes};
  const Status status =
      scheduler.run(apply_to_disk(scheduler, runs, made.map, everything(100 * kBlockBytes), disk));
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(runs.reads.empty());
}

}  // namespace
}  // namespace restore
