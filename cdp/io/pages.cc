// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/pages.h"

#include <sys/mman.h>

#include <new>

#include "cdp/base/check.h"

namespace cdp {

void PageRef::reset() {
  if (page_ == nullptr) return;
  Page& page = *std::exchange(page_, nullptr);
  if (--page.references == 0 && page.pool != nullptr) page.pool->release(page);
}

// Pages that were acquired together often are neighbours.
IoVectors vectors_of(std::span<const PageRef> pages) {
  IoVectors vectors;
  for (const PageRef& page : pages) {
    if (!vectors.empty()) {
      iovec& last = vectors.back();
      if (static_cast<std::byte*>(last.iov_base) + last.iov_len == page.data()) {
        last.iov_len += kBlockBytes;
        continue;
      }
    }
    vectors.push_back({page.data(), kBlockBytes});
  }
  return vectors;
}

PageRef zero_page() {
  alignas(kBlockBytes) static std::byte zeroes[kBlockBytes] = {};
  // A count per thread, as counts are not atomic; it starts at 1 and so never reaches 0.
  thread_local Page page{zeroes, nullptr, 1};
  return PageRef{page};
}

void PagePool::Waiter::await_suspend(std::coroutine_handle<> handle) {
  waiting = handle;
  pool.waiters_.push_back(*this);
  pool.shortage_.notify_all();
}

PageList PagePool::Waiter::await_resume() {
  return waiting ? std::move(pages) : pool.take(count);
}

PagePool::PagePool(Scheduler& scheduler, std::size_t pages)
    : pages_(pages), shortage_(scheduler), scheduler_(scheduler) {
  void* memory = mmap(nullptr, pages * kBlockBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<std::byte*>(memory);
  free_.reserve(pages);
  for (std::size_t i = pages; i-- > 0;) {
    pages_[i].data = memory_ + i * kBlockBytes;
    pages_[i].pool = this;
    free_.push_back(&pages_[i]);
  }
}

PagePool::~PagePool() {
  CHECK(free_.size() == pages_.size());
  CHECK(waiters_.empty());
  munmap(memory_, pages_.size() * kBlockBytes);
}

PageList PagePool::take(std::size_t count) {
  CHECK(free_.size() >= count);
  PageList pages;
  pages.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    pages.emplace_back(*free_.back());
    free_.pop_back();
  }
  return pages;
}

Task<PageList> PagePool::acquire(std::size_t count) {
  CHECK(count <= pages_.size());
  co_return co_await Waiter{*this, count};
}

void PagePool::release(Page& page) {
  free_.push_back(&page);
  // Pages go to the waiter itself, so that nobody who comes later can take them first.
  while (!waiters_.empty() && waiters_.front().count <= free_.size()) {
    Waiter& first = waiters_.front();
    waiters_.pop_front();
    first.pages = take(first.count);
    scheduler_.post(first.waiting);
  }
}

}  // namespace cdp
