// SPDX-License-Identifier: Apache-2.0
#include "journal/index/run.h"

#include <algorithm>

#include "journal/aligned_buffer.h"
#include "journal/index/filter.h"

namespace journal::index {
namespace {

// The first row in [from, end) for which `is_below` is false.
template <typename IsBelow>
unsigned partition_point(unsigned from, unsigned end, IsBelow is_below) {
  while (from < end) {
    const unsigned middle = from + (end - from) / 2;
    if (is_below(middle))
      from = middle + 1;
    else
      end = middle;
  }
  return from;
}

}  // namespace

Intervals at_or_below(Intervals intervals, Lsn lsn) {
  const auto first =
      std::partition_point(intervals.begin(), intervals.end(),
                           [&](const LsnInterval& interval) { return interval.after >= lsn; });
  return intervals.subspan(static_cast<std::size_t>(first - intervals.begin()));
}

Intervals meeting(Intervals intervals, LsnInterval covers) {
  const Intervals from = at_or_below(intervals, covers.upto);
  const auto end = std::partition_point(from.begin(), from.end(), [&](const LsnInterval& interval) {
    return interval.upto > covers.after;
  });
  return from.first(static_cast<std::size_t>(end - from.begin()));
}

Task<Result<std::shared_ptr<const Run>>> Run::open(cdp::Directory& directory, const Vault& vault,
                                                   PageCache& cache, std::uint32_t number) {
  auto opened = co_await directory.open(run_name(number), cdp::OpenMode::kReadOnly);
  if (!opened.ok()) co_return opened.error();
  std::unique_ptr<cdp::Disk> disk = *std::move(opened);
  AlignedBuffer memory;
  const std::span<std::byte> page = memory.reserve(kPageBytes);
  if (Status read = co_await disk->read(0, page); !read.ok()) co_return read.error();
  Result<RunHeader> header = decode_run_header(vault, number, PageBytes{memory.data(), kPageBytes});
  if (!header.ok()) co_return header.error();
  if (disk->size_bytes() < header->used_bytes())
    co_return make_error(EIO, "index run {} is cut short: it has {} bytes instead of {}", number,
                         disk->size_bytes(), header->used_bytes());
  co_return std::shared_ptr<const Run>{
      std::make_shared<const Run>(vault, cache, std::move(disk), *header)};
}

Run::Attempt Run::may_have(PageReader& pages, const FilterKey& key, bool& may) const {
  may = true;
  if (header_.filter_lines == 0) return Attempt::kDone;
  const std::uint32_t line = key.line(header_.filter_lines);
  const std::byte* const page =
      pages.find_bytes(*this, header_.filter_page + FilterKey::page_of(line));
  if (page == nullptr) return Attempt::kMissing;
  may = key.may_be_in(page, line);
  return Attempt::kDone;
}

void Run::prefetch_filter(const FilterKey& key) const {
  if (header_.filter_lines == 0) return;
  const std::uint32_t line = key.line(header_.filter_lines);
  pages_.prefetch(header_.filter_page + FilterKey::page_of(line), FilterKey::byte_of(line));
}

unsigned Run::lower_bound(const PackedPage& page, const EntryKey& key, unsigned from) {
  const PackedPage::Column trees = page.column(kTree);
  const PackedPage::Column nodes = page.column(kNode);
  const PackedPage::Column ages = page.column(kAge);
  // Most pages are of one tree.
  if (trees.is_constant()) {
    if (trees.base() != key.tree) return trees.base() < key.tree ? page.rows() : from;
    return partition_point(from, page.rows(), [&](unsigned row) {
      const std::uint64_t node = nodes[row];
      return node != key.node ? node < key.node : ages[row] < key.age;
    });
  }
  return partition_point(from, page.rows(), [&](unsigned row) {
    return EntryKey{trees[row], nodes[row], ages[row]} < key;
  });
}

Run::Attempt Run::leaf_for(PageReader& pages, const EntryKey& key, std::uint32_t& leaf) const {
  std::uint32_t at = header_.entries.root;
  for (std::uint32_t level = header_.entries.height; level > 0; --level) {
    const std::byte* const page = pages.find_bytes(*this, at);
    if (page == nullptr) return Attempt::kMissing;
    const PackedPage fences(page);
    // The last one whose key is not above: its first three columns are those of entries.
    unsigned row = lower_bound(fences, key);
    if (row == fences.rows() || key_at(fences, row) != key) row = row == 0 ? 0 : row - 1;
    at = static_cast<std::uint32_t>(fences.get(kEntryChild, row));
  }
  leaf = at;
  return Attempt::kDone;
}

Run::Attempt Run::frame_leaf_for(PageReader& pages, Lsn lsn, std::uint32_t& leaf) const {
  std::uint32_t at = header_.frames.root;
  for (std::uint32_t level = header_.frames.height; level > 0; --level) {
    const std::byte* const page = pages.find_bytes(*this, at);
    if (page == nullptr) return Attempt::kMissing;
    const PackedPage fences(page);
    const unsigned above = partition_point(
        0, fences.rows(), [&](unsigned row) { return fences.get(kFenceLsn, row) <= lsn.value; });
    at = static_cast<std::uint32_t>(fences.get(kFrameChild, above == 0 ? 0 : above - 1));
  }
  leaf = at;
  return Attempt::kDone;
}

Run::Attempt Run::newest(PageReader& pages, std::uint64_t tree, std::uint64_t node,
                         Intervals intervals, std::optional<Entry>& found) const {
  found.reset();
  intervals = meeting(intervals, covers());
  if (header_.entries.rows == 0) return Attempt::kDone;
  while (!intervals.empty()) {
    const EntryKey key{tree, node, ~intervals.front().upto.value};
    std::uint32_t leaf = 0;
    if (leaf_for(pages, key, leaf) == Attempt::kMissing) return Attempt::kMissing;
    const std::byte* page = pages.find_bytes(*this, leaf);
    if (page == nullptr) return Attempt::kMissing;
    // Where the nodes are that are compared: all at once, rather than one miss after another.
    for (std::size_t at = 0; at < 640; at += 64) __builtin_prefetch(page + at);
    PackedPage rows(page);
    unsigned row = lower_bound(rows, key);
    if (row == rows.rows()) {
      if (++leaf == header_.entries.end_leaf()) return Attempt::kDone;
      page = pages.find_bytes(*this, leaf);
      if (page == nullptr) return Attempt::kMissing;
      rows = PackedPage(page);
      row = 0;
    }
    // In this page go from interval to interval; beyond it, seek again from the top.
    while (row < rows.rows()) {
      if (rows.get(kTree, row) != tree || rows.get(kNode, row) != node) return Attempt::kDone;
      const Lsn lsn{~rows.get(kAge, row)};
      intervals = at_or_below(intervals, lsn);
      if (intervals.empty()) return Attempt::kDone;
      if (intervals.front().contains(lsn)) {
        found = entry_at(rows, row);
        return Attempt::kDone;
      }
      row = lower_bound(rows, {tree, node, ~intervals.front().upto.value}, row + 1);
    }
  }
  return Attempt::kDone;
}

}  // namespace journal::index
