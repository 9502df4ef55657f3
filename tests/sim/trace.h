// SPDX-License-Identifier: Apache-2.0
//
// Trace: everything that happened in a simulation, in order, as one number. The same seed gives the
// same number on every run; where it does not, a failing seed cannot be run again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sim {

class Trace {
 public:
  void add(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 29;
    ++events_;
  }
  void add(std::string_view text) { add(std::as_bytes(std::span{text})); }
  void add(std::span<const std::byte> bytes) {
    std::uint64_t hash = bytes.size();
    for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3u;
    add(hash);
  }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t events() const { return events_; }

 private:
  std::uint64_t hash_ = 0;
  std::uint64_t events_ = 0;
};

}  // namespace sim
