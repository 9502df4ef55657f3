// SPDX-License-Identifier: Apache-2.0
//
// PointChecks: the checks of recovery points that are under way. A check makes a throw-away clone
// of a volume at a point, has hindsight-check look at it (checker_link.h), and gives what that
// found. The checker reaches nothing but stretches of the clone, each served to it by NBD on a
// socket of its own.
//
// On the reactor's thread. All that is passed in must outlive it; nothing may be under way when it
// is destroyed.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "cdp/io/reactor.h"
#include "restore/history.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/checks/checker_link.h"
#include "tools/daemon/checks/throwaway_clone.h"
#include "tools/daemon/system_host.h"

namespace tools {

class PointChecks {
 public:
  static constexpr std::size_t kAtOnceMax = 4;
  static constexpr std::uint64_t kOverlayBytesMax = std::uint64_t{4} << 30;

  struct Options {
    std::string socket;       // where the checker listens; empty: nowhere
    cdp::Nanos time_limit{};  // of one check
  };
  // A check that has its place and its checker, and is to be run, or dropped.
  class Begun {
   public:
    Begun(std::unique_ptr<CheckerLink> link, std::shared_ptr<const void> place)
        : link_(std::move(link)), place_(std::move(place)) {}

   private:
    friend class PointChecks;
    std::unique_ptr<CheckerLink> link_;
    std::shared_ptr<const void> place_;
  };
  // Who waits for a check.
  struct Watcher {
    std::function<bool()> is_cancelled;
    std::function<void(std::uint64_t read_bytes, const std::string& doing)> progress;
  };

  PointChecks(cdp::Reactor& reactor, Appliance& appliance);
  // Removes what a killed daemon left; a problem of that is only told.
  cdp::Task<void> open();
  // Of checks that begin from here on.
  void set_options(Options options) { options_ = std::move(options); }

  // EBUSY where as many are under way as may be, ESHUTDOWN where there is no checker.
  cdp::Result<Begun> begin();
  // What the checker found (RESULT of checker_protocol.h). ECANCELED, ETIMEDOUT; EPROTO where it
  // said what no checker says, EPIPE where it has gone.
  cdp::Task<cdp::Result<boost::json::object>> run(Begun begun, restore::ResolvedPoint point,
                                                  Watcher watcher);

 private:
  std::string directory() const { return appliance_.options().state_path + kChecksDirectory; }

  cdp::Reactor& reactor_;
  Appliance& appliance_;
  SystemHost host_;
  Options options_;
  const std::shared_ptr<std::size_t> under_way_ = std::make_shared<std::size_t>(0);
};

}  // namespace tools
