// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/volume_world.h"

#include <algorithm>
#include <cstring>

namespace sim {

using cdp::kBlockBytes;
using cdp::Lsn;
using cdp::PageList;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::Volume;

namespace {

// A backing store whose sync does nothing, for the test that the tests notice.
class LyingDisk final : public cdp::Disk {
 public:
  explicit LyingDisk(std::unique_ptr<cdp::Disk> disk) : disk_(std::move(disk)) {}
  using Disk::read;
  using Disk::write;
  using Disk::write_durably;
  Task<Status> read(std::uint64_t offset, std::span<const iovec> into) override {
    return disk_->read(offset, into);
  }
  Task<Status> write(std::uint64_t offset, std::span<const iovec> from) override {
    return disk_->write(offset, from);
  }
  Task<Status> write_durably(std::uint64_t offset, std::span<const iovec> from) override {
    return disk_->write_durably(offset, from);
  }
  Task<Status> sync() override { co_return Status{}; }
  Task<Status> zero_range(std::uint64_t offset, std::uint64_t bytes, bool deallocate) override {
    return disk_->zero_range(offset, bytes, deallocate);
  }
  std::uint64_t size_bytes() const override { return disk_->size_bytes(); }

 private:
  const std::unique_ptr<cdp::Disk> disk_;
};

std::unique_ptr<cdp::Disk> open_or_create(SimStore& store, const std::string& path,
                                          std::uint64_t bytes) {
  return store.exists(path) ? store.open_disk(path) : store.create_disk(path, bytes);
}

}  // namespace

VolumeWorld::VolumeWorld(std::uint64_t seed, std::shared_ptr<SimStore> store,
                         SimScheduler& scheduler, std::shared_ptr<SimLog> log, WorldOptions options)
    : random_(seed),
      scheduler_(scheduler),
      options_(options),
      clock_(scheduler),
      sequencer_(clock_),
      store_(std::move(store)),
      log_(std::move(log)),
      log_disk_(open_or_create(*store_, kLogPath, SimRecorder::kDiskBytes)),
      backing_(open_or_create(
          *store_, kBackingPath,
          Volume::backing_bytes(std::max(options.size_bytes, options.size_bytes_max)))),
      write_pages_(scheduler, options.write_pages),
      read_pages_(scheduler, options.read_pages),
      source_pages_(scheduler, 2 * cdp::kMaxPieceBlocks),
      origin_{.size_bytes = options.size_bytes,
              .bytes_max = backing_->size_bytes(),
              .content = options.created_from} {
  if (options_.sync_lies) backing_ = std::make_unique<LyingDisk>(std::move(backing_));
}

Task<Status> VolumeWorld::recover() {
  log_->resize(co_await SimRecorder::durable_records(*log_disk_));
  // What was dropped by a rollback is never replayed; blocks that are not hydrated come from the
  // source.
  const LoggedState state = state_of(*log_, origin_);
  const std::uint64_t end = state.hydration ? state.hydration->cursor : UINT64_MAX;
  if (end > 0 && state.covered < state.replaced)
    findings_.push_back("rule 11: the checkpoint after a rollback does not cover it");
  const PageList buffer = co_await write_pages_.acquire(1);
  const std::span<const std::byte> block{buffer.front().data(), kBlockBytes};
  for (const LogRecord& record : *log_) {
    if (record.lsn <= state.covered || !record.is_change() || record.first_block >= end) continue;
    const std::uint64_t blocks = std::min(record.blocks, end - record.first_block);
    if (record.kind != LogRecord::Kind::kWrite) {
      const Status zeroed = co_await backing_->zero_range(record.first_block * kBlockBytes,
                                                          blocks * kBlockBytes, true);
      if (!zeroed.ok()) co_return zeroed;
      continue;
    }
    for (std::uint64_t i = 0; i < blocks; ++i) {
      if (record.same[i]) continue;
      std::memcpy(buffer.front().data(), record.data.data() + i * kBlockBytes, kBlockBytes);
      const Status written =
          co_await backing_->write((record.first_block + i) * kBlockBytes, block);
      if (!written.ok()) co_return written;
    }
  }
  co_return co_await backing_->sync();
}

// Of the newest state.
std::shared_ptr<cdp::HydrationSource> VolumeWorld::source() const {
  const LoggedState state = state_of(*log_, origin_);
  return std::make_shared<SimSource>(
      scheduler_, source_pages_, content_at(*log_, origin_, Lsn{UINT64_MAX}),
      differing_since(*log_, origin_, state.hydration->base), source_faults_);
}

bool VolumeWorld::start() {
  const Status recovered = scheduler_.run(recover());
  if (!recovered.ok()) return false;
  recorder_ = std::make_unique<SimRecorder>(scheduler_, *log_disk_, log_, options_.recorder);
  sequencer_.skip_to(recorder_->durable_lsn());
  const LoggedState state = state_of(*log_, origin_);
  cdp::VolumeHydration hydration;
  if (state.hydration) hydration = {source(), state.hydration->cursor, recorder_->durable_lsn()};
  volume_ = std::make_unique<Volume>(
      cdp::VolumeParts{scheduler_, sequencer_, *recorder_, *backing_, write_pages_, read_pages_},
      cdp::VolumeOptions{.id = kVolume,
                         .name = "test",
                         .size_bytes = size_at(*log_, origin_, Lsn{UINT64_MAX}),
                         .dirty_budget_bytes = options_.dirty_budget_blocks * kBlockBytes,
                         .checkpoint_interval = options_.checkpoint_interval,
                         .hydration = options_.hydration},
      std::move(hydration));
  return true;
}

Status VolumeWorld::stop() {
  if (!volume_) return {};
  const Status closed = scheduler_.run(volume_->close());
  scheduler_.run(recorder_->close());
  volume_.reset();
  recorder_.reset();
  return closed;
}

std::vector<std::byte> VolumeWorld::replayed(Lsn upto) const {
  std::vector<std::byte> content = content_at(*log_, origin_, upto);
  content.resize(size_at(*log_, origin_, upto));
  return content;
}

Task<Status> VolumeWorld::roll_back(Lsn point, Clients& clients) {
  const Status held = co_await volume_->begin_replacement();
  if (!held.ok()) co_return held;
  const std::uint64_t before = clients.model.tick();
  const ByteModel::Change change = clients.model.begin_content(content_at(*log_, origin_, point));
  const std::uint64_t size = size_at(*log_, origin_, point);
  const cdp::Stamp stamp = sequencer_.next();
  recorder_->record_rollback(kVolume, stamp, point, size);
  const Status durable = co_await recorder_->flush(stamp.lsn);
  if (!durable.ok()) {
    volume_->abandon_replacement();
    co_return durable;
  }
  volume_->finish_replacement(source(), size, stamp.lsn);
  clients.model.end(change);
  clients.flushed = std::max(clients.flushed, before);
  co_return Status{};
}

Task<Status> VolumeWorld::resize(std::uint64_t size_bytes, Clients& clients) {
  const std::uint64_t from = std::min(size_bytes, volume_->size_bytes());
  const std::uint64_t to = std::max(size_bytes, volume_->size_bytes());
  const ByteModel::Change change = clients.model.begin_zero(from, to - from);
  const Status resized = co_await volume_->resize(size_bytes);
  if (!resized.ok()) co_return resized;
  clients.model.end(change);
  const cdp::Stamp stamp = sequencer_.next();
  recorder_->record_resize(kVolume, stamp, size_bytes);
  co_return co_await recorder_->flush(stamp.lsn);
}

Task<std::vector<std::byte>> read_whole(Volume& volume) {
  std::vector<std::byte> content;
  const std::uint64_t size = volume.size_bytes();
  for (std::uint64_t offset = 0; offset < size;) {
    const auto bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(size - offset, 64 * kBlockBytes));
    Result<PageList> pages = co_await volume.read(offset, bytes);
    CHECK(pages.ok());
    for (const cdp::PageRef& page : *pages) {
      content.insert(content.end(), page.data(), page.data() + kBlockBytes);
    }
    offset += bytes;
    content.resize(offset);
  }
  co_return content;
}

namespace {

bool fine(Clients& clients, const Status& status, const char* what) {
  // A range that was chosen before a resize or rollback may lie behind the end afterwards.
  const bool behind_end =
      !status.ok() && status.error().message.find("ends at byte") != std::string::npos;
  if (!status.ok() && !clients.errors_expected && !behind_end) {
    clients.findings.push_back(fmt::format("{}: {}", what, status.error().message));
  }
  return status.ok();
}

Status status_of(const auto& result) { return result.ok() ? Status{} : Status{result.error()}; }

void look(Clients& clients, std::uint64_t offset, std::span<const std::byte> found,
          std::uint64_t from, const char* what) {
  const auto wrong = clients.model.check(offset, found, from);
  if (wrong) {
    clients.findings.push_back(
        fmt::format("{} of {} bytes at {}: {}", what, found.size(), offset, *wrong));
  }
}

}  // namespace

std::vector<std::byte> VolumeWorld::read_all() { return scheduler_.run(read_whole(*volume_)); }

Task<bool> client_write(Volume& volume, Clients& clients, std::uint64_t offset, std::uint32_t bytes,
                        Written* written, bool again) {
  Result<PageList> pages = co_await volume.pages_for_write(offset, bytes);
  if (!fine(clients, status_of(pages), "pages for a write")) co_return false;
  const ByteModel::Change change =
      again ? clients.model.begin_write_again(offset, bytes, written->change)
            : clients.model.begin_write(offset, bytes);
  if (written != nullptr) *written = {offset, bytes, change};
  for (std::uint64_t at = offset; at < offset + bytes;) {
    cdp::PageRef& page = (*pages)[at / kBlockBytes - offset / kBlockBytes];
    const std::uint64_t within = at % kBlockBytes;
    const std::uint64_t part = std::min(kBlockBytes - within, offset + bytes - at);
    clients.model.fill(change, at, {page.data() + within, part});
    at += part;
  }
  const Status status = co_await volume.write(offset, bytes, std::move(*pages));
  if (!fine(clients, status, "a write")) co_return false;
  clients.model.end(change);
  co_return true;
}

Task<bool> client_read(Volume& volume, Clients& clients, std::uint64_t offset,
                       std::uint32_t bytes) {
  const std::uint64_t from = clients.model.tick();
  const Result<PageList> pages = co_await volume.read(offset, bytes);
  if (!fine(clients, status_of(pages), "a read")) co_return false;
  std::vector<std::byte> found;
  for (const cdp::PageRef& page : *pages) {
    found.insert(found.end(), page.data(), page.data() + kBlockBytes);
  }
  const std::span<const std::byte> asked = std::span{found}.subspan(offset % kBlockBytes, bytes);
  look(clients, offset, asked, from, "a read");
  co_return true;
}

Task<bool> client_flush(Volume& volume, Clients& clients) {
  const std::uint64_t from = clients.model.tick();
  const Status status = co_await volume.flush();
  if (!fine(clients, status, "a flush")) co_return false;
  clients.flushed = std::max(clients.flushed, from);
  co_return true;
}

Task<bool> client_zero(Volume& volume, Clients& clients, std::uint64_t offset,
                       std::uint64_t bytes) {
  const ByteModel::Change change = clients.model.begin_zero(offset, bytes);
  const Status status = co_await volume.zero(offset, bytes, {});
  if (!fine(clients, status, "a zeroing")) co_return false;
  clients.model.end(change);
  co_return true;
}

Task<bool> client_trim(Volume& volume, Clients& clients, std::uint64_t offset,
                       std::uint64_t bytes) {
  // Whole blocks read as zeroes, the last one of the volume too; edges stay as they are.
  const std::uint64_t first = cdp::round_up(offset, kBlockBytes);
  const std::uint64_t end = offset + bytes;
  const std::uint64_t last = end == volume.size_bytes() ? end : end - end % kBlockBytes;
  std::optional<ByteModel::Change> change;
  if (first < last) change = clients.model.begin_zero(first, last - first);
  const Status status = co_await volume.trim(offset, bytes);
  if (!fine(clients, status, "a trim")) co_return false;
  if (change) clients.model.end(*change);
  co_return true;
}

namespace {

Task<bool> client_allocation(Volume& volume, Clients& clients, std::uint64_t offset,
                             std::uint64_t bytes) {
  const std::uint64_t from = clients.model.tick();
  const auto extents = co_await volume.allocation(offset, bytes, 8);
  if (!fine(clients, status_of(extents), "allocation")) co_return false;
  std::uint64_t at = offset;
  for (const cdp::AllocationExtent& extent : *extents) {
    if (extent.bytes == 0) clients.findings.push_back("an empty extent");
    if (extent.zero) {
      const std::vector<std::byte> zeroes(extent.bytes);
      look(clients, at, zeroes, from, "an extent of zeroes");
    }
    at += extent.bytes;
  }
  if (at == offset || at > offset + bytes) clients.findings.push_back("extents out of range");
  co_return true;
}

struct Range {
  std::uint64_t offset;
  std::uint64_t bytes;
};

Range any_range(Random& random, std::uint64_t size, const Mix& mix) {
  const std::uint64_t blocks = size / kBlockBytes;
  const std::uint64_t block =
      random.coin() ? random.below(std::min(mix.hot_blocks, blocks)) : random.below(blocks);
  const std::uint64_t longest = random.coin() ? 2 : mix.max_blocks;
  Range range{block * kBlockBytes, random.between(1, longest) * kBlockBytes};
  if (!random.chance(mix.aligned)) {
    range.offset += random.below(kBlockBytes);
    range.bytes = random.between(1, random.coin() ? 2 * kBlockBytes : longest * kBlockBytes);
  }
  if (random.chance(5)) range.offset = size - std::min(range.bytes, size);  // up to the end
  range.bytes = std::min(range.bytes, size - range.offset);
  return range;
}

}  // namespace

Task<void> client(Volume& volume, Clients& clients, std::uint64_t seed, std::size_t count,
                  Mix mix) {
  Random random(seed);
  ++clients.running;
  bool well = true;
  Written written;
  for (std::size_t i = 0; i < count && well; ++i) {
    const Range range = any_range(random, volume.size_bytes(), mix);
    const auto bytes = static_cast<std::uint32_t>(range.bytes);
    std::uint64_t choice = random.below(100);
    const auto chosen = [&choice](unsigned weight) {
      const bool taken = choice < weight;
      choice -= taken ? 0 : weight;
      return taken;
    };
    if (chosen(mix.repeats)) {
      const Written again = written;
      if (again.bytes > 0) {
        well = co_await client_write(volume, clients, again.offset, again.bytes, &written, true);
      }
    } else if (chosen(mix.writes)) {
      well = co_await client_write(volume, clients, range.offset, bytes, &written, false);
    } else if (chosen(mix.flushes)) {
      well = co_await client_flush(volume, clients);
    } else if (chosen(mix.zeroes)) {
      well = co_await client_zero(volume, clients, range.offset, bytes);
    } else if (chosen(mix.trims)) {
      well = co_await client_trim(volume, clients, range.offset, bytes);
    } else if (chosen(mix.checkpoints)) {
      const Status status = co_await volume.checkpoint();
      well = fine(clients, status, "a checkpoint");
    } else if (chosen(mix.allocations)) {
      well = co_await client_allocation(volume, clients, range.offset, bytes);
    } else {
      well = co_await client_read(volume, clients, range.offset, bytes);
    }
    // One that came too late for a nearer end; the next may fit.
    well = well || (!clients.errors_expected && !volume.fence_reason());
  }
  --clients.running;
}

}  // namespace sim
