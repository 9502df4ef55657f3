// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/appliance.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cdp/base/check.h"
#include "journal/block_reader.h"
#include "journal/vault_reader.h"
#include "restore/image.h"
#include "restore/map_builder.h"
#include "restore/point_map.h"
#include "tools/daemon/backing.h"

namespace tools {
namespace {

using cdp::Error;
using cdp::Lsn;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

constexpr std::size_t kReadPoolBytes = 64u << 20;
// Payloads on their way from the sockets, beside what is dirty or waits for the journal.
constexpr std::size_t kReceivePoolBytes = 32u << 20;
constexpr std::size_t kReplayMapBytes = 64u << 20;
constexpr char kVolumesDirectory[] = "/volumes";

std::size_t write_pool_pages(const ApplianceOptions& options) {
  return (options.dirty_bytes + kReceivePoolBytes) / cdp::kBlockBytes +
         options.journal.queue_blocks;
}

bool is_live(const journal::VolumeState& volume) { return !volume.removed.has_value(); }

Status check_size(std::uint64_t size_bytes) {
  if (size_bytes == 0) return make_error(EINVAL, "a volume of 0 bytes holds nothing: give a size");
  if (size_bytes <= kMaxVolumeBytes) return {};
  return make_error(EINVAL, "{} bytes are more than a volume may have, which is {} (64T)",
                    size_bytes, kMaxVolumeBytes);
}

Error name_is_taken(const journal::VolumeState& holder) {
  if (is_live(holder)) {
    return make_error(EEXIST, "there is a volume named {} already", holder.name);
  }
  return make_error(EEXIST,
                    "the name {} is reserved: a removed volume's history is kept under it (id:{})",
                    holder.name, holder.uuid.to_string());
}

}  // namespace

Appliance::Appliance(cdp::Reactor& reactor, const cdp::Clock& clock, ApplianceOptions options)
    : reactor_(reactor),
      clock_(clock),
      options_(std::move(options)),
      sequencer_(clock),
      write_pages_(reactor, write_pool_pages(options_)),
      read_pages_(reactor, kReadPoolBytes / cdp::kBlockBytes) {}

Appliance::~Appliance() { CHECK(live_.empty() && journal_ == nullptr); }

Task<Result<std::unique_ptr<Appliance>>> Appliance::start(cdp::Reactor& reactor,
                                                          const cdp::Clock& clock,
                                                          ApplianceOptions options) {
  std::unique_ptr<Appliance> appliance{new Appliance{reactor, clock, std::move(options)}};
  if (Status opened = co_await appliance->open_directories(); !opened) {
    co_return std::move(opened).error();
  }
  if (Status opened = co_await appliance->open_journal(); !opened) {
    co_return std::move(opened).error();
  }
  // Opening changes the state (checkpoints), so look at a copy.
  const auto volumes = appliance->journal_->state().volumes;
  for (const auto& [id, volume] : volumes) {
    if (!is_live(volume)) continue;
    Status opened = co_await appliance->open_volume(volume);
    if (opened) continue;
    spdlog::error("volume {}: not served: {}", volume.name, opened.error().message);
    appliance->live_[id].problem = std::move(opened).error();
  }
  co_return appliance;
}

Task<Status> Appliance::open_directories() {
  auto state = cdp::FileDirectory::open(reactor_, options_.state_path, true);
  if (!state) co_return std::move(state).error();
  state_directory_ = *std::move(state);
  if (Status locked = state_directory_->lock(); !locked) {
    co_return make_error(EBUSY, "another daemon uses the state directory {}", options_.state_path);
  }
  auto vault = cdp::FileDirectory::open(reactor_, options_.vault_path, true);
  if (!vault) co_return std::move(vault).error();
  vault_directory_ = *std::move(vault);
  if (Status locked = vault_directory_->lock(); !locked) {
    co_return make_error(EBUSY, "another daemon uses the vault {}", options_.vault_path);
  }
  const std::string volumes_path = options_.state_path + kVolumesDirectory;
  if (mkdir(volumes_path.c_str(), 0700) != 0 && errno != EEXIST) {
    co_return cdp::errno_error(errno, "making the directory " + volumes_path);
  }
  co_return Status{};
}

Task<Status> Appliance::open_journal() {
  Result<std::vector<std::string>> names = co_await vault_directory_->list();
  if (!names) co_return std::move(names).error();
  std::erase(*names, "lost+found");  // a file system of its own has it
  Result<journal::Vault> vault = co_await journal::open_vault(*vault_directory_);
  const bool is_new = !vault && vault.error().code == ENOENT;
  if (is_new) {
    if (!names->empty()) {
      co_return make_error(EINVAL,
                           "{} is not a vault (it has no VAULT file) and is not empty either (it has "
                           "{}): give a vault or an empty directory",
                           options_.vault_path, names->front());
    }
    vault = co_await journal::create_vault(*vault_directory_, clock_.realtime());
  }
  if (!vault) co_return std::move(vault).error();
  const std::string segments_path =
      options_.vault_path + "/" + journal::kSegmentsDirectoryName;
  // A vault whose making was cut short has its VAULT file only.
  const bool lacks_segments = is_new || names->size() == 1;
  auto segments = cdp::FileDirectory::open(reactor_, segments_path, lacks_segments);
  if (!segments) co_return std::move(segments).error();
  segments_ = *std::move(segments);
  if (is_new) {
    Status synced = co_await vault_directory_->sync();
    if (!synced) co_return synced;
    spdlog::info("made a new vault {} in {}", vault->uuid.to_string(), options_.vault_path);
  }
  auto journal = co_await journal::Journal::open(reactor_, clock_, sequencer_, *segments_,
                                                 state_directory_.get(), *vault, options_.journal);
  if (!journal) co_return std::move(journal).error();
  journal_ = *std::move(journal);
  for (const std::string& alert : alerts()) spdlog::error("{}", alert);
  co_return Status{};
}

std::string Appliance::default_backing_path(const journal::Uuid& uuid) const {
  return fmt::format("{}{}/{}.raw", options_.state_path, kVolumesDirectory, uuid.to_string());
}

void Appliance::warn_of_shared_storage(const std::string& name, const std::string& path) const {
  if (!share_storage(path, options_.vault_path)) return;
  spdlog::warn(
      "volume {}: its backing store {} and the vault {} are on one file system: whatever destroys "
      "one destroys both; put the vault on other disks",
      name, path, options_.vault_path);
}

Task<Status> Appliance::open_volume(journal::VolumeState volume) {
  LiveVolume& live = live_[volume.id];
  live.backing_path = volume.backing.empty() ? default_backing_path(volume.uuid) : volume.backing;
  auto backing = open_backing(reactor_, live.backing_path, volume.size_bytes);
  if (!backing) co_return std::move(backing).error();
  live.backing = *std::move(backing);
  Status replayed = co_await replay(volume, *live.backing);
  if (!replayed) co_return replayed;
  serve(volume, live);
  spdlog::info("volume {}: serving {} bytes", volume.name, volume.size_bytes);
  co_return Status{};
}

// Brings the backing store to the journal's newest state: what changed since the checkpoint.
Task<Status> Appliance::replay(const journal::VolumeState& volume, cdp::FileDisk& backing) {
  const Lsn upto = sequencer_.last();
  Status durable = co_await journal_->flush(upto);
  if (!durable) co_return durable;
  auto reader = co_await journal::VaultReader::open(reactor_, *segments_, journal_->vault());
  if (!reader) co_return std::move(reader).error();
  journal::BlockReader blocks{reactor_, *segments_, journal_->vault()};
  restore::JournalRuns runs{blocks};
  const std::uint64_t end = cdp::blocks_for(volume.size_bytes);
  for (std::uint64_t first = 0; first < end;) {
    restore::PointMap map{first, kReplayMapBytes};
    auto damage = co_await restore::build_map(**reader, volume.id, volume.checkpoint, upto, &map);
    if (!damage) co_return std::move(damage).error();
    if (!damage->empty()) {
      co_return make_error(EIO, "what the backing store lacks cannot be replayed: {}",
                           damage->front());
    }
    Status applied =
        co_await restore::apply_to_disk(reactor_, runs, map, volume.size_bytes, backing);
    if (!applied) co_return applied;
    first = std::min(end, map.end_block());
  }
  Status admitted = co_await journal_->admit(0);
  // A full vault takes no checkpoint: then the next start replays the same once more.
  if (!admitted && admitted.error().code == ENOSPC) co_return Status{};
  if (!admitted) co_return admitted;
  const cdp::Stamp stamp = sequencer_.next();
  journal_->record_checkpoint(volume.id, stamp, upto);
  co_return co_await journal_->flush(stamp.lsn);
}

void Appliance::serve(const journal::VolumeState& volume, LiveVolume& live) {
  cdp::VolumeOptions wanted;
  wanted.id = volume.id;
  wanted.name = volume.name;
  wanted.size_bytes = volume.size_bytes;
  wanted.dirty_budget_bytes = options_.dirty_bytes;
  live.volume = std::make_shared<cdp::Volume>(
      cdp::VolumeParts{reactor_, sequencer_, *journal_, *live.backing, write_pages_, read_pages_},
      wanted);
  warn_of_shared_storage(volume.name, live.backing_path);
}

Task<Status> Appliance::stop() {
  Status outcome;
  for (auto& [id, live] : live_) {
    if (live.volume == nullptr) continue;
    Status closed = co_await live.volume->close();
    if (!closed && outcome) outcome = std::move(closed);
  }
  live_.clear();
  Status closed = co_await journal_->close();
  journal_.reset();
  if (!closed && outcome) outcome = std::move(closed);
  co_return outcome;
}

Task<Result<Appliance::LiveVolume>> Appliance::open_new_backing(NewVolume wanted,
                                                                journal::Uuid uuid) {
  LiveVolume live;
  const bool is_ours = wanted.backing_path.empty();
  live.backing_path = is_ours ? default_backing_path(uuid) : wanted.backing_path;
  if (!is_ours) {
    if (wanted.backing_path.front() != '/') {
      co_return make_error(EINVAL, "the backing store {} must be an absolute path",
                           wanted.backing_path);
    }
    Status allowed = check_backing_path(wanted.backing_path, options_.vault_path);
    if (!allowed) co_return std::move(allowed).error();
  }
  auto backing = is_ours ? create_backing(reactor_, live.backing_path, wanted.size_bytes)
                         : open_backing(reactor_, live.backing_path, wanted.size_bytes);
  if (!backing) co_return std::move(backing).error();
  live.backing = *std::move(backing);
  if (!is_ours) {
    Status blank = co_await require_blank(*live.backing, live.backing_path);
    if (!blank) co_return std::move(blank).error();
  }
  co_return live;
}

Task<Result<VolumeId>> Appliance::create_volume(NewVolume wanted) {
  if (Status name = journal::check_volume_name(wanted.name); !name) {
    co_return std::move(name).error();
  }
  if (Status size = check_size(wanted.size_bytes); !size) co_return std::move(size).error();
  if (const journal::VolumeState* holder = journal_->state().find(wanted.name)) {
    co_return name_is_taken(*holder);
  }
  const journal::Uuid uuid = journal::Uuid::random();
  Result<LiveVolume> live = co_await open_new_backing(wanted, uuid);
  if (!live) co_return std::move(live).error();

  const cdp::Stamp stamp = sequencer_.next();
  Result<VolumeId> id = journal_->record_volume_created(stamp, uuid, wanted.name,
                                                        wanted.size_bytes, wanted.backing_path);
  Status durable;
  if (id) durable = co_await journal_->flush(stamp.lsn);
  if (!id || !durable) {
    if (wanted.backing_path.empty()) unlink(live->backing_path.c_str());
    if (!id) co_return std::move(id).error();
    co_return std::move(durable).error();
  }
  LiveVolume& served = live_[*id] = *std::move(live);
  serve(*journal_->state().find(*id), served);
  spdlog::info("volume {}: created with {} bytes on {}", wanted.name, wanted.size_bytes,
               served.backing_path);
  co_return *id;
}

Result<Appliance::LiveVolume*> Appliance::served_volume(VolumeId id) {
  const auto found = live_.find(id);
  if (found == live_.end()) return make_error(ENOENT, "there is no such volume any more");
  if (found->second.volume == nullptr) return *found->second.problem;
  return &found->second;
}

Task<Status> Appliance::resize_volume(VolumeId id, std::uint64_t size_bytes) {
  if (Status size = check_size(size_bytes); !size) co_return size;
  Result<LiveVolume*> live = served_volume(id);
  if (!live) co_return std::move(live).error();
  const std::shared_ptr<cdp::Volume> volume = (*live)->volume;
  cdp::FileDisk& backing = *(*live)->backing;
  if (backing.size_bytes() < backing_bytes(size_bytes)) {
    if (!journal_->state().find(id)->backing.empty()) {
      co_return make_error(EINVAL,
                           "the backing store {} has {} bytes, too small for a volume of {} bytes: "
                           "make it longer and restart the daemon first",
                           (*live)->backing_path, backing.size_bytes(), size_bytes);
    }
    Status grown = co_await backing.resize(backing_bytes(size_bytes));
    if (!grown) co_return grown;
  }
  Status resized = co_await volume->resize(size_bytes);
  if (!resized) co_return resized;
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_volume_resized(id, stamp, size_bytes);
  if (!recorded) co_return recorded;
  co_return co_await journal_->flush(stamp.lsn);
}

Task<Status> Appliance::rename_volume(VolumeId id, std::string name) {
  if (!live_.contains(id)) co_return make_error(ENOENT, "there is no such volume any more");
  if (Status valid = journal::check_volume_name(name); !valid) co_return valid;
  if (const journal::VolumeState* holder = journal_->state().find(name)) {
    co_return name_is_taken(*holder);
  }
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_volume_renamed(id, stamp, std::move(name));
  if (!recorded) co_return recorded;
  co_return co_await journal_->flush(stamp.lsn);
}

Task<Status> Appliance::remove_volume(VolumeId id) {
  const auto found = live_.find(id);
  if (found == live_.end()) co_return make_error(ENOENT, "there is no such volume any more");
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

Task<Status> Appliance::make_durable() { return journal_->flush(sequencer_.last()); }

std::vector<std::string> Appliance::alerts() const {
  std::vector<std::string> alerts;
  const journal::JournalHealth health = journal_->health();
  if (health.fenced) alerts.push_back(health.fenced->message);
  if (health.no_space) alerts.push_back(health.no_space->message);
  for (const journal::CrashRecord& crash : journal_->state().crashes) {
    if (crash.tail_lost()) {
      alerts.push_back(fmt::format(
          "the journal ended at LSN {} after a crash, but LSN {} had been answered as durable: the "
          "vault has lost acknowledged writes",
          crash.last_lsn.value, crash.remembered_lsn.value));
    }
    if (crash.corrupt()) {
      alerts.push_back(fmt::format(
          "segment {} is damaged before its end: run hindsight verify --deep to see what of history "
          "cannot be read",
          crash.segment));
    }
  }
  for (const auto& [id, live] : live_) {
    if (live.problem) {
      alerts.push_back(fmt::format("volume {} is not served: {}",
                                   journal_->state().find(id)->name, live.problem->message));
    } else if (live.volume->fence_reason()) {
      alerts.push_back(live.volume->fence_reason()->message);
    }
  }
  return alerts;
}

std::vector<cdp::ExportList::Entry> Appliance::exports() const {
  std::vector<Entry> entries;
  for (const auto& [id, live] : live_) {
    if (live.volume == nullptr) continue;
    entries.push_back({journal_->state().find(id)->name, "Hindsight protected volume"});
  }
  return entries;
}

Task<Result<std::shared_ptr<cdp::BlockDevice>>> Appliance::find(std::string name) {
  const journal::VolumeState* volume = journal_->state().find(name);
  if (volume == nullptr) co_return std::shared_ptr<cdp::BlockDevice>();
  const auto found = live_.find(volume->id);
  if (found == live_.end()) co_return std::shared_ptr<cdp::BlockDevice>();
  co_return std::shared_ptr<cdp::BlockDevice>(found->second.volume);
}

}  // namespace tools
