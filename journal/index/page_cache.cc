// SPDX-License-Identifier: Apache-2.0
#include "journal/index/page_cache.h"

#include <algorithm>
#include <utility>

#include "cdp/io/signal.h"
#include "journal/index/run.h"

namespace journal::index {

std::byte* PageMemory::take() {
  if (free_.empty()) {
    slabs_.emplace_back().reserve(kSlabPages * kPageBytes);
    std::byte* const slab = slabs_.back().data();
    for (std::size_t i = kSlabPages; i-- > 0;) free_.push_back(slab + i * kPageBytes);
  }
  std::byte* const page = free_.back();
  free_.pop_back();
  return page;
}

PageCache::PageCache(std::size_t bytes) : capacity_(std::max<std::size_t>(bytes / kPageBytes, 1)) {}

void PageCache::insert(CachedPageRef page) {
  const std::uint64_t key = key_of(page->id);
  if (pages_.contains(key)) return;
  // A new page must be asked for once more before it outlives a turn of the hand, so that a sweep
  // over everything drives out little.
  if (clock_.size() < capacity_) {
    clock_.push_back(key);
  } else {
    for (auto at = pages_.find(clock_[hand_]); at->second.used_lately;
         at = pages_.find(clock_[hand_])) {
      at->second.used_lately = false;
      hand_ = (hand_ + 1) % capacity_;
    }
    pages_.erase(clock_[hand_]);
    clock_[hand_] = key;
    hand_ = (hand_ + 1) % capacity_;
  }
  const std::byte* const data = page->data;
  pages_.emplace(key, Slot{std::move(page), data, false});
}

void PageCache::forget(std::uint32_t run) {
  std::erase_if(clock_,
                [&](std::uint64_t key) { return key >> 32 == run && pages_.erase(key) != 0; });
  hand_ = 0;
}

CachedPage* PageReader::find(const Run& run, std::uint32_t page, std::uint32_t more) {
  const PageId id{run.number(), page};
  if (CachedPage* const cached = cache_.find(id)) return cached;
  if (!own_.empty()) {
    const auto found = own_.find(std::uint64_t{id.run} << 32 | id.page);
    if (found != own_.end()) return found->second.get();
  }
  missing_.push_back({&run, page, 1 + more});
  return nullptr;
}

Task<Status> PageReader::load() {
  // Neighbours become one read.
  std::vector<Missing> reads;
  std::sort(missing_.begin(), missing_.end(), [](const Missing& a, const Missing& b) {
    return std::pair(a.run->number(), a.page) < std::pair(b.run->number(), b.page);
  });
  for (const Missing& missing : missing_) {
    if (!reads.empty() && reads.back().run == missing.run &&
        missing.page <= reads.back().page + reads.back().count) {
      Missing& read = reads.back();
      read.count = std::max(read.count, missing.page + missing.count - read.page);
    } else {
      reads.push_back(missing);
    }
  }
  missing_.clear();
  std::vector<Status> results(reads.size());
  cdp::TaskGroup group(scheduler_);
  for (std::size_t i = 0; i < reads.size(); ++i) group.spawn(read(*this, reads[i], results[i]));
  co_await group.join();
  for (const Status& result : results) {
    if (!result.ok()) co_return result;
  }
  co_return Status{};
}

Task<void> PageReader::read(PageReader& reader, Missing missing, Status& result) {
  std::vector<CachedPageRef> pages;
  std::vector<iovec> memory;
  for (std::uint32_t i = 0; i < missing.count; ++i) {
    pages.push_back(reader.cache_.new_page());
    memory.push_back({pages.back()->data, kPageBytes});
  }
  const Run& run = *missing.run;
  result = co_await run.disk().read(std::uint64_t{missing.page} * kPageBytes, memory);
  if (!result.ok()) co_return;
  for (std::uint32_t i = 0; i < missing.count; ++i) {
    pages[i]->id = {run.number(), missing.page + i};
    result = check_page(run.secret(), pages[i]->id, pages[i]->bytes());
    if (!result.ok()) co_return;
    reader.own_[std::uint64_t{run.number()} << 32 | (missing.page + i)] = pages[i];
    reader.cache_.insert(pages[i]);
  }
}

}  // namespace journal::index
