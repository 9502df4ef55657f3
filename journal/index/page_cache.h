// SPDX-License-Identifier: Apache-2.0
//
// PageCache: the pages of index files that were asked for lately, checked once when they were
// read. Shared by all runs of a vault; bounded, and swept by a clock. Each run knows by number
// which of its pages are there, so that finding one costs a load and no search: 17 bytes for each
// page of the file.
//
// Reading is done in two steps that alternate, so that what is in memory costs no suspension: a
// synchronous attempt finds its pages through a PageReader, which notes what is missing; where
// something was, `load` reads all of it side by side, and the attempt is made again.
//
// One scheduler's thread. A cached page that somebody holds stays valid after it left the cache.
// The cache must outlive its runs.
#pragma once

#include <boost/intrusive_ptr.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cdp/io/disk.h"
#include "journal/index/huge_array.h"
#include "journal/index/packed_page.h"
#include "journal/vault.h"

namespace journal::index {

class Run;

// Aligned memory for pages, 2 MiB at a time: from the heap, each would need two.
class PageMemory {
 public:
  std::byte* take();
  void give_back(std::byte* page) { free_.push_back(page); }

 private:
  static constexpr std::size_t kSlabPages = 512;
  std::vector<HugeArray<std::byte>> slabs_;
  std::vector<std::byte*> free_;
};

class PagesOfRun;

struct CachedPage {
  explicit CachedPage(PageMemory& from) : memory(from), data(from.take()) {}
  ~CachedPage() { memory.give_back(data); }
  CachedPage(const CachedPage&) = delete;
  CachedPage& operator=(const CachedPage&) = delete;
  PageBytes bytes() const { return PageBytes{data, kPageBytes}; }

  PageMemory& memory;
  std::byte* const data;
  PageId id{};
  std::uint32_t references = 0;
  PagesOfRun* owner = nullptr;  // null: not in the cache
  std::size_t place_in_clock = 0;
};
inline void intrusive_ptr_add_ref(CachedPage* page) { ++page->references; }
inline void intrusive_ptr_release(CachedPage* page) {
  if (--page->references == 0) delete page;
}
using CachedPageRef = boost::intrusive_ptr<CachedPage>;

class PageCache {
 public:
  static constexpr std::size_t kDefaultBytes = 64u << 20;

  explicit PageCache(std::size_t bytes = kDefaultBytes);

  // A page to be filled and inserted; the cache must outlive it.
  CachedPageRef new_page() { return CachedPageRef{new CachedPage(memory_)}; }
  // Where two loaded the same page, the second is forgotten.
  void insert(PagesOfRun& owner, CachedPageRef page);
  void remove(CachedPage& page);

  std::size_t size() const { return clock_.size(); }
  std::size_t capacity() const { return capacity_; }

 private:
  PageMemory memory_;  // first: every page gives its own back
  std::size_t capacity_;
  std::vector<CachedPageRef> clock_;
  std::size_t hand_ = 0;
};

// Which pages of a run are in the cache.
class PagesOfRun {
 public:
  PagesOfRun(PageCache& cache, std::uint32_t pages)
      : cache_(cache), data_(pages), pages_(pages), used_lately_(pages) {}
  ~PagesOfRun() { clear(); }
  PagesOfRun(const PagesOfRun&) = delete;
  PagesOfRun& operator=(const PagesOfRun&) = delete;

  // Null where it is not there. Valid until the next insert, unless a reference is taken.
  CachedPage* find(std::uint32_t page) {
    CHECK(page < pages_.size());
    used_lately_[page] = 1;
    return pages_[page];
  }
  // Its bytes, without a look at anything else.
  const std::byte* find_bytes(std::uint32_t page) {
    CHECK(page < data_.size());
    used_lately_[page] = 1;
    return data_[page];
  }
  // Makes the processor fetch byte `at` of the page, should it be there.
  void prefetch(std::uint32_t page, std::size_t at) const {
    if (data_[page] != nullptr) __builtin_prefetch(data_[page] + at);
  }
  // Takes them all out of the cache.
  void clear();

  PageCache& cache() const { return cache_; }

 private:
  friend class PageCache;

  PageCache& cache_;
  std::vector<const std::byte*> data_;
  std::vector<CachedPage*> pages_;
  std::vector<std::uint8_t> used_lately_;
};

// The pages of one call, from the cache or read for it; those that were read stay with it, so that
// the call comes to its end however small the cache is.
class PageReader {
 public:
  // The scheduler must outlive the reader.
  explicit PageReader(cdp::Scheduler& scheduler) : scheduler_(scheduler) {}

  // Null: it is missing, and `load` will read it, with up to `more` pages that follow it. Runs
  // must live until then. Valid until the next `load`, unless a reference is taken.
  CachedPage* find(const Run& run, std::uint32_t page, std::uint32_t more = 0);
  const std::byte* find_bytes(const Run& run, std::uint32_t page);
  bool has_missing() const { return !missing_.empty(); }
  // Reads what is missing, side by side. EIO where a page is not what it should be: its run is
  // damaged then, and knows it.
  Task<Status> load();
  // Gives up the pages that were read.
  void release() { own_.clear(); }
  std::size_t held() const { return own_.size(); }

  cdp::Scheduler& scheduler() const { return scheduler_; }

 private:
  struct Missing {
    const Run* run;
    std::uint32_t page;
    std::uint32_t count;
  };
  static std::uint64_t key_of(PageId id) { return std::uint64_t{id.run} << 32 | id.page; }
  static Task<void> read(PageReader& reader, Missing missing, Status& result);

  cdp::Scheduler& scheduler_;
  std::vector<Missing> missing_;
  boost::unordered_flat_map<std::uint64_t, CachedPageRef> own_;
};

}  // namespace journal::index
