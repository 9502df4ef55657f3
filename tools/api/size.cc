// SPDX-License-Identifier: Apache-2.0
#include "tools/api/size.h"

#include <charconv>

namespace tools::api {

cdp::Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view digits = text;
  unsigned shift = 0;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'K':
      case 'k':
        shift = 10;
        break;
      case 'M':
      case 'm':
        shift = 20;
        break;
      case 'G':
      case 'g':
        shift = 30;
        break;
      case 'T':
      case 't':
        shift = 40;
        break;
      default:
        break;
    }
    if (shift != 0) digits.remove_suffix(1);
  }
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || failed == std::errc::invalid_argument ||
      end != digits.data() + digits.size()) {
    return cdp::make_error(
        EINVAL, "\"{}\" is no size: write a whole number and K, M, G or T, such as 10G", text);
  }
  if (failed == std::errc::result_out_of_range || value > (UINT64_MAX >> shift)) {
    return cdp::make_error(EINVAL, "the size {} does not fit into 64 bits", text);
  }
  return value << shift;
}

std::string exact_size(std::uint64_t bytes) {
  constexpr std::string_view kUnits = "KMGT";
  std::string unit;
  for (const char larger : kUnits) {
    if (bytes == 0 || bytes % 1024 != 0) break;
    bytes /= 1024;
    unit = larger;
  }
  return std::to_string(bytes) + unit;
}

}  // namespace tools::api
