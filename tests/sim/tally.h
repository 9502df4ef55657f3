// SPDX-License-Identifier: Apache-2.0
//
// What a test program has done of what is worth counting, told when it ends, a line each:
//
//   counted: 1250 crash states
//
// tools/test and tools/soak add these lines up over all programs and scripts.
#pragma once

#include <cstdint>
#include <string>

namespace sim {

void tally(const std::string& what, std::uint64_t count = 1);

}  // namespace sim
