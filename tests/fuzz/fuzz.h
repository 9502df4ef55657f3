// SPDX-License-Identifier: Apache-2.0
//
// What every fuzz target is made of. A target is a function of an input's bytes, which must not
// crash, leak, or break the CHECKs in it, whatever the bytes:
//
//   FUZZ_TARGET(name) { ... input ... }
//
// Each is a libFuzzer program of its own, in the preset `fuzz`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/check.h"
#include "cdp/base/endian.h"

namespace fuzz {

using Bytes = std::vector<std::byte>;

// Takes an input apart from its front. What is not there reads as zeroes.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : left_(bytes) {}

  bool empty() const { return left_.empty(); }
  std::span<const std::byte> bytes(std::size_t count) {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  std::span<const std::byte> rest() { return bytes(left_.size()); }
  Bytes copy_of_rest() {
    const auto taken = rest();
    return Bytes(taken.begin(), taken.end());
  }
  std::string text_of_rest() {
    const auto taken = rest();
    return std::string(reinterpret_cast<const char*>(taken.data()), taken.size());
  }
  // Little-endian.
  template <typename T>
  T number() {
    std::byte whole[sizeof(T)]{};
    const auto taken = bytes(sizeof(T));
    if (!taken.empty()) std::memcpy(whole, taken.data(), taken.size());
    return cdp::load_le<T>(whole);
  }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  // A length (2), and so many bytes.
  std::span<const std::byte> chunk() { return bytes(u16()); }

 private:
  std::span<const std::byte> left_;
};

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace fuzz

#define FUZZ_TARGET(name)                                                             \
  static void fuzz_##name(std::span<const std::byte> input);                          \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    fuzz_##name(std::as_bytes(std::span(data, size)));                                \
    return 0;                                                                         \
  }                                                                                   \
  static void fuzz_##name(std::span<const std::byte> input)
