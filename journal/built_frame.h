// SPDX-License-Identifier: Apache-2.0
//
// BuiltFrame: the bytes of a frame, ready to be appended, and the two ways of making them without
// recorded changes: a frame of records alone, and the opening of a segment (header and state).
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "journal/aligned_buffer.h"
#include "journal/format.h"
#include "journal/record_codec.h"
#include "journal/state.h"

namespace journal {

struct FrameCounts {
  std::uint32_t zero = 0;
  std::uint32_t same = 0;
  std::uint32_t duplicate = 0;
  std::uint32_t stored = 0;
  std::uint32_t reads = 0;
  std::uint32_t mismatches = 0;
};

struct BuiltFrame {
  FrameHeader header{};
  Digest digest{};
  AlignedBuffer buffer{};
  std::vector<RunEntry> runs{};
  std::vector<Codec> codecs{};              // of the runs
  std::vector<std::uint8_t>
      entropies{};  // of the runs: of a block in it (see entropy_of), if known
  std::vector<Fingerprint> fingerprints{};  // of the new blocks
  std::vector<std::uint32_t> stored_of_writes{};  // the new blocks of each write, in order
  FrameCounts counts{};

  std::span<const std::byte> bytes() const { return {buffer.data(), header.total_bytes}; }
};

// Where a frame goes, and what it continues.
struct FramePlace {
  std::uint32_t segment = 0;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;
  std::uint64_t offset = 0;
  Digest previous_digest{};
};

// Completes a frame whose records and run payloads are in its buffer, and whose header has its
// sizes: moves the runs together, and fills in run headers, run table, padding and header.
void seal_frame(BuiltFrame& frame, const FramePlace& place, const Vault& vault);

// A frame without runs; `newest` is the newest change before it.
BuiltFrame frame_of_records(FrameKind kind, const RecordEncoder& records, Stamp newest,
                            const FramePlace& place, const Vault& vault);

// What a segment begins with.
struct SegmentOpening {
  AlignedBuffer buffer{};
  std::uint64_t bytes = 0;
  FramePlace next{};  // of the frame that comes after it
};
SegmentOpening build_opening(const SegmentHeader& header, const JournalState& state,
                             const Vault& vault);
// The most bytes that the opening with this state takes.
std::uint64_t opening_bytes_bound(const JournalState& state);

}  // namespace journal
