// SPDX-License-Identifier: Apache-2.0
//
// same_bytes(): GCC 12 compares ranges of std::byte one at a time, which sanitizers make dear.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace sim {

inline bool same_bytes(std::span<const std::byte> one, std::span<const std::byte> other) {
  return one.size() == other.size() &&
         (one.empty() || std::memcmp(one.data(), other.data(), one.size()) == 0);
}

}  // namespace sim
