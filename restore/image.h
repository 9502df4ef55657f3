// SPDX-License-Identifier: Apache-2.0
//
// From the time index to bytes: the extents of an image, read from the journal and handed to a
// consumer. Blocks of a volume lie in the journal in the order in which they were written, so the
// work is cut into batches, a batch is sorted by place, and every run in it is read and
// decompressed once, neighbouring runs together, several reads at a time (RunPlan). While one batch
// goes out, the next is read.
//
//   any order       batches of up to half a million blocks (24 bytes of memory each, two batches);
//   a
//                   run's blocks go out as soon as it is there. For files, devices and the wire.
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
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/task.h"
#include "journal/block_reader.h"
#include "journal/index/block_map.h"
#include "restore/image_target.h"

namespace restore {

using cdp::Status;
using cdp::Task;

// Where runs come from.
class RunSource {
 public:
  virtual ~RunSource() = default;
  // As BlockReader::runs.
  virtual Task<cdp::Result<std::vector<journal::RunRef>>> runs(
      std::vector<journal::BlockPlace> places) = 0;
};

class JournalRuns final : public RunSource {
 public:
  explicit JournalRuns(journal::BlockReader& reader) : reader_(reader) {}
  Task<cdp::Result<std::vector<journal::RunRef>>> runs(
      std::vector<journal::BlockPlace> places) override {
    return reader_.runs(std::move(places));
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
  // Blocks that no visible change names: zeroes, if everything since the beginning is visible.
  virtual Task<Status> untouched(std::uint64_t offset, std::uint64_t length) {
    return zero(offset, length);
  }
  virtual bool wants_offset_order() const = 0;
};

struct ExportOptions {
  unsigned reads_in_flight = 8;          // each of up to BlockReader::kStretchRunsMax runs
  std::size_t buffer_bytes = 16u << 20;  // in offset order: payload of a batch; there are two
  std::size_t batch_blocks = 1u << 19;   // in any order
  // Told after each extent how many bytes of the range are done.
  std::function<void(std::uint64_t)> progress;
};

// What of a volume is exported: the bytes [0, min(end_block * 4096, size_bytes)).
struct ExportedRange {
  journal::Visibility visible{};
  std::uint64_t size_bytes = 0;  // of the volume
  std::uint64_t end_block = journal::kVolumeBlocksMax;
};

Task<Status> export_blocks(cdp::Scheduler& scheduler, RunSource& runs,
                           const journal::index::BlockMap& map, ExportedRange range,
                           ExtentConsumer& consumer, ExportOptions options);

// Changes onto a backing store, durable when it succeeds; blocks that none of them names stay as
// they are. For replay after a crash: `range` shows what changed since the checkpoint, up to the
// block up to which the backing store follows the volume at all.
Task<Status> apply_to_disk(cdp::Scheduler& scheduler, RunSource& runs,
                           const journal::index::BlockMap& map, ExportedRange range,
                           cdp::Disk& disk);

// How many bytes of it are data.
Task<cdp::Result<std::uint64_t>> count_data_bytes(const journal::index::BlockMap& map,
                                                  ExportedRange range);

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
