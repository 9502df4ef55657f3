// SPDX-License-Identifier: Apache-2.0
#include "restore/image.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "cdp/io/signal.h"
#include "restore/map_builder.h"

namespace restore {
namespace {

using cdp::kBlockBytes;

constexpr std::uint64_t kExtentBytesMax = 1u << 20;

struct Item {
  std::uint64_t block = 0;
  journal::BlockPlace place;
};

// Blocks of one batch that lie in one run: items[begin, end) of the sorted batch.
struct Group {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// 4096-aligned memory for a batch in offset order.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::size_t bytes)
      : data_(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kBlockBytes}))),
        bytes_(bytes) {}
  ~AlignedBuffer() { ::operator delete (data_, std::align_val_t{kBlockBytes}); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

// One export of one map.
class Exporter {
 public:
  Exporter(cdp::Scheduler& scheduler, RunSource& runs, const PointMap& map,
           std::uint64_t size_bytes, ExtentConsumer& consumer, ExportOptions options)
      : scheduler_(scheduler),
        runs_(runs),
        map_(map),
        size_bytes_(size_bytes),
        end_block_(std::min(map.end_block(), cdp::blocks_for(size_bytes))),
        consumer_(consumer),
        options_(std::move(options)) {}

  Task<Status> run() {
    const bool ordered = consumer_.wants_offset_order();
    if (ordered) {
      const std::size_t blocks = std::max<std::size_t>(options_.buffer_bytes / kBlockBytes, 1);
      buffer_ = std::make_unique<AlignedBuffer>(blocks * kBlockBytes);
    }
    std::uint64_t block = map_.first_block();
    while (block < end_block_ && !failed_) {
      const std::uint64_t next = gather(block, ordered);
      co_await read_batch();
      if (!failed_) co_await send_batch_extents(ordered);
      block = next;
    }
    if (failed_) co_return std::move(*failed_);
    co_return Status{};
  }

 private:
  // Collects extents from `block` on until the batch is full; gives the block after them.
  std::uint64_t gather(std::uint64_t block, bool ordered) {
    items_.clear();
    extents_.clear();
    const std::size_t room =
        ordered ? buffer_->size() / kBlockBytes : std::max<std::size_t>(options_.batch_blocks, 1);
    while (block < end_block_ && items_.size() < room) {
      PointMap::Extent extent = map_.extent_at(block, end_block_);
      if (extent.state == BlockState::kData) {
        extent.block_count = std::min<std::uint64_t>(extent.block_count, room - items_.size());
        for (std::uint64_t i = 0; i < extent.block_count; ++i) {
          items_.push_back({block + i, map_.place_of(block + i)});
        }
      }
      extents_.push_back(extent);
      block += extent.block_count;
    }
    return block;
  }

  // Reads every run of the batch once; its blocks go into the buffer or straight to the consumer.
  Task<void> read_batch() {
    if (items_.empty()) co_return;
    if (buffer_ != nullptr) index_blocks();
    co_await on_worker(scheduler_, [this] { sort_by_place(); });
    next_group_ = 0;
    cdp::TaskGroup readers{scheduler_};
    const std::size_t count = std::min<std::size_t>(options_.runs_in_flight, groups_.size());
    for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
      readers.spawn(read_groups());
    }
    co_await readers.join();
  }

  // In offset order, block i of the batch's items has its bytes at slot i of the buffer.
  void index_blocks() {
    slots_.clear();
    slots_.reserve(items_.size());
    for (const Item& item : items_) slots_.push_back(item.block);
  }
  std::size_t slot_of(std::uint64_t block) const {
    return static_cast<std::size_t>(std::lower_bound(slots_.begin(), slots_.end(), block) -
                                    slots_.begin());
  }

  void sort_by_place() {
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
      return a.place != b.place ? a.place < b.place : a.block < b.block;
    });
    groups_.clear();
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const bool same_run = i > 0 && items_[i].place.segment == items_[i - 1].place.segment &&
                            items_[i].place.run_offset == items_[i - 1].place.run_offset;
      if (!same_run) groups_.push_back({i, i});
      groups_.back().end = i + 1;
    }
  }

  Task<void> read_groups() {
    while (next_group_ < groups_.size() && !failed_) {
      const Group group = groups_[next_group_++];
      const journal::BlockPlace place = items_[group.end - 1].place;  // the highest index
      cdp::Result<journal::RunRef> run = co_await runs_.run(place);
      if (!run.ok()) {
        fail(std::move(run).error());
        co_return;
      }
      const journal::RunRef blocks = std::move(run).value();
      if (buffer_ != nullptr) {
        for (std::size_t i = group.begin; i < group.end; ++i) {
          std::memcpy(buffer_->data() + slot_of(items_[i].block) * kBlockBytes,
                      blocks->block(items_[i].place.index).data(), kBlockBytes);
        }
      } else {
        co_await send_group(group, blocks);
      }
    }
  }

  // Neighbours in the run that are neighbours in the volume go out together.
  Task<void> send_group(Group group, journal::RunRef run) {
    std::size_t i = group.begin;
    while (i < group.end && !failed_) {
      std::size_t n = 1;
      while (i + n < group.end && items_[i + n].block == items_[i].block + n &&
             items_[i + n].place.index == items_[i].place.index + n) {
        ++n;
      }
      const std::uint64_t offset = items_[i].block * kBlockBytes;
      const std::uint64_t bytes = std::min<std::uint64_t>(n * kBlockBytes, size_bytes_ - offset);
      const std::byte* first = run->block(items_[i].place.index).data();
      Status sent = co_await consumer_.data(offset, std::span{first, bytes});
      if (sent.ok())
        advance(bytes);
      else
        fail(std::move(sent).error());
      i += n;
    }
  }

  // Zero and untouched extents; in offset order the data between them, from the buffer.
  Task<void> send_batch_extents(bool ordered) {
    std::size_t slot = 0;
    for (const PointMap::Extent& extent : extents_) {
      const std::uint64_t offset = extent.first_block * kBlockBytes;
      const std::uint64_t bytes = std::min(extent.block_count * kBlockBytes, size_bytes_ - offset);
      Status sent;
      if (extent.state == BlockState::kZero) {
        sent = co_await consumer_.zero(offset, bytes);
      } else if (extent.state == BlockState::kUntouched) {
        sent = co_await consumer_.untouched(offset, bytes);
      } else if (ordered) {
        sent = co_await send_from_buffer(offset, bytes, slot);
        slot += extent.block_count;
      }
      if (!sent.ok()) {
        fail(std::move(sent).error());
        co_return;
      }
      if (ordered || extent.state != BlockState::kData) advance(bytes);
    }
  }

  Task<Status> send_from_buffer(std::uint64_t offset, std::uint64_t bytes, std::size_t slot) {
    const std::byte* from = buffer_->data() + slot * kBlockBytes;
    while (bytes > 0) {
      const std::uint64_t part = std::min(bytes, kExtentBytesMax);
      Status sent = co_await consumer_.data(offset, std::span{from, part});
      if (!sent.ok()) co_return sent;
      from += part;
      offset += part;
      bytes -= part;
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
  const PointMap& map_;
  const std::uint64_t size_bytes_;
  const std::uint64_t end_block_;
  ExtentConsumer& consumer_;
  const ExportOptions options_;

  std::unique_ptr<AlignedBuffer> buffer_;  // in offset order
  std::vector<PointMap::Extent> extents_;  // of the batch
  std::vector<Item> items_;                // its blocks of data, later sorted by place
  std::vector<std::uint64_t> slots_;       // in offset order: the blocks before sorting
  std::vector<Group> groups_;
  std::size_t next_group_ = 0;
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

Task<Status> export_map(cdp::Scheduler& scheduler, RunSource& runs, const PointMap& map,
                        std::uint64_t size_bytes, ExtentConsumer& consumer, ExportOptions options) {
  const auto exporter =
      std::make_unique<Exporter>(scheduler, runs, map, size_bytes, consumer, std::move(options));
  Status status = co_await exporter->run();
  co_return status;
}

Task<Status> apply_to_disk(cdp::Scheduler& scheduler, RunSource& runs, const PointMap& map,
                           std::uint64_t size_bytes, cdp::Disk& disk) {
  if (disk.size_bytes() < size_bytes) {
    co_return cdp::make_error(ENOSPC,
                              "the backing store has {} bytes, fewer than the {} of the volume",
                              disk.size_bytes(), size_bytes);
  }
  DiskConsumer consumer{disk};
  ExportOptions options;
  Status applied =
      co_await export_map(scheduler, runs, map, size_bytes, consumer, std::move(options));
  if (!applied.ok()) co_return applied;
  Status synced = co_await disk.sync();
  co_return synced;
}

Task<Status> ImageExport::build(std::uint64_t first_block) {
  map_ = PointMap{first_block, map_budget_bytes_};
  cdp::Result<std::vector<std::string>> built =
      co_await build_map(reader_, source_.volume, journal::Lsn{}, source_.lsn, &map_);
  if (!built.ok()) co_return std::move(built).error();
  damage_ = std::move(built).value();
  co_return Status{};
}

Task<Status> ImageExport::prepare() {
  Status built = co_await build(0);
  if (!built.ok()) co_return built;
  const std::uint64_t blocks = cdp::blocks_for(source_.size_bytes);
  if (map_.end_block() < blocks) co_return Status{};  // too big to be counted at once
  std::uint64_t data_blocks = 0;
  for (std::uint64_t block = 0; block < blocks;) {
    const PointMap::Extent extent = map_.extent_at(block, blocks);
    if (extent.state == BlockState::kData) data_blocks += extent.block_count;
    block += extent.block_count;
  }
  data_bytes_ = std::min(data_blocks * kBlockBytes, source_.size_bytes);
  co_return Status{};
}

Task<Status> ImageExport::run(ExtentConsumer& consumer, ExportOptions options) {
  const std::uint64_t blocks = cdp::blocks_for(source_.size_bytes);
  while (true) {
    ExportOptions part = options;
    if (options.progress) {
      part.progress = [&options, before = map_.first_block() * kBlockBytes](std::uint64_t done) {
        options.progress(before + done);
      };
    }
    Status exported =
        co_await export_map(scheduler_, runs_, map_, source_.size_bytes, consumer, std::move(part));
    if (!exported.ok()) co_return exported;
    const std::uint64_t next = map_.end_block();
    if (next >= blocks) co_return Status{};
    Status built = co_await build(next);
    if (!built.ok()) co_return built;
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
