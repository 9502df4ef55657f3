// SPDX-License-Identifier: Apache-2.0
//
// Pages: 4 KiB-aligned, reference-counted buffers from pools of a size that is fixed at start.
// Payloads of requests live in them from the socket to the journal and the backing store, without
// a copy. A page is filled by who acquired it; once others hold a reference it is not changed.
// Counts are not atomic: references are taken and dropped on the reactor's thread only (workers
// may read the bytes of a page whose reference somebody on the reactor keeps).
#pragma once

#include <sys/uio.h>

#include <boost/container/small_vector.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cdp/base/types.h"
#include "cdp/io/signal.h"

namespace cdp {

class PagePool;

struct Page {
  std::byte* data = nullptr;  // kBlockBytes of them
  PagePool* pool = nullptr;   // null: lives for ever (the page of zeroes)
  std::uint32_t references = 0;
};

class PageRef {
 public:
  PageRef() = default;
  explicit PageRef(Page& page) : page_(&page) { ++page.references; }
  PageRef(const PageRef& other) : page_(other.page_) {
    if (page_ != nullptr) ++page_->references;
  }
  PageRef(PageRef&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  PageRef& operator=(PageRef other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef() { reset(); }

  void reset();
  explicit operator bool() const { return page_ != nullptr; }
  std::byte* data() const { return page_->data; }
  std::span<const std::byte, kBlockBytes> bytes() const {
    return std::span<const std::byte, kBlockBytes>{page_->data, kBlockBytes};
  }
  bool operator==(const PageRef&) const = default;

 private:
  Page* page_ = nullptr;
};

// The pages of consecutive blocks.
using PageList = boost::container::small_vector<PageRef, 8>;

// Where pages lie, for one I/O: an element for each stretch of memory.
using IoVectors = boost::container::small_vector<iovec, 8>;
IoVectors vectors_of(std::span<const PageRef> pages);

// A page that reads as zeroes, shared by all; never written.
PageRef zero_page();

class PagePool {
 public:
  PagePool(Scheduler& scheduler, std::size_t pages);
  ~PagePool();  // every page must be back
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // Waits, in the order of asking, until `count` pages are free. Their content is undefined.
  // `count` must not exceed capacity().
  Task<PageList> acquire(std::size_t count);

  std::size_t capacity() const { return pages_.size(); }
  std::size_t available() const { return free_.size(); }
  // Called whenever somebody had to wait: who can free pages should.
  Signal& shortage() { return shortage_; }

 private:
  friend class PageRef;

  struct Waiter : boost::intrusive::list_base_hook<> {
    Waiter(PagePool& of, std::size_t wanted) : pool(of), count(wanted) {}
    bool await_ready() { return pool.waiters_.empty() && pool.free_.size() >= count; }
    void await_suspend(std::coroutine_handle<> handle);
    PageList await_resume();

    PagePool& pool;
    std::size_t count;
    std::coroutine_handle<> waiting;
    PageList pages;
  };

  void release(Page& page);
  PageList take(std::size_t count);

  std::byte* memory_;
  std::vector<Page> pages_;
  std::vector<Page*> free_;
  boost::intrusive::list<Waiter> waiters_;
  Signal shortage_;
  Scheduler& scheduler_;
};

}  // namespace cdp
