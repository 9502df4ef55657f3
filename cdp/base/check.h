// SPDX-License-Identifier: Apache-2.0
//
// CHECK(condition): on in every build; a failure means a bug of ours. What a disk, a peer, a file
// or an operator can cause is an Error (result.h), never a CHECK.
#pragma once

namespace cdp {

// Prints the place and the condition to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition) noexcept;

}  // namespace cdp

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) [[unlikely]]                                           \
      ::cdp::check_failed(__FILE__, __LINE__, #condition);                   \
  } while (false)
