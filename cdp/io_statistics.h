// SPDX-License-Identifier: Apache-2.0
//
// IoStatistics: what clients asked of a device and how long they waited, counted by the front-end
// that served them since the device was opened.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "cdp/base/types.h"

namespace cdp {

class IoStatistics {
 public:
  enum class Kind : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kOther };
  static constexpr std::size_t kKinds = 5;

  // A latency counts in the first bucket that it does not exceed, or behind them all.
  static constexpr std::array<Nanos, 17> kBounds{
      microseconds(50),  microseconds(100), microseconds(200), microseconds(500), milliseconds(1),
      milliseconds(2),   milliseconds(5),   milliseconds(10),  milliseconds(20),  milliseconds(50),
      milliseconds(100), milliseconds(200), milliseconds(500), seconds(1),        seconds(2),
      seconds(5),        seconds(10)};

  struct OfKind {
    std::uint64_t requests = 0;  // answered, with success or not
    std::uint64_t errors = 0;
    std::uint64_t bytes = 0;  // of those that went well
    Nanos waited{};           // by all of them together
    std::array<std::uint64_t, kBounds.size() + 1> by_latency{};
  };

  void count(Kind kind, std::uint64_t bytes, Nanos latency, bool ok) {
    OfKind& of = by_kind_[static_cast<std::size_t>(kind)];
    ++of.requests;
    if (ok)
      of.bytes += bytes;
    else
      ++of.errors;
    of.waited = of.waited + latency;
    const auto* const bound = std::lower_bound(kBounds.begin(), kBounds.end(), latency);
    ++of.by_latency[static_cast<std::size_t>(bound - kBounds.begin())];
  }
  const OfKind& of(Kind kind) const { return by_kind_[static_cast<std::size_t>(kind)]; }

 private:
  std::array<OfKind, kKinds> by_kind_{};
};

}  // namespace cdp
