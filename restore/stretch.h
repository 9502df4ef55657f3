// SPDX-License-Identifier: Apache-2.0
//
// Stretches of whole seconds since 1970, and steps of them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cdp/base/types.h"

namespace restore {

// Seconds, [from, until).
struct Stretch {
  std::int64_t from = 0;
  std::int64_t until = 0;
};

inline std::int64_t rounded_down(std::int64_t second, std::int64_t length) {
  const std::int64_t rest = second % length;
  return second - (rest < 0 ? rest + length : rest);
}

inline std::int64_t rounded_up(std::int64_t second, std::int64_t length) {
  return rounded_down(second + length - 1, length);
}

inline cdp::Nanos time_of(std::int64_t second) {
  constexpr std::int64_t kMost = INT64_MAX / cdp::seconds(1).value;
  return cdp::seconds(std::clamp(second, -kMost, kMost));
}

}  // namespace restore
