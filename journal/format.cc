// SPDX-License-Identifier: Apache-2.0
#include "journal/format.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "cdp/base/endian.h"

namespace journal {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::uint64_t kSegmentMagic = 0x544E4D4745535348;  // "HSSEGMNT"
constexpr std::uint64_t kFrameMagic = 0x00454D4152465348;    // "HSFRAME\0"
constexpr std::uint16_t kRunMagic = 0x4E52;                  // "RN"

constexpr std::size_t kSegmentChecksumAt = kSegmentHeaderBytes - 8;
constexpr std::size_t kSegmentReservedAt = 128;
constexpr std::size_t kFrameChecksumAt = kFrameHeaderBytes - 8;
constexpr std::size_t kFrameReservedAt = 168;  // signature, then 8 more
constexpr std::size_t kFrameReservedBytes = 72;
constexpr std::size_t kRunReservedAt = 28;  // key id, base reference, 4 more

static_assert(kSegmentHeaderBytes % kAppendUnit == 0);
static_assert(kFrameReservedAt + kFrameReservedBytes + 8 == kFrameChecksumAt);
static_assert(kRunBytesMax <= UINT32_MAX && kSegmentBytesMax <= UINT32_MAX);

void store_bytes(std::byte* to, std::span<const std::byte> bytes) {
  std::memcpy(to, bytes.data(), bytes.size());
}

template <std::size_t N>
void load_bytes(const std::byte* from, std::array<std::byte, N>& into) {
  std::memcpy(into.data(), from, N);
}

}  // namespace

std::string segment_name(std::uint32_t number) { return fmt::format("{:010}.seg", number); }

std::optional<std::uint32_t> segment_number(std::string_view name) {
  constexpr std::string_view suffix = ".seg";
  constexpr std::size_t digits = 10;
  if (name.size() != digits + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + digits, number);
  if (parsed.ec != std::errc() || parsed.ptr != name.data() + digits) return std::nullopt;
  return number;
}

void encode_segment_header(const SegmentHeader& header, const Vault& vault,
                           std::span<std::byte, kSegmentHeaderBytes> into) {
  std::memset(into.data(), 0, into.size());
  std::byte* const to = into.data();
  store_le(to, kSegmentMagic);
  store_le(to + 8, kFormatVersion);
  store_le(to + 12, static_cast<std::uint32_t>(kSegmentHeaderBytes));
  store_bytes(to + 16, vault.uuid.bytes);
  store_le(to + 32, header.segment);
  store_le(to + 36, header.epoch);
  store_le(to + 40, header.first_sequence);
  store_le(to + 48, header.base_lsn.value);
  store_le(to + 56, header.created.value);
  store_le(to + 64, header.capacity_bytes);
  store_le(to + 72, header.previous_length);
  store_le(to + 80, static_cast<std::uint32_t>(header.previous_end));
  // 84: key id of a signature, zero in this version
  store_bytes(to + 88, header.previous_digest);
  store_le(to + kSegmentChecksumAt, checksum(vault.secret, into.first(kSegmentChecksumAt)));
}

Result<SegmentHeader> decode_segment_header(const Vault& vault, std::uint32_t segment,
                                            std::span<const std::byte, kSegmentHeaderBytes> bytes) {
  const std::byte* const from = bytes.data();
  const std::string name = segment_name(segment);
  if (load_le<std::uint64_t>(from) != kSegmentMagic)
    return make_error(EIO, "{} does not begin with a segment header", name);
  // The version comes first: everything after it may be different in another one.
  if (const auto version = load_le<std::uint32_t>(from + 8); !reads_format(version))
    return make_error(ENOTSUP, "{} is of format version {}, this program reads {} to {}", name,
                      version, kOldestFormatVersion, kFormatVersion);
  Uuid uuid;
  load_bytes(from + 16, uuid.bytes);
  if (uuid != vault.uuid)
    return make_error(EINVAL, "{} belongs to vault {}, not to {}", name, uuid.to_string(),
                      vault.uuid.to_string());
  if (load_le<std::uint64_t>(from + kSegmentChecksumAt) !=
      checksum(vault.secret, bytes.first(kSegmentChecksumAt)))
    return make_error(EIO, "the header of {} is damaged: its checksum does not match", name);
  SegmentHeader header;
  header.segment = load_le<std::uint32_t>(from + 32);
  header.epoch = load_le<std::uint32_t>(from + 36);
  header.first_sequence = load_le<std::uint64_t>(from + 40);
  header.base_lsn = {load_le<std::uint64_t>(from + 48)};
  header.created = {load_le<std::int64_t>(from + 56)};
  header.capacity_bytes = load_le<std::uint64_t>(from + 64);
  header.previous_length = load_le<std::uint64_t>(from + 72);
  const auto previous_end = load_le<std::uint32_t>(from + 80);
  header.previous_end = static_cast<PreviousEnd>(previous_end);
  load_bytes(from + 88, header.previous_digest);
  if (header.segment != segment)
    return make_error(EIO, "{} holds the header of segment {}", name, header.segment);
  const bool first = header.previous_end == PreviousEnd::kNone;
  if (load_le<std::uint32_t>(from + 12) != kSegmentHeaderBytes || segment == 0 ||
      previous_end > static_cast<std::uint32_t>(PreviousEnd::kCut) || header.epoch == 0 ||
      header.capacity_bytes > kSegmentBytesMax || header.capacity_bytes % kAppendUnit != 0 ||
      header.previous_length > kSegmentBytesMax || header.previous_length % kAppendUnit != 0 ||
      first != (header.previous_length == 0) || first != (segment == 1) ||
      load_le<std::uint32_t>(from + 84) != 0 ||
      !all_zero(bytes.subspan(kSegmentReservedAt - 8, kSegmentChecksumAt - kSegmentReservedAt + 8)))
    return make_error(EIO, "the header of {} holds values that this format does not know", name);
  return header;
}

Digest digest_of(std::span<const std::byte, kSegmentHeaderBytes> segment_header) {
  return sha256(segment_header);
}

FrameInfo FrameHeader::info() const {
  return {.segment = segment,
          .offset = offset,
          .total_bytes = total_bytes,
          .data_bytes = data_bytes,
          .record_count = record_count,
          .kind = kind,
          .sequence = sequence,
          .first_lsn = first_lsn,
          .last_lsn = last_lsn,
          .min_time = min_time,
          .max_time = max_time};
}

void encode_frame_header(const FrameHeader& header, const Vault& vault,
                         std::span<std::byte, kFrameHeaderBytes> into) {
  std::memset(into.data(), 0, into.size());
  std::byte* const to = into.data();
  store_le(to, kFrameMagic);
  store_bytes(to + 8, vault.uuid.bytes);
  store_le(to + 24, header.segment);
  store_le(to + 28, header.epoch);
  store_le(to + 32, header.sequence);
  store_le(to + 40, header.offset);
  store_le(to + 44, header.total_bytes);
  store_le(to + 48, static_cast<std::uint16_t>(header.kind));
  store_le(to + 50, static_cast<std::uint16_t>(header.body_digest_of));
  store_le(to + 52, header.record_count);
  store_le(to + 56, header.record_bytes);
  store_le(to + 60, header.run_count);
  store_le(to + 64, header.data_bytes);
  // 68: key id of the signature, zero in this version
  store_le(to + 72, header.first_lsn.value);
  store_le(to + 80, header.last_lsn.value);
  store_le(to + 88, header.min_time.value);
  store_le(to + 96, header.max_time.value);
  store_bytes(to + 104, header.previous_digest);
  store_bytes(to + 136, header.body_digest);
  store_le(to + 240, header.metadata_checksum);
  store_le(to + kFrameChecksumAt, checksum(vault.secret, into.first(kFrameChecksumAt)));
}

bool begins_like_a_frame(std::span<const std::byte, kFrameHeaderBytes> bytes) {
  return load_le<std::uint64_t>(bytes.data()) == kFrameMagic;
}

Result<FrameHeader> decode_frame_header(const Vault& vault, std::uint32_t segment,
                                        std::uint64_t offset,
                                        std::span<const std::byte, kFrameHeaderBytes> bytes) {
  const std::byte* const from = bytes.data();
  const auto refuse = [&](std::string_view why) {
    return make_error(EIO, "there is no valid frame at byte {} of {}: {}", offset,
                      segment_name(segment), why);
  };
  if (load_le<std::uint64_t>(from) != kFrameMagic) return refuse("it does not begin with one");
  if (load_le<std::uint64_t>(from + kFrameChecksumAt) !=
      checksum(vault.secret, bytes.first(kFrameChecksumAt)))
    return refuse("the checksum of its header does not match");
  Uuid uuid;
  load_bytes(from + 8, uuid.bytes);
  FrameHeader header;
  header.segment = load_le<std::uint32_t>(from + 24);
  header.epoch = load_le<std::uint32_t>(from + 28);
  header.sequence = load_le<std::uint64_t>(from + 32);
  header.offset = load_le<std::uint32_t>(from + 40);
  header.total_bytes = load_le<std::uint32_t>(from + 44);
  const auto kind = load_le<std::uint16_t>(from + 48);
  header.kind = static_cast<FrameKind>(kind);
  header.record_count = load_le<std::uint32_t>(from + 52);
  header.record_bytes = load_le<std::uint32_t>(from + 56);
  header.run_count = load_le<std::uint32_t>(from + 60);
  header.data_bytes = load_le<std::uint32_t>(from + 64);
  header.first_lsn = {load_le<std::uint64_t>(from + 72)};
  header.last_lsn = {load_le<std::uint64_t>(from + 80)};
  header.min_time = {load_le<std::int64_t>(from + 88)};
  header.max_time = {load_le<std::int64_t>(from + 96)};
  load_bytes(from + 104, header.previous_digest);
  const auto flags = load_le<std::uint16_t>(from + 50);
  header.body_digest_of = static_cast<BodyDigest>(flags);
  load_bytes(from + 136, header.body_digest);
  header.metadata_checksum = load_le<std::uint64_t>(from + 240);
  if (uuid != vault.uuid) return refuse("it is of another vault");
  if (header.segment != segment || header.offset != offset)
    return refuse("it belongs to another place");
  if (kind < 1 || kind > 3 || flags > static_cast<std::uint16_t>(BodyDigest::kOfLeaves) ||
      load_le<std::uint32_t>(from + 68) != 0 ||
      !all_zero(bytes.subspan(kFrameReservedAt, kFrameReservedBytes)))
    return refuse("it holds values that this format does not know");
  // Each term is below 2^36, so the sums cannot wrap.
  if (header.record_count == 0 || header.total_bytes > kFrameBytesMax ||
      cdp::round_up(header.used_bytes(), kAppendUnit) != header.total_bytes ||
      offset + header.total_bytes > kSegmentBytesMax || header.first_lsn > header.last_lsn ||
      header.min_time > header.max_time || (header.run_count == 0) != (header.data_bytes == 0) ||
      (header.kind != FrameKind::kRecords && header.run_count != 0))
    return refuse("its sizes or ranges contradict each other");
  return header;
}

Digest digest_of(std::span<const std::byte, kFrameHeaderBytes> frame_header) {
  return sha256(frame_header);
}

void encode_run_entry(const RunEntry& entry, std::span<std::byte, kRunEntryBytes> into) {
  store_le(into.data(), entry.offset);
  store_le(into.data() + 4, entry.stored_bytes);
  store_le(into.data() + 8, entry.first_block);
  store_le(into.data() + 12, entry.block_count);
  store_le(into.data() + 14, std::uint16_t{0});
}

Result<std::vector<RunEntry>> decode_run_table(const FrameHeader& header,
                                               std::span<const std::byte> table) {
  CHECK(table.size() == std::size_t{header.run_count} * kRunEntryBytes);
  std::vector<RunEntry> entries;
  entries.reserve(header.run_count);
  std::uint64_t next_offset = header.metadata_end();
  std::uint64_t next_block = 0;
  for (std::size_t at = 0; at < table.size(); at += kRunEntryBytes) {
    const std::byte* const from = table.data() + at;
    const RunEntry entry{.offset = load_le<std::uint32_t>(from),
                         .stored_bytes = load_le<std::uint32_t>(from + 4),
                         .first_block = load_le<std::uint32_t>(from + 8),
                         .block_count = load_le<std::uint16_t>(from + 12)};
    if (entry.offset != next_offset || entry.first_block != next_block || entry.block_count == 0 ||
        entry.block_count > kRunBlocksMax || entry.stored_bytes <= kRunHeaderBytes ||
        entry.stored_bytes > kRunBytesMax || load_le<std::uint16_t>(from + 14) != 0)
      return make_error(EIO, "the run table of the frame at byte {} of {} is damaged",
                        header.offset, segment_name(header.segment));
    next_offset += entry.stored_bytes;
    next_block += entry.block_count;
    entries.push_back(entry);
  }
  if (next_offset != header.used_bytes())
    return make_error(EIO, "the runs of the frame at byte {} of {} do not fill it", header.offset,
                      segment_name(header.segment));
  return entries;
}

void encode_run_header(const RunHeader& header, const Vault& vault, std::span<std::byte> run) {
  CHECK(run.size() == header.stored_bytes && run.size() > kRunHeaderBytes);
  std::byte* const to = run.data();
  std::memset(to, 0, kRunHeaderBytes);
  store_le(to + 8, kRunMagic);
  store_le(to + 10, static_cast<std::uint8_t>(header.codec));
  // 11: flags, zero in this version
  store_le(to + 12, header.block_count);
  store_le(to + 16, header.stored_bytes);
  store_le(to + 20, header.segment);
  store_le(to + 24, header.offset);
  // 28: key id and base reference, zero in this version
  store_le(to, checksum(vault.secret, run.subspan(8)));
}

Result<RunHeader> decode_run_header(const Vault& vault, std::uint32_t segment, std::uint64_t offset,
                                    std::span<const std::byte> run) {
  const auto refuse = [&](std::string_view why) {
    return make_error(EIO, "the run at byte {} of {} cannot be used: {}", offset,
                      segment_name(segment), why);
  };
  if (run.size() <= kRunHeaderBytes || run.size() > kRunBytesMax) return refuse("its size is off");
  const std::byte* const from = run.data();
  if (load_le<std::uint16_t>(from + 8) != kRunMagic) return refuse("no run begins there");
  if (load_le<std::uint64_t>(from) != checksum(vault.secret, run.subspan(8)))
    return refuse("its checksum does not match");
  const auto codec = load_le<std::uint8_t>(from + 10);
  const RunHeader header{.codec = static_cast<Codec>(codec),
                         .block_count = load_le<std::uint16_t>(from + 12),
                         .stored_bytes = load_le<std::uint32_t>(from + 16),
                         .segment = load_le<std::uint32_t>(from + 20),
                         .offset = load_le<std::uint32_t>(from + 24)};
  if (header.segment != segment || header.offset != offset || header.stored_bytes != run.size())
    return refuse("it belongs to another place");
  if (codec > static_cast<std::uint8_t>(Codec::kZstd) || load_le<std::uint8_t>(from + 11) != 0 ||
      load_le<std::uint16_t>(from + 14) != 0 ||
      !all_zero(run.subspan(kRunReservedAt, kRunHeaderBytes - kRunReservedAt)))
    return refuse("it holds values that this format does not know");
  if (header.block_count == 0 || header.block_count > kRunBlocksMax ||
      (header.codec == Codec::kRaw &&
       run.size() != kRunHeaderBytes + header.block_count * cdp::kBlockBytes))
    return refuse("its size contradicts its number of blocks");
  return header;
}

std::uint32_t stored_run_bytes(std::span<const std::byte> run) {
  CHECK(run.size() >= kRunHeaderBytes);
  return load_le<std::uint32_t>(run.data() + 16);
}

Result<std::vector<std::byte>> decode_run(const Vault& vault, std::uint32_t segment,
                                          std::uint64_t offset, std::span<const std::byte> run) {
  Result<RunHeader> header = decode_run_header(vault, segment, offset, run);
  if (!header.ok()) return header.error();
  const std::span<const std::byte> payload = run.subspan(kRunHeaderBytes);
  if (header->codec == Codec::kRaw) return std::vector<std::byte>(payload.begin(), payload.end());
  std::vector<std::byte> blocks(header->block_count * cdp::kBlockBytes);
  thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                                  &ZSTD_freeDCtx);
  const std::size_t got = ZSTD_decompressDCtx(context.get(), blocks.data(), blocks.size(),
                                              payload.data(), payload.size());
  if (ZSTD_isError(got) || got != blocks.size())
    return make_error(EIO, "the run at byte {} of {} does not decompress to its {} blocks", offset,
                      segment_name(segment), header->block_count);
  return blocks;
}

Status check_frame_body(const FrameHeader& header, const Vault& vault,
                        std::span<const std::byte> frame, bool digest) {
  CHECK(frame.size() == header.total_bytes);
  const auto refuse = [&](std::string_view why) {
    return make_error(EIO, "the frame at byte {} of {} is damaged: {}", header.offset,
                      segment_name(header.segment), why);
  };
  const std::uint64_t table_at = kFrameHeaderBytes + header.record_bytes;
  const std::uint64_t metadata_end = header.metadata_end();
  if (header.metadata_checksum !=
      checksum(vault.secret, frame.subspan(kFrameHeaderBytes, metadata_end - kFrameHeaderBytes)))
    return refuse("the checksum of its records does not match");
  Result<std::vector<RunEntry>> table =
      decode_run_table(header, frame.subspan(table_at, metadata_end - table_at));
  if (!table.ok()) return table.error();
  for (const RunEntry& entry : *table) {
    Result<RunHeader> run = decode_run_header(vault, header.segment, header.offset + entry.offset,
                                              frame.subspan(entry.offset, entry.stored_bytes));
    if (!run.ok()) return run.error();
    if (run->block_count != entry.block_count) return refuse("its run table contradicts a run");
  }
  if (!all_zero(frame.subspan(header.used_bytes()))) return refuse("its padding is not zero");
  if (digest && body_digest(header.body_digest_of, frame) != header.body_digest)
    return refuse("the SHA-256 of its body does not match");
  return {};
}

}  // namespace journal
