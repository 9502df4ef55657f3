// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/appliance_world.h"

#include <utility>

#include "cdp/base/check.h"

namespace sim {

using cdp::kBlockBytes;
using cdp::Status;

tools::ApplianceOptions ApplianceWorld::small_options() {
  tools::ApplianceOptions options;
  options.vault_path = kVaultPath;
  options.state_path = kStatePath;
  options.dirty_bytes = 48 * kBlockBytes;
  options.journal.frame_blocks = 32;
  options.journal.queue_blocks = 96;
  options.journal.run_blocks = 4;
  options.journal.inline_blocks = 4;
  options.journal.dedup_bytes = 1 << 20;
  options.journal.segment_bytes =
      cdp::round_up(options.journal.minimum_segment_bytes(), kBlockBytes);
  options.index.run_entries = 64;
  options.index.fan_out = 3;
  return options;
}

ApplianceWorld::ApplianceWorld(SimScheduler& scheduler, const SimClock& clock,
                               std::shared_ptr<SimStore> store, tools::ApplianceOptions options,
                               Trace* trace)
    : scheduler_(scheduler),
      clock_(clock),
      host_(std::move(store)),
      options_(std::move(options)),
      trace_(trace) {}

ApplianceWorld::~ApplianceWorld() { CHECK(appliance_ == nullptr); }

Status ApplianceWorld::start() {
  auto appliance =
      scheduler_.run(tools::Appliance::start(scheduler_, clock_, host_, options_));
  if (!appliance.ok()) return std::move(appliance).error();
  appliance_ = *std::move(appliance);
  server_ = std::make_unique<cdp::nbd::Server>(scheduler_, *appliance_);
  arriving_ = std::make_shared<cdp::test::MemoryListener::Queue>(scheduler_);
  serving_ = std::make_unique<cdp::TaskGroup>(scheduler_);
  serving_->spawn(server_->serve(std::make_unique<cdp::test::MemoryListener>(arriving_)));
  return {};
}

void ApplianceWorld::hang_up() {
  has_hung_up_ = true;
  scheduler_.run(server_->shutdown());
  scheduler_.run(serving_->join());
  for (const auto& connection : arriving_->waiting) {
    connection->shut_down = true;
    connection->sent.notify_all();
  }
}

Status ApplianceWorld::stop() {
  if (appliance_ == nullptr) return {};
  if (!has_hung_up_) hang_up();
  Status stopped = scheduler_.run(appliance_->stop());
  server_.reset();
  appliance_.reset();
  return stopped;
}

std::unique_ptr<NbdDevice> ApplianceWorld::connect() {
  auto connection = std::make_shared<cdp::test::Connection>(scheduler_);
  connection->fragments = &scheduler_.random();
  connection->shut_down = has_hung_up_;
  if (!has_hung_up_) arriving_->connect(connection);
  return std::make_unique<NbdDevice>(scheduler_, std::move(connection), trace_);
}

}  // namespace sim
