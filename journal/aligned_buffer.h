// SPDX-License-Identifier: Apache-2.0
//
// AlignedBuffer: memory at a 4096-byte boundary, as direct I/O wants it, that grows when asked and
// keeps what it has. Its content is undefined after it grew.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "cdp/base/types.h"

namespace journal {

class AlignedBuffer {
 public:
  // `bytes` of memory; a multiple of 4096 is allocated.
  std::span<std::byte> reserve(std::size_t bytes) {
    if (bytes > capacity_) {
      memory_.reset();
      capacity_ = cdp::round_up(bytes, cdp::kBlockBytes);
      memory_.reset(static_cast<std::byte*>(std::aligned_alloc(cdp::kBlockBytes, capacity_)));
      if (memory_ == nullptr) throw std::bad_alloc();
    }
    return {memory_.get(), bytes};
  }
  std::byte* data() const { return memory_.get(); }
  std::size_t capacity() const { return capacity_; }
  void release() {
    memory_.reset();
    capacity_ = 0;
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace journal
