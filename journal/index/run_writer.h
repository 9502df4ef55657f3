// SPDX-License-Identifier: Apache-2.0
//
// Making a run file (README.md, "Run file"): RunBuilder turns entries and frames, in order, into
// pages, as they come; build_run does so with what gathered in memory, and write_run stores it.
//
// RunBuilder and build_run only compute, and belong on a worker thread; write_run is of its
// directory's scheduler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cdp/io/disk.h"
#include "journal/aligned_buffer.h"
#include "journal/index/filter.h"
#include "journal/index/run_file.h"
#include "journal/index/sorter.h"

namespace journal::index {

// Consecutive pages of a file, in memory for direct I/O.
struct PageChunk {
  static constexpr std::uint32_t kPagesMax = 256;

  AlignedBuffer memory;
  std::uint32_t first_page = 0;
  std::uint32_t pages = 0;
  std::span<const std::byte> bytes() const { return {memory.data(), pages * kPageBytes}; }
};

class RunBuilder {
 public:
  // `keys` is how many different (tree, node) may come at most. `vault` must outlive the builder.
  // Several builders may be at work side by side.
  RunBuilder(const Vault& vault, std::uint32_t number, LsnInterval covers, std::uint64_t keys);

  // In the order of a run: by tree, node, LSN descending. LSNs lie in `covers`.
  void add(const Entry& entry);
  // After all entries; in LSN order.
  void add_frame(const FrameRow& frame);
  // Once, at last. Afterwards every page but the header's can be taken.
  RunHeader finish();

  // The pages that were completed since the last call, full chunks unless it has finished; the
  // header page is not among them.
  std::vector<PageChunk> take();

 private:
  struct NewPage {
    std::uint32_t number;
    std::span<std::byte, kPageBytes> bytes;
  };
  NewPage new_page();
  std::uint32_t write(PackedPageBuilder& page, PageKind kind);
  void end_entries();
  void end_entry_leaf();
  void end_frame_leaf();
  template <typename Join>
  void write_fences(TreeSection& section, std::vector<Row> rows, unsigned columns,
                    unsigned child_column, PageKind kind, Join join);
  void write_filter();

  const Vault& vault_;
  RunHeader header_;
  std::vector<PageChunk> chunks_;  // the last one is being filled
  std::uint32_t next_page_ = 1;

  PackedPageBuilder leaf_{kEntryColumns};
  Row row_{};         // the newest one
  Row leaf_first_{};  // key of the leaf's fence
  std::vector<Row> entry_fences_;
  FilterBuilder filter_;
  bool entries_ended_ = false;

  PackedPageBuilder frame_leaf_{kFrameColumns};
  Row frame_fence_{};  // of the leaf being filled
  std::vector<Row> frame_fences_;
};

struct RunImage {
  RunHeader header;
  std::vector<PageChunk> chunks;  // all pages but the first
};

// What a run of these entries and frames, both in LSN order, is as a file. A sorter that is kept
// saves finding its memory anew.
RunImage build_run(const Vault& vault, std::uint32_t number, LsnInterval covers,
                   std::span<const Entry> entries, std::span<const FrameRow> frames,
                   Sorter& sorter);
RunImage build_run(const Vault& vault, std::uint32_t number, LsnInterval covers,
                   std::span<const Entry> entries, std::span<const FrameRow> frames);

// Stores it as run_name(number) in `directory`; durable when it completes. After an error the file
// may be there, in any state: remove it. EEXIST where the name is taken. `image` and `vault` must
// outlive the task.
Task<Status> write_run(cdp::Directory& directory, const Vault& vault, const RunImage& image);

// The pieces of both that a merge needs as well.
Task<Status> write_chunks(cdp::Disk& disk, const std::vector<PageChunk>& chunks);
Task<Status> write_header(cdp::Disk& disk, const Vault& vault, const RunHeader& header);

}  // namespace journal::index
