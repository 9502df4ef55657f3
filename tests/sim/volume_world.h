// SPDX-License-Identifier: Apache-2.0
//
// VolumeWorld: one start of a simulated machine with one volume on a SimRecorder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdp/volume.h"
#include "tests/sim/clients.h"
#include "tests/sim/log_history.h"
#include "tests/sim/sim_recorder.h"
#include "tests/sim/sim_source.h"

namespace sim {

inline constexpr cdp::VolumeId kVolume{1};
inline constexpr const char* kBackingPath = "backing";
inline constexpr const char* kLogPath = "log";

struct WorldOptions {
  std::uint64_t size_bytes = 100 * cdp::kBlockBytes + 1234;
  std::size_t dirty_budget_blocks = 24;
  std::size_t write_pages = 96;
  std::size_t read_pages = 300;
  cdp::Nanos checkpoint_interval = cdp::milliseconds(20);
  bool sync_lies = false;            // the backing store's sync does nothing
  std::uint64_t size_bytes_max = 0;  // where it is resized
  cdp::HydratorOptions hydration = {};
  std::vector<std::byte> created_from = {};  // its content, where it was created from a point
  SimRecorderOptions recorder = {};
};

class VolumeWorld {
 public:
  // On the disks of `store`; they are created where it has none. `log` is what the recorder wrote
  // before, of which the disk tells how much is durable. Replays it, as a daemon would.
  VolumeWorld(std::uint64_t seed, std::shared_ptr<SimStore> store, SimScheduler& scheduler,
              std::shared_ptr<SimLog> log, WorldOptions options);
  // Brings the backing store up to date and opens the volume. False after a crash in it.
  bool start();
  // Ends everything, crashed or not. The volume's answer.
  cdp::Status stop();

  // Rolls the volume back to `point`, with the size of then. The model is told.
  cdp::Task<cdp::Status> roll_back(cdp::Lsn point, struct Clients& clients);
  cdp::Task<cdp::Status> resize(std::uint64_t size_bytes, struct Clients& clients);
  // After a start: what was not as a Volume must leave it.
  const std::vector<std::string>& findings() const { return findings_; }
  const LogOrigin& origin() const { return origin_; }
  SourceFaults& source_faults() { return *source_faults_; }

  cdp::Volume& volume() { return *volume_; }
  SimRecorder& recorder() { return *recorder_; }
  SimStore& store() { return *store_; }
  SimScheduler& scheduler() { return scheduler_; }
  cdp::PagePool& write_pages() { return write_pages_; }

  // What the volume must hold: all of the log, from the start.
  std::vector<std::byte> replayed(cdp::Lsn upto) const;
  std::vector<std::byte> read_all();

 private:
  cdp::Task<cdp::Status> recover();
  std::shared_ptr<cdp::HydrationSource> source() const;

  Random random_;
  SimScheduler& scheduler_;
  const WorldOptions options_;
  SimClock clock_;
  cdp::Sequencer sequencer_;
  std::shared_ptr<SimStore> store_;
  std::shared_ptr<SimLog> log_;
  std::unique_ptr<cdp::Disk> log_disk_;
  std::unique_ptr<cdp::Disk> backing_;
  cdp::PagePool write_pages_;
  cdp::PagePool read_pages_;
  mutable cdp::PagePool source_pages_;
  const std::shared_ptr<SourceFaults> source_faults_ = std::make_shared<SourceFaults>();
  const LogOrigin origin_;
  std::vector<std::string> findings_;
  std::unique_ptr<SimRecorder> recorder_;
  std::unique_ptr<cdp::Volume> volume_;
};

}  // namespace sim
