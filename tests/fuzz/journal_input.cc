// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/journal_input.h"

#include <limits>

namespace fuzz {

using cdp::load_le;
using cdp::store_le;
using namespace journal;

const Vault& vault() {
  static const Vault made = [] {
    Vault of;
    for (std::size_t i = 0; i < of.uuid.bytes.size(); ++i)
      of.uuid.bytes[i] = static_cast<std::byte>(0x10 + i);
    for (std::size_t i = 0; i < of.secret.size(); ++i)
      of.secret[i] = static_cast<std::byte>(i * 37 + 7);
    of.created = {1'582'455'360'000'000'000};
    return of;
  }();
  return made;
}

void seal_checksum(std::span<std::byte> bytes, std::size_t at) {
  store_le(bytes.data() + at, checksum(vault().secret, bytes.first(at)));
}

void seal_raw_frame(Bytes& bytes, std::uint32_t segment, std::uint64_t offset) {
  constexpr std::uint64_t kLongest = 256u << 10;
  if (bytes.size() < kFrameHeaderBytes) bytes.resize(kFrameHeaderBytes);
  const std::uint64_t records = load_le<std::uint32_t>(bytes.data() + 56);
  const std::uint64_t runs = load_le<std::uint32_t>(bytes.data() + 60);
  const std::uint64_t data = load_le<std::uint32_t>(bytes.data() + 64);
  const std::uint64_t metadata_end = kFrameHeaderBytes + records + runs * kRunEntryBytes;
  const std::uint64_t used = metadata_end + data;
  if (used > kLongest) return;
  bytes.resize(used);
  bytes.resize(cdp::round_up(used, kAppendUnit));
  std::byte* const to = bytes.data();
  std::memcpy(to + 8, vault().uuid.bytes.data(), vault().uuid.bytes.size());
  store_le(to + 24, segment);
  store_le(to + 40, static_cast<std::uint32_t>(offset));
  store_le(to + 44, static_cast<std::uint32_t>(bytes.size()));
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::byte* const entry = to + kFrameHeaderBytes + records + i * kRunEntryBytes;
    const std::uint64_t at = load_le<std::uint32_t>(entry);
    const std::uint64_t stored = load_le<std::uint32_t>(entry + 4);
    if (at < metadata_end || stored < kRunHeaderBytes || at + stored > used) continue;
    const std::span<std::byte> run(to + at, stored);
    store_le(run.data() + 16, static_cast<std::uint32_t>(stored));
    store_le(run.data() + 20, segment);
    store_le(run.data() + 24, static_cast<std::uint32_t>(offset + at));
    store_le(run.data(), checksum(vault().secret, run.subspan(8)));
  }
  const std::span<const std::byte> all(bytes);
  store_le(to + 240, checksum(vault().secret, all.subspan(kFrameHeaderBytes,
                                                          metadata_end - kFrameHeaderBytes)));
  const Digest body = body_digest(
      load_le<std::uint16_t>(to + 50) == 0 ? BodyDigest::kOfBody : BodyDigest::kOfLeaves, all);
  std::memcpy(to + 136, body.data(), body.size());
  seal_checksum(std::span(bytes).first(kFrameHeaderBytes), kFrameHeaderBytes - 8);
}

namespace {

Stamp stamp_of(const AnyRecord& record) {
  return std::visit(
      [](const auto& of) {
        if constexpr (requires { of.stamp; })
          return of.stamp;
        else
          return of.volume.created;  // of STATE volume
      },
      record);
}

// What the header says of its records: so many as can be read, and one more where bytes are left.
// Where the first one is a WRITE, it is told by what it is above `least`.
void describe_records(FrameHeader& header, std::span<const std::byte> metadata, Stamp least) {
  header.record_count = UINT32_MAX;
  header.last_lsn = {UINT64_MAX};
  header.max_time = {std::numeric_limits<std::int64_t>::max()};
  header.metadata_checksum = checksum(vault().secret, metadata);
  if (header.record_bytes == 0 || metadata[0] != static_cast<std::byte>(RecordType::kWrite)) {
    header.min_time = {std::numeric_limits<std::int64_t>::min()};
    auto records = RecordDecoder::open(header, vault(), metadata);
    const auto first = records.ok() ? records->next() : Result<AnyRecord>(records.error());
    if (first.ok()) least = stamp_of(*first);
  }
  header.first_lsn = least.lsn;
  header.min_time = least.time;
  std::uint32_t count = 0;
  Stamp most = least;
  auto records = RecordDecoder::open(header, vault(), metadata);
  while (records.ok()) {
    const auto record = records->next();
    if (!record.ok()) break;
    const Stamp stamp = stamp_of(*record);
    least = {std::min(least.lsn, stamp.lsn), std::min(least.time, stamp.time)};
    most = {std::max(most.lsn, stamp.lsn), std::max(most.time, stamp.time)};
    ++count;
  }
  header.record_count = std::max(count, 1u);
  header.first_lsn = least.lsn;
  header.last_lsn = most.lsn;
  header.min_time = least.time;
  header.max_time = most.time;
}

}  // namespace

BuiltFrame frame_from(Input& in, FrameKind kind, const FramePlace& place, Stamp least) {
  BuiltFrame frame;
  const std::span<const std::byte> records = in.chunk();
  struct RunSpec {
    Codec codec;
    std::uint16_t blocks;
    std::byte fill;
    std::span<const std::byte> payload;
    std::size_t bytes() const {
      return kRunHeaderBytes +
             (codec == Codec::kRaw ? blocks * cdp::kBlockBytes : payload.size());
    }
  };
  std::vector<RunSpec> runs;
  for (int left = kind == FrameKind::kRecords ? in.u8() % 4 : 0; left > 0; --left) {
    const std::uint8_t how = in.u8();
    RunSpec run{.codec = (how & 0x80) != 0 ? Codec::kZstd : Codec::kRaw,
                .blocks = static_cast<std::uint16_t>(how % 16 + 1),
                .fill = {},
                .payload = {}};
    if (run.codec == Codec::kRaw)
      run.fill = static_cast<std::byte>(in.u8());
    else
      run.payload = in.chunk();
    if (run.bytes() > kRunHeaderBytes) runs.push_back(run);
  }

  FrameHeader& header = frame.header;
  header.kind = kind;
  header.segment = place.segment;
  header.offset = static_cast<std::uint32_t>(place.offset);
  header.record_bytes = static_cast<std::uint32_t>(records.size());
  header.run_count = static_cast<std::uint32_t>(runs.size());
  std::uint64_t at = header.metadata_end();
  std::uint32_t first_block = 0;
  for (const RunSpec& run : runs) {
    frame.runs.push_back({.offset = static_cast<std::uint32_t>(at),
                          .stored_bytes = static_cast<std::uint32_t>(run.bytes()),
                          .first_block = first_block,
                          .block_count = run.blocks});
    frame.codecs.push_back(run.codec);
    at += run.bytes();
    first_block += run.blocks;
  }
  header.data_bytes = static_cast<std::uint32_t>(at - header.metadata_end());
  header.total_bytes = static_cast<std::uint32_t>(cdp::round_up(at, kAppendUnit));
  std::byte* const to = frame.buffer.reserve(header.total_bytes).data();
  std::memset(to, 0, header.total_bytes);
  if (!records.empty()) std::memcpy(to + kFrameHeaderBytes, records.data(), records.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::byte* const payload = to + frame.runs[i].offset + kRunHeaderBytes;
    if (runs[i].codec == Codec::kZstd)
      std::memcpy(payload, runs[i].payload.data(), runs[i].payload.size());
    else
      std::memset(payload, std::to_integer<int>(runs[i].fill),
                  runs[i].blocks * cdp::kBlockBytes);
    encode_run_entry(frame.runs[i],
                     std::span<std::byte, kRunEntryBytes>(
                         to + kFrameHeaderBytes + header.record_bytes + i * kRunEntryBytes,
                         kRunEntryBytes));
  }
  describe_records(header, {to + kFrameHeaderBytes, header.metadata_end() - kFrameHeaderBytes},
                   least);
  seal_frame(frame, place, vault());
  return frame;
}

StoredPiece stored_piece(const WritePiece& piece, const FrameHeader& header,
                         std::span<const RunEntry> runs) {
  StoredPiece stored{.kind = piece.kind,
                     .count = static_cast<std::uint16_t>(piece.count),
                     .first_new = 0,
                     .place = {},
                     .fingerprints = piece.fingerprints};
  if (piece.kind == PieceKind::kReference) stored.place = piece.place;
  if (piece.kind != PieceKind::kNew && piece.kind != PieceKind::kRepeat) return stored;
  const auto run = std::find_if(runs.begin(), runs.end(), [&](const RunEntry& entry) {
    return header.offset + entry.offset == piece.place.run_offset;
  });
  CHECK(run != runs.end() && piece.place.run_bytes == run->stored_bytes);
  CHECK(piece.place.index + piece.count <= run->block_count);
  stored.first_new = run->first_block + piece.place.index;
  return stored;
}

namespace {

struct Reread {
  RecordEncoder written{};
  std::uint32_t read = 0;
  bool is_whole = false;    // every record could be read
  bool is_verbatim = true;  // no piece was split at the border of a run, no record of version 1
};

Reread rewrite(const FrameHeader& header, std::span<const std::byte> metadata) {
  Reread result;
  result.written.clear({header.first_lsn, header.min_time});
  auto records = RecordDecoder::open(header, vault(), metadata);
  if (!records.ok()) return result;
  while (!records->at_end()) {
    const std::size_t at = result.written.bytes().size();
    if (result.is_verbatim && at < metadata.size() &&
        metadata[at] == static_cast<std::byte>(RecordType::kWriteOfVersion1))
      result.is_verbatim = false;
    const auto record = records->next();
    if (!record.ok()) return result;
    ++result.read;
    std::visit(
        [&](const auto& of) {
          if constexpr (std::is_same_v<std::decay_t<decltype(of)>, WriteRecord>) {
            std::vector<StoredPiece> pieces;
            std::uint64_t block = of.first_block;
            for (const WritePiece& piece : of.pieces) {
              CHECK(piece.first_block == block);
              block += piece.count;
              pieces.push_back(stored_piece(piece, header, records->runs()));
              if (piece.kind == PieceKind::kNew || piece.kind == PieceKind::kRepeat)
                result.is_verbatim = false;
            }
            CHECK(block == of.first_block + of.block_count);
            if (pieces.size() <= UINT16_MAX)
              result.written.write(of.volume, of.stamp, of.first_block, pieces);
          } else {
            result.written.add(of);
          }
        },
        *record);
  }
  result.is_whole = true;
  return result;
}

}  // namespace

std::uint32_t check_round_trip(const FrameHeader& header, std::span<const std::byte> metadata) {
  const Reread first = rewrite(header, metadata);
  if (!first.is_whole || first.written.count() != first.read) return first.read;
  const auto written = first.written.bytes();
  if (first.is_verbatim)
    CHECK(std::ranges::equal(written, metadata.first(header.record_bytes)));
  // With what was written in place of what was read, and the runs where they were.
  Bytes again(written.begin(), written.end());
  const auto table = metadata.subspan(header.record_bytes);
  again.insert(again.end(), table.begin(), table.end());
  FrameHeader moved = header;
  moved.record_count = first.written.count();
  moved.record_bytes = static_cast<std::uint32_t>(written.size());
  const std::uint32_t shift = moved.record_bytes - header.record_bytes;
  for (std::uint32_t i = 0; i < header.run_count; ++i) {
    std::byte* const entry = again.data() + written.size() + i * kRunEntryBytes;
    store_le(entry, load_le<std::uint32_t>(entry) + shift);
  }
  moved.metadata_checksum = checksum(vault().secret, again);
  const Reread second = rewrite(moved, again);
  CHECK(second.is_whole && second.read == first.read);
  CHECK(std::ranges::equal(second.written.bytes(), written));
  return first.read;
}

}  // namespace fuzz
