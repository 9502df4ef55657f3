// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/appliance.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "cdp/base/check.h"
#include "journal/block_reader.h"
#include "restore/time_zone.h"

namespace tools {
namespace {

using cdp::Error;
using cdp::Lsn;
using cdp::make_error;
using cdp::Nanos;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

// Of the vault's usage: how old what is told may be, and from when on it is looked at again.
constexpr Nanos kUsageKept = cdp::seconds(10);
constexpr Nanos kUsageFresh = cdp::seconds(1);

constexpr Alert::Severity kCritical = Alert::Severity::kCritical;
constexpr Alert::Severity kWarning = Alert::Severity::kWarning;

constexpr Host::DirectoryUse kMadeIfMissing{.create = true};
constexpr std::size_t kReadPoolBytes = 64u << 20;
// Payloads on their way from the sockets, beside what is dirty or waits for the journal.
constexpr std::size_t kReceivePoolBytes = 32u << 20;
constexpr std::size_t kHydrationPoolBytes = 32u << 20;

std::size_t write_pool_pages(const ApplianceOptions& options) {
  return (options.dirty_bytes + kReceivePoolBytes) / cdp::kBlockBytes +
         options.journal.queue_blocks;
}

std::string number(VolumeId id) { return std::to_string(id.value); }

ApplianceOptions with_meter(ApplianceOptions options) {
  options.journal.meters_activity = true;
  return options;
}

}  // namespace

Appliance::Appliance(cdp::Scheduler& scheduler, const cdp::Clock& clock, Host& host,
                     ApplianceOptions options)
    : scheduler_(scheduler),
      clock_(clock),
      host_(host),
      options_(with_meter(std::move(options))),
      sequencer_(clock),
      write_pages_(scheduler, write_pool_pages(options_)),
      read_pages_(scheduler, kReadPoolBytes / cdp::kBlockBytes),
      hydration_pages_(scheduler, kHydrationPoolBytes / cdp::kBlockBytes),
      background_(scheduler) {}

Appliance::~Appliance() { CHECK(live_.empty() && journal_ == nullptr); }

Task<Result<std::unique_ptr<Appliance>>> Appliance::start(cdp::Scheduler& scheduler,
                                                          const cdp::Clock& clock, Host& host,
                                                          ApplianceOptions options) {
  std::unique_ptr<Appliance> appliance{new Appliance{scheduler, clock, host, std::move(options)}};
  Status opened = co_await appliance->open();
  if (opened) co_return appliance;
  if (appliance->journal_ != nullptr) (void)co_await appliance->stop();
  co_return std::move(opened).error();
}

Task<Status> Appliance::open() {
  Status opened = co_await open_directories();
  if (opened) opened = co_await open_journal();
  if (opened) opened = co_await open_index();
  if (!opened) co_return opened;
  co_await open_volumes();
  auto exports = co_await PointExports::open(clock_, host_, *this, options_.state_path);
  if (!exports) co_return std::move(exports).error();
  point_exports_ = *std::move(exports);
  keep_pulses();
  for (const Alert& alert : alerts()) spdlog::error("{}", alert.message);
  co_return Status{};
}

void Appliance::keep_pulses() {
  pulses_.emplace(PulseKeeper::Parts{
      .scheduler = scheduler_,
      .clock = clock_,
      .sequencer = sequencer_,
      .journal = *journal_,
      .index = *index_,
      .statistics_of = [this](VolumeId id) -> const cdp::IoStatistics* {
        const auto live = live_.find(id);
        const bool is_served = live != live_.end() && live->second.volume != nullptr;
        return is_served ? &live->second.volume->io_statistics() : nullptr;
      }});
  pulses_->start();
}

Task<Status> Appliance::open_directories() {
  auto state = co_await hold_directory(options_.state_path, "state directory");
  if (!state) co_return std::move(state).error();
  state_directory_ = *std::move(state);
  auto vault = co_await hold_directory(options_.vault_path, "vault");
  if (!vault) co_return std::move(vault).error();
  vault_directory_ = *std::move(vault);
  auto volumes =
      co_await host_.open_directory(options_.state_path + kVolumesDirectory, kMadeIfMissing);
  if (!volumes) co_return std::move(volumes).error();
  co_return Status{};
}

Task<Result<std::unique_ptr<cdp::Directory>>> Appliance::hold_directory(std::string path,
                                                                        const char* what) {
  const Host::DirectoryUse use{.create = true, .exclusive = true};
  auto directory = co_await host_.open_directory(path, use);
  if (!directory && directory.error().code == EBUSY) {
    co_return make_error(EBUSY, "another daemon uses the {} {}", what, path);
  }
  co_return directory;
}

Task<Status> Appliance::open_journal() {
  Result<std::vector<std::string>> names = co_await vault_directory_->list();
  if (!names) co_return std::move(names).error();
  std::erase(*names, "lost+found");  // a file system of its own has it
  Result<journal::Vault> vault = co_await journal::open_vault(*vault_directory_);
  const bool is_new = !vault && vault.error().code == ENOENT;
  if (is_new) {
    if (!names->empty()) {
      co_return make_error(
          EINVAL,
          "{} is not a vault (it has no VAULT file) and is not empty either (it has "
          "{}): give a vault or an empty directory",
          options_.vault_path, names->front());
    }
    vault = co_await journal::create_vault(*vault_directory_, clock_.realtime());
  }
  if (!vault) co_return std::move(vault).error();
  const std::string segments_path = options_.vault_path + "/" + journal::kSegmentsDirectoryName;
  // A vault whose making was cut short has its VAULT file only.
  const bool lacks_segments = is_new || names->size() == 1;
  const Host::DirectoryUse use{.create = lacks_segments};
  auto segments = co_await host_.open_directory(segments_path, use);
  if (!segments) co_return std::move(segments).error();
  segments_ = *std::move(segments);
  if (lacks_segments) {
    Status synced = co_await vault_directory_->sync();
    if (!synced) co_return synced;
  }
  if (is_new) {
    spdlog::info("made a new vault {} in {}", vault->uuid.to_string(), options_.vault_path);
  }
  const std::string index_path = options_.vault_path + "/" + journal::index::kIndexDirectoryName;
  auto index = co_await host_.open_directory(index_path, kMadeIfMissing);
  if (!index) co_return std::move(index).error();
  index_directory_ = *std::move(index);
  auto journal = co_await journal::Journal::open(scheduler_, clock_, sequencer_, *segments_,
                                                 state_directory_.get(), *vault, options_.journal,
                                                 index_directory_.get());
  if (!journal) co_return std::move(journal).error();
  journal_ = *std::move(journal);
  co_return Status{};
}

// History is looked through where the index does not know it; later it follows the journal.
Task<Status> Appliance::open_index() {
  journal::index::TimeIndexOptions wanted = options_.index;
  wanted.progress = [](Lsn lsn) {
    spdlog::info("time index: history is read up to LSN {}", lsn.value);
  };
  wanted.report = [](const std::string& what) { spdlog::warn("time index: {}", what); };
  auto index = co_await journal::index::TimeIndex::open(scheduler_, *index_directory_, *segments_,
                                                        journal_->vault(), std::move(wanted));
  if (!index) co_return std::move(index).error();
  index_ = *std::move(index);
  blocks_ = std::make_shared<journal::BlockReader>(scheduler_, *segments_, journal_->vault());
  journal_->set_listener(index_.get());
  Status known = co_await index_->catch_up(journal_->durable_lsn());
  // Volumes that need it say so themselves.
  if (!known)
    spdlog::error("the time index does not follow the journal: {}", known.error().message);
  co_return Status{};
}

Task<Status> Appliance::stop() {
  Status outcome;
  for (auto& [id, live] : live_) {
    if (live.volume == nullptr) continue;
    Status closed = co_await live.volume->close();
    if (!closed && outcome) outcome = std::move(closed);
  }
  co_await background_.join();
  if (pulses_) co_await pulses_->stop();
  pulses_.reset();
  live_.clear();
  if (point_exports_ != nullptr) {
    Status closed = co_await point_exports_->close();
    if (!closed && outcome) outcome = std::move(closed);
    point_exports_.reset();
  }
  Status closed = co_await journal_->close();
  if (index_ != nullptr) {
    journal_->set_listener(nullptr);
    Status saved = co_await index_->close();
    if (!saved) spdlog::warn("the time index was not saved: {}", saved.error().message);
  }
  journal_.reset();
  blocks_.reset();
  index_.reset();
  if (!closed && outcome) outcome = std::move(closed);
  co_return outcome;
}

Task<Status> Appliance::make_durable() { return journal_->flush(sequencer_.last()); }

// A fenced journal still has a history.
Task<Result<api::VaultSource::Newest>> Appliance::newest() {
  const cdp::Nanos now = clock_.realtime();
  const Status durable = co_await make_durable();
  Newest newest{journal_->durable_state(), {}};
  if (durable) newest.complete_until = now;
  co_return newest;
}

Task<Result<api::VaultSource::Newest>> Appliance::durable() {
  Newest durable{journal_->durable_state(), {}};
  durable.is_all = durable.state.lsn >= sequencer_.last();
  if (durable.is_all) durable.complete_until = clock_.realtime();
  co_return durable;
}

Task<Result<journal::index::TimeIndex*>> Appliance::index() { co_return index_.get(); }

Task<void> Appliance::read_usage() {
  Result<api::VaultUsage> read = co_await VaultSource::usage();
  usage_ = std::move(read);
  usage_read_ = scheduler_.now();
  reading_usage_ = false;
}

// Whoever watches has asked a moment ago, and is answered at once, with what was found then.
Task<Result<api::VaultUsage>> Appliance::usage() {
  const Nanos age = scheduler_.now() - usage_read_;
  if (!usage_ || age >= kUsageKept)
    co_await read_usage();
  else if (age >= kUsageFresh && !std::exchange(reading_usage_, true))
    background_.spawn(read_usage());
  co_return *usage_;
}

bool Appliance::records_activity() const { return pulses_ && pulses_->is_up_to_date(); }

std::string Appliance::not_served(cdp::VolumeId id, const LiveVolume& live) const {
  return fmt::format("volume {} is not served: {}", journal_->state().find(id)->name,
                     live.problem->message);
}

std::vector<Alert> Appliance::outages() const {
  std::vector<Alert> outages;
  const journal::JournalHealth health = journal_->health();
  if (health.fenced) outages.push_back({{"journal-fenced", ""}, health.fenced->message});
  if (health.no_space) outages.push_back({{"vault-full", ""}, health.no_space->message});
  for (const auto& [id, live] : live_) {
    if (live.problem) {
      outages.push_back({.key = {"volume-not-served", number(id)},
                         .message = not_served(id, live),
                         .volume = id});
    } else if (live.volume->fence_reason()) {
      outages.push_back({.key = {"volume-fenced", number(id)},
                         .message = live.volume->fence_reason()->message,
                         .volume = id});
    }
  }
  return outages;
}

cdp::Nanos Appliance::lag() const {
  const Nanos oldest = journal_->health().oldest_undurable;
  return oldest.value != 0 ? clock_.realtime() - oldest : Nanos{};
}

cdp::Nanos Appliance::lag_of(const cdp::Volume& volume) const {
  return volume.statistics().last > journal_->health().durable ? lag() : Nanos{};
}

std::string Appliance::rpo_missed() const {
  const Nanos late = lag();
  if (options_.rpo_objective.value == 0 || late <= options_.rpo_objective) return {};
  return fmt::format(
      "the newest writes are not durable for {}, and alerts.rpo is {}: a crash now would "
      "lose them; the vault's disk is slow, or stands still",
      restore::format_duration(late), restore::format_duration(options_.rpo_objective));
}

std::vector<Alert> Appliance::alerts() const {
  std::vector<Alert> alerts = outages();
  const auto add = [&alerts](std::string kind, std::string object, std::string message,
                             Alert::Severity severity = kWarning,
                             std::optional<VolumeId> volume = {}) {
    alerts.push_back({{std::move(kind), std::move(object)}, std::move(message), severity, volume});
  };
  if (const std::string late = rpo_missed(); !late.empty()) add("rpo-missed", "", late);
  if (index_ != nullptr) {
    const journal::index::TimeIndexStatistics index = index_->statistics();
    if (index.problem) {
      add("index-problem", "",
          fmt::format(
              "the time index has a problem ({}): writes go on and nothing is lost; what cannot be "
              "stored or read of it is made from the journal again",
              index.problem->message));
    }
  }
  for (const journal::CrashRecord& crash : journal_->state().crashes) {
    if (crash.tail_lost()) {
      add("writes-lost", std::to_string(crash.stamp.lsn.value),
          fmt::format("the journal ended at LSN {} after a crash, but LSN {} had been answered as "
                      "durable: the vault has lost acknowledged writes",
                      crash.last_lsn.value, crash.remembered_lsn.value),
          kCritical);
    }
    if (crash.corrupt()) {
      add("segment-damaged", std::to_string(crash.segment),
          fmt::format("segment {} is damaged before its end: run hindsight verify --deep to see "
                      "what of history cannot be read",
                      crash.segment),
          kCritical);
    }
  }
  if (point_exports_ != nullptr && point_exports_->problem())
    add("clones-not-served", "", point_exports_->problem()->message);
  for (const auto& [id, live] : live_) {
    if (live.problem || live.volume->fence_reason() || !live.volume->hydration_problem()) continue;
    add("hydration-problem", number(id),
        fmt::format("volume {} does not hydrate for now: {}", journal_->state().find(id)->name,
                    live.volume->hydration_problem()->message),
        kWarning, id);
  }
  std::ranges::stable_sort(alerts, {}, &Alert::severity);
  return alerts;
}

std::vector<cdp::ExportList::Entry> Appliance::exports() const {
  std::vector<Entry> entries;
  for (const auto& [id, live] : live_) {
    if (live.volume == nullptr) continue;
    entries.push_back({journal_->state().find(id)->name, "Hindsight protected volume"});
  }
  for (const restore::CloneEntry& clone : point_exports_->clones()) {
    entries.push_back({clone.name, "Hindsight clone, not protected"});
  }
  return entries;
}

Task<Result<std::shared_ptr<cdp::BlockDevice>>> Appliance::find(std::string name) {
  if (const journal::VolumeState* volume = journal_->state().find(name)) {
    const auto found = live_.find(volume->id);
    if (found == live_.end()) co_return std::shared_ptr<cdp::BlockDevice>();
    co_return std::shared_ptr<cdp::BlockDevice>(found->second.volume);
  }
  auto opened = co_await point_exports_->find(std::move(name));
  co_return opened;
}

}  // namespace tools
