// SPDX-License-Identifier: Apache-2.0
//
// HugeArray: memory of plain values that are reached in random order: it asks the kernel for huge
// pages, without which every access to some megabytes of it costs a walk of the page table as well.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "cdp/base/types.h"

namespace journal::index {

template <typename T>
class HugeArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  // Room for `count` values at least; what they are is undefined after it grew.
  void reserve(std::size_t count) {
    if (count <= capacity_) return;
    memory_.reset();
    capacity_ = 0;
    const std::size_t unit = count * sizeof(T) < kHuge / 4 ? cdp::kBlockBytes : kHuge;
    const std::size_t bytes = cdp::round_up(count * sizeof(T), unit);
    memory_.reset(static_cast<T*>(std::aligned_alloc(unit, bytes)));
    if (memory_ == nullptr) throw std::bad_alloc();
    // Where the kernel will not, small pages do.
    if (unit == kHuge) static_cast<void>(madvise(memory_.get(), bytes, MADV_HUGEPAGE));
    capacity_ = bytes / sizeof(T);
  }
  T* data() const { return memory_.get(); }
  std::size_t capacity() const { return capacity_; }

 private:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;

  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::unique_ptr<T[], Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace journal::index
