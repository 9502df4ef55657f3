// SPDX-License-Identifier: Apache-2.0
//
// ApplianceWorld: one start of a simulated appliance, whole: the daemon's own Appliance on a
// simulated host, clock and scheduler, and its NBD server, to which clients connect by simulated
// sockets. What it finds on the store it recovers as the daemon does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdp/nbd/server.h"
#include "tests/sim/nbd_device.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/trace.h"
#include "tools/daemon/appliance.h"

namespace sim {

inline constexpr char kVaultPath[] = "vault";
inline constexpr char kSegmentsPath[] = "vault/segments/";
inline constexpr char kIndexPath[] = "vault/index/";
inline constexpr char kStatePath[] = "state";
inline constexpr char kBackingPath[] = "state/volumes/";

class ApplianceWorld {
 public:
  // Segments, frames and runs of the index so small that a short life has many.
  static tools::ApplianceOptions small_options();

  // All must outlive it; `trace` may be null.
  ApplianceWorld(SimScheduler& scheduler, const SimClock& clock, std::shared_ptr<SimStore> store,
                 tools::ApplianceOptions options, Trace* trace);
  ~ApplianceWorld();

  cdp::Status start();
  // Ends all sessions, and those that would come.
  void hang_up();
  // Ends everything in good order, or, where the store has crashed or fails, as far as that goes.
  cdp::Status stop();
  bool started() const { return appliance_ != nullptr; }

  tools::Appliance& appliance() { return *appliance_; }
  cdp::nbd::Server& server() { return *server_; }
  // A connection on which nothing has been said yet.
  std::unique_ptr<NbdDevice> connect();

 private:
  SimScheduler& scheduler_;
  const SimClock& clock_;
  SimHost host_;
  const tools::ApplianceOptions options_;
  Trace* const trace_;
  std::unique_ptr<tools::Appliance> appliance_;
  std::unique_ptr<cdp::nbd::Server> server_;
  std::shared_ptr<cdp::test::MemoryListener::Queue> arriving_;
  std::unique_ptr<cdp::TaskGroup> serving_;
  bool has_hung_up_ = false;
};

}  // namespace sim
