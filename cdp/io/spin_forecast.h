// SPDX-License-Identifier: Apache-2.0
//
// Whether who waits should look out for a while before he sleeps. A sleep and what ends it cost
// 20 us and more, on a virtual machine 50; who is asked again 10 us after his answer, again and
// again, need not pay that. One who waits for a disk should: what he waits for wants the core.
#pragma once

#include <algorithm>

#include "cdp/base/types.h"

namespace cdp {

class SpinForecast {
 public:
  static constexpr Nanos kSpin = microseconds(20);

  // Whether the next wait is likely to end within kSpin.
  bool is_soon() const { return short_waits_ == kShortWaits; }

  // The last wait took so long, spin and sleep together. One that ended a spin too late, or a sleep
  // too late to be due to the sleep, was long.
  void waited(Nanos time) {
    const Nanos is_short = is_soon() ? kSpin + kSpin : kSleepOfAShortWait;
    short_waits_ = time <= is_short ? std::min(short_waits_ + 1, kShortWaits) : 0;
  }

 private:
  static constexpr int kShortWaits = 8;  // in a row
  static constexpr Nanos kSleepOfAShortWait = microseconds(80);

  int short_waits_ = 0;
};

}  // namespace cdp
