// SPDX-License-Identifier: Apache-2.0
#include "cdp/base/clock.h"

#include <ctime>

namespace cdp {
namespace {

Nanos read_clock(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return {static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec};
}

}  // namespace

Nanos SystemClock::realtime() const { return read_clock(CLOCK_REALTIME); }
Nanos SystemClock::boottime() const { return read_clock(CLOCK_BOOTTIME); }

}  // namespace cdp
