// SPDX-License-Identifier: Apache-2.0
//
// Uuid: the identity of a vault or a volume, for ever (RFC 9562, version 4). On disk and on the
// wire its 16 bytes lie in the order in which they are printed.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include "cdp/base/result.h"

namespace journal {

struct Uuid {
  std::array<std::byte, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;

  bool is_nil() const { return *this == Uuid{}; }
  // "6d1f0c2e-8f3a-4b7e-9a51-0c9f5d2b7e11"
  std::string to_string() const;
  // EINVAL where `text` is not of that form (upper case is accepted).
  static cdp::Result<Uuid> parse(std::string_view text);
  // From the system's random source; throws where there is none.
  static Uuid random();
};

}  // namespace journal
