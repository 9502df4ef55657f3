// SPDX-License-Identifier: Apache-2.0
//
// How much of it the tests do that repeat: HINDSIGHT_TEST_EFFORT, in percent of what is usual.
// tools/test says less for the sanitizers, which make a simulation several times as dear (and
// ThreadSanitizer has little to see in what runs on one thread); whoever has the time says more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "cdp/base/check.h"

namespace sim {

inline std::uint64_t effort_percent() {
  const char* text = std::getenv("HINDSIGHT_TEST_EFFORT");
  const std::uint64_t percent = text == nullptr ? 100 : std::stoull(text);
  CHECK(percent > 0);
  return percent;
}

// The seed that those tests begin with which take others in each run of tools/soak.
inline std::uint64_t first_seed() {
  const char* text = std::getenv("HINDSIGHT_FIRST_SEED");
  return text == nullptr ? 1 : std::stoull(text);
}

// Of so many usual rounds or seeds: how many to do. Never none.
inline std::uint64_t rounds(std::uint64_t usual) {
  return std::max<std::uint64_t>(1, usual * effort_percent() / 100);
}

// A sweep tries every place, or every n-th one where the effort is less.
inline std::uint64_t stride() { return std::max<std::uint64_t>(1, 100 / effort_percent()); }

}  // namespace sim
