// SPDX-License-Identifier: Apache-2.0
//
// What the sessions of one server have in common: who is let in to a device, and how many lines of
// the log all clients together may cause. A client can come back as often as it likes, so what one
// session may write bounds nothing.
#pragma once

#include <cstdint>
#include <functional>

#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/scheduler.h"

namespace cdp::nbd {

// Lines that clients cause: `burst` at once, then one in `interval`; what is left out is counted,
// and the next line that may be written is told how many those were.
class LogBudget {
 public:
  static constexpr std::uint64_t kBurst = 200;
  static constexpr Nanos kInterval = seconds(1);

  explicit LogBudget(Scheduler& scheduler) : scheduler_(scheduler), since_(scheduler.now()) {}

  // Whether a line may be written now.
  bool take();
  // Writes how many lines were left out, if any were.
  void tell_left_out();

 private:
  Scheduler& scheduler_;
  Nanos since_;  // up to here lines were earned
  std::uint64_t lines_ = kBurst;
  std::uint64_t left_out_ = 0;
};

struct ServerShared {
  // Whether one more connection may have the device; an error's sentence is for the client.
  std::function<Status(const BlockDevice&)> admits;
  LogBudget log;
};

}  // namespace cdp::nbd
