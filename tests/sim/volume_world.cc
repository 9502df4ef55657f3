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

std::vector<std::byte> VolumeWorld::read_all() { return scheduler_.run(read_whole(*volume_)); }

}  // namespace sim
