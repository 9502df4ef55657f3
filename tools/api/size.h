// SPDX-License-Identifier: Apache-2.0
//
// Sizes as people write them: a whole number and K, M, G or T for powers of 1024.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cdp/base/result.h"

namespace tools::api {

// "10G", "512m", "4096"; EINVAL says what is wrong.
cdp::Result<std::uint64_t> parse_size(std::string_view text);
// With the largest unit that leaves a whole number, so that parse_size reads the same back.
std::string exact_size(std::uint64_t bytes);

}  // namespace tools::api
