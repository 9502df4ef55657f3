// SPDX-License-Identifier: Apache-2.0
//
// Volumes come and go, and are opened at the start.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "cdp/io/signal.h"
#include "journal/visibility.h"
#include "restore/history.h"
#include "restore/image.h"
#include "tools/daemon/appliance.h"

namespace tools {
namespace {

using cdp::Error;
using cdp::Lsn;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

// At the start: their checkpoints become durable together.
constexpr std::size_t kOpenedAtOnce = 16;

Status check_size(std::uint64_t size_bytes) {
  if (size_bytes == 0) return make_error(EINVAL, "a volume of 0 bytes holds nothing: give a size");
  if (size_bytes <= kMaxVolumeBytes) return {};
  return make_error(EINVAL, "{} bytes are more than a volume may have, which is {} (64T)",
                    size_bytes, kMaxVolumeBytes);
}

}  // namespace

std::string Appliance::default_backing_path(const journal::Uuid& uuid) const {
  return fmt::format("{}{}/{}.raw", options_.state_path, kVolumesDirectory, uuid.to_string());
}

void Appliance::warn_of_shared_storage(const std::string& name, const std::string& path) const {
  if (!host_.share_storage(path, options_.vault_path)) return;
  spdlog::warn(
      "volume {}: its backing store {} and the vault {} are on one file system: whatever destroys "
      "one destroys both; put the vault on other disks",
      name, path, options_.vault_path);
}

struct Appliance::OpeningState {
  journal::JournalState state{};
  Lsn upto{};
  std::shared_ptr<const journal::index::BlockMap> map{};
};

// What is recorded meanwhile are checkpoints: all volumes are brought to one state, and the index
// need not learn a frame for each.
Task<void> Appliance::open_volumes() {
  const Result<OpeningState> from = co_await opening_state();
  std::deque<journal::VolumeState> left;
  for (const auto& [id, volume] : journal_->state().volumes) {
    if (!volume.removed) left.push_back(volume);
  }
  cdp::TaskGroup opening(scheduler_);
  const std::size_t at_once = std::min(kOpenedAtOnce, left.size());
  for (std::size_t i = 0; i < at_once; ++i) opening.spawn(open_some(from, left));
  co_await opening.join();
}

Task<void> Appliance::open_some(const Result<OpeningState>& from,
                                std::deque<journal::VolumeState>& left) {
  while (!left.empty()) {
    const journal::VolumeState volume = std::move(left.front());
    left.pop_front();
    Status served = co_await open_volume(from, volume);
    if (served) continue;
    spdlog::error("volume {}: not served: {}", volume.name, served.error().message);
    live_[volume.id].problem = std::move(served).error();
  }
}

Task<Result<Appliance::OpeningState>> Appliance::opening_state() {
  OpeningState found{.upto = sequencer_.last()};
  Status durable = co_await journal_->flush(found.upto);
  if (!durable) co_return std::move(durable).error();
  found.state = journal_->durable_state();
  auto map = co_await index_->snapshot(found.state.lsn);
  if (!map) co_return std::move(map).error();
  found.map = *std::move(map);
  co_return found;
}

Task<Status> Appliance::open_volume(const Result<OpeningState>& from,
                                    journal::VolumeState volume) {
  LiveVolume& live = live_[volume.id];
  live.backing_path = volume.backing.empty() ? default_backing_path(volume.uuid) : volume.backing;
  if (volume.is_in_gap()) {
    co_return make_error(EIO,
                         "its backing store {} is ahead of history since lsn:{} ({}), and a replay "
                         "would take it back: `hindsight recover` makes a new volume of the last "
                         "whole point, lsn:{}",
                         live.backing_path, volume.gaps.back().begin.lsn.value,
                         volume.gaps.back().cause, volume.gaps.back().begin.lsn.value - 1);
  }
  auto backing = co_await host_.open_backing(live.backing_path, volume.size_bytes);
  if (!backing) co_return std::move(backing).error();
  live.backing = *std::move(backing);
  if (!from) co_return from.error();
  Result<cdp::VolumeHydration> hydration = co_await replay(*from, volume, *live.backing);
  if (!hydration) co_return std::move(hydration).error();
  serve(volume, live, *std::move(hydration));
  spdlog::info("volume {}: serving {} bytes", volume.name, volume.size_bytes);
  co_return Status{};
}

// Brings the backing store to the journal's newest state: what changed since the checkpoint. Where
// the volume hydrates, that is true of the blocks before the cursor, and the others come from the
// newest state itself.
Task<Result<cdp::VolumeHydration>> Appliance::replay(const OpeningState& from,
                                                     const journal::VolumeState& volume,
                                                     cdp::Disk& backing) {
  const journal::LsnInterval since{volume.checkpoint, from.upto};
  auto damage = co_await restore::History::damage(*index_, since);
  if (!damage) co_return std::move(damage).error();
  if (!damage->empty()) {
    co_return make_error(EIO, "what the backing store lacks cannot be replayed: {}",
                         damage->front());
  }
  restore::ExportedRange range;
  range.visible = journal::within(journal::visible_at(from.state, volume.id, from.upto), since);
  range.size_bytes = volume.size_bytes;
  std::optional<std::uint64_t> cursor;
  if (volume.hydration) cursor = range.end_block = volume.hydration->cursor;
  restore::JournalRuns runs{*blocks_};
  if (range.end_block > 0) {
    Status applied =
        co_await restore::apply_to_disk(scheduler_, runs, *from.map, std::move(range), backing);
    if (!applied) co_return std::move(applied).error();
  }
  cdp::VolumeHydration hydration;
  if (cursor) hydration = {hydration_source(from.state, volume.id, from.map), *cursor, from.upto};
  Status admitted = co_await journal_->admit(0);
  // A full vault takes no checkpoint: then the next start replays the same once more.
  if (!admitted && admitted.error().code == ENOSPC) co_return hydration;
  if (!admitted) co_return std::move(admitted).error();
  const cdp::Stamp stamp = sequencer_.next();
  journal_->record_checkpoint(volume.id, stamp, from.upto, cursor);
  Status recorded = co_await journal_->flush(stamp.lsn);
  if (!recorded) co_return std::move(recorded).error();
  co_return hydration;
}

void Appliance::serve(const journal::VolumeState& volume, LiveVolume& live,
                      cdp::VolumeHydration hydration) {
  cdp::VolumeOptions wanted;
  wanted.id = volume.id;
  wanted.name = volume.name;
  wanted.size_bytes = volume.size_bytes;
  wanted.dirty_budget_bytes = options_.dirty_bytes;
  wanted.hydration.bytes_per_second = options_.hydration_bytes_per_second;
  live.volume = std::make_shared<cdp::Volume>(
      cdp::VolumeParts{scheduler_, sequencer_, *journal_, *live.backing, write_pages_, read_pages_},
      wanted, std::move(hydration));
  if (volume.writers_refused) live.volume->refuse_changes(true);
  warn_of_shared_storage(volume.name, live.backing_path);
}

Task<Result<Appliance::LiveVolume>> Appliance::open_new_backing(NewVolume wanted,
                                                                journal::Uuid uuid) {
  LiveVolume live;
  const bool is_ours = wanted.backing_path.empty();
  live.backing_path = is_ours ? default_backing_path(uuid) : wanted.backing_path;
  Result<std::unique_ptr<cdp::Disk>> backing = make_error(EINVAL, "no backing store");
  if (is_ours) {
    backing = co_await host_.create_backing(live.backing_path, wanted.size_bytes);
  } else {
    const BackingPlaces places{.allowed = options_.allowed_paths,
                               .own = {options_.vault_path, options_.state_path + kVolumesDirectory,
                                       options_.state_path + kClonesDirectory}};
    backing = co_await host_.take_blank_backing(live.backing_path, wanted.size_bytes, places);
  }
  if (!backing) co_return std::move(backing).error();
  live.backing = *std::move(backing);
  co_return live;
}

// Volumes and clones are served side by side.
Status Appliance::check_new_name(const std::string& name) const {
  if (Status valid = journal::check_volume_name(name); !valid) return valid;
  if (point_exports_->has_clone(name)) {
    return make_error(EEXIST, "there is a clone named {} already", name);
  }
  const journal::VolumeState* holder = journal_->state().find(name);
  if (holder == nullptr) return {};
  if (!holder->removed) return make_error(EEXIST, "there is a volume named {} already", name);
  return make_error(EEXIST,
                    "the name {} is reserved: a removed volume's history is kept under it (id:{})",
                    name, holder->uuid.to_string());
}

Task<Result<VolumeId>> Appliance::create_volume(NewVolume wanted) {
  if (Status name = check_new_name(wanted.name); !name) co_return std::move(name).error();
  if (Status size = check_size(wanted.size_bytes); !size) co_return std::move(size).error();
  const journal::Uuid uuid = journal::Uuid::random();
  Result<LiveVolume> live = co_await open_new_backing(wanted, uuid);
  if (!live) co_return std::move(live).error();

  // What can fail comes before the record of it.
  std::shared_ptr<const journal::index::BlockMap> map;
  if (wanted.origin) {
    auto covering = co_await index_->snapshot(wanted.origin->lsn);
    if (!covering) {
      if (wanted.backing_path.empty()) host_.remove_backing(live->backing_path);
      co_return std::move(covering).error();
    }
    map = *std::move(covering);
  }
  if (Status still = check_new_name(wanted.name); !still) {
    if (wanted.backing_path.empty()) host_.remove_backing(live->backing_path);
    co_return std::move(still).error();
  }
  const cdp::Stamp stamp = sequencer_.next();
  Result<VolumeId> id =
      wanted.origin
          ? journal_->record_volume_created_from(stamp, uuid, wanted.name, wanted.size_bytes,
                                                 wanted.backing_path, wanted.origin->volume,
                                                 wanted.origin->lsn)
          : journal_->record_volume_created(stamp, uuid, wanted.name, wanted.size_bytes,
                                            wanted.backing_path);
  if (!id) {
    if (wanted.backing_path.empty()) host_.remove_backing(live->backing_path);
    co_return std::move(id).error();
  }
  // Where this fails, the record may be durable all the same: the next start knows, and needs the
  // backing store then.
  Status durable = co_await journal_->flush(stamp.lsn);
  if (!durable) {
    LiveVolume& unknown = live_[*id];
    unknown.backing_path = live->backing_path;
    unknown.problem = make_error(EIO,
                                 "whether it was created is known at the next start only: the "
                                 "journal failed under its record ({})",
                                 durable.error().message);
    co_return *unknown.problem;
  }
  cdp::VolumeHydration hydration;
  if (wanted.origin) {
    hydration = {hydration_source(journal_->durable_state(), *id, std::move(map)), 0, stamp.lsn};
  }
  LiveVolume& served = live_[*id] = *std::move(live);
  serve(*journal_->state().find(*id), served, std::move(hydration));
  spdlog::info("volume {}: created with {} bytes on {}", wanted.name, wanted.size_bytes,
               served.backing_path);
  co_return *id;
}

void Appliance::set_hydration_rate(std::uint64_t bytes_per_second) {
  options_.hydration_bytes_per_second = bytes_per_second;
  for (const auto& [id, live] : live_) {
    if (live.volume != nullptr) live.volume->set_hydration_rate(bytes_per_second);
  }
}

Result<Appliance::LiveVolume*> Appliance::served_volume(VolumeId id) {
  const auto found = live_.find(id);
  if (found == live_.end()) return make_error(ENOENT, "there is no such volume any more");
  if (found->second.volume == nullptr) {
    return Error{found->second.problem->code, not_served(id, found->second)};
  }
  return &found->second;
}

Task<Status> Appliance::lengthen_backing(VolumeId id, std::uint64_t size_bytes) {
  LiveVolume& live = live_.at(id);
  cdp::Disk& backing = *live.backing;
  if (backing.size_bytes() >= backing_bytes(size_bytes)) co_return Status{};
  if (!journal_->state().find(id)->backing.empty()) {
    co_return make_error(EINVAL,
                         "the backing store {} has {} bytes, too small for a volume of {} bytes: "
                         "make it longer and restart the daemon first",
                         live.backing_path, backing.size_bytes(), size_bytes);
  }
  co_return co_await backing.resize(backing_bytes(size_bytes));
}

Task<Status> Appliance::resize_volume(VolumeId id, std::uint64_t size_bytes) {
  if (Status size = check_size(size_bytes); !size) co_return size;
  if (Status free = check_not_rolling_back(id); !free) co_return free;
  Result<LiveVolume*> live = served_volume(id);
  if (!live) co_return std::move(live).error();
  const std::shared_ptr<cdp::Volume> volume = (*live)->volume;
  Status lengthened = co_await lengthen_backing(id, size_bytes);
  if (!lengthened) co_return lengthened;
  Status resized = co_await volume->resize(size_bytes);
  if (!resized) co_return resized;
  // Nothing runs in between, so that no change behind the old end comes before the new size.
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_volume_resized(id, stamp, size_bytes);
  if (!recorded) co_return recorded;
  co_return co_await journal_->flush(stamp.lsn);
}

Task<Status> Appliance::rename_volume(VolumeId id, std::string name) {
  if (!live_.contains(id)) co_return make_error(ENOENT, "there is no such volume any more");
  if (Status valid = check_new_name(name); !valid) co_return valid;
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_volume_renamed(id, stamp, std::move(name));
  if (!recorded) co_return recorded;
  co_return co_await journal_->flush(stamp.lsn);
}

Task<Status> Appliance::remove_volume(VolumeId id) {
  const auto found = live_.find(id);
  if (found == live_.end()) co_return make_error(ENOENT, "there is no such volume any more");
  if (Status free = check_not_rolling_back(id); !free) co_return free;
  // From here on nobody finds it; a client that has it is answered ESHUTDOWN.
  const LiveVolume live = std::move(found->second);
  live_.erase(found);
  if (live.volume != nullptr) {
    Status closed = co_await live.volume->close();
    if (!closed) spdlog::warn("{}", closed.error().message);
  }
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_volume_removed(id, stamp);
  if (!recorded) co_return recorded;
  co_return co_await journal_->flush(stamp.lsn);
}

Task<Result<cdp::Stamp>> Appliance::mark(VolumeId id, std::string label, std::string author) {
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_mark(id, stamp, std::move(label), std::move(author));
  if (!recorded) co_return std::move(recorded).error();
  Status durable = co_await journal_->flush(stamp.lsn);
  if (!durable) co_return std::move(durable).error();
  co_return stamp;
}

}  // namespace tools
