// SPDX-License-Identifier: Apache-2.0
#include "journal/index/merge.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "cdp/io/signal.h"
#include "journal/index/run_writer.h"

namespace journal::index {
namespace {

constexpr std::uint32_t kReadPages = 256;

// The leaf pages of one tree of one run, in order, some of them in memory.
class Input {
 public:
  Input(const Run& run, const TreeSection& section) : run_(run), section_(section) {}

  bool is_at_end() const { return next_ == section_.leaf_pages && row_ == rows_; }
  bool has_row() const { return row_ < rows_; }
  // Nothing is left of what is in memory, and there is more.
  bool needs_load() const { return row_ == rows_ && used_ == loaded_ && !is_at_end(); }
  const PackedPage& page() const { return page_; }
  unsigned row() const { return row_; }
  const Run::EntryKey& key() const { return key_; }

  // Reads the next pages; none of those before is in use.
  static Task<void> load(Input& input, Status& result) {
    const std::uint32_t pages = std::min(kReadPages, input.section_.leaf_pages - input.next_);
    const std::span<std::byte> memory = input.memory_.reserve(kReadPages * kPageBytes);
    const std::uint64_t first = input.section_.first_leaf + input.next_;
    result = co_await input.run_.disk().read(first * kPageBytes, memory.first(pages * kPageBytes));
    if (!result.ok()) {
      input.run_.note_damage();
      co_return;
    }
    input.loaded_ = pages;
    input.used_ = 0;
  }

  // On a worker: the first row of the next page, if one is loaded; EIO where it is damaged.
  Status enter_page() {
    if (row_ < rows_ || used_ == loaded_) return {};
    const std::byte* const bytes = memory_.data() + used_ * kPageBytes;
    const PageId id{run_.number(), section_.first_leaf + next_};
    Status checked = check_page(run_.secret(), id, PageBytes{bytes, kPageBytes});
    if (!checked.ok()) {
      run_.note_damage();
      return checked;
    }
    page_ = PackedPage(bytes);
    rows_ = page_.rows();
    row_ = 0;
    ++used_;
    ++next_;
    key_ = Run::key_at(page_, row_);
    return {};
  }
  // False at the page's end.
  bool pass_row() {
    if (++row_ == rows_) return false;
    key_ = Run::key_at(page_, row_);
    return true;
  }

 private:
  const Run& run_;
  const TreeSection& section_;
  AlignedBuffer memory_;
  std::uint32_t loaded_ = 0;  // pages in memory
  std::uint32_t used_ = 0;    // of them, entered
  std::uint32_t next_ = 0;    // leaf to be entered next
  PackedPage page_;
  unsigned rows_ = 0;
  unsigned row_ = 0;
  Run::EntryKey key_;
};

// Loads the inputs that need it, side by side.
Task<Status> load_all(cdp::Scheduler& scheduler, std::vector<Input>& inputs) {
  std::vector<Status> results(inputs.size());
  cdp::TaskGroup group(scheduler);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].needs_load()) group.spawn(Input::load(inputs[i], results[i]));
  }
  co_await group.join();
  for (const Status& result : results) {
    if (!result.ok()) co_return result;
  }
  co_return Status{};
}

// Merges rows until an input has to be loaded; ages do not need comparing between runs, which are
// disjoint: of one node, all versions of a newer run come first.
Status merge_loaded(std::vector<Input>& inputs, RunBuilder& builder) {
  for (;;) {
    Input* first = nullptr;
    for (Input& input : inputs) {  // oldest first
      if (!input.has_row()) {
        if (Status entered = input.enter_page(); !entered.ok()) return entered;
        if (input.needs_load()) return {};
        if (!input.has_row()) continue;
      }
      if (first == nullptr || input.key() < first->key()) first = &input;
    }
    if (first == nullptr) return {};
    builder.add(entry_at(first->page(), first->row()));
    first->pass_row();
  }
}

Status append_loaded(Input& input, RunBuilder& builder) {
  for (;;) {
    if (Status entered = input.enter_page(); !entered.ok()) return entered;
    if (!input.has_row()) return {};
    do builder.add_frame(frame_at_row(input.page(), input.row()));
    while (input.pass_row());
  }
}

// No merged run of these has more pages.
std::uint64_t pages_bound(std::span<const std::shared_ptr<const Run>> runs) {
  std::uint64_t entries = 0;
  std::uint64_t keys = 0;
  std::uint64_t frame_pages = 0;
  Row least{};
  Row largest{};
  least.fill(~std::uint64_t{0});
  for (const auto& run : runs) {
    const RunHeader& header = run->header();
    if (header.entries.rows != 0) {
      for (std::size_t column = 0; column < kEntryColumns; ++column) {
        least[column] = std::min(least[column], header.least[column]);
        largest[column] = std::max(largest[column], header.largest[column]);
      }
    }
    entries += header.entries.rows;
    keys += header.keys;
    frame_pages += header.frames.leaf_pages;
  }
  unsigned bits = 0;
  // A zero entry that comes first has a place of zeroes.
  for (std::size_t column = kSegment; column < kEntryColumns; ++column) least[column] = 0;
  for (std::size_t column = 0; column < kEntryColumns; ++column) {
    if (entries != 0)
      bits += static_cast<unsigned>(std::bit_width(largest[column] - least[column]));
  }
  const std::uint64_t rows_in_page = PackedPageBuilder::rows_that_fit(kEntryColumns, bits);
  const std::uint64_t leaves = (entries + rows_in_page - 1) / rows_in_page;
  // A page holds the fences of 64 pages and more, of whatever they are.
  static_assert(PackedPageBuilder::rows_that_fit(kFrameFenceColumns, 5 * 64) >= 64);
  const auto fences = [](std::uint64_t pages) { return pages / 60 + 8; };
  return 1 + leaves + fences(leaves) + frame_pages + fences(frame_pages) +
         FilterBuilder::pages_for(keys);
}

}  // namespace

Task<Status> merge_runs(cdp::Scheduler& scheduler, cdp::Directory& directory, const Vault& vault,
                        std::span<const std::shared_ptr<const Run>> runs, std::uint32_t number) {
  CHECK(!runs.empty());
  for (std::size_t i = 1; i < runs.size(); ++i)
    CHECK(runs[i - 1]->header().upto == runs[i]->header().after);
  const std::uint64_t bytes = pages_bound(runs) * kPageBytes;
  auto made = co_await directory.create(run_name(number), bytes);
  if (!made.ok()) co_return made.error();
  const std::unique_ptr<cdp::Disk> disk = *std::move(made);

  std::uint64_t keys = 0;
  std::vector<Input> entries;
  for (const auto& run : runs) {
    keys += run->header().keys;
    entries.emplace_back(*run, run->header().entries);
  }
  RunBuilder builder(vault, number, {runs.front()->header().after, runs.back()->header().upto},
                     keys);
  // All entries, then the frames of one run after another.
  for (std::size_t part = 0; part <= runs.size(); ++part) {
    std::vector<Input> frames;
    if (part != 0) frames.emplace_back(*runs[part - 1], runs[part - 1]->header().frames);
    std::vector<Input>& inputs = part == 0 ? entries : frames;
    for (;;) {
      if (Status loaded = co_await load_all(scheduler, inputs); !loaded.ok()) co_return loaded;
      Status merged;
      co_await cdp::on_worker(scheduler, [&] {
        merged = part == 0 ? merge_loaded(inputs, builder) : append_loaded(inputs.front(), builder);
      });
      if (!merged.ok()) co_return merged;
      const std::vector<PageChunk> chunks = builder.take();
      if (Status written = co_await write_chunks(*disk, chunks); !written.ok()) co_return written;
      const bool ended = std::all_of(inputs.begin(), inputs.end(),
                                     [](const Input& input) { return input.is_at_end(); });
      if (ended) break;
    }
    if (part == 0) entries.clear();
  }

  RunHeader header;
  co_await cdp::on_worker(scheduler, [&] { header = builder.finish(); });
  const std::vector<PageChunk> chunks = builder.take();
  if (Status written = co_await write_chunks(*disk, chunks); !written.ok()) co_return written;
  if (Status written = co_await write_header(*disk, vault, header); !written.ok())
    co_return written;
  // What was allocated beyond the end goes back to the file system.
  CHECK(header.used_bytes() <= bytes);
  if (header.used_bytes() < bytes) {
    Status freed =
        co_await disk->zero_range(header.used_bytes(), bytes - header.used_bytes(), true);
    if (!freed.ok()) co_return freed;
  }
  if (Status synced = co_await disk->sync(); !synced.ok()) co_return synced;
  co_return co_await directory.sync();
}

}  // namespace journal::index
