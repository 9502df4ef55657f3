// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/service_manager.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdint>

namespace tools {
namespace {

constexpr std::int64_t kNanosPerMicrosecond = 1000;

// Where nobody listens, or nobody hears, the daemon does its work all the same.
void tell(const std::string& state) { (void)sd_notify(0, state.c_str()); }

}  // namespace

void ServiceManager::ready(const std::string& status) {
  tell(fmt::format("READY=1\nSTATUS={}", status));
  std::uint64_t watchdog_us = 0;
  if (sd_watchdog_enabled(0, &watchdog_us) <= 0) return;
  interval_ = cdp::Nanos{static_cast<std::int64_t>(watchdog_us) / 2 * kNanosPerMicrosecond};
  fire();
}

void ServiceManager::reloading() { tell("RELOADING=1"); }

void ServiceManager::reloaded() { tell("READY=1"); }

void ServiceManager::stopping() {
  tell("STOPPING=1\nSTATUS=Writing back, and closing the journal");
}

void ServiceManager::fire() {
  tell("WATCHDOG=1");
  scheduler_.arm(*this, scheduler_.now() + interval_);
}

}  // namespace tools
