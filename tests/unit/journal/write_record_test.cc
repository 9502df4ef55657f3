// SPDX-License-Identifier: Apache-2.0
//
// The record of a write (FORMAT.md, "Records"): byte by byte as the document says it, in its form
// of now and that of version 1, and refused where it cannot be.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <vector>

#include "cdp/base/endian.h"
#include "journal/record_codec.h"
#include "journal/vault.h"

namespace journal {
namespace {

constexpr std::int64_t kEarliest = 1'582'455'360'000'000'000;
const Fingerprint kPrints[3] = {{1, 2}, {3, 4}, {5, 6}};

// A frame of LSN 100 to 1000, of ten seconds, with two runs of 16 blocks.
struct Frame {
  Vault vault{};
  FrameHeader header{.segment = 300,
                     .offset = 65536,
                     .record_count = 1,
                     .run_count = 2,
                     .data_bytes = 2000,
                     .first_lsn = {100},
                     .last_lsn = {1000},
                     .min_time = {kEarliest},
                     .max_time = {kEarliest + 10'000'000'000}};
  std::vector<std::byte> metadata{};

  Stamp least() const { return {.lsn = header.first_lsn, .time = header.min_time}; }

  // The spans of what it gives are into the decoder.
  Result<AnyRecord> decode(std::span<const std::byte> record) {
    header.record_bytes = static_cast<std::uint32_t>(record.size());
    metadata.assign(record.begin(), record.end());
    metadata.resize(record.size() + header.run_count * kRunEntryBytes);
    for (std::uint32_t i = 0; i < header.run_count; ++i)
      encode_run_entry({.offset = static_cast<std::uint32_t>(header.metadata_end()) + i * 1000,
                        .stored_bytes = 1000,
                        .first_block = i * 16,
                        .block_count = 16},
                       std::span<std::byte, kRunEntryBytes>(
                           metadata.data() + record.size() + i * kRunEntryBytes, kRunEntryBytes));
    header.metadata_checksum = checksum(vault.secret, metadata);
    Result<RecordDecoder> opened = RecordDecoder::open(header, vault, metadata);
    CHECK(opened.ok());
    decoder.emplace(*std::move(opened));
    return decoder->next();
  }
  std::optional<RecordDecoder> decoder{};
};

std::vector<std::byte> bytes_of(std::initializer_list<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

void append(std::vector<std::byte>& bytes, const Fingerprint& print) {
  const std::size_t at = bytes.size();
  bytes.resize(at + kFingerprintBytes);
  cdp::store_le(bytes.data() + at, print.low);
  cdp::store_le(bytes.data() + at + 8, print.high);
}
void append(std::vector<std::byte>& bytes, std::initializer_list<unsigned> values) {
  const std::vector<std::byte> more = bytes_of(values);
  bytes.insert(bytes.end(), more.begin(), more.end());
}

// Of LSN 300 and 1 ms after the earliest time, at block 2^20: one of each kind of piece.
const StoredPiece kPieces[] = {
    {.kind = PieceKind::kNew, .count = 2, .first_new = 15, .fingerprints = std::span(kPrints, 2)},
    {.kind = PieceKind::kReference,
     .count = 1,
     .place = {.segment = 299, .run_offset = 8192, .run_bytes = 4144, .index = 3},
     .fingerprints = std::span(kPrints + 2, 1)},
    {.kind = PieceKind::kRepeat, .count = 1, .first_new = 31},
    {.kind = PieceKind::kZero, .count = 300},
    {.kind = PieceKind::kSame, .count = 1}};
constexpr Stamp kStamp{.lsn = {300}, .time = {kEarliest + 1'000'000}};

void expect_the_pieces(const AnyRecord& any) {
  const WriteRecord& write = std::get<WriteRecord>(any);
  EXPECT_EQ(write.volume, VolumeId{2});
  EXPECT_EQ(write.stamp, kStamp);
  EXPECT_EQ(write.first_block, 1u << 20);
  EXPECT_EQ(write.block_count, 305u);
  // The first one lies across the border of two runs.
  ASSERT_EQ(write.pieces.size(), 6u);
  EXPECT_EQ(write.pieces[0].place.index, 15u);
  EXPECT_EQ(write.pieces[1].place.index, 0u);
  EXPECT_EQ(write.pieces[1].place.run_offset, write.pieces[0].place.run_offset + 1000);
  EXPECT_EQ(write.pieces[1].fingerprints[0], kPrints[1]);
  EXPECT_EQ(write.pieces[2].kind, PieceKind::kReference);
  EXPECT_EQ(write.pieces[2].place, kPieces[1].place);
  EXPECT_EQ(write.pieces[2].fingerprints[0], kPrints[2]);
  EXPECT_EQ(write.pieces[3].kind, PieceKind::kRepeat);
  EXPECT_EQ(write.pieces[3].place.index, 15u);
  EXPECT_EQ(write.pieces[4].kind, PieceKind::kZero);
  EXPECT_EQ(write.pieces[4].count, 300u);
  EXPECT_EQ(write.pieces[5].kind, PieceKind::kSame);
  EXPECT_EQ(write.pieces[5].first_block, (1u << 20) + 304);
}

TEST(WriteRecord, IsWrittenAsDocumentedAndReadBack) {
  Frame frame;
  RecordEncoder records(frame.least());
  records.write({2}, kStamp, 1u << 20, kPieces);
  // type, pieces, volume, LSN 200 after 100, 10^6 ns after the earliest time, block 2^20
  std::vector<std::byte> expected =
      bytes_of({12, 5, 2, 0xc8, 0x01, 0xc0, 0x84, 0x3d, 0x80, 0x80, 0x40});
  append(expected, {1, 2, 15});
  append(expected, kPrints[0]);
  append(expected, kPrints[1]);
  append(expected, {2, 1, 0xab, 0x02, 0x80, 0x40, 0xb0, 0x20, 3});
  append(expected, kPrints[2]);
  append(expected, {3, 1, 31, 4, 0xac, 0x02, 5, 1});
  EXPECT_TRUE(std::ranges::equal(records.bytes(), expected));
  const auto record = frame.decode(records.bytes());
  ASSERT_TRUE(record.ok()) << record.error().message;
  expect_the_pieces(*record);
  EXPECT_TRUE(frame.decoder->at_end());
}

// What vaults of version 1 are full of.
TEST(WriteRecord, OfVersion1IsRead) {
  std::vector<std::byte> bytes = bytes_of({1, 0, 5, 0, 2, 0, 0, 0});
  bytes.resize(32);
  cdp::store_le(bytes.data() + 8, kStamp.lsn.value);
  cdp::store_le(bytes.data() + 16, kStamp.time.value);
  cdp::store_le(bytes.data() + 24, std::uint64_t{1} << 20);
  append(bytes, {1, 0, 2, 0, 15, 0, 0, 0});
  append(bytes, kPrints[0]);
  append(bytes, kPrints[1]);
  append(bytes,
         {2, 0, 1, 0, 0, 0, 0, 0, 0x2b, 1, 0, 0, 0, 0x20, 0, 0, 0x30, 0x10, 0, 0, 3, 0, 0, 0});
  append(bytes, kPrints[2]);
  append(bytes, {3, 0, 1, 0, 31, 0, 0, 0, 4, 0, 0x2c, 1, 0, 0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0});
  Frame frame;
  const auto record = frame.decode(bytes);
  ASSERT_TRUE(record.ok()) << record.error().message;
  expect_the_pieces(*record);
  // flags of the record and of a piece, what lies behind a place, a number where there is none
  for (const std::size_t reserved : std::to_array<std::size_t>({1, 33, 94, 124})) {
    std::vector<std::byte> bad = bytes;
    ASSERT_EQ(bad[reserved], std::byte{0});
    bad[reserved] = std::byte{1};
    EXPECT_FALSE(frame.decode(bad).ok()) << "byte " << reserved;
  }
  for (const std::int64_t time : {kEarliest - 1, frame.header.max_time.value + 1}) {
    std::vector<std::byte> bad = bytes;
    cdp::store_le(bad.data() + 16, time);
    EXPECT_FALSE(frame.decode(bad).ok()) << "of a time that the frame does not have";
  }
}

TEST(WriteRecord, OfABlockTakesLittle) {
  Frame frame;
  RecordEncoder records(frame.least());
  const StoredPiece piece{.kind = PieceKind::kNew,
                          .count = 1,
                          .first_new = 1000,
                          .fingerprints = std::span(kPrints, 1)};
  records.write({1}, {.lsn = {1000}, .time = {kEarliest + 150'000'000}}, 50'000'000,
                std::span(&piece, 1));
  EXPECT_LE(records.bytes().size(), 34u);
}

TEST(WriteRecord, IsRefusedWhereItCannotBe) {
  Frame frame;
  // type, pieces, volume, LSN, time, block; a piece of one block of zeroes
  const auto is_refused = [&](std::initializer_list<unsigned> bytes) {
    return !frame.decode(bytes_of(bytes)).ok();
  };
  EXPECT_FALSE(is_refused({12, 1, 2, 0, 0, 0, 4, 1}));
  EXPECT_TRUE(is_refused({12, 0, 2, 0, 0, 0})) << "no piece";
  EXPECT_TRUE(is_refused({12, 1, 0, 0, 0, 0, 4, 1})) << "of no volume";
  EXPECT_TRUE(is_refused({12, 1, 0x82, 0x00, 0, 0, 0, 4, 1})) << "a number longer than it needs";
  EXPECT_TRUE(is_refused({12, 0x80, 0x80, 0x04, 2, 0, 0, 0, 4, 1})) << "65536 pieces";
  EXPECT_TRUE(is_refused({12, 1, 0x82, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 4, 1}))
      << "of volume 2^32 + 2";
  EXPECT_FALSE(is_refused({12, 1, 2, 0x84, 0x07, 0, 0, 4, 1})) << "of the last LSN";
  EXPECT_TRUE(is_refused({12, 1, 2, 0x85, 0x07, 0, 0, 4, 1})) << "of an LSN behind the frame";
  EXPECT_FALSE(is_refused({12, 1, 2, 0, 0x80, 0xc8, 0xaf, 0xa0, 0x25, 0, 4, 1}));
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0x81, 0xc8, 0xaf, 0xa0, 0x25, 0, 4, 1}))
      << "later than the frame";
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08, 4, 1}))
      << "beyond any volume";
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 4, 0})) << "a piece of nothing";
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 6, 1})) << "an unknown kind of piece";
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 0, 1}));
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 4, 0x80, 0x80, 0x04})) << "65536 blocks in a piece";
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 3, 1, 32})) << "a new block that there is not";
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 3, 1, 0x9f, 0x80, 0x80, 0x80, 0x10}))
      << "new block 2^32 + 31";
  for (const std::uint64_t cut : {1u, 2u, 4u, 6u, 7u}) {
    std::vector<std::byte> bytes = bytes_of({12, 1, 2, 0, 0, 0, 4, 1});
    bytes.resize(cut);
    EXPECT_FALSE(frame.decode(bytes).ok()) << "cut off behind " << cut << " bytes";
  }
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 4, 1, 0})) << "something behind it";
  // 2^64 and more, and a number without an end
  EXPECT_TRUE(is_refused(
      {12, 1, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0, 0, 4, 1}));
  EXPECT_TRUE(is_refused(
      {12, 1, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}));
  frame.header.kind = FrameKind::kState;
  frame.header.run_count = frame.header.data_bytes = 0;
  EXPECT_TRUE(is_refused({12, 1, 2, 0, 0, 0, 4, 1})) << "in a state";
}

// A clock that was set inside of a frame, and the largest of all else.
TEST(WriteRecord, StaysWithinItsBoundAndIsReadBackWhateverItHolds) {
  Frame frame;
  frame.header.segment = UINT32_MAX;
  frame.header.first_lsn = {1};
  frame.header.last_lsn = {UINT64_MAX};
  frame.header.min_time = {std::numeric_limits<std::int64_t>::min()};
  frame.header.max_time = {std::numeric_limits<std::int64_t>::max()};
  const BlockPlace place{.segment = UINT32_MAX,
                         .run_offset = UINT32_MAX,
                         .run_bytes = static_cast<std::uint32_t>(kRunBytesMax),
                         .index = kRunBlocksMax - 1};
  std::vector<StoredPiece> pieces;
  for (std::size_t i = 0; i < UINT16_MAX; ++i)
    pieces.push_back({.kind = PieceKind::kReference,
                      .count = 1,
                      .place = place,
                      .fingerprints = std::span(kPrints, 1)});
  RecordEncoder records(frame.least());
  const Stamp stamp{.lsn = frame.header.last_lsn, .time = frame.header.max_time};
  const std::uint64_t first = kVolumeBlocksMax - pieces.size();
  records.write({UINT32_MAX}, stamp, first, pieces);
  EXPECT_LE(records.bytes().size(), write_record_bound(pieces.size()));
  EXPECT_GE(records.bytes().size() + 4 * pieces.size(), write_record_bound(pieces.size()));
  const auto record = frame.decode(records.bytes());
  ASSERT_TRUE(record.ok()) << record.error().message;
  const WriteRecord& write = std::get<WriteRecord>(*record);
  EXPECT_EQ(write.stamp, stamp);
  EXPECT_EQ(write.volume, VolumeId{UINT32_MAX});
  EXPECT_EQ(write.first_block, first);
  ASSERT_EQ(write.pieces.size(), pieces.size());
  EXPECT_EQ(write.pieces.back().place, place);
}

}  // namespace
}  // namespace journal
