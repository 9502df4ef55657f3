// SPDX-License-Identifier: Apache-2.0
//
// The two clocks an appliance looks at. Time indexes history, it never orders it (the LSN does).
#pragma once

#include "cdp/base/types.h"

namespace cdp {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, UTC, since 1970-01-01; may step in either direction.
  virtual Nanos realtime() const = 0;
  // Time since boot, suspend included; never steps.
  virtual Nanos boottime() const = 0;
};

// CLOCK_REALTIME and CLOCK_BOOTTIME.
class SystemClock final : public Clock {
 public:
  Nanos realtime() const override;
  Nanos boottime() const override;
};

}  // namespace cdp
