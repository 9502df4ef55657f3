// SPDX-License-Identifier: Apache-2.0
//
// The fixed structures of a run file and their one encode and one decode each (README.md, "Run
// file"): the header page, the rows of entries, frames and fences.
//
// Pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "journal/index/entry.h"
#include "journal/index/packed_page.h"
#include "journal/vault.h"

namespace journal::index {

// 1 did not know frames with CLOCK records, 2 not those with pulses of another time or audits.
inline constexpr std::uint32_t kRunVersion = 3;

// "0000000042.run"
std::string run_name(std::uint32_t number);

// One row of the frame table: a frame of records, or a stretch of a segment that is damaged.
struct FrameRow {
  enum Flag : std::uint16_t {
    kControl = 1,  // records of volumes, marks, rollbacks, crashes, users or tokens
    kDamaged = 2,  // it cannot be read: LSNs are those that may be lost, times those around it
    kClock = 4,    // it has CLOCK records; of all those only the newest one matters to a state
    kPulse = 8,    // PULSE records of seconds; of minutes, hours and days: the three bits above it
    // PULSE records of what had not begun when they were recorded, or was over for longer than
    // kPulseRecordedWithin: the times of the frame tell nothing of theirs.
    kPulseOfOtherTime = 128,
    kAudit = 256,  // AUDIT records
  };
  static constexpr std::uint16_t pulse_flag(PulseRecord::Step step) {
    return static_cast<std::uint16_t>(kPulse << (static_cast<unsigned>(step) - 1));
  }
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;       // a multiple of 4096
  std::uint32_t total_bytes = 0;  // a multiple of 4096
  std::uint16_t flags = 0;
  Lsn first_lsn{};
  Lsn last_lsn{};
  Nanos min_time{};
  Nanos max_time{};
  bool operator==(const FrameRow&) const = default;
};

using Row = std::array<std::uint64_t, kColumnsMax>;

// Columns of entry pages.
enum EntryColumn : unsigned {
  kTree,
  kNode,
  kAge,  // the LSN's complement: newest first
  kSegment,
  kRunOffset,
  kRunKib,  // length of the run, rounded up
  kIndex,   // in the run, plus one; 0: zeroes, and the place is that of the row before
  kEntryColumns,
};
// Fence pages have a row for each page below. Its key is not above the page's first key, and above
// every key before that.
enum EntryFenceColumn : unsigned { kEntryChild = 3, kEntryFenceColumns = 4 };

enum FrameColumn : unsigned {
  kLastLsn,
  kLsns,  // last LSN - first LSN
  kFrameSegment,
  kFramePage,   // offset / 4096
  kFramePages,  // total bytes / 4096
  kMinTime,     // ordered: the sign bit inverted
  kTimes,       // latest - earliest
  kFlags,
  kFrameColumns,
};
// The key is the last LSN of the first frame below; times and flags are of all frames below.
enum FrameFenceColumn : unsigned {
  kFenceLsn,
  kFrameChild,
  kFenceMinTime,
  kFenceMaxTime,
  kFenceFlags,
  kFrameFenceColumns,
};

constexpr std::uint64_t ordered(Nanos time) {
  return static_cast<std::uint64_t>(time.value) ^ std::uint64_t{1} << 63;
}
constexpr Nanos time_of(std::uint64_t ordered_time) {
  return {static_cast<std::int64_t>(ordered_time ^ std::uint64_t{1} << 63)};
}

// Makes `row`, the row before it or zeroes, that of `entry`.
void put_entry(const Entry& entry, Row& row);
Entry entry_at(const PackedPage& page, unsigned row);
Row frame_row(const FrameRow& frame);
FrameRow frame_at_row(const PackedPage& page, unsigned row);

// A static tree: `leaf_pages` pages of rows from `first_leaf` on, and fences above them.
struct TreeSection {
  std::uint32_t first_leaf = 0;
  std::uint32_t leaf_pages = 0;
  std::uint32_t root = 0;    // page; the leaf itself where there is one leaf
  std::uint32_t height = 0;  // levels of fences above the leaves
  std::uint64_t rows = 0;

  std::uint32_t end_leaf() const { return first_leaf + leaf_pages; }
};

struct RunHeader {
  std::uint32_t number = 0;
  Lsn after{};  // the run has every change with after < LSN <= upto, and no other
  Lsn upto{};
  std::uint64_t keys = 0;  // different (tree, node)
  std::uint32_t level_mask = 0;
  std::uint32_t pages = 0;  // of the file, this one among them
  Nanos min_time{};         // of all frames; of no frame: 0
  Nanos max_time{};
  TreeSection entries{};
  TreeSection frames{};
  std::uint32_t filter_page = 0;   // first page of the filter; 0: there is none
  std::uint32_t filter_lines = 0;  // 63 to a page
  Row least{};                     // of each column of the entries
  Row largest{};

  std::uint64_t used_bytes() const { return std::uint64_t{pages} * kPageBytes; }
};

void encode_run_header(const RunHeader& header, const Vault& vault,
                       std::span<std::byte, kPageBytes> page);
// EIO where it is not the header of that run of that vault, ENOTSUP for another version.
Result<RunHeader> decode_run_header(const Vault& vault, std::uint32_t number, PageBytes page);

}  // namespace journal::index
