// SPDX-License-Identifier: Apache-2.0
//
// crash_stride(): a sweep crashes at every I/O, or at every n-th where HINDSIGHT_CRASH_STRIDE says
// n. tools/test says so for ThreadSanitizer alone, to which a simulation on one thread has little to
// show and which makes each crash ten times as dear.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include "cdp/base/check.h"

namespace sim {

inline std::uint64_t crash_stride() {
  const char* text = std::getenv("HINDSIGHT_CRASH_STRIDE");
  const std::uint64_t stride = text == nullptr ? 1 : std::stoull(text);
  CHECK(stride > 0);
  return stride;
}

}  // namespace sim
