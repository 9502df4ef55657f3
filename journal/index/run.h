// SPDX-License-Identifier: Apache-2.0
//
// Run: an opened run file. It has the entries of every change with after < LSN <= upto, sorted by
// tree, node and LSN descending, and answers which version of a node is visible. README.md,
// "Look-ups".
//
// One scheduler's thread. Immutable, but that it remembers when a page of it turned out to be bad.
// Who holds one may read its file, even if it was removed since.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>

#include "cdp/io/disk.h"
#include "journal/index/filter.h"
#include "journal/index/page_cache.h"
#include "journal/index/run_file.h"
#include "journal/vault.h"

namespace journal::index {

// The visible intervals of a layer, newest first, as in VisibleLayer.
using Intervals = std::span<const LsnInterval>;

// The intervals that have an LSN at or below `lsn`: those up to the end of the list. In log(n).
Intervals at_or_below(Intervals intervals, Lsn lsn);
// The intervals that meet (after, upto].
Intervals meeting(Intervals intervals, LsnInterval covers);

class Run {
 public:
  // `vault` and `cache` must outlive the run. EIO where it is damaged, belongs elsewhere, or is cut
  // short.
  static Task<Result<std::shared_ptr<const Run>>> open(cdp::Directory& directory,
                                                       const Vault& vault, PageCache& cache,
                                                       std::uint32_t number);

  Run(const Vault& vault, PageCache& cache, std::unique_ptr<cdp::Disk> disk,
      const RunHeader& header)
      : vault_(vault), disk_(std::move(disk)), header_(header), pages_(cache, header.pages) {}

  const RunHeader& header() const { return header_; }
  std::uint32_t number() const { return header_.number; }
  LsnInterval covers() const { return {header_.after, header_.upto}; }
  const Secret& secret() const { return vault_.secret; }
  cdp::Disk& disk() const { return *disk_; }
  PagesOfRun& pages() const { return pages_; }

  // A page could not be read, or was not what it should be. From any thread.
  void note_damage() const { is_damaged_.store(true, std::memory_order_relaxed); }
  bool is_damaged() const { return is_damaged_.load(std::memory_order_relaxed); }

  // The attempts below are synchronous: kMissing says that `pages` lacks some page that it now
  // knows of; load, and try again.
  enum class Attempt { kDone, kMissing };

  // `may` becomes false where the run surely has no node of that key; missing pages of the filter
  // are noted and give kMissing.
  Attempt may_have(PageReader& pages, const FilterKey& key, bool& may) const;
  // Makes the processor fetch what may_have will look at.
  void prefetch_filter(const FilterKey& key) const;

  // The newest entry of the node whose LSN lies in one of the intervals; none where there is none.
  // The work is logarithmic in the versions and in the intervals between which they lie.
  Attempt newest(PageReader& pages, std::uint64_t tree, std::uint64_t node, Intervals intervals,
                 std::optional<Entry>& found) const;

  struct EntryKey {
    std::uint64_t tree = 0;
    std::uint64_t node = 0;
    std::uint64_t age = 0;
    auto operator<=>(const EntryKey&) const = default;
  };
  static EntryKey key_at(const PackedPage& page, unsigned row) {
    return {page.get(kTree, row), page.get(kNode, row), page.get(kAge, row)};
  }
  // The first row in [from, rows) whose key is not below `key`; rows where there is none.
  static unsigned lower_bound(const PackedPage& page, const EntryKey& key, unsigned from = 0);

  // The leaf in which the first entry that is not below `key` lies, or after whose last row it
  // does; the run has entries.
  Attempt leaf_for(PageReader& pages, const EntryKey& key, std::uint32_t& leaf) const;

  // The same for the leaf of the frame table in which the first frame lies that ends at or after
  // `lsn`.
  Attempt frame_leaf_for(PageReader& pages, Lsn lsn, std::uint32_t& leaf) const;

 private:
  const Vault& vault_;
  std::unique_ptr<cdp::Disk> disk_;
  RunHeader header_;
  mutable PagesOfRun pages_;
  mutable std::atomic<bool> is_damaged_ = false;
};

}  // namespace journal::index
