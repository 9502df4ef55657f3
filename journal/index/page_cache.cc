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

void PageCache::insert(PagesOfRun& owner, CachedPageRef page) {
  const std::uint32_t number = page->id.page;
  if (owner.pages_[number] != nullptr) return;
  // A new page must be asked for once more before it outlives a turn of the hand, so that a sweep
  // over everything drives out little.
  while (clock_.size() >= capacity_) {
    if (hand_ >= clock_.size()) hand_ = 0;
    CachedPage& old = *clock_[hand_];
    std::uint8_t& used_lately = old.owner->used_lately_[old.id.page];
    if (used_lately == 0)
      remove(old);
    else
      used_lately = 0;
    ++hand_;
  }
  page->owner = &owner;
  page->place_in_clock = clock_.size();
  owner.pages_[number] = page.get();
  owner.data_[number] = page->data;
  owner.used_lately_[number] = 0;
  clock_.push_back(std::move(page));
}

// The last one of the clock takes its place.
void PageCache::remove(CachedPage& page) {
  page.owner->pages_[page.id.page] = nullptr;
  page.owner->data_[page.id.page] = nullptr;
  page.owner = nullptr;
  const std::size_t place = page.place_in_clock;
  std::swap(clock_[place], clock_.back());
  clock_[place]->place_in_clock = place;
  clock_.pop_back();
}

void PagesOfRun::clear() {
  for (CachedPage* const page : pages_) {
    if (page != nullptr) cache_.remove(*page);
  }
}

CachedPage* PageReader::find(const Run& run, std::uint32_t page, std::uint32_t more) {
  if (CachedPage* const cached = run.pages().find(page)) return cached;
  if (!own_.empty()) {
    const auto found = own_.find(key_of({run.number(), page}));
    if (found != own_.end()) return found->second.get();
  }
  missing_.push_back({&run, page, 1 + more});
  return nullptr;
}

const std::byte* PageReader::find_bytes(const Run& run, std::uint32_t page) {
  if (const std::byte* const bytes = run.pages().find_bytes(page)) return bytes;
  const CachedPage* const found = find(run, page);
  return found == nullptr ? nullptr : found->data;
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
    pages.push_back(missing.run->pages().cache().new_page());
    memory.push_back({pages.back()->data, kPageBytes});
  }
  const Run& run = *missing.run;
  result = co_await run.disk().read(std::uint64_t{missing.page} * kPageBytes, memory);
  if (!result.ok()) {
    run.note_damage();
    co_return;
  }
  for (std::uint32_t i = 0; i < missing.count; ++i) {
    pages[i]->id = {run.number(), missing.page + i};
    result = check_page(run.secret(), pages[i]->id, pages[i]->bytes());
    if (!result.ok()) {
      run.note_damage();
      co_return;
    }
    reader.own_[key_of(pages[i]->id)] = pages[i];
    run.pages().cache().insert(run.pages(), pages[i]);
  }
}

}  // namespace journal::index
