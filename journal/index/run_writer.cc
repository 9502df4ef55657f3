// SPDX-License-Identifier: Apache-2.0
#include "journal/index/run_writer.h"

#include <algorithm>
#include <utility>

namespace journal::index {
namespace {

// Runs of fewer leaf pages are asked directly: the filter would cost as much as the answer.
constexpr std::uint32_t kFilterLeavesMin = 8;

// Makes a fence of frames say what `of`, the fence of a later one below it, says.
void join_frame_fences(Row& fence, const Row& of) {
  fence[kFenceMinTime] = std::min(fence[kFenceMinTime], of[kFenceMinTime]);
  fence[kFenceMaxTime] = std::max(fence[kFenceMaxTime], of[kFenceMaxTime]);
  fence[kFenceFlags] |= of[kFenceFlags];
}

}  // namespace

RunBuilder::RunBuilder(const Vault& vault, std::uint32_t number, LsnInterval covers,
                       std::uint64_t keys)
    : vault_(vault), filter_(keys) {
  CHECK(covers.after < covers.upto);
  header_.number = number;
  header_.after = covers.after;
  header_.upto = covers.upto;
  header_.least.fill(~std::uint64_t{0});
  header_.entries.first_leaf = next_page_;
}

void RunBuilder::add(const Entry& entry) {
  CHECK(!entries_ended_ && header_.after < entry.lsn && entry.lsn <= header_.upto);
  CHECK(entry.zero() || level_of(entry.tree) == 0);
  const std::uint64_t age = ~entry.lsn.value;
  const bool new_key =
      header_.entries.rows == 0 || entry.node != row_[kNode] || entry.tree != row_[kTree];
  CHECK(new_key || age > row_[kAge]);
  put_entry(entry, row_);
  if (new_key) {
    ++header_.keys;
    header_.level_mask |= 1u << level_of(entry.tree);
    filter_.add(entry.tree, entry.node);
  }
  if (!leaf_.add(row_)) {
    end_entry_leaf();
    CHECK(leaf_.add(row_));
  }
  if (leaf_.rows() == 1) {
    leaf_first_ = row_;
    // The page before has no entry of this key: any age is above what it has.
    if (new_key) leaf_first_[kAge] = 0;
  }
  ++header_.entries.rows;
}

void RunBuilder::end_entry_leaf() {
  for (unsigned column = 0; column < kEntryColumns; ++column) {
    header_.least[column] = std::min(header_.least[column], leaf_.least(column));
    header_.largest[column] = std::max(header_.largest[column], leaf_.limit(column));
  }
  leaf_first_[kEntryChild] = write(leaf_, PageKind::kEntries);
  entry_fences_.push_back(leaf_first_);
}

void RunBuilder::end_entries() {
  if (std::exchange(entries_ended_, true)) return;
  if (leaf_.rows() != 0) end_entry_leaf();
  write_fences(header_.entries, std::move(entry_fences_), kEntryFenceColumns, kEntryChild,
               PageKind::kEntryFences, [](Row&, const Row&) {});
  header_.frames.first_leaf = next_page_;
}

void RunBuilder::add_frame(const FrameRow& frame) {
  end_entries();
  const Row row = frame_row(frame);
  const Row fence{frame.last_lsn.value, 0, ordered(frame.min_time), ordered(frame.max_time),
                  frame.flags};
  if (!frame_leaf_.add(row)) {
    end_frame_leaf();
    CHECK(frame_leaf_.add(row));
  }
  if (header_.frames.rows == 0) {
    header_.min_time = frame.min_time;
    header_.max_time = frame.max_time;
  }
  header_.min_time = std::min(header_.min_time, frame.min_time);
  header_.max_time = std::max(header_.max_time, frame.max_time);
  if (frame_leaf_.rows() == 1) frame_fence_ = fence;
  join_frame_fences(frame_fence_, fence);
  ++header_.frames.rows;
}

void RunBuilder::end_frame_leaf() {
  frame_fence_[kFrameChild] = write(frame_leaf_, PageKind::kFrames);
  frame_fences_.push_back(frame_fence_);
}

RunHeader RunBuilder::finish() {
  end_entries();
  if (frame_leaf_.rows() != 0) end_frame_leaf();
  write_fences(header_.frames, std::move(frame_fences_), kFrameFenceColumns, kFrameChild,
               PageKind::kFrameFences, join_frame_fences);
  if (header_.entries.leaf_pages >= kFilterLeavesMin) write_filter();
  header_.pages = next_page_;
  if (header_.entries.rows == 0) header_.least.fill(0);
  return header_;
}

// Pages of fences over `rows`, one for each page below, and fences over those, up to one page.
// `join` adds to a fence what the next page below it has.
template <typename Join>
void RunBuilder::write_fences(TreeSection& section, std::vector<Row> rows, unsigned columns,
                              unsigned child_column, PageKind kind, Join join) {
  section.leaf_pages = static_cast<std::uint32_t>(rows.size());
  if (rows.empty()) return;
  PackedPageBuilder page(columns);
  while (rows.size() > 1) {
    std::vector<Row> above;
    Row fence{};
    for (const Row& row : rows) {
      if (!page.add(row)) {
        fence[child_column] = write(page, kind);
        above.push_back(fence);
        CHECK(page.add(row));
      }
      if (page.rows() == 1) fence = row;
      join(fence, row);
    }
    fence[child_column] = write(page, kind);
    above.push_back(fence);
    rows = std::move(above);
    ++section.height;
  }
  section.root = static_cast<std::uint32_t>(rows.front()[child_column]);
}

void RunBuilder::write_filter() {
  filter_.shrink(header_.keys);
  header_.filter_page = next_page_;
  header_.filter_lines = filter_.lines();
  for (std::uint32_t i = 0; i < filter_.pages(); ++i) {
    const NewPage page = new_page();
    filter_.fill(i, page.bytes);
    seal_page(vault_.secret, {header_.number, page.number}, PageKind::kFilter, page.bytes);
  }
}

std::uint32_t RunBuilder::write(PackedPageBuilder& from, PageKind kind) {
  const NewPage page = new_page();
  from.pack(page.bytes);
  seal_page(vault_.secret, {header_.number, page.number}, kind, page.bytes);
  return page.number;
}

RunBuilder::NewPage RunBuilder::new_page() {
  if (chunks_.empty() || chunks_.back().pages == PageChunk::kPagesMax) {
    PageChunk& chunk = chunks_.emplace_back();
    chunk.memory.reserve(PageChunk::kPagesMax * kPageBytes);
    chunk.first_page = next_page_;
  }
  PageChunk& chunk = chunks_.back();
  std::byte* const at = chunk.memory.data() + chunk.pages++ * kPageBytes;
  return {next_page_++, std::span<std::byte, kPageBytes>{at, kPageBytes}};
}

std::vector<PageChunk> RunBuilder::take() {
  std::vector<PageChunk> taken;
  const bool all = header_.pages != 0;
  while (!chunks_.empty() && (all || chunks_.front().pages == PageChunk::kPagesMax)) {
    taken.push_back(std::move(chunks_.front()));
    chunks_.erase(chunks_.begin());
  }
  return taken;
}

RunImage build_run(const Vault& vault, std::uint32_t number, LsnInterval covers,
                   std::span<const Entry> entries, std::span<const FrameRow> frames,
                   Sorter& sorter) {
  RunBuilder builder(vault, number, covers, entries.size());
  sorter.sort(entries, [&](const Entry& entry) { builder.add(entry); });
  for (const FrameRow& frame : frames) builder.add_frame(frame);
  RunImage image{.header = builder.finish(), .chunks = {}};
  image.chunks = builder.take();
  return image;
}

RunImage build_run(const Vault& vault, std::uint32_t number, LsnInterval covers,
                   std::span<const Entry> entries, std::span<const FrameRow> frames) {
  Sorter sorter;
  return build_run(vault, number, covers, entries, frames, sorter);
}

Task<Status> write_run(cdp::Directory& directory, const Vault& vault, const RunImage& image) {
  auto made = co_await directory.create(run_name(image.header.number), image.header.used_bytes());
  if (!made.ok()) co_return made.error();
  const std::unique_ptr<cdp::Disk> disk = *std::move(made);
  if (Status written = co_await write_chunks(*disk, image.chunks); !written.ok()) co_return written;
  if (Status written = co_await write_header(*disk, vault, image.header); !written.ok())
    co_return written;
  if (Status synced = co_await disk->sync(); !synced.ok()) co_return synced;
  co_return co_await directory.sync();
}

Task<Status> write_chunks(cdp::Disk& disk, const std::vector<PageChunk>& chunks) {
  for (const PageChunk& chunk : chunks) {
    Status written =
        co_await disk.write(std::uint64_t{chunk.first_page} * kPageBytes, chunk.bytes());
    if (!written.ok()) co_return written;
  }
  co_return Status{};
}

Task<Status> write_header(cdp::Disk& disk, const Vault& vault, const RunHeader& header) {
  AlignedBuffer memory;
  const std::span<std::byte> page = memory.reserve(kPageBytes);
  encode_run_header(header, vault, page.first<kPageBytes>());
  co_return co_await disk.write(0, std::span<const std::byte>{page});
}

}  // namespace journal::index
