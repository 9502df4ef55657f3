// SPDX-License-Identifier: Apache-2.0
//
// NodePool: nodes of intrusive containers, allocated by the chunk and kept for reuse. A map that
// grew to its budget once allocates no more.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "cdp/base/check.h"

namespace cdp {

template <typename T>
class NodePool {
 public:
  NodePool() = default;
  NodePool(const NodePool&) = delete;
  NodePool& operator=(const NodePool&) = delete;
  ~NodePool() { CHECK(free_.size() == chunks_.size() * kChunkNodes); }

  T& take() {
    if (free_.empty()) grow();
    T& node = *free_.back();
    free_.pop_back();
    return node;
  }
  // The node must be unlinked; the next `take` may give it out as it is.
  void give_back(T& node) { free_.push_back(&node); }

 private:
  static constexpr std::size_t kChunkNodes = 512;

  void grow() {
    chunks_.push_back(std::make_unique<T[]>(kChunkNodes));
    free_.reserve(chunks_.size() * kChunkNodes);
    for (std::size_t i = kChunkNodes; i-- > 0;) free_.push_back(&chunks_.back()[i]);
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<T*> free_;
};

}  // namespace cdp
