// SPDX-License-Identifier: Apache-2.0
//
// From a PointMap to bytes: the extents of an image, read from the journal and handed to a
// consumer. Blocks of a volume lie in the journal in the order in which they were written, so the
// work is cut into batches, a batch is sorted by place, and every run in it is read and
// decompressed once, several at a time.
//
//   any order       batches of up to a million blocks (24 bytes of memory each); a run's blocks go
//                   out as soon as it is there. For files, devices and the wire.
//   offset order    batches as big as a buffer, which is filled and then goes out in order. For
//                   pipes, and for disks that want aligned memory and long writes.
//
// One scheduler's thread; references passed in must outlive the tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/task.h"
#include "journal/block_reader.h"
#include "journal/vault_reader.h"
#include "restore/image_target.h"
#include "restore/point_map.h"

namespace restore {

using cdp::Status;
using cdp::Task;

// Where runs come from.
class RunSource {
 public:
  virtual ~RunSource() = default;
  virtual Task<cdp::Result<journal::RunRef>> run(journal::BlockPlace place) = 0;
};

class JournalRuns final : public RunSource {
 public:
  explicit JournalRuns(journal::BlockReader& reader) : reader_(reader) {}
  Task<cdp::Result<journal::RunRef>> run(journal::BlockPlace place) override {
    return reader_.run(place);
  }

 private:
  journal::BlockReader& reader_;
};

// Where extents go: every byte of the exported range once, as data or as zeroes. Bytes are valid
// during the call. The first error ends the export.
class ExtentConsumer {
 public:
  virtual ~ExtentConsumer() = default;
  // Up to 1 MiB; calls overlap unless wants_offset_order(). In offset order the memory is aligned
  // to 4096 and so are offset and length, but for the end of the image.
  virtual Task<Status> data(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Task<Status> zero(std::uint64_t offset, std::uint64_t length) = 0;
  // Blocks in the state kUntouched. They are zeroes where the map began with the volume.
  virtual Task<Status> untouched(std::uint64_t offset, std::uint64_t length) {
    return zero(offset, length);
  }
  virtual bool wants_offset_order() const = 0;
};

struct ExportOptions {
  unsigned runs_in_flight = 16;
  std::size_t buffer_bytes = 32u << 20;  // in offset order: payload of a batch
  std::size_t batch_blocks = 1u << 20;   // in any order
  // Told after each extent how many bytes of the range are done.
  std::function<void(std::uint64_t)> progress;
};

// Exports the bytes [map.first_block(), min(map.end_block(), size_bytes)) of an image.
Task<Status> export_map(cdp::Scheduler& scheduler, RunSource& runs, const PointMap& map,
                        std::uint64_t size_bytes, ExtentConsumer& consumer, ExportOptions options);

// The map's changes onto a backing store, durable when it succeeds; untouched blocks stay as they
// are. For replay after a crash: `map` was built from the checkpoint on. When the map was cut by
// its budget, the caller goes on with another from map.end_block() on.
Task<Status> apply_to_disk(cdp::Scheduler& scheduler, RunSource& runs, const PointMap& map,
                           std::uint64_t size_bytes, cdp::Disk& disk);

// A volume's image at an LSN, through as many maps as its size needs.
class ImageExport {
 public:
  struct Source {
    journal::VolumeId volume;
    journal::Lsn lsn;
    std::uint64_t size_bytes = 0;  // of the volume at that LSN
  };

  ImageExport(cdp::Scheduler& scheduler, journal::VaultReader& reader, RunSource& runs,
              Source source, std::size_t map_budget_bytes = PointMap::kDefaultBudgetBytes)
      : scheduler_(scheduler),
        reader_(reader),
        runs_(runs),
        source_(source),
        map_budget_bytes_(map_budget_bytes) {}

  // Builds the first map. Call it once, before the others.
  Task<Status> prepare();
  // How many bytes of the image are not zero, where one map holds it all.
  std::optional<std::uint64_t> data_bytes() const { return data_bytes_; }
  // All extents, to the end.
  Task<Status> run(ExtentConsumer& consumer, ExportOptions options);

  // Sentences about history that could not be read; what it changed is not in the image.
  const std::vector<std::string>& damage() const { return damage_; }

 private:
  Task<Status> build(std::uint64_t first_block);

  cdp::Scheduler& scheduler_;
  journal::VaultReader& reader_;
  RunSource& runs_;
  const Source source_;
  const std::size_t map_budget_bytes_;
  PointMap map_{0, 0};
  std::optional<std::uint64_t> data_bytes_;
  std::vector<std::string> damage_;
};

// Writes extents to a target, long ones on worker threads. For programs that do nothing else with
// their reactor meanwhile, since short ones may block it.
class TargetConsumer final : public ExtentConsumer {
 public:
  TargetConsumer(cdp::Scheduler& scheduler, ImageTarget& target)
      : scheduler_(scheduler), target_(target) {}

  Task<Status> data(std::uint64_t offset, std::span<const std::byte> bytes) override;
  Task<Status> zero(std::uint64_t offset, std::uint64_t length) override;
  bool wants_offset_order() const override { return target_.wants_offset_order(); }

 private:
  static constexpr std::uint64_t kInlineBytesMax = 64u << 10;
  bool is_worth_a_worker(std::uint64_t bytes) const;

  cdp::Scheduler& scheduler_;
  ImageTarget& target_;
};

}  // namespace restore
