// SPDX-License-Identifier: Apache-2.0
#include "journal/uuid.h"

#include "cdp/base/random_bytes.h"

namespace journal {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kTextLength = 36;

bool hyphen_at(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Uuid::to_string() const {
  std::string text;
  text.reserve(kTextLength);
  for (const std::byte byte : bytes) {
    if (hyphen_at(text.size())) text.push_back('-');
    text.push_back(kDigits[std::to_integer<std::size_t>(byte) >> 4]);
    text.push_back(kDigits[std::to_integer<std::size_t>(byte) & 15]);
  }
  return text;
}

cdp::Result<Uuid> Uuid::parse(std::string_view text) {
  const auto refuse = [&] {
    return cdp::make_error(EINVAL, "'{}' is not a UUID (8-4-4-4-12 hexadecimal digits)", text);
  };
  if (text.size() != kTextLength) return refuse();
  Uuid uuid;
  std::size_t nibbles = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (hyphen_at(i)) {
      if (text[i] != '-') return refuse();
      continue;
    }
    const int value = digit_value(text[i]);
    if (value < 0) return refuse();
    std::byte& byte = uuid.bytes[nibbles / 2];
    byte = (byte << 4) | std::byte(value);
    ++nibbles;
  }
  return uuid;
}

Uuid Uuid::random() {
  Uuid uuid;
  cdp::fill_random(uuid.bytes);
  uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0f}) | std::byte{0x40};  // version 4
  uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3f}) | std::byte{0x80};  // RFC 9562 variant
  return uuid;
}

}  // namespace journal
