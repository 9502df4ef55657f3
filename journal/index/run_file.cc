// SPDX-License-Identifier: Apache-2.0
#include "journal/index/run_file.h"

#include <fmt/format.h>

#include <cstring>

#include "journal/index/filter.h"

namespace journal::index {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::uint64_t kMagic = 0x315845444E495348;  // "HSINDEX1"
constexpr std::size_t kFieldsAt = kPageHeaderBytes;
constexpr std::size_t kEntriesAt = 120;
constexpr std::size_t kFramesAt = 144;
constexpr std::size_t kRangesAt = 176;

void store_section(std::byte* to, const TreeSection& section) {
  store_le(to, section.first_leaf);
  store_le(to + 4, section.leaf_pages);
  store_le(to + 8, section.root);
  store_le(to + 12, section.height);
  store_le(to + 16, section.rows);
}

TreeSection load_section(const std::byte* from) {
  return {.first_leaf = load_le<std::uint32_t>(from),
          .leaf_pages = load_le<std::uint32_t>(from + 4),
          .root = load_le<std::uint32_t>(from + 8),
          .height = load_le<std::uint32_t>(from + 12),
          .rows = load_le<std::uint64_t>(from + 16)};
}

bool lies_within(const TreeSection& section, std::uint32_t pages) {
  if (section.leaf_pages == 0) return section.rows == 0;
  return section.first_leaf != 0 && section.root < pages && section.first_leaf < pages &&
         section.leaf_pages <= pages - section.first_leaf && section.root >= section.first_leaf &&
         section.height < 32;
}

}  // namespace

std::string run_name(std::uint32_t number) { return fmt::format("{:010}.run", number); }

void put_entry(const Entry& entry, Row& row) {
  row[kTree] = entry.tree;
  row[kNode] = entry.node;
  row[kAge] = ~entry.lsn.value;
  if (entry.zero()) {
    row[kIndex] = 0;
    return;
  }
  row[kSegment] = entry.place.segment;
  row[kRunOffset] = entry.place.run_offset;
  row[kRunKib] = (std::uint64_t{entry.place.run_bytes} + 1023) / 1024;
  row[kIndex] = std::uint64_t{entry.place.index} + 1;
}

Entry entry_at(const PackedPage& page, unsigned row) {
  Entry entry{
      .tree = page.get(kTree, row), .node = page.get(kNode, row), .lsn = {~page.get(kAge, row)}};
  const std::uint64_t index = page.get(kIndex, row);
  if (index == 0) return entry;
  entry.place = {.segment = static_cast<std::uint32_t>(page.get(kSegment, row)),
                 .run_offset = static_cast<std::uint32_t>(page.get(kRunOffset, row)),
                 .run_bytes = static_cast<std::uint32_t>(page.get(kRunKib, row) * 1024),
                 .index = static_cast<std::uint16_t>(index - 1)};
  return entry;
}

Row frame_row(const FrameRow& frame) {
  CHECK(frame.offset % kPageBytes == 0 && frame.total_bytes % kPageBytes == 0);
  CHECK(frame.first_lsn <= frame.last_lsn && frame.min_time <= frame.max_time);
  return {frame.last_lsn.value,
          frame.last_lsn.value - frame.first_lsn.value,
          frame.segment,
          frame.offset / kPageBytes,
          frame.total_bytes / kPageBytes,
          ordered(frame.min_time),
          ordered(frame.max_time) - ordered(frame.min_time),
          frame.flags};
}

FrameRow frame_at_row(const PackedPage& page, unsigned row) {
  const std::uint64_t last_lsn = page.get(kLastLsn, row);
  const std::uint64_t min_time = page.get(kMinTime, row);
  return {.segment = static_cast<std::uint32_t>(page.get(kFrameSegment, row)),
          .offset = static_cast<std::uint32_t>(page.get(kFramePage, row) * kPageBytes),
          .total_bytes = static_cast<std::uint32_t>(page.get(kFramePages, row) * kPageBytes),
          .flags = static_cast<std::uint16_t>(page.get(kFlags, row)),
          .first_lsn = {last_lsn - page.get(kLsns, row)},
          .last_lsn = {last_lsn},
          .min_time = time_of(min_time),
          .max_time = time_of(min_time + page.get(kTimes, row))};
}

void encode_run_header(const RunHeader& header, const Vault& vault,
                       std::span<std::byte, kPageBytes> page) {
  std::memset(page.data(), 0, page.size());
  std::byte* const to = page.data();
  store_le(to + kFieldsAt, kMagic);
  store_le(to + 32, kRunVersion);
  store_le(to + 36, header.number);
  std::memcpy(to + 40, vault.uuid.bytes.data(), vault.uuid.bytes.size());
  store_le(to + 56, header.after.value);
  store_le(to + 64, header.upto.value);
  store_le(to + 72, header.keys);
  store_le(to + 80, header.level_mask);
  store_le(to + 84, header.pages);
  store_le(to + 88, header.min_time.value);
  store_le(to + 96, header.max_time.value);
  store_le(to + 104, header.filter_page);
  store_le(to + 108, header.filter_lines);
  store_section(to + kEntriesAt, header.entries);
  store_section(to + kFramesAt, header.frames);
  for (std::size_t column = 0; column < kEntryColumns; ++column) {
    store_le(to + kRangesAt + 16 * column, header.least[column]);
    store_le(to + kRangesAt + 16 * column + 8, header.largest[column]);
  }
  seal_page(vault.secret, {header.number, 0}, PageKind::kHeader, page);
}

Result<RunHeader> decode_run_header(const Vault& vault, std::uint32_t number, PageBytes page) {
  const auto refuse = [&](const char* why) {
    return make_error(EIO, "the header of index run {} is damaged: {}", number, why);
  };
  const std::byte* const from = page.data();
  if (load_le<std::uint64_t>(from + kFieldsAt) != kMagic) return refuse("it does not begin so");
  if (const auto version = load_le<std::uint32_t>(from + 32); version != kRunVersion)
    return make_error(ENOTSUP, "index run {} is of version {}, this program reads version {}",
                      number, version, kRunVersion);
  if (Status checked = check_page(vault.secret, {number, 0}, page); !checked.ok())
    return checked.error();
  if (kind_of(page) != PageKind::kHeader) return refuse("it is a page of another kind");
  if (std::memcmp(from + 40, vault.uuid.bytes.data(), vault.uuid.bytes.size()) != 0)
    return refuse("it belongs to another vault");
  RunHeader header{.number = load_le<std::uint32_t>(from + 36),
                   .after = {load_le<std::uint64_t>(from + 56)},
                   .upto = {load_le<std::uint64_t>(from + 64)},
                   .keys = load_le<std::uint64_t>(from + 72),
                   .level_mask = load_le<std::uint32_t>(from + 80),
                   .pages = load_le<std::uint32_t>(from + 84),
                   .min_time = {load_le<std::int64_t>(from + 88)},
                   .max_time = {load_le<std::int64_t>(from + 96)},
                   .entries = load_section(from + kEntriesAt),
                   .frames = load_section(from + kFramesAt),
                   .filter_page = load_le<std::uint32_t>(from + 104),
                   .filter_lines = load_le<std::uint32_t>(from + 108)};
  for (std::size_t column = 0; column < kEntryColumns; ++column) {
    header.least[column] = load_le<std::uint64_t>(from + kRangesAt + 16 * column);
    header.largest[column] = load_le<std::uint64_t>(from + kRangesAt + 16 * column + 8);
  }
  const std::uint64_t filter_pages =
      (std::uint64_t{header.filter_lines} + kFilterLinesInPage - 1) / kFilterLinesInPage;
  if (header.number != number || header.after >= header.upto || header.pages == 0 ||
      header.min_time > header.max_time || header.level_mask >= 1u << kLevels ||
      !lies_within(header.entries, header.pages) || !lies_within(header.frames, header.pages) ||
      (header.filter_page == 0) != (header.filter_lines == 0) ||
      header.filter_page + filter_pages > header.pages)
    return refuse("its fields contradict each other");
  return header;
}

}  // namespace journal::index
