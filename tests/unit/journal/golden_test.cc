// SPDX-License-Identifier: Apache-2.0
//
// Vaults of every released version are read, verified and appended to.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "journal/format.h"
#include "journal/hash.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

// A vault's history as text: every record, and the SHA-256 of every block of every write.
std::string describe(JournalWorld& world) {
  const Collector history = world.collect();
  BlockReader blocks(world.scheduler, *world.segments, world.vault);
  std::string text;
  for (const ReadRecord& record : history.records) {
    text += fmt::format("{} {} volume {} blocks {}+{} time {}\n", record.stamp.lsn.value,
                        record.is_write ? "write" : "zero", record.volume.value, record.first_block,
                        record.block_count, record.stamp.time.value);
    for (const auto& [piece, prints] : record.pieces) {
      for (std::uint32_t i = 0; i < piece.count; ++i) {
        std::string content = piece.kind == PieceKind::kZero ? "zero" : "same";
        if (piece.has_place()) {
          std::array<std::byte, cdp::kBlockBytes> block{};
          BlockPlace place = piece.place;
          place.index = static_cast<std::uint16_t>(place.index + i);
          const Status read = world.scheduler.run(blocks.read(place, nullptr, block));
          EXPECT_TRUE(read.ok()) << read.error().message;
          content.clear();
          for (const std::byte byte : sha256(block))
            content += fmt::format("{:02x}", std::to_integer<int>(byte));
        }
        text += fmt::format("  {} {}\n", piece.first_block + i, content);
      }
    }
  }
  const auto state = world.scheduler.run(world.reader()->state_at({UINT64_MAX}));
  EXPECT_TRUE(state.ok());
  for (const auto& [id, volume] : state->volumes)
    text += fmt::format("volume {} {} {} bytes checkpoint {} {}\n", id.value, volume.name,
                        volume.size_bytes, volume.checkpoint.value,
                        volume.removed.has_value() ? "removed" : "live");
  for (const auto& [label, mark] : state->marks)
    text += fmt::format("mark {} at {} by {}\n", label, mark.stamp.lsn.value, mark.author);
  for (const CrashRecord& crash : state->crashes)
    text += fmt::format("crash {} after {} flags {}\n", crash.stamp.lsn.value, crash.last_lsn.value,
                        crash.flags);
  return text;
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
  return {from, from + bytes.size()};
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

constexpr std::uint32_t kGoldenSegments = 3;

// Writes the golden vault of this version into $HINDSIGHT_WRITE_GOLDEN; run by hand
// (--gtest_also_run_disabled_tests) when a version is released, and never for one that was.
TEST(GoldenWriter, DISABLED_WritesIt) {
  const char* const to = std::getenv("HINDSIGHT_WRITE_GOLDEN");
  ASSERT_NE(to, nullptr);
  JournalWorld world(2021);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db", 8u << 20);
  const VolumeId log = world.create_volume("log", 4u << 20);
  for (int i = 0; i < 20; ++i) world.random_step({db, log});
  ASSERT_TRUE(world.journal->record_mark({}, world.sequencer->next(), "before", "ops").ok());
  ASSERT_TRUE(world.flush().ok());
  world.crash_and_reboot(1);
  ASSERT_TRUE(world.open().ok());
  for (int i = 0; i < 10; ++i) world.random_step({db});
  ASSERT_TRUE(world.journal->record_volume_removed(log, world.sequencer->next()).ok());
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.close().ok());
  ASSERT_EQ(world.reader()->segments().size(), kGoldenSegments);
  const std::string at = to;
  write_file(at + "/VAULT", encode_vault(world.vault));
  for (std::uint32_t i = 1; i <= kGoldenSegments; ++i)
    write_file(at + "/" + segment_name(i), world.store->content(world.path_of(i)));
  const std::string text = describe(world);
  write_file(at + "/history.txt", std::as_bytes(std::span(text)));
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, VaultIsReadAndAppendedTo) {
  const std::string golden = std::string(HINDSIGHT_SOURCE_DIR) + "/tests/golden/" + GetParam();
  JournalWorld world(1);
  const auto vault = decode_vault(read_file(golden + "/VAULT"));
  ASSERT_TRUE(vault.ok()) << vault.error().message;
  world.vault = *vault;
  for (std::uint32_t i = 1; i <= kGoldenSegments; ++i) {
    const std::vector<std::byte> bytes = read_file(golden + "/" + segment_name(i));
    ASSERT_TRUE(world.scheduler.run(world.segments->create(segment_name(i), bytes.size())).ok());
    world.store->overwrite(world.path_of(i), 0, bytes);
  }
  const std::vector<std::byte> expected = read_file(golden + "/history.txt");
  EXPECT_EQ(describe(world),
            std::string(reinterpret_cast<const char*>(expected.data()), expected.size()));
  const VerifyReport report = world.verify_all(true);
  for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
  ASSERT_TRUE(world.open().ok()) << "and appended to";
}

INSTANTIATE_TEST_SUITE_P(EveryVersion, Golden, testing::Values("v1", "v2"));

}  // namespace
}  // namespace journal
