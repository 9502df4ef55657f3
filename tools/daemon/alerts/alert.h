// SPDX-License-Identifier: Apache-2.0
//
// Alert: what an operator has to know, for as long as it is so. It is the same one by its kind and
// its object, however its words change meanwhile: they may hold an error's own, or a name.
#pragma once

#include <compare>
#include <optional>
#include <string>

#include "cdp/base/types.h"

namespace tools {

struct Alert {
  struct Key {
    std::string kind;
    std::string object;  // a volume's number, say; "" where there is one of the kind at most
    auto operator<=>(const Key&) const = default;
  };
  enum class Severity : std::uint8_t {
    kCritical,  // writes are refused, or something is lost
    kWarning,   // nothing is, yet
  };
  Key key;
  std::string message;  // a sentence
  Severity severity = Severity::kCritical;
  std::optional<cdp::VolumeId> volume{};  // that it is about
};

}  // namespace tools
