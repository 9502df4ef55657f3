// SPDX-License-Identifier: Apache-2.0
//
// HydrationWatch: looks each second at which volumes hydrate, and keeps a job for each that does.
//
// On the scheduler's thread. All that it is given must outlive it; stop() must have returned before
// it is destroyed.
#pragma once

#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/jobs/jobs.h"

namespace tools {

class HydrationWatch {
 public:
  HydrationWatch(cdp::Scheduler& scheduler, Appliance& appliance, Jobs& jobs);

  // Begins it; the jobs are loaded.
  void start() { running_.spawn(run()); }
  cdp::Task<void> stop();
  // One look, whenever it comes: what has just begun has its job then.
  cdp::Task<void> look();

 private:
  cdp::Task<void> run();
  void look_at(const journal::VolumeState& known, const cdp::Volume& volume);

  cdp::Scheduler& scheduler_;
  Appliance& appliance_;
  Jobs& jobs_;
  bool stopping_ = false;
  cdp::Signal stop_;
  cdp::TaskGroup running_;
};

}  // namespace tools
