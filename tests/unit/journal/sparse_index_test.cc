// SPDX-License-Identifier: Apache-2.0
//
// Old blocks are found again by their hooks: after starts, of which each forgets the table of
// recent blocks but for the newest segment, and whatever became of the files of hooks meanwhile.
#include <gtest/gtest.h>

#include "journal/hook_file.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

constexpr std::uint64_t kBlocks = 1024;

// Some frames of 1 MiB, of which almost each has a hook.
JournalOptions options_of_large_frames() {
  JournalOptions options = small_options();
  options.frame_blocks = 256;
  options.queue_blocks = 512;
  options.segment_bytes = cdp::round_up(options.minimum_segment_bytes(), 4096);
  return options;
}

Fingerprint of_a_hook(const Secret& secret, std::span<const std::byte, cdp::kBlockBytes> block) {
  Fingerprint print = fingerprint(secret, block);
  print.high &= ~std::uint64_t{63};
  return print;
}

class OldBlocks : public testing::Test {
 protected:
  OldBlocks() { world_.saves_hooks = true; }

  void open() {
    const Status opened = world_.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    world_.scheduler.run_for(cdp::seconds(1));  // what goes on behind a start
  }
  void restart() {
    ASSERT_TRUE(world_.close().ok());
    open();
  }
  // kBlocks blocks of which there are no others.
  void write_blocks() {
    open();
    volume_ = world_.create_volume("db");
    write_at(0);
    ASSERT_TRUE(world_.flush().ok());
  }
  void write_at(std::uint64_t first) {
    for (std::uint64_t i = 0; i < kBlocks; i += 64) {
      std::vector<std::uint64_t> seeds;
      for (std::uint64_t k = i; k < i + 64; ++k) seeds.push_back(2 * k + 1);
      ASSERT_TRUE(world_.write(volume_, first + i, std::move(seeds), false));
    }
  }
  // Of these blocks, written once more.
  std::uint64_t found_again() {
    const JournalStatistics before = world_.journal->statistics();
    write_at(kBlocks * ++copies_);
    EXPECT_TRUE(world_.flush().ok());
    return world_.journal->statistics().duplicate_blocks - before.duplicate_blocks;
  }
  std::vector<std::string> files() {
    std::vector<std::string> hooks;
    for (std::string& name : cdp::value_or_throw(world_.scheduler.run(world_.index->list())))
      if (name.ends_with(".hooks")) hooks.push_back(std::move(name));
    return hooks;
  }
  std::vector<std::byte> content(const std::string& name) {
    return cdp::value_or_throw(world_.scheduler.run(world_.index->read_small(name)));
  }
  void replace(const std::string& name, std::vector<std::byte> bytes) {
    ASSERT_TRUE(world_.scheduler.run(world_.index->write_small(name, std::move(bytes))).ok());
  }
  void check() {
    ASSERT_TRUE(world_.close().ok());
    world_.check_history();
    EXPECT_TRUE(world_.verify_all(true).ok());
  }

  JournalWorld world_{1, options_of_large_frames()};
  VolumeId volume_{};
  std::uint64_t copies_ = 0;
};

TEST_F(OldBlocks, AreFoundAgainAfterStartsThatForgotThem) {
  write_blocks();
  for (int i = 0; i < 3; ++i) restart();
  EXPECT_FALSE(files().empty());
  EXPECT_GT(found_again(), kBlocks * 9 / 10);
  EXPECT_GT(world_.journal->health().dedup_memory_bytes, 0u);
  check();
}

TEST_F(OldBlocks, AreFoundAgainAfterCrashes) {
  write_blocks();
  for (std::uint64_t fate = 1; fate < 4; ++fate) {
    world_.crash_and_reboot(fate);
    open();
  }
  EXPECT_GT(found_again(), kBlocks * 9 / 10);
  check();
}

TEST_F(OldBlocks, AreFoundAgainWhereTheFilesOfTheirHooksAreGone) {
  write_blocks();
  for (int i = 0; i < 3; ++i) restart();
  ASSERT_TRUE(world_.close().ok());
  const std::vector<std::string> before = files();
  ASSERT_FALSE(before.empty());
  std::vector<std::vector<std::byte>> contents;
  for (const std::string& name : before) {
    contents.push_back(content(name));
    ASSERT_TRUE(world_.scheduler.run(world_.index->remove(name)).ok());
  }
  open();
  EXPECT_GT(found_again(), kBlocks * 9 / 10);
  // And they are there again, as they were.
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(content(before[i]), contents[i]) << i;
  check();
}

TEST_F(OldBlocks, AreFoundAgainWhereTheFilesOfTheirHooksAreOfAnotherEndOrDamaged) {
  write_blocks();
  for (int i = 0; i < 3; ++i) restart();
  ASSERT_TRUE(world_.close().ok());
  for (const std::string& name : files()) {
    std::vector<std::byte> bytes = content(name);
    SegmentHooks hooks = cdp::value_or_throw(decode_hooks(bytes, world_.vault));
    if (hooks.segment % 2 == 0) {
      bytes[bytes.size() / 2] ^= std::byte{1};
    } else {
      hooks.digest[0] ^= std::byte{1};
      for (Hook& hook : hooks.hooks) hook.frame_offset = 0;
      bytes = encode_hooks(hooks, world_.vault);
    }
    replace(name, std::move(bytes));
  }
  open();
  EXPECT_GT(found_again(), kBlocks * 9 / 10);
  check();
}

// The worst that a file can be: whole, and wrong.
TEST_F(OldBlocks, HooksThatLeadNowhereCostReadsAlone) {
  write_blocks();
  for (int i = 0; i < 3; ++i) restart();
  ASSERT_TRUE(world_.close().ok());
  for (const std::string& name : files()) {
    SegmentHooks hooks = cdp::value_or_throw(decode_hooks(content(name), world_.vault));
    for (std::size_t i = 0; i < hooks.hooks.size(); ++i)
      hooks.hooks[i].frame_offset = static_cast<std::uint32_t>(hooks.length - 4096 * (i % 3 + 1));
    replace(name, encode_hooks(hooks, world_.vault));
  }
  open();
  EXPECT_LT(found_again(), kBlocks / 10);
  check();
}

TEST_F(OldBlocks, AFullOrBrokenDirectoryOfHooksKeepsNobodyFromWriting) {
  world_.store->inject({.path_contains = "vault/index",
                        .kind = sim::IoKind::kWriteSmall,
                        .sticky = true,
                        .code = ENOSPC});
  world_.store->inject({.path_contains = "vault/index",
                        .kind = sim::IoKind::kReadSmall,
                        .sticky = true,
                        .code = EIO});
  write_blocks();
  for (int i = 0; i < 3; ++i) restart();
  EXPECT_TRUE(files().empty());
  EXPECT_GT(found_again(), kBlocks * 9 / 10);
  check();
}

TEST(SparseIndex, ListsTakeAQuarterOfTheReadsOfAFrame) {
  for (const std::uint32_t reads : {0u, 3u, 4u, 16u}) {
    SCOPED_TRACE(fmt::format("{} reads", reads));
    JournalOptions options = options_of_large_frames();
    options.dedup_reads = options.dedup_reads_flush = reads;
    JournalWorld world(1, options);
    world.saves_hooks = true;
    ASSERT_TRUE(world.open().ok());
    const VolumeId volume = world.create_volume("db");
    const auto write = [&](std::uint64_t first) {
      std::vector<std::uint64_t> seeds;
      for (std::uint64_t i = 0; i < 256; ++i) seeds.push_back(2 * i + 1);
      ASSERT_TRUE(world.write(volume, first, std::move(seeds), false));
      ASSERT_TRUE(world.flush().ok());
    };
    write(0);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(world.close().ok());
      ASSERT_TRUE(world.open().ok());
      world.scheduler.run_for(cdp::seconds(1));
    }
    write(1000);
    const JournalStatistics& found = world.journal->statistics();
    EXPECT_LE(found.dedup_reads, reads);
    // One list, and then so many times 4 runs of 16 blocks.
    EXPECT_EQ(found.duplicate_blocks, reads < 4 ? 0 : std::min(256u, 64 * (reads - 1)));
  }
}

// Rule 13: what a failed append leaves is not referred to, even where every block is a hook.
class HooksAndFailures : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, HooksAndFailures, testing::Range<std::uint64_t>(1, 9));

TEST_P(HooksAndFailures, Rule13_NoHookLeadsBehindACut) {
  JournalOptions options = small_options();
  options.fingerprint = of_a_hook;
  options.dedup_bytes = 64u << 10;
  JournalWorld world(GetParam() + 700, options);
  world.saves_hooks = true;
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  std::uint64_t resends = 0;
  std::uint64_t duplicates = 0;
  for (std::uint64_t round = 0; round < 8; ++round) {
    ASSERT_TRUE(world.work_with_a_failing_append(volume).ok());
    resends += world.journal->statistics().resends;
    duplicates += world.journal->statistics().duplicate_blocks;
    world.store->clear_faults();
    if (round % 2 == 0) {
      ASSERT_TRUE(world.close().ok());
    } else {
      world.crash_and_reboot(round);
    }
    ASSERT_TRUE(world.open().ok());
    world.scheduler.run_for(cdp::milliseconds(static_cast<std::int64_t>(world.random.below(200))));
  }
  EXPECT_GT(resends, 3u);
  EXPECT_GT(duplicates, 100u);
  ASSERT_TRUE(world.close().ok());
  const Collector history = world.check_history();
  EXPECT_EQ(history.records.size(), world.model.size());
  const auto reader = world.reader();
  std::vector<std::uint64_t> lengths(1);
  for (const SegmentInfo& segment : reader->segments()) lengths.push_back(segment.length_bytes);
  for (const ReadRecord& record : history.records) {
    for (const auto& [piece, fingerprints] : record.pieces) {
      if (piece.kind != PieceKind::kReference) continue;
      ASSERT_LT(piece.place.segment, lengths.size());
      EXPECT_LE(piece.place.run_offset + piece.place.run_bytes, lengths[piece.place.segment]);
    }
  }
}

}  // namespace
}  // namespace journal
