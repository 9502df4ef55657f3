// SPDX-License-Identifier: Apache-2.0
#include "restore/image.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cdp/io/signal.h"
#include "journal/aligned_buffer.h"
#include "restore/run_plan.h"

namespace restore {
namespace {

using cdp::kBlockBytes;
using journal::index::BlockState;
using journal::index::Extent;

constexpr std::uint64_t kExtentBytesMax = 1u << 20;

std::uint64_t end_block_of(const ExportedRange& range) {
  return std::min(range.end_block, cdp::blocks_for(range.size_bytes));
}

// The extents of a scan with what lies between them.
class ExtentCursor {
 public:
  ExtentCursor(std::unique_ptr<journal::index::Scan> scan, std::uint64_t end_block)
      : scan_(std::move(scan)), end_block_(end_block) {}

  bool ended() const { return at_ >= end_block_; }
  // The next extent, of data at most `data_blocks_max` blocks of it.
  Task<cdp::Result<Extent>> next(std::uint64_t data_blocks_max) {
    while (next_ == extents_.size() && !scanned_) {
      cdp::Result<std::vector<Extent>> more = co_await scan_->next();
      if (!more.ok()) co_return std::move(more).error();
      extents_ = *std::move(more);
      next_ = 0;
      scanned_ = extents_.empty();
    }
    Extent extent{.first_block = at_, .block_count = end_block_ - at_};
    if (next_ < extents_.size() && extents_[next_].first_block > at_) {
      extent.block_count = extents_[next_].first_block - at_;
    } else if (next_ < extents_.size()) {
      extent = extents_[next_++];
      if (extent.state == BlockState::kData && extent.block_count > data_blocks_max) {
        Extent& rest = extents_[--next_];
        extent.block_count = data_blocks_max;
        rest.first_block += data_blocks_max;
        rest.block_count -= data_blocks_max;
        rest.place.index = static_cast<std::uint16_t>(rest.place.index + data_blocks_max);
      }
    }
    at_ += extent.block_count;
    co_return extent;
  }

 private:
  const std::unique_ptr<journal::index::Scan> scan_;
  const std::uint64_t end_block_;
  std::vector<Extent> extents_;
  std::size_t next_ = 0;
  bool scanned_ = false;
  std::uint64_t at_ = 0;
};

class Exporter {
 public:
  Exporter(cdp::Scheduler& scheduler, RunSource& runs, const journal::index::BlockMap& map,
           ExportedRange range, ExtentConsumer& consumer, ExportOptions options)
      : scheduler_(scheduler),
        runs_(runs),
        size_bytes_(range.size_bytes),
        consumer_(consumer),
        options_(std::move(options)),
        ordered_(consumer.wants_offset_order()),
        batch_blocks_max_(std::max<std::size_t>(
            ordered_ ? options_.buffer_bytes / kBlockBytes : options_.batch_blocks, 1)),
        cursor_(map.scan(std::move(range.visible), 0, end_block_of(range)), end_block_of(range)) {}

  Task<Status> run() {
    Batch sending;
    Batch reading;
    co_await read(sending);
    while (!sending.extents.empty() && !failed_) {
      cdp::TaskGroup ahead{scheduler_};
      ahead.spawn(read(reading));
      co_await send_extents(sending);
      co_await ahead.join();
      std::swap(sending, reading);
    }
    if (failed_) co_return std::move(*failed_);
    co_return Status{};
  }

 private:
  struct Stretch {
    std::uint64_t first_block = 0;
    std::uint64_t block_count = 0;
    BlockState state = BlockState::kUntouched;
  };
  struct Batch {
    std::vector<Stretch> extents;
    RunPlan plan;  // its blocks of data
    // In offset order: those blocks in their order, and their bytes.
    std::vector<std::uint64_t> slots;
    journal::AlignedBuffer buffer;
    std::size_t next_stretch = 0;
  };

  // Fills the batch with what comes next, which is nothing at the end.
  Task<void> read(Batch& batch) {
    co_await gather(batch);
    if (failed_ || batch.plan.blocks().empty()) co_return;
    if (ordered_) batch.buffer.reserve(batch.plan.blocks().size() * kBlockBytes);
    co_await on_worker(scheduler_, [&batch] { batch.plan.make(); });
    batch.next_stretch = 0;
    cdp::TaskGroup readers{scheduler_};
    const std::size_t count =
        std::min<std::size_t>(options_.reads_in_flight, batch.plan.stretches().size());
    for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
      readers.spawn(read_stretches(batch));
    }
    co_await readers.join();
  }

  Task<void> gather(Batch& batch) {
    batch.extents.clear();
    batch.plan.clear();
    batch.slots.clear();
    std::size_t blocks = 0;
    while (!cursor_.ended() && blocks < batch_blocks_max_ &&
           batch.extents.size() < batch_blocks_max_) {
      cdp::Result<Extent> found = co_await cursor_.next(batch_blocks_max_ - blocks);
      if (!found.ok()) {
        fail(std::move(found).error());
        co_return;
      }
      if (found->state == BlockState::kData) {
        blocks += found->block_count;
        for (std::uint64_t i = 0; i < found->block_count; ++i) {
          journal::BlockPlace place = found->place;
          place.index = static_cast<std::uint16_t>(place.index + i);
          batch.plan.add(found->first_block + i, place);
          if (ordered_) batch.slots.push_back(found->first_block + i);
        }
      }
      if (!batch.extents.empty() && batch.extents.back().state == found->state) {
        batch.extents.back().block_count += found->block_count;
      } else {
        batch.extents.push_back({found->first_block, found->block_count, found->state});
      }
    }
  }

  Task<void> read_stretches(Batch& batch) {
    const RunPlan& plan = batch.plan;
    while (batch.next_stretch < plan.stretches().size() && !failed_) {
      const RunPlan::Stretch stretch = plan.stretches()[batch.next_stretch++];
      std::vector<journal::BlockPlace> places = plan.places_of(stretch);
      cdp::Result<std::vector<journal::RunRef>> runs = co_await runs_.runs(std::move(places));
      if (!runs.ok()) {
        fail(std::move(runs).error());
        co_return;
      }
      for (std::size_t i = stretch.begin; i < stretch.end && !failed_; ++i) {
        const RunPlan::Run run = plan.runs()[i];
        journal::RunRef& blocks = (*runs)[i - stretch.begin];
        if (ordered_) {
          copy_run(batch, run, *blocks);
        } else {
          co_await send_run(batch, run, std::move(blocks));
        }
      }
    }
  }

  static void copy_run(Batch& batch, RunPlan::Run run, const journal::Run& blocks) {
    for (std::size_t i = run.begin; i < run.end; ++i) {
      const WantedBlock& wanted = batch.plan.blocks()[i];
      const auto slot = std::lower_bound(batch.slots.begin(), batch.slots.end(), wanted.block) -
                        batch.slots.begin();
      std::memcpy(batch.buffer.data() + static_cast<std::size_t>(slot) * kBlockBytes,
                  blocks.block(wanted.place.index).data(), kBlockBytes);
    }
  }

  // Neighbours in the run that are neighbours in the volume go out together.
  Task<void> send_run(Batch& batch, RunPlan::Run run, journal::RunRef blocks) {
    const std::vector<WantedBlock>& items = batch.plan.blocks();
    for (std::size_t i = run.begin; i < run.end && !failed_;) {
      std::size_t n = 1;
      while (i + n < run.end && items[i + n].block == items[i].block + n &&
             items[i + n].place.index == items[i].place.index + n) {
        ++n;
      }
      const std::uint64_t offset = items[i].block * kBlockBytes;
      const std::uint64_t bytes = std::min<std::uint64_t>(n * kBlockBytes, size_bytes_ - offset);
      const std::byte* first = blocks->block(items[i].place.index).data();
      Status sent = co_await consumer_.data(offset, std::span{first, bytes});
      if (sent.ok()) {
        advance(bytes);
      } else {
        fail(std::move(sent).error());
      }
      i += n;
    }
  }

  // Zero and untouched extents; in offset order the data between them, from the buffer.
  Task<void> send_extents(Batch& batch) {
    const std::byte* data = batch.buffer.data();
    for (const Stretch& extent : batch.extents) {
      if (failed_) co_return;
      const std::uint64_t offset = extent.first_block * kBlockBytes;
      const std::uint64_t bytes = std::min(extent.block_count * kBlockBytes, size_bytes_ - offset);
      Status sent;
      if (extent.state == BlockState::kZero) {
        sent = co_await consumer_.zero(offset, bytes);
      } else if (extent.state == BlockState::kUntouched) {
        sent = co_await consumer_.untouched(offset, bytes);
      } else if (ordered_) {
        sent = co_await send_data(offset, {data, bytes});
        data += extent.block_count * kBlockBytes;
      }
      if (!sent.ok()) {
        fail(std::move(sent).error());
        co_return;
      }
      if (ordered_ || extent.state != BlockState::kData) advance(bytes);
    }
  }

  Task<Status> send_data(std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t part = std::min<std::size_t>(bytes.size(), kExtentBytesMax);
      Status sent = co_await consumer_.data(offset, bytes.first(part));
      if (!sent.ok()) co_return sent;
      bytes = bytes.subspan(part);
      offset += part;
    }
    co_return Status{};
  }

  void advance(std::uint64_t bytes) {
    done_bytes_ += bytes;
    if (options_.progress) options_.progress(done_bytes_);
  }

  void fail(cdp::Error error) {
    if (!failed_) failed_ = std::move(error);
  }

  cdp::Scheduler& scheduler_;
  RunSource& runs_;
  const std::uint64_t size_bytes_;
  ExtentConsumer& consumer_;
  const ExportOptions options_;
  const bool ordered_;
  const std::size_t batch_blocks_max_;
  ExtentCursor cursor_;
  std::uint64_t done_bytes_ = 0;
  std::optional<cdp::Error> failed_;
};

// Changes onto a disk that wants whole, aligned blocks.
class DiskConsumer final : public ExtentConsumer {
 public:
  explicit DiskConsumer(cdp::Disk& disk) : disk_(disk) {}

  Task<Status> data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    // The buffer holds the whole last block, even where the volume ends inside of it.
    const std::uint64_t whole =
        std::min(cdp::round_up(bytes.size(), kBlockBytes), disk_.size_bytes() - offset);
    return disk_.write(offset, std::span{bytes.data(), whole});
  }
  Task<Status> zero(std::uint64_t offset, std::uint64_t length) override {
    const std::uint64_t whole =
        std::min(cdp::round_up(length, kBlockBytes), disk_.size_bytes() - offset);
    return disk_.zero_range(offset, whole, true);
  }
  Task<Status> untouched(std::uint64_t, std::uint64_t) override { co_return Status{}; }
  bool wants_offset_order() const override { return true; }

 private:
  cdp::Disk& disk_;
};

}  // namespace

Task<Status> export_blocks(cdp::Scheduler& scheduler, RunSource& runs,
                           const journal::index::BlockMap& map, ExportedRange range,
                           ExtentConsumer& consumer, ExportOptions options) {
  const auto exporter = std::make_unique<Exporter>(scheduler, runs, map, std::move(range), consumer,
                                                   std::move(options));
  Status status = co_await exporter->run();
  co_return status;
}

Task<Status> apply_to_disk(cdp::Scheduler& scheduler, RunSource& runs,
                           const journal::index::BlockMap& map, ExportedRange range,
                           cdp::Disk& disk) {
  if (disk.size_bytes() < range.size_bytes) {
    co_return cdp::make_error(ENOSPC,
                              "the backing store has {} bytes, fewer than the {} of the volume",
                              disk.size_bytes(), range.size_bytes);
  }
  DiskConsumer consumer{disk};
  ExportOptions options;
  Status applied =
      co_await export_blocks(scheduler, runs, map, std::move(range), consumer, std::move(options));
  if (!applied.ok()) co_return applied;
  Status synced = co_await disk.sync();
  co_return synced;
}

Task<cdp::Result<std::uint64_t>> count_data_bytes(const journal::index::BlockMap& map,
                                                  ExportedRange range) {
  const std::uint64_t end = end_block_of(range);
  const auto scan = map.scan(std::move(range.visible), 0, end);
  std::uint64_t bytes = 0;
  for (;;) {
    cdp::Result<std::vector<Extent>> found = co_await scan->next();
    if (!found.ok()) co_return std::move(found).error();
    if (found->empty()) co_return bytes;
    for (const Extent& extent : *found) {
      if (extent.state != BlockState::kData) continue;
      const std::uint64_t offset = extent.first_block * kBlockBytes;
      bytes += std::min(extent.block_count * kBlockBytes, range.size_bytes - offset);
    }
  }
}

// A short write into the page cache takes less time than handing it to another thread, and in
// offset order there is nothing else to do meanwhile.
bool TargetConsumer::is_worth_a_worker(std::uint64_t bytes) const {
  return bytes > kInlineBytesMax && !target_.wants_offset_order();
}

Task<Status> TargetConsumer::data(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!is_worth_a_worker(bytes.size())) co_return target_.data(offset, bytes);
  Status status;
  co_await on_worker(scheduler_, [&] { status = target_.data(offset, bytes); });
  co_return status;
}

Task<Status> TargetConsumer::zero(std::uint64_t offset, std::uint64_t length) {
  if (!is_worth_a_worker(length)) co_return target_.zero(offset, length);
  Status status;
  co_await on_worker(scheduler_, [&] { status = target_.zero(offset, length); });
  co_return status;
}

}  // namespace restore
