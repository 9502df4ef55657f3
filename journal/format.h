// SPDX-License-Identifier: Apache-2.0
//
// The fixed structures of a segment file and their one encode and one decode each (FORMAT.md,
// "Segment header", "Frame header", "Run table", "Run"). Records are in record_codec.h.
//
// Decoders take bytes that anybody may have written: they check every field, never trust a size,
// and answer with an Error. Encoders CHECK what they are given: that is ours.
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "journal/body_digest.h"
#include "journal/hash.h"
#include "journal/records.h"
#include "journal/vault.h"
#include "journal/vault_reader.h"

namespace journal {

// Everything appended begins and ends at a multiple of this, so that no append can damage a
// physical sector that holds an earlier frame.
inline constexpr std::uint64_t kAppendUnit = 4096;

inline constexpr std::size_t kSegmentHeaderBytes = 4096;
inline constexpr std::size_t kFrameHeaderBytes = 256;
inline constexpr std::size_t kRunEntryBytes = 16;
inline constexpr std::size_t kRunHeaderBytes = 48;
inline constexpr std::size_t kRunBlocksMax = 64;
inline constexpr std::size_t kRunBytesMax = kRunHeaderBytes + kRunBlocksMax * cdp::kBlockBytes;
inline constexpr std::uint32_t kFrameBytesMax = 16u << 20;
inline constexpr std::uint64_t kSegmentBytesMax = 1u << 30;
// A state goes on in another frame only where it has so many bytes of records in one.
inline constexpr std::size_t kStateFrameRecordBytes = 1u << 20;

// "0000000042.seg"
std::string segment_name(std::uint32_t number);
// Nothing for names of other files.
std::optional<std::uint32_t> segment_number(std::string_view name);
inline constexpr std::string_view kPreparedSegmentPrefix = "next";
inline constexpr char kReserveName[] = "reserve.prep";

enum class PreviousEnd : std::uint32_t { kNone = 0, kSealed = 1, kCut = 2 };

struct SegmentHeader {
  std::uint32_t segment = 0;
  std::uint32_t epoch = 0;
  std::uint64_t first_sequence = 0;  // of its first frame
  Lsn base_lsn{};
  Nanos created{};
  PreviousEnd previous_end = PreviousEnd::kNone;
  std::uint64_t previous_length = 0;  // bytes up to the end of the previous segment's last frame
  Digest previous_digest{};           // of the previous segment's last frame
  std::uint64_t capacity_bytes = 0;
};

void encode_segment_header(const SegmentHeader& header, const Vault& vault,
                           std::span<std::byte, kSegmentHeaderBytes> into);
Result<SegmentHeader> decode_segment_header(const Vault& vault, std::uint32_t segment,
                                            std::span<const std::byte, kSegmentHeaderBytes> bytes);
Digest digest_of(std::span<const std::byte, kSegmentHeaderBytes> segment_header);

struct FrameHeader {
  std::uint32_t segment = 0;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;
  std::uint32_t offset = 0;
  std::uint32_t total_bytes = 0;
  FrameKind kind = FrameKind::kRecords;
  std::uint32_t record_count = 0;
  std::uint32_t record_bytes = 0;
  std::uint32_t run_count = 0;
  std::uint32_t data_bytes = 0;
  Lsn first_lsn{};
  Lsn last_lsn{};
  Nanos min_time{};
  Nanos max_time{};
  Digest previous_digest{};
  BodyDigest body_digest_of = BodyDigest::kOfLeaves;
  Digest body_digest{};
  std::uint64_t metadata_checksum = 0;

  // Header, records and run table.
  std::uint64_t metadata_end() const {
    return kFrameHeaderBytes + record_bytes + std::uint64_t{run_count} * kRunEntryBytes;
  }
  std::uint64_t used_bytes() const { return metadata_end() + data_bytes; }
  FrameInfo info() const;
};

void encode_frame_header(const FrameHeader& header, const Vault& vault,
                         std::span<std::byte, kFrameHeaderBytes> into);
// A cheap first look, for scans.
bool begins_like_a_frame(std::span<const std::byte, kFrameHeaderBytes> bytes);
// `segment` and `offset` say where the bytes were read: a frame is valid in its place only.
Result<FrameHeader> decode_frame_header(const Vault& vault, std::uint32_t segment,
                                        std::uint64_t offset,
                                        std::span<const std::byte, kFrameHeaderBytes> bytes);
// The frame's digest.
Digest digest_of(std::span<const std::byte, kFrameHeaderBytes> frame_header);

struct RunEntry {
  std::uint32_t offset = 0;        // from the frame's start
  std::uint32_t stored_bytes = 0;  // with its header
  std::uint32_t first_block = 0;   // number of its first block among the frame's new blocks
  std::uint16_t block_count = 0;
};

void encode_run_entry(const RunEntry& entry, std::span<std::byte, kRunEntryBytes> into);
// The whole table, checked against the header: runs lie one after another and fill data_bytes.
Result<std::vector<RunEntry>> decode_run_table(const FrameHeader& header,
                                               std::span<const std::byte> table);

enum class Codec : std::uint8_t { kRaw = 0, kZstd = 1 };

struct RunHeader {
  Codec codec = Codec::kRaw;
  std::uint16_t block_count = 0;
  std::uint32_t stored_bytes = 0;
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;  // from the segment's start
};

// `run` is the whole run, with its payload in place: the checksum covers both.
void encode_run_header(const RunHeader& header, const Vault& vault, std::span<std::byte> run);
// `run` is exactly what a place or run table says; checks that it is that run, and its checksum.
Result<RunHeader> decode_run_header(const Vault& vault, std::uint32_t segment, std::uint64_t offset,
                                    std::span<const std::byte> run);
// What the header says of the run's length, unchecked. `run` has at least kRunHeaderBytes.
std::uint32_t stored_run_bytes(std::span<const std::byte> run);
// The blocks of a run, after decode_run_header's checks.
Result<std::vector<std::byte>> decode_run(const Vault& vault, std::uint32_t segment,
                                          std::uint64_t offset, std::span<const std::byte> run);

// What a frame's bytes must fulfil beyond its header: metadata checksum, run table, every run's
// checksum, zero padding. `frame` has header.total_bytes bytes. With `digest`, SHA-256 as well.
Status check_frame_body(const FrameHeader& header, const Vault& vault,
                        std::span<const std::byte> frame, bool digest);

}  // namespace journal
