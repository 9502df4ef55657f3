// SPDX-License-Identifier: Apache-2.0
//
// VolumeWorld: one start of a simulated machine with one volume on a SimRecorder, and clients that
// read and change it at random and check each answer against a ByteModel.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdp/volume.h"
#include "tests/sim/byte_model.h"
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

// All bytes of a volume; it must be well.
cdp::Task<std::vector<std::byte>> read_whole(cdp::Volume& volume);

// What clients know and found.
struct Clients {
  explicit Clients(ByteModel& of) : model(of) {}
  ByteModel& model;
  std::vector<std::string> findings;  // answers that cannot be right
  std::size_t running = 0;
  std::uint64_t flushed = 0;  // when the newest flush that was answered began
  bool errors_expected = false;
};

// Weights of what a client does, in percent; the rest is reads.
struct Mix {
  unsigned writes = 40;
  unsigned repeats = 10;  // of the client's own last write, with the same bytes
  unsigned flushes = 8;
  unsigned zeroes = 6;
  unsigned trims = 6;
  unsigned checkpoints = 2;
  unsigned allocations = 3;
  unsigned aligned = 50;  // of writes, zeroes and reads
  std::uint64_t max_blocks = 16;
  std::uint64_t hot_blocks = 12;  // half of the changes go there
};

// One client: `count` operations, one after the other. All arguments by reference outlive it.
cdp::Task<void> client(cdp::Volume& volume, Clients& clients, std::uint64_t seed, std::size_t count,
                       Mix mix);
// One operation each; true where it succeeded.
struct Written {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  ByteModel::Change change = 0;
};
// `written`, where it is not null, becomes what is written; `again`: it is what to write.
cdp::Task<bool> client_write(cdp::Volume& volume, Clients& clients, std::uint64_t offset,
                             std::uint32_t bytes, Written* written = nullptr, bool again = false);
cdp::Task<bool> client_read(cdp::Volume& volume, Clients& clients, std::uint64_t offset,
                            std::uint32_t bytes);
cdp::Task<bool> client_flush(cdp::Volume& volume, Clients& clients);
cdp::Task<bool> client_zero(cdp::Volume& volume, Clients& clients, std::uint64_t offset,
                            std::uint64_t bytes);
cdp::Task<bool> client_trim(cdp::Volume& volume, Clients& clients, std::uint64_t offset,
                            std::uint64_t bytes);

}  // namespace sim
