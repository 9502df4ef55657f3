// SPDX-License-Identifier: Apache-2.0
//
// What the sessions of one server have in common: who is let in to a device, and how many lines of
// the log all clients together may cause. A client can come back as often as it likes, so what one
// session may write bounds nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/scheduler.h"
#include "cdp/nbd/limits.h"

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

// Who has a place at which device. A place is taken when it is promised, in the negotiation, and
// held until its connection ends: clients that come at once cannot share one.
class Admissions {
 public:
  using Place = std::shared_ptr<const void>;

  explicit Admissions(const Limits& limits) : limits_(limits) {}
  // EBUSY where the device, or all read-only ones together, have no place left; the sentence is for
  // the client. The place may outlive this.
  Result<Place> admit(const BlockDevice& device);

 private:
  struct Taken {
    std::map<const BlockDevice*, std::size_t> of_device;
    std::size_t read_only = 0;
  };

  const Limits limits_;
  const std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
};

struct ServerShared {
  Admissions admissions;
  LogBudget log;           // what clients do
  LogBudget failures_log;  // what devices answer: no client's coming and going hides it
};

}  // namespace cdp::nbd
