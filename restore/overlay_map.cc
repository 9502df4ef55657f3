// SPDX-License-Identifier: Apache-2.0
#include "restore/overlay_map.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace restore {
namespace {

bool bit(const std::byte* bytes, std::uint64_t at) {
  return (bytes[at / 8] & (std::byte{1} << (at % 8))) != std::byte{0};
}

// Whether the bits from `at` on fill a byte.
bool whole_byte(std::uint64_t at, std::uint64_t end) { return at % 8 == 0 && at + 8 <= end; }

bool all_set(const std::byte* bytes, std::uint64_t at, std::uint64_t end) {
  while (at < end) {
    if (whole_byte(at, end) && bytes[at / 8] == std::byte{0xff}) {
      at += 8;
    } else if (bit(bytes, at)) {
      ++at;
    } else {
      return false;
    }
  }
  return true;
}

void set_all(std::byte* bytes, std::uint64_t at, std::uint64_t end) {
  while (at < end) {
    if (whole_byte(at, end)) {
      bytes[at / 8] = std::byte{0xff};
      at += 8;
    } else {
      bytes[at / 8] |= std::byte{1} << (at % 8);
      ++at;
    }
  }
}

}  // namespace

OverlayMap::OverlayMap(cdp::Scheduler& scheduler, cdp::Disk& data, cdp::Disk& map,
                       std::size_t pages_max)
    : scheduler_(scheduler),
      data_(data),
      map_(map),
      pages_max_(std::max<std::size_t>(pages_max, 4)),
      flush_ended_(scheduler) {}

OverlayMap::~OverlayMap() { CHECK(loads_.empty() && !flushing_); }

OverlayMap::Page* OverlayMap::find(std::uint64_t index) {
  const auto found = pages_.find(index);
  if (found == pages_.end()) return nullptr;
  Pages& list = found->second->changed ? changed_ : clean_;
  list.splice(list.begin(), list, found->second);
  return &*found->second;
}

// Valid until the caller suspends.
Task<Result<OverlayMap::Page*>> OverlayMap::page(std::uint64_t index) {
  for (;;) {
    if (Page* known = find(index)) co_return known;
    if (failed_) co_return *failed_;
    const auto loading = loads_.find(index);
    if (loading != loads_.end()) {
      const std::shared_ptr<Load> of_other = loading->second;
      while (!of_other->ended) co_await of_other->done.wait();
      continue;
    }
    Status loaded = co_await load(index);
    if (!loaded.ok()) co_return std::move(loaded).error();
  }
}

Task<Status> OverlayMap::load(std::uint64_t index) {
  const auto mine = std::make_shared<Load>(scheduler_);
  loads_[index] = mine;
  Page fresh;
  fresh.index = index;
  const std::span<std::byte> bytes = fresh.bytes.reserve(kPageBytes);
  Status read = co_await map_.read(index * kPageBytes, bytes);
  if (read.ok()) {
    make_room();
    clean_.push_front(std::move(fresh));
    pages_[index] = clean_.begin();
  }
  loads_.erase(index);
  mine->ended = true;
  mine->done.notify_all();
  co_return read;
}

void OverlayMap::make_room() {
  while (pages_.size() >= pages_max_ && !clean_.empty()) {
    pages_.erase(clean_.back().index);
    clean_.pop_back();
  }
}

Task<Status> OverlayMap::read(std::uint64_t first_block, std::vector<bool>& into) {
  for (std::size_t i = 0; i < into.size();) {
    Result<Page*> found = co_await page((first_block + i) / kPageBlocks);
    if (!found.ok()) co_return std::move(found).error();
    const std::byte* bytes = (*found)->bytes.data();
    do {
      into[i] = bit(bytes, (first_block + i) % kPageBlocks);
      ++i;
    } while (i < into.size() && (first_block + i) % kPageBlocks != 0);
  }
  co_return Status{};
}

Task<Result<OverlayMap::Stretch>> OverlayMap::stretch(std::uint64_t first_block,
                                                      std::uint64_t count) {
  Result<Page*> found = co_await page(first_block / kPageBlocks);
  if (!found.ok()) co_return std::move(found).error();
  const std::byte* bytes = (*found)->bytes.data();
  const std::uint64_t from = first_block % kPageBlocks;
  const std::uint64_t end = std::min(kPageBlocks, from + count);
  Stretch stretch{.set = bit(bytes, from), .block_count = 1};
  const std::byte same = stretch.set ? std::byte{0xff} : std::byte{0};
  for (std::uint64_t at = from + 1; at < end;) {
    if (whole_byte(at, end) && bytes[at / 8] == same) {
      at += 8;
      stretch.block_count += 8;
      continue;
    }
    if (bit(bytes, at) != stretch.set) break;
    ++at;
    ++stretch.block_count;
  }
  co_return stretch;
}

Task<Status> OverlayMap::set(std::uint64_t first_block, std::uint64_t count) {
  const std::uint64_t end = first_block + count;
  for (std::uint64_t block = first_block; block < end;) {
    const std::uint64_t index = block / kPageBlocks;
    Result<Page*> found = co_await page(index);
    if (!found.ok()) co_return std::move(found).error();
    if (failed_) co_return *failed_;
    Page& page = **found;
    const std::uint64_t upto = std::min(end, (index + 1) * kPageBlocks);
    const std::uint64_t from = block % kPageBlocks;
    if (all_set(page.bytes.data(), from, from + (upto - block))) {
      block = upto;
      continue;
    }
    if (!page.changed && changed_.size() >= pages_max_ / 2) {
      Status flushed = co_await flush();
      if (!flushed.ok()) co_return flushed;
      continue;
    }
    if (!page.changed) {
      page.changed = true;
      changed_.splice(changed_.begin(), clean_, pages_[index]);
    }
    ++page.version;
    set_all(page.bytes.data(), from, from + (upto - block));
    block = upto;
  }
  co_return Status{};
}

// One that has begun already may have missed what was told after that: the next one has not.
Task<Status> OverlayMap::flush() {
  const std::uint64_t wanted = flushes_begun_ + 1;
  while (flushes_ended_ < wanted) {
    if (failed_) co_return *failed_;
    if (flushing_) {
      co_await flush_ended_.wait();
      continue;
    }
    flushing_ = true;
    ++flushes_begun_;
    Status flushed = co_await flush_once();
    if (!flushed.ok() && !failed_) failed_ = std::move(flushed).error();
    flushes_ended_ = flushes_begun_;
    flushing_ = false;
    flush_ended_.notify_all();
  }
  if (failed_) co_return *failed_;
  co_return Status{};
}

Task<Status> OverlayMap::flush_once() {
  if (!data_changed_ && changed_.empty()) co_return Status{};
  std::vector<Copy> copies;
  for (const Page& page : changed_) copies.push_back({page.index, page.version});
  std::sort(copies.begin(), copies.end(),
            [](const Copy& a, const Copy& b) { return a.index < b.index; });
  journal::AlignedBuffer buffer;
  const std::span<std::byte> bytes = buffer.reserve(copies.size() * kPageBytes);
  for (std::size_t i = 0; i < copies.size(); ++i) {
    std::memcpy(bytes.data() + i * kPageBytes, pages_[copies[i].index]->bytes.data(), kPageBytes);
  }
  data_changed_ = false;
  Status done = co_await data_.sync();
  if (!done.ok() || copies.empty()) co_return done;
  done = co_await write_copies(copies, bytes);
  if (done.ok()) done = co_await map_.sync();
  if (!done.ok()) co_return done;
  for (const Copy& copy : copies) {
    const auto page = pages_[copy.index];  // changed ones stay in memory
    if (page->version != copy.version) continue;
    page->changed = false;
    clean_.splice(clean_.begin(), changed_, page);
  }
  make_room();
  co_return Status{};
}

// Neighbouring pages in one write.
Task<Status> OverlayMap::write_copies(const std::vector<Copy>& copies,
                                      std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < copies.size();) {
    std::size_t n = 1;
    while (i + n < copies.size() && copies[i + n].index == copies[i].index + n) ++n;
    Status written = co_await map_.write(copies[i].index * kPageBytes,
                                         bytes.subspan(i * kPageBytes, n * kPageBytes));
    if (!written.ok()) co_return written;
    i += n;
  }
  co_return Status{};
}

}  // namespace restore
