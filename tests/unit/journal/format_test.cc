// SPDX-License-Identifier: Apache-2.0
//
// The structures on disk: what is encoded is decoded, and whatever else is decoded is refused,
// not believed. FORMAT.md's worked example is held to the encoder.
#include "journal/format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "journal/built_frame.h"
#include "journal/durable_note.h"
#include "journal/frame_builder.h"
#include "journal/record_codec.h"
#include "journal/state_codec.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

Vault example_vault() {
  Vault vault;
  for (std::size_t i = 0; i < 16; ++i) vault.uuid.bytes[i] = static_cast<std::byte>(i);
  for (std::size_t i = 0; i < kSecretBytes; ++i) vault.secret[i] = static_cast<std::byte>(i);
  return vault;
}

// The frame of FORMAT.md's worked example.
BuiltFrame example_frame(const Vault& vault) {
  std::array<std::byte, cdp::kBlockBytes> block;
  block.fill(std::byte{'A'});
  const Fingerprint print = fingerprint(vault.secret, block);
  constexpr std::int64_t time = 1'582'455'360'000'000'000;
  RecordEncoder records({.lsn = {10}, .time = {time}});
  const StoredPiece pieces[] = {
      {.kind = PieceKind::kNew, .count = 1, .fingerprints = std::span(&print, 1)},
      {.kind = PieceKind::kZero, .count = 1},
      {.kind = PieceKind::kRepeat, .count = 1}};
  records.write({1}, {.lsn = {10}, .time = {time}}, 5, pieces);
  records.add(ZeroRecord{.volume = {1},
                         .stamp = {.lsn = {11}, .time = {time + 1'000'000}},
                         .kind = ZeroKind::kTrim,
                         .first_block = 100,
                         .block_count = 256});
  BuiltFrame frame;
  FrameHeader& header = frame.header;
  header.record_count = records.count();
  header.record_bytes = static_cast<std::uint32_t>(records.bytes().size());
  header.run_count = 1;
  header.first_lsn = {10};
  header.last_lsn = {11};
  header.min_time = {time};
  header.max_time = {time + 1'000'000};
  header.data_bytes = kRunHeaderBytes + cdp::kBlockBytes;
  header.total_bytes = static_cast<std::uint32_t>(cdp::round_up(header.used_bytes(), kAppendUnit));
  frame.buffer.reserve(header.total_bytes);
  std::memcpy(frame.buffer.data() + kFrameHeaderBytes, records.bytes().data(),
              records.bytes().size());
  const auto run_at = static_cast<std::uint32_t>(header.metadata_end());
  std::memcpy(frame.buffer.data() + run_at + kRunHeaderBytes, block.data(), block.size());
  frame.runs = {
      {.offset = run_at, .stored_bytes = header.data_bytes, .first_block = 0, .block_count = 1}};
  frame.codecs = {Codec::kRaw};
  FramePlace place{.segment = 1, .epoch = 1, .sequence = 2, .offset = 8192};
  place.previous_digest.fill(std::byte{0xdd});
  seal_frame(frame, place, vault);
  return frame;
}

std::string hex_dump(std::span<const std::byte> bytes) {
  std::string text;
  std::string last;
  bool starred = false;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    std::string line;
    for (std::size_t i = 0; i < 16; ++i)
      line += fmt::format("{}{:02x}", i == 8 ? "  " : " ", std::to_integer<int>(bytes[at + i]));
    if (line == last) {
      if (!starred) text += "*\n";
      starred = true;
      continue;
    }
    text += fmt::format("{:08x} {}\n", at, line);
    last = line;
    starred = false;
  }
  return text + fmt::format("{:08x}\n", bytes.size());
}

TEST(Format, TheWorkedExampleInTheDocumentIsWhatTheEncoderWrites) {
  std::ifstream file(std::string(HINDSIGHT_SOURCE_DIR) + "/journal/FORMAT.md");
  std::stringstream document;
  document << file.rdbuf();
  const std::string expected = hex_dump(example_frame(example_vault()).bytes());
  EXPECT_NE(document.str().find("```hex\n" + expected + "```"), std::string::npos)
      << "the document should say:\n"
      << expected;
}

TEST(Format, TheWorkedExampleIsReadBack) {
  const Vault vault = example_vault();
  const BuiltFrame frame = example_frame(vault);
  const std::span<const std::byte> bytes = frame.bytes();
  const auto header = decode_frame_header(
      vault, 1, 8192, std::span<const std::byte, kFrameHeaderBytes>(bytes.data(), 256));
  ASSERT_TRUE(header.ok()) << header.error().message;
  ASSERT_TRUE(check_frame_body(*header, vault, bytes, true).ok());
  auto records = RecordDecoder::open(
      *header, vault, bytes.subspan(kFrameHeaderBytes, header->metadata_end() - kFrameHeaderBytes));
  ASSERT_TRUE(records.ok());
  const auto write = records->next();
  ASSERT_TRUE(write.ok());
  const auto& pieces = std::get<WriteRecord>(*write).pieces;
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].place, pieces[2].place);
  const auto run =
      decode_run(vault, 1, pieces[0].place.run_offset,
                 bytes.subspan(pieces[0].place.run_offset - 8192, pieces[0].place.run_bytes));
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_EQ((*run)[4095], std::byte{'A'});
  const auto trim = records->next();
  ASSERT_TRUE(trim.ok());
  EXPECT_EQ(std::get<ZeroRecord>(*trim).kind, ZeroKind::kTrim);
  EXPECT_TRUE(records->at_end());
}

TEST(Format, AFrameIsValidInItsOwnPlaceOnly) {
  const Vault vault = example_vault();
  const BuiltFrame frame = example_frame(vault);
  const std::span<const std::byte, kFrameHeaderBytes> raw(frame.bytes().data(), 256);
  EXPECT_TRUE(decode_frame_header(vault, 1, 8192, raw).ok());
  EXPECT_FALSE(decode_frame_header(vault, 1, 4096, raw).ok());
  EXPECT_FALSE(decode_frame_header(vault, 2, 8192, raw).ok());
  Vault other = vault;
  other.secret[5] ^= std::byte{1};
  EXPECT_FALSE(decode_frame_header(other, 1, 8192, raw).ok());
  Vault renamed = vault;
  renamed.uuid.bytes[5] ^= std::byte{1};
  EXPECT_FALSE(decode_frame_header(renamed, 1, 8192, raw).ok());
}

TEST(Format, EveryFlippedBitOfAFrameIsNoticed) {
  const Vault vault = example_vault();
  const BuiltFrame frame = example_frame(vault);
  std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += bit < 0x220 * 8 ? 1 : 997) {
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    const auto header = decode_frame_header(
        vault, 1, 8192, std::span<const std::byte, kFrameHeaderBytes>(bytes.data(), 256));
    EXPECT_FALSE(header.ok() && check_frame_body(*header, vault, bytes, false).ok()) << bit;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
  }
}

// Random damage under valid checksums: as a forger who knows the secret would do it, and as a
// later version of this program might.
TEST(Format, DecodersNeverTrustWhatIsUnderAValidChecksum) {
  const Vault vault = example_vault();
  for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
    sim::Random random(seed);
    const BuiltFrame frame = example_frame(vault);
    std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
    for (std::uint64_t i = random.between(1, 4); i > 0; --i) {
      const std::size_t at = random.chance(50) ? random.between(24, 103) : random.between(256, 455);
      bytes[at] = random.coin() ? static_cast<std::byte>(random.next())
                                : static_cast<std::byte>(random.coin() ? 0xff : 0);
    }
    const auto fix = [&](std::size_t at, std::span<const std::byte> over) {
      const std::uint64_t sum = checksum(vault.secret, over);
      std::memcpy(bytes.data() + at, &sum, sizeof sum);
    };
    std::uint32_t record_bytes = 0;
    std::uint32_t run_count = 0;
    std::memcpy(&record_bytes, bytes.data() + 56, 4);
    std::memcpy(&run_count, bytes.data() + 60, 4);
    const std::uint64_t metadata = record_bytes + std::uint64_t{run_count} * kRunEntryBytes;
    if (256 + metadata <= bytes.size()) fix(240, std::span(bytes).subspan(256, metadata));
    fix(248, std::span(bytes).first(248));
    const auto header = decode_frame_header(
        vault, 1, 8192, std::span<const std::byte, kFrameHeaderBytes>(bytes.data(), 256));
    if (!header.ok() || header->total_bytes != bytes.size()) continue;
    static_cast<void>(check_frame_body(*header, vault, bytes, true).ok());
    auto records = RecordDecoder::open(*header, vault,
                                       std::span(bytes).subspan(256, header->metadata_end() - 256));
    if (!records.ok()) continue;
    while (!records->at_end()) {
      const auto record = records->next();
      if (!record.ok()) break;
      const auto* write = std::get_if<WriteRecord>(&*record);
      if (write == nullptr) continue;
      std::uint64_t blocks = 0;
      for (const WritePiece& piece : write->pieces) {
        blocks += piece.count;
        if (piece.has_place()) {
          EXPECT_LE(piece.place.index + piece.count, kRunBlocksMax) << "seed " << seed;
        }
      }
      EXPECT_EQ(blocks, write->block_count) << "seed " << seed;
    }
  }
}

// The records of one frame, decoded; the first error ends the list.
struct Decoded {
  std::vector<AnyRecord> records{};
  std::optional<Error> error{};
};
Decoded decode(const Vault& vault, FrameKind kind, std::span<const std::byte> bytes,
               std::uint32_t count) {
  FrameHeader header;
  header.segment = 1;
  header.kind = kind;
  header.record_count = count;
  header.record_bytes = static_cast<std::uint32_t>(bytes.size());
  header.first_lsn = {1};
  header.last_lsn = {1'000'000};
  header.metadata_checksum = checksum(vault.secret, bytes);
  Decoded decoded;
  auto records = RecordDecoder::open(header, vault, bytes);
  EXPECT_TRUE(records.ok());
  while (!records->at_end()) {
    auto record = records->next();
    if (!record.ok()) {
      decoded.error = record.error();
      break;
    }
    decoded.records.push_back(*record);
  }
  return decoded;
}

std::string words(std::span<const std::byte> bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    text += fmt::format("{:x} ", word);
  }
  return text;
}

// FORMAT.md's tables, word by word (little-endian).
TEST(Format, RollbacksAndWhatBelongsToThemAreWrittenAsDocumented) {
  const auto bytes_of = [](const auto& record) {
    RecordEncoder records;
    records.add(record);
    return words(records.bytes());
  };
  const Stamp stamp{.lsn = {0x200}, .time = {0x77}};
  EXPECT_EQ(bytes_of(RollbackRecord{.stamp = stamp,
                                    .point = {0x63},
                                    .volumes = {{{2}, 0x1000}, {{1}, 0x5000}},
                                    .author = "ops",
                                    .refuse_writers = true}),
            "110 200 77 0 63 2 2 1000 1 5000 3 73706f ");
  EXPECT_EQ(bytes_of(VolumeResumed{{2}, stamp}), "200000019 200 77 0 ");
  EXPECT_EQ(bytes_of(GapRecord{{2}, stamp, "full", false}), "200000011 200 77 0 4 6c6c7566 ");
  EXPECT_EQ(bytes_of(GapRecord{{2}, stamp, "", true}), "200000111 200 77 0 0 ");
  EXPECT_EQ(bytes_of(CheckpointRecord{{2}, stamp, {0x150}, {}}), "200000008 200 77 0 150 ");
  EXPECT_EQ(bytes_of(CheckpointRecord{{2}, stamp, {0x150}, Hydration{.cursor = 9, .base = {7}}}),
            "200000108 200 77 0 150 9 7 ");
  VolumeCreatedFrom created{.volume = {3},
                            .stamp = stamp,
                            .size_bytes = 0x1000,
                            .origin = {2},
                            .point = {0x63},
                            .name = "a",
                            .backing = "b"};
  EXPECT_EQ(bytes_of(created), "300000018 200 77 0 0 0 1000 2 63 10001 6261 ");
  VolumeState volume{.id = {3}, .name = "a", .size_bytes = 0x1000, .created = stamp};
  volume.checkpoint = {0x150};
  volume.origin = {{2}, {0x63}};
  volume.hydration = Hydration{.cursor = 9, .base = {7}};
  volume.writers_refused = true;
  EXPECT_EQ(bytes_of(StateVolumeRecord{volume}),
            "300000e41 200 77 0 0 0 1000 150 0 0 9 7 2 63 1 61 ");
}

TEST(Format, RollbacksInTheStateAreReadBack) {
  const Vault vault = example_vault();
  JournalState state;
  state.apply(VolumeCreated{.volume = {1}, .stamp = {{5}, {}}, .size_bytes = 8192, .name = "a"});
  state.apply(VolumeCreatedFrom{.volume = {2},
                                .stamp = {{9}, {}},
                                .size_bytes = 4096,
                                .origin = {1},
                                .point = {6},
                                .name = "b"});
  state.apply(CheckpointRecord{{1}, {{10}, {}}, {7}, {}});
  state.apply(RollbackRecord{.stamp = {{20}, {1}},
                             .point = {9},
                             .volumes = {{{2}, 4096}, {{1}, 4096}},
                             .author = "ops",
                             .refuse_writers = true});
  state.apply(RollbackRecord{
      .stamp = {{30}, {2}}, .point = {19}, .volumes = {{{1}, 8192}}, .author = "dba"});
  state.apply(CheckpointRecord{{1}, {{31}, {}}, {30}, Hydration{.cursor = 3, .base = {7}}});
  state.apply(VolumeResumed{{2}, {{32}, {}}});
  state.apply(GapRecord{{1}, {{33}, {3}}, "full", false});
  state.apply(GapRecord{{2}, {{34}, {4}}, "failing", false});
  state.apply(GapRecord{{1}, {{35}, {5}}, "", true});
  state.apply(GapRecord{{1}, {{36}, {6}}, "full again", false});
  EXPECT_EQ(state.find(VolumeId{1})->gaps.size(), 2u);
  EXPECT_EQ(state.find(VolumeId{1})->hydration, (Hydration{.cursor = 3, .base = {7}}));
  EXPECT_EQ(state.find(VolumeId{2})->hydration, (Hydration{}));
  EXPECT_TRUE(state.find(VolumeId{1})->writers_refused);
  EXPECT_FALSE(state.find(VolumeId{2})->writers_refused);

  JournalState read;
  for (const RecordEncoder& frame : encode_state(state, 200)) {
    const Decoded decoded = decode(vault, FrameKind::kState, frame.bytes(), frame.count());
    ASSERT_FALSE(decoded.error.has_value()) << decoded.error->message;
    for (const AnyRecord& record : decoded.records) {
      const Status added = add_to_state(read, record);
      ASSERT_TRUE(added.ok()) << added.error().message;
    }
  }
  for (const auto& [id, volume] : state.volumes) {
    const VolumeState* of = read.find(id);
    ASSERT_NE(of, nullptr);
    EXPECT_EQ(of->rollbacks, volume.rollbacks);
    EXPECT_EQ(of->gaps, volume.gaps);
    EXPECT_TRUE(of->is_in_gap());
    EXPECT_EQ(of->origin, volume.origin);
    EXPECT_EQ(of->hydration, volume.hydration);
    EXPECT_EQ(of->writers_refused, volume.writers_refused);
    EXPECT_EQ(of->size_bytes, volume.size_bytes);
  }
}

// What damage has left of a history.
TEST(Format, HalfOfAGapSaysNoMoreThanIsKnown) {
  JournalState state;
  state.apply(VolumeCreated{.volume = {1}, .stamp = {{5}, {}}, .size_bytes = 8192, .name = "a"});
  const VolumeState& volume = *state.find(VolumeId{1});
  state.apply(GapRecord{{1}, {{6}, {}}, "", true});
  state.apply(GapRecord{{2}, {{7}, {}}, "of no volume", false});
  EXPECT_TRUE(volume.gaps.empty());
  state.apply(GapRecord{{1}, {{8}, {}}, "full", false});
  state.apply(GapRecord{{1}, {{9}, {}}, "full", false});
  state.apply(GapRecord{{1}, {{10}, {}}, "", true});
  ASSERT_EQ(volume.gaps.size(), 1u);
  EXPECT_EQ(volume.gaps[0].begin.lsn, Lsn{8});
  EXPECT_EQ(volume.gaps[0].end->lsn, Lsn{10});
  EXPECT_EQ(state.lsn, Lsn{10});
}

TEST(Format, GapsThatCannotBeAreRefused) {
  const Vault vault = example_vault();
  const Stamp stamp{.lsn = {200}, .time = {}};
  const auto is_refused = [&](const GapRecord& gap, FrameKind kind = FrameKind::kRecords) {
    RecordEncoder records;
    records.add(gap);
    return decode(vault, kind, records.bytes(), 1).error.has_value();
  };
  EXPECT_FALSE(is_refused({{2}, stamp, "full", false}));
  EXPECT_FALSE(is_refused({{2}, stamp, "", true}));
  EXPECT_FALSE(is_refused({{2}, stamp, "full", false}, FrameKind::kState));
  EXPECT_TRUE(is_refused({{2}, stamp, "", false})) << "without a cause";
  EXPECT_TRUE(is_refused({{2}, stamp, "full", true})) << "over, and with a cause";
  EXPECT_TRUE(is_refused({{}, stamp, "full", false})) << "of no volume";
  EXPECT_TRUE(is_refused({{2}, stamp, "full", false}, FrameKind::kFooter));
}

// FORMAT.md's tables, word by word, and back.
TEST(Format, UsersTokensAndAuditsAreWrittenAsDocumented) {
  const Vault vault = example_vault();
  const Stamp stamp{.lsn = {0x200}, .time = {0x77}};
  const auto expect = [&](const auto& record, const std::string& as) {
    RecordEncoder records;
    records.add(record);
    EXPECT_EQ(words(records.bytes()), as);
    const Decoded decoded = decode(vault, FrameKind::kRecords, records.bytes(), 1);
    ASSERT_FALSE(decoded.error.has_value()) << decoded.error->message;
    const auto* back = std::get_if<std::decay_t<decltype(record)>>(&decoded.records[0]);
    ASSERT_NE(back, nullptr);
    EXPECT_EQ(*back, record);
  };
  UserRecord user{.stamp = stamp, .name = "ops", .verifier = "$a", .rights = 0xffffffff};
  expect(user, "1a 200 77 0 ffffffff 20003 612473706f ");
  user.is_removed = true;
  user.verifier.clear();
  expect(user, "11a 200 77 0 ffffffff 3 73706f ");
  TokenRecord token{.stamp = stamp, .user = "ops", .label = "ci", .rights = 5, .expires = {-2}};
  token.digest.back() = std::byte{1};
  const std::string of_token =
      "1b 200 77 0 0 0 0 100000000000000 fffffffffffffffe 5 20003 696373706f ";
  expect(token, of_token);
  token.is_revoked = true;
  expect(token, "1" + of_token);
  AuditRecord audit{.stamp = stamp, .status = 403, .actor = "ops", .origin = "tls"};
  audit.act = "mark";
  audit.detail = "a of db";
  expect(audit, "14 200 77 0 193 30003 736c7473706f 70004 666f20616b72616d 626420 ");
  expect(AuditRecord{.stamp = stamp, .act = "a"}, "14 200 77 0 0 0 1 61 ");
}

TEST(Format, UsersTokensAndAuditsThatCannotBeAreRefused) {
  const Vault vault = example_vault();
  const Stamp stamp{.lsn = {200}, .time = {}};
  const auto is_refused = [&](const auto& record, FrameKind kind = FrameKind::kRecords) {
    RecordEncoder records;
    records.add(record);
    return decode(vault, kind, records.bytes(), 1).error.has_value();
  };
  const auto refuses_byte = [&](const auto& record, std::size_t at, std::uint8_t value) {
    RecordEncoder records;
    records.add(record);
    std::vector<std::byte> bad(records.bytes().begin(), records.bytes().end());
    bad[at] = std::byte{value};
    return decode(vault, FrameKind::kRecords, bad, 1).error.has_value();
  };
  const auto text = [](std::size_t bytes) { return std::string(bytes, 'x'); };
  using Bytes = std::initializer_list<std::size_t>;

  const UserRecord user{.stamp = stamp, .name = text(64), .verifier = text(128)};
  EXPECT_FALSE(is_refused(user));
  EXPECT_FALSE(is_refused(user, FrameKind::kState));
  EXPECT_TRUE(is_refused(user, FrameKind::kFooter));
  EXPECT_TRUE(is_refused(UserRecord{.stamp = stamp})) << "without a name";
  EXPECT_TRUE(is_refused(UserRecord{.stamp = stamp, .name = text(65)}));
  EXPECT_TRUE(is_refused(UserRecord{.stamp = stamp, .name = "a", .verifier = text(129)}));
  for (const std::size_t reserved : Bytes{2, 3, 4, 7, 24, 31, 36, 39, 44, 47})
    EXPECT_TRUE(refuses_byte(user, reserved, 1)) << "reserved byte " << reserved;
  EXPECT_TRUE(refuses_byte(user, 1, 2)) << "an unknown flag";
  EXPECT_FALSE(refuses_byte(user, 35, 0xff)) << "rights are any";

  TokenRecord token{.stamp = stamp, .user = text(64), .label = text(128)};
  EXPECT_FALSE(is_refused(token));
  EXPECT_FALSE(is_refused(token, FrameKind::kState));
  EXPECT_TRUE(is_refused(token, FrameKind::kFooter));
  for (const std::size_t reserved : Bytes{2, 3, 4, 7, 24, 31, 76, 79, 84, 87})
    EXPECT_TRUE(refuses_byte(token, reserved, 1)) << "reserved byte " << reserved;
  EXPECT_TRUE(refuses_byte(token, 1, 2)) << "an unknown flag";
  EXPECT_TRUE(is_refused(TokenRecord{.stamp = stamp, .user = "a"})) << "without a label";
  EXPECT_TRUE(is_refused(TokenRecord{.stamp = stamp, .label = "a"})) << "without a user";
  EXPECT_TRUE(is_refused(TokenRecord{.stamp = stamp, .user = text(65), .label = "a"}));
  EXPECT_TRUE(is_refused(TokenRecord{.stamp = stamp, .user = "a", .label = text(129)}));
  token.is_revoked = true;
  EXPECT_FALSE(is_refused(token));
  EXPECT_TRUE(is_refused(token, FrameKind::kState)) << "a state has no revoked ones";

  AuditRecord audit{.stamp = stamp, .actor = text(256), .origin = text(256), .act = text(64)};
  audit.detail = text(2048);
  EXPECT_FALSE(is_refused(audit));
  EXPECT_TRUE(is_refused(audit, FrameKind::kState)) << "no state has one";
  EXPECT_TRUE(is_refused(audit, FrameKind::kFooter));
  for (const std::size_t reserved : Bytes{1, 2, 3, 4, 7, 24, 31, 36, 39, 44, 47})
    EXPECT_TRUE(refuses_byte(audit, reserved, 1)) << "reserved byte " << reserved;
  EXPECT_TRUE(is_refused(AuditRecord{.stamp = stamp})) << "without an act";
  EXPECT_TRUE(is_refused(AuditRecord{.stamp = stamp, .act = text(65)}));
  EXPECT_TRUE(is_refused(AuditRecord{.stamp = stamp, .actor = text(257), .act = "a"}));
  EXPECT_TRUE(is_refused(AuditRecord{.stamp = stamp, .origin = text(257), .act = "a"}));
  EXPECT_TRUE(is_refused(AuditRecord{.stamp = stamp, .act = "a", .detail = text(2049)}));
}

TEST(Format, PulsesAreSmallAndReadBack) {
  const Vault vault = example_vault();
  const auto bytes_of = [&](const PulseRecord& record) {
    RecordEncoder records;
    records.add(record);
    const Decoded decoded = decode(vault, FrameKind::kRecords, records.bytes(), 1);
    EXPECT_FALSE(decoded.error.has_value()) << decoded.error->message;
    EXPECT_EQ(std::get<PulseRecord>(decoded.records[0]), record);
    EXPECT_TRUE(decode(vault, FrameKind::kState, records.bytes(), 1).error.has_value());
    EXPECT_TRUE(decode(vault, FrameKind::kFooter, records.bytes(), 1).error.has_value());
    return records.bytes().size();
  };
  PulseRecord pulse{.volume = {1}, .stamp = {.lsn = {200}, .time = {77}}, .begin = 1'582'455'360};
  pulse.writes = 1;
  pulse.written_blocks = 1;
  EXPECT_EQ(bytes_of(pulse), 48u) << "of a second in which little happened";
  for (std::uint64_t PulseRecord::* const count :
       {&PulseRecord::writes, &PulseRecord::flushes, &PulseRecord::written_blocks,
        &PulseRecord::zeroed_blocks, &PulseRecord::trimmed_blocks, &PulseRecord::stored_blocks,
        &PulseRecord::stored_bytes})
    pulse.*count = UINT64_MAX;
  pulse.overwritten = 100;
  pulse.entropy = PulseRecord::kEntropyMax;
  pulse.p99 = 17;
  EXPECT_EQ(bytes_of(bounded_pulse(pulse)), kPulseBytesMax) << "of a second in which all happened";
  pulse.step = PulseRecord::Step::kDay;
  pulse.begin = 86400;
  EXPECT_LE(bytes_of(bounded_pulse(pulse)), 96u);
}

TEST(Format, PulsesThatCannotBeAreRefused) {
  const Vault vault = example_vault();
  const auto is_refused = [&](const auto& change) {
    PulseRecord pulse{.volume = {1}, .stamp = {.lsn = {200}, .time = {}}, .begin = 7200};
    pulse.step = PulseRecord::Step::kHour;
    change(pulse);
    RecordEncoder records;
    records.add(pulse);
    return decode(vault, FrameKind::kRecords, records.bytes(), 1).error.has_value();
  };
  EXPECT_FALSE(is_refused([](PulseRecord&) {}));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.volume = {}; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.step = {}; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.step = static_cast<PulseRecord::Step>(5); }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.begin = 7201; })) << "not on the hour";
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.begin = -3600; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.overwritten = 101; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.entropy = 201; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.p99 = 18; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) { of.writes = kPulseCountMax + 1; }));
  EXPECT_TRUE(is_refused([](PulseRecord& of) {
    of.step = PulseRecord::Step::kSecond;
    of.writes = 1u << 21;
  })) << "more than a second has room for";
}

// However the bytes of one of them are changed under a valid checksum: it is refused, or is exactly
// what would be written.
TEST(Format, RecordsThatAreDamagedAreRefusedOrWhatTheySay) {
  const Vault vault = example_vault();
  const Stamp stamp{.lsn = {200}, .time = {}};
  RecordEncoder all[4];
  all[0].add(UserRecord{.stamp = stamp, .name = "ops", .verifier = "$argon2id$"});
  all[1].add(TokenRecord{.stamp = stamp, .user = "ops", .label = "backups"});
  all[2].add(AuditRecord{.stamp = stamp, .actor = "ops", .act = "rollBack", .detail = "of db"});
  PulseRecord pulse{.volume = {1}, .stamp = stamp, .begin = 7200, .writes = 300, .flushes = 70000};
  pulse.step = PulseRecord::Step::kHour;
  all[3].add(pulse);
  for (const RecordEncoder& one : all) {
    for (std::size_t at = 0; at < one.bytes().size(); ++at) {
      for (unsigned by = 1; by < 256; ++by) {
        std::vector<std::byte> bad(one.bytes().begin(), one.bytes().end());
        bad[at] ^= static_cast<std::byte>(by);
        const Decoded decoded = decode(vault, FrameKind::kRecords, bad, 1);
        if (decoded.error.has_value()) continue;
        RecordEncoder again;
        std::visit(
            [&](const auto& of) {
              if constexpr (!std::is_same_v<std::decay_t<decltype(of)>, WriteRecord>) again.add(of);
            },
            decoded.records[0]);
        ASSERT_TRUE(std::equal(bad.begin(), bad.end(), again.bytes().begin(), again.bytes().end()))
            << "byte " << at << " by " << by;
      }
    }
  }
}

TEST(Format, UsersAndTokensInTheStateAreReadBack) {
  const Vault vault = example_vault();
  JournalState state;
  state.apply(UserRecord{.stamp = {{5}, {1}}, .name = "ops", .verifier = "$a", .rights = 7});
  state.apply(UserRecord{.stamp = {{6}, {1}}, .name = "gone", .is_removed = true});
  TokenRecord token{.stamp = {{7}, {2}}, .user = "ops", .label = "ci", .expires = {9}};
  for (int i = 0; i < 20; ++i) {
    token.digest[3] = static_cast<std::byte>(i);
    token.stamp.lsn.value += 1;
    state.apply(token);
  }
  JournalState read;
  for (const RecordEncoder& frame : encode_state(state, 200)) {
    const Decoded decoded = decode(vault, FrameKind::kState, frame.bytes(), frame.count());
    ASSERT_FALSE(decoded.error.has_value()) << decoded.error->message;
    for (const AnyRecord& record : decoded.records) ASSERT_TRUE(add_to_state(read, record).ok());
  }
  EXPECT_EQ(read.users, state.users);
  EXPECT_EQ(read.tokens, state.tokens);
  EXPECT_EQ(read.tokens.size(), 20u);

  token.user = "gone";
  EXPECT_EQ(add_to_state(read, AnyRecord(token)).error().code, EIO) << "a token of nobody";
  ASSERT_TRUE(add_to_state(read, AnyRecord(UserRecord{.name = "ops", .is_removed = true})).ok());
  EXPECT_TRUE(read.tokens.empty()) << "the next state could not hold them";
  EXPECT_EQ(add_to_state(read, AnyRecord(AuditRecord{.act = "a"})).error().code, EIO);
}

TEST(Format, RollbacksThatCannotBeAreRefused) {
  const Vault vault = example_vault();
  const Stamp stamp{.lsn = {200}, .time = {}};
  RecordEncoder good;
  good.add(RollbackRecord{.stamp = stamp, .point = {99}, .volumes = {{{2}, 4096}, {{1}, 4096}}});
  ASSERT_FALSE(decode(vault, FrameKind::kRecords, good.bytes(), 1).error.has_value());
  const auto refused = [&](std::size_t at, std::uint8_t value) {
    std::vector<std::byte> bad(good.bytes().begin(), good.bytes().end());
    bad[at] = std::byte{value};
    return decode(vault, FrameKind::kRecords, bad, 1).error.has_value();
  };
  EXPECT_TRUE(refused(1, 2)) << "an unknown flag";
  EXPECT_TRUE(refused(4, 1)) << "a volume in the header";
  EXPECT_TRUE(refused(32, 200)) << "a point that is not before it";
  EXPECT_TRUE(refused(40, 0)) << "no volume";
  EXPECT_TRUE(refused(41, 2)) << "more volumes than one record takes";
  EXPECT_TRUE(refused(44, 1)) << "a reserved byte";
  EXPECT_TRUE(refused(48, 0)) << "volume 0";
  EXPECT_TRUE(refused(48, 1)) << "a volume twice";
  EXPECT_TRUE(refused(52, 1)) << "a reserved byte";

  RecordEncoder young;
  young.add(
      VolumeCreatedFrom{.volume = {3}, .stamp = stamp, .origin = {3}, .point = {99}, .name = "a"});
  EXPECT_TRUE(decode(vault, FrameKind::kRecords, young.bytes(), 1).error.has_value())
      << "an origin that is not older";
  RecordEncoder lost;
  lost.add(RollbackRecord{.stamp = stamp, .point = {99}, .volumes = {{{2}, 4096}}});
  const Decoded alone = decode(vault, FrameKind::kState, lost.bytes(), 1);
  ASSERT_EQ(alone.records.size(), 1u);
  JournalState state;
  EXPECT_FALSE(add_to_state(state, alone.records[0]).ok()) << "of a volume that is not named";
}

TEST(Format, RunsWithForgedHeadersAreRefusedOrHarmless) {
  const Vault vault = example_vault();
  std::vector<std::byte> blocks(4 * cdp::kBlockBytes);
  for (std::size_t i = 0; i < 4; ++i)
    fill_block(2 * i + 2, std::span<std::byte, cdp::kBlockBytes>(
                              blocks.data() + i * cdp::kBlockBytes, cdp::kBlockBytes));
  const std::byte* of[4];
  for (std::size_t i = 0; i < 4; ++i) of[i] = blocks.data() + i * cdp::kBlockBytes;
  std::vector<std::byte> run(kRunHeaderBytes + blocks.size());
  Codec codec = Codec::kRaw;
  run.resize(encode_run_payload(of, 3, run, codec));
  ASSERT_EQ(codec, Codec::kZstd);
  encode_run_header({.codec = codec,
                     .block_count = 4,
                     .stored_bytes = static_cast<std::uint32_t>(run.size()),
                     .segment = 3,
                     .offset = 777},
                    vault, run);
  const auto good = decode_run(vault, 3, 777, run);
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_EQ(*good, blocks);
  EXPECT_FALSE(decode_run(vault, 3, 778, run).ok());
  EXPECT_FALSE(decode_run(vault, 4, 777, run).ok());
  for (std::uint64_t seed = 1; seed <= 5000; ++seed) {
    sim::Random random(seed);
    std::vector<std::byte> bad = run;
    for (std::uint64_t i = random.between(1, 3); i > 0; --i)
      bad[random.between(8, random.coin() ? 80 : bad.size() - 1)] =
          static_cast<std::byte>(random.next());
    EXPECT_FALSE(decode_run(vault, 3, 777, bad).ok() && bad != run) << "no checksum: " << seed;
    const std::uint64_t sum = checksum(vault.secret, std::span(bad).subspan(8));
    std::memcpy(bad.data(), &sum, sizeof sum);
    const auto decoded = decode_run(vault, 3, 777, bad);
    if (decoded.ok()) {
      EXPECT_EQ(decoded->size() % cdp::kBlockBytes, 0u);
    }
  }
}

TEST(Format, RandomBytesAreNothing) {
  const Vault vault = example_vault();
  sim::Random random(1);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> bytes(kSegmentHeaderBytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
    EXPECT_FALSE(
        decode_frame_header(vault, 1, 4096, std::span<const std::byte, 256>(bytes.data(), 256))
            .ok());
    EXPECT_FALSE(
        decode_segment_header(vault, 1, std::span<const std::byte, kSegmentHeaderBytes>(bytes))
            .ok());
    EXPECT_FALSE(decode_vault(std::span(bytes).first(random.below(600))).ok());
    EXPECT_FALSE(decode_durable_note(std::span(bytes).first(random.below(80)), vault).ok());
    EXPECT_FALSE(decode_run(vault, 1, 0, std::span(bytes).first(random.below(4096))).ok());
  }
}

TEST(Vault, IsReadBackAndOtherVersionsAreNamed) {
  const Vault vault = Vault::generate({1234});
  std::vector<std::byte> bytes = encode_vault(vault);
  ASSERT_EQ(bytes.size(), 512u);
  const auto read = decode_vault(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->uuid, vault.uuid);
  EXPECT_EQ(read->secret, vault.secret);
  EXPECT_EQ(read->created, vault.created);
  bytes[8] = std::byte{9};
  const auto newer = decode_vault(bytes);
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, ENOTSUP);
  EXPECT_NE(newer.error().message.find("version 9"), std::string::npos);
  EXPECT_NE(newer.error().message.find("reads 1 to 2"), std::string::npos);
  bytes[8] = std::byte{0};
  EXPECT_EQ(decode_vault(bytes).error().code, ENOTSUP);
  bytes[8] = std::byte{2};
  bytes[70] ^= std::byte{1};
  EXPECT_EQ(decode_vault(bytes).error().code, EIO);
}

TEST(Vault, IsMadeOnce) {
  sim::SimScheduler scheduler(1);
  auto store = sim::SimStore::make(scheduler, 1);
  auto root = store->directory("vault");
  EXPECT_EQ(scheduler.run(open_vault(*root)).error().code, ENOENT);
  const auto made = scheduler.run(create_vault(*root, {5}));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(scheduler.run(open_vault(*root))->uuid, made->uuid);
  EXPECT_EQ(scheduler.run(create_vault(*root, {5})).error().code, EEXIST);
}

TEST(Uuid, IsPrintedAndParsed) {
  const Uuid uuid = Uuid::random();
  EXPECT_EQ(*Uuid::parse(uuid.to_string()), uuid);
  EXPECT_EQ(Uuid::parse("6D1F0C2E-8F3A-4B7E-9A51-0C9F5D2B7E11")->to_string(),
            "6d1f0c2e-8f3a-4b7e-9a51-0c9f5d2b7e11");
  for (const char* bad : {"", "6d1f0c2e", "6d1f0c2e-8f3a-4b7e-9a51-0c9f5d2b7e1g",
                          "6d1f0c2e08f3a-4b7e-9a51-0c9f5d2b7e11"})
    EXPECT_FALSE(Uuid::parse(bad).ok()) << bad;
}

TEST(Segment, NamesAreReadBack) {
  EXPECT_EQ(segment_name(42), "0000000042.seg");
  EXPECT_EQ(segment_number("0000000042.seg"), 42u);
  for (const char* other : {"next-1.prep", "42.seg", "00000000x2.seg", "9999999999.seg", ""})
    EXPECT_FALSE(segment_number(other).has_value()) << other;
}

}  // namespace
}  // namespace journal
