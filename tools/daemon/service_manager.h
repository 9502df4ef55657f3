// SPDX-License-Identifier: Apache-2.0
//
// ServiceManager: what systemd is told by a daemon that it started (sd_notify(3)), and nothing
// where nobody asked: that it serves, reads its configuration again, or stops; and, where the unit
// has a watchdog, that its event loop still turns, twice in the watchdog's time.
//
// For the scheduler's own thread.
#pragma once

#include <string>

#include "cdp/io/scheduler.h"

namespace tools {

class ServiceManager final : private cdp::Timer {
 public:
  explicit ServiceManager(cdp::Scheduler& scheduler) : scheduler_(scheduler) {}
  ~ServiceManager() override { scheduler_.cancel(*this); }

  // `status` is a sentence for `systemctl status`. From here on the watchdog is kept quiet.
  void ready(const std::string& status);
  void reloading();
  void reloaded();
  void stopping();

 private:
  void fire() override;

  cdp::Scheduler& scheduler_;
  cdp::Nanos interval_{};  // of the watchdog's notes; 0: it has none
};

}  // namespace tools
