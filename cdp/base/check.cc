// SPDX-License-Identifier: Apache-2.0
#include "cdp/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace cdp {

void check_failed(const char* file, int line, const char* condition) noexcept {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace cdp
