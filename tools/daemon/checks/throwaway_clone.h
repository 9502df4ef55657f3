// SPDX-License-Identifier: Apache-2.0
//
// ThrowawayClone: a writable device that begins as a volume was at a point, for one check. No list
// names it, and its files have lost their names as soon as they were opened: however the daemon
// ends, nothing of them stays. What a kill in between leaves is removed at the next start.
//
// Its pages are its own, so that a checker who takes no replies holds up no reader of another
// point. On the scheduler's thread; `close` must have returned before it is destroyed, with nobody
// using the device.
#pragma once

#include <memory>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/pages.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "restore/clone.h"
#include "restore/point_reader.h"
#include "tools/daemon/host.h"

namespace tools {

// In the state directory: the files of checks that are under way.
inline constexpr char kChecksDirectory[] = "/checks";

class ThrowawayClone {
 public:
  // Makes `directory` where it is missing, and removes what an earlier daemon left in it.
  static cdp::Task<cdp::Status> prepare(Host& host, std::string directory);
  // `scheduler` and `host` must outlive it.
  static cdp::Task<cdp::Result<std::unique_ptr<ThrowawayClone>>> open(
      cdp::Scheduler& scheduler, Host& host, std::string directory,
      std::shared_ptr<const restore::PointReader> point);
  cdp::Task<void> close();

  const std::shared_ptr<restore::Clone>& device() const { return clone_; }

 private:
  explicit ThrowawayClone(cdp::Scheduler& scheduler);

  cdp::PagePool view_pages_;
  cdp::PagePool write_pages_;
  cdp::TaskGroup reading_ahead_;
  std::shared_ptr<restore::Clone> clone_;
};

}  // namespace tools
