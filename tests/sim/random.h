// SPDX-License-Identifier: Apache-2.0
//
// Random: the one source of chance of a simulation. The same seed gives the same run on every
// machine, so a failing test prints its seed and is run again (std::uniform_int_distribution gives
// no such promise across libraries, and is not used).
#pragma once

#include <cstdint>

#include "cdp/base/check.h"
#include "cdp/base/types.h"

namespace sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [0, bound); the bias of the remainder does not matter to a test.
  std::uint64_t below(std::uint64_t bound) {
    CHECK(bound > 0);
    return next() % bound;
  }
  // In [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  bool chance(unsigned percent) { return below(100) < percent; }
  bool coin() { return (next() & 1) != 0; }
  cdp::Nanos nanos(cdp::Nanos low, cdp::Nanos high) {
    return {low.value + static_cast<std::int64_t>(
                            below(static_cast<std::uint64_t>(high.value - low.value) + 1))};
  }

 private:
  std::uint64_t state_;
};

}  // namespace sim
