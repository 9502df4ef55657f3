// SPDX-License-Identifier: Apache-2.0
//
// Appliance: a vault, its journal, its time index and the volumes that it protects, from start to
// stop. Starting recovers the journal and replays what each backing store lacks, so that a volume
// always equals the journal's newest state when it is served. Everything an operator does to
// volumes goes through here and becomes a journal record; nothing here removes history.
//
// appliance.cc opens and stops it; appliance_volumes.cc has volumes come and go,
// appliance_recovery.cc has them go back to points, and appliance_users.cc keeps users and the
// audit.
//
// On the scheduler's thread. The scheduler, the clock and the host must outlive it; `stop` must
// have returned before it is destroyed, and nobody may be using an export then.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/disk.h"
#include "cdp/io/pages.h"
#include "cdp/io/scheduler.h"
#include "cdp/sequencer.h"
#include "cdp/volume.h"
#include "journal/index/time_index.h"
#include "journal/journal.h"
#include "restore/point_reader.h"
#include "tools/api/queries.h"
#include "tools/daemon/alerts/alert.h"
#include "tools/daemon/host.h"
#include "tools/daemon/point_exports.h"
#include "tools/daemon/pulse_keeper.h"

namespace tools {

inline constexpr std::uint64_t kMaxVolumeBytes = std::uint64_t{64} << 40;
// In the state directory: the backing files that the appliance names itself.
inline constexpr char kVolumesDirectory[] = "/volumes";

struct ApplianceOptions {
  std::string vault_path;
  std::string state_path;
  std::uint64_t dirty_bytes = 128u << 20;        // of all volumes together
  std::uint64_t hydration_bytes_per_second = 0;  // of each volume; 0: no limit
  // Older than so, nothing that was answered may be without being durable: then there is an alert.
  // 0: none.
  cdp::Nanos rpo_objective = cdp::seconds(5);
  // Where backing stores may lie that an operator names: see backing_place.h.
  std::vector<std::string> allowed_paths = {"/"};
  journal::JournalOptions journal;
  journal::index::TimeIndexOptions index;
};

class Appliance final : public cdp::ExportList, public api::VaultSource {
 public:
  // One that is served, or would be but for `problem`.
  struct LiveVolume {
    std::string backing_path;
    std::unique_ptr<cdp::Disk> backing;
    std::shared_ptr<cdp::Volume> volume;  // null where `problem` kept it from being opened
    std::optional<cdp::Error> problem;
  };

  // A point of a volume, in its place in the sequence.
  struct VolumePoint {
    cdp::VolumeId volume;
    cdp::Lsn lsn;
    std::uint64_t size_bytes = 0;  // of the volume there
  };

  struct NewVolume {
    std::string name;
    std::uint64_t size_bytes = 0;
    std::string backing_path;  // empty: a file under the state directory
    // With the content of this point, served at once and hydrated behind.
    std::optional<VolumePoint> origin;
  };

  static cdp::Task<cdp::Result<std::unique_ptr<Appliance>>> start(cdp::Scheduler& scheduler,
                                                                  const cdp::Clock& clock,
                                                                  Host& host,
                                                                  ApplianceOptions options);
  ~Appliance() override;

  // Writes everything back, checkpoints, seals the journal. Front-ends must have ended.
  cdp::Task<cdp::Status> stop();

  cdp::Task<cdp::Result<cdp::VolumeId>> create_volume(NewVolume wanted);
  cdp::Task<cdp::Status> resize_volume(cdp::VolumeId id, std::uint64_t size_bytes);
  cdp::Task<cdp::Status> rename_volume(cdp::VolumeId id, std::string name);
  // Ends serving and protecting it; its backing store and its history stay.
  cdp::Task<cdp::Status> remove_volume(cdp::VolumeId id);
  // A rollback of volumes that are served, and of none that is being rolled back: from here on
  // nobody writes to them until roll_back(), which must follow, is done.
  cdp::Status begin_roll_back(const std::vector<VolumePoint>& points);
  // The volumes, all of one LSN, are as they were there from the moment this returns. Answers the
  // stamp of the rollback; the LSN before it is the point that undoes it. Writers must have been
  // disconnected; where they are refused, they are until `resume_volume`.
  cdp::Task<cdp::Result<cdp::Stamp>> roll_back(std::vector<VolumePoint> points, std::string author,
                                               bool refuse_writers);
  cdp::Task<cdp::Status> resume_volume(cdp::VolumeId id);
  // EINVAL, EEXIST: whether neither a volume nor a clone has the name.
  cdp::Status check_new_name(const std::string& name) const;
  // Names the present point, of one volume or (0) of all; durable when it returns.
  cdp::Task<cdp::Result<cdp::Stamp>> mark(cdp::VolumeId id, std::string label, std::string author);
  // A user, or a token, as it is from here on; durable when it returns. The stamp is set here.
  cdp::Task<cdp::Status> record_user(journal::UserRecord record);
  cdp::Task<cdp::Status> record_token(journal::TokenRecord record);
  cdp::Task<cdp::Status> record_audit(journal::AuditRecord record, bool make_durable);
  // All audits that were recorded before the call are durable when it returns.
  cdp::Task<cdp::Status> make_audits_durable();
  // Everything answered before the call is durable when it returns.
  cdp::Task<cdp::Status> make_durable();

  const journal::Journal& journal() const { return *journal_; }
  cdp::Directory& state_directory() { return *state_directory_; }
  const std::map<cdp::VolumeId, LiveVolume>& live_volumes() const { return live_; }
  PointExports& point_exports() { return *point_exports_; }
  const journal::index::TimeIndex& time_index() const { return *index_; }
  const ApplianceOptions& options() const { return options_; }
  // Of volumes that are served, and of those to come.
  void set_hydration_rate(std::uint64_t bytes_per_second);
  void set_allowed_paths(std::vector<std::string> paths) {
    options_.allowed_paths = std::move(paths);
  }
  void set_rpo_objective(cdp::Nanos objective) { options_.rpo_objective = objective; }
  // How old the oldest change is that a crash of the appliance would lose now; 0: none would be.
  cdp::Nanos lag() const;
  // At most, of one volume.
  cdp::Nanos lag_of(const cdp::Volume& volume) const;
  // What an operator has to know now, the gravest first.
  std::vector<Alert> alerts() const;
  // Of the alerts, why a volume, or all, take no writes.
  std::vector<Alert> outages() const;

  std::vector<Entry> exports() const override;
  // A volume, a clone, or a view: NAME@POINT.
  cdp::Task<cdp::Result<std::shared_ptr<cdp::BlockDevice>>> find(std::string name) override;

  cdp::Scheduler& scheduler() override { return scheduler_; }
  cdp::Directory& segments() override { return *segments_; }
  const journal::Vault& vault() override { return journal_->vault(); }
  std::shared_ptr<journal::BlockReader> blocks() override { return blocks_; }
  cdp::Task<cdp::Result<Newest>> newest() override;
  cdp::Task<cdp::Result<Newest>> durable() override;
  cdp::Task<cdp::Result<journal::index::TimeIndex*>> index() override;
  bool records_activity() const override;
  cdp::Task<cdp::Result<api::VaultUsage>> usage() override;

 private:
  Appliance(cdp::Scheduler& scheduler, const cdp::Clock& clock, Host& host,
            ApplianceOptions options);

  cdp::Task<cdp::Status> open();
  cdp::Task<cdp::Status> open_directories();
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Directory>>> hold_directory(std::string path,
                                                                         const char* what);
  cdp::Task<cdp::Status> open_journal();
  cdp::Task<cdp::Status> open_index();
  void keep_pulses();
  // The newest state before volumes are opened.
  struct OpeningState;
  cdp::Task<void> open_volumes();
  // Of those that are left, one after the other.
  cdp::Task<void> open_some(const cdp::Result<OpeningState>& from,
                            std::deque<journal::VolumeState>& left);
  cdp::Task<cdp::Result<OpeningState>> opening_state();
  cdp::Task<cdp::Status> open_volume(const cdp::Result<OpeningState>& from,
                                     journal::VolumeState volume);
  cdp::Task<cdp::Result<cdp::VolumeHydration>> replay(const OpeningState& from,
                                                      const journal::VolumeState& volume,
                                                      cdp::Disk& backing);
  cdp::Task<cdp::Result<LiveVolume>> open_new_backing(NewVolume wanted, journal::Uuid uuid);
  cdp::Status check_not_rolling_back(cdp::VolumeId id) const;
  // Makes a file of ours long enough; an error where it is not ours and too short.
  cdp::Task<cdp::Status> lengthen_backing(cdp::VolumeId id, std::uint64_t size_bytes);
  void serve(const journal::VolumeState& volume, LiveVolume& live, cdp::VolumeHydration hydration);
  cdp::Task<cdp::Result<cdp::Stamp>> roll_back_held(std::vector<VolumePoint> points,
                                                    journal::RollbackRecord record);
  cdp::Task<void> read_usage();
  // What the backing store of a volume that hydrates lacks, in `state`; `map` covers it.
  std::shared_ptr<cdp::HydrationSource> hydration_source(
      const journal::JournalState& state, cdp::VolumeId id,
      std::shared_ptr<const journal::index::BlockMap> map);
  std::string default_backing_path(const journal::Uuid& uuid) const;
  cdp::Result<LiveVolume*> served_volume(cdp::VolumeId id);
  // A sentence where it is.
  std::string rpo_missed() const;
  // Why the volume is not, where it is not.
  std::string not_served(cdp::VolumeId id, const LiveVolume& live) const;
  void warn_of_shared_storage(const std::string& name, const std::string& backing_path) const;

  cdp::Scheduler& scheduler_;
  const cdp::Clock& clock_;
  Host& host_;
  ApplianceOptions options_;
  cdp::Sequencer sequencer_;
  cdp::Lsn last_audit_;
  cdp::PagePool write_pages_;
  cdp::PagePool read_pages_;
  cdp::PagePool hydration_pages_;
  std::unique_ptr<cdp::Directory> vault_directory_;
  std::unique_ptr<cdp::Directory> state_directory_;
  std::unique_ptr<cdp::Directory> segments_;
  std::unique_ptr<cdp::Directory> index_directory_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<journal::index::TimeIndex> index_;
  std::shared_ptr<journal::BlockReader> blocks_;  // of all that read at points
  std::unique_ptr<PointExports> point_exports_;
  std::map<cdp::VolumeId, LiveVolume> live_;
  std::optional<PulseKeeper> pulses_;
  std::optional<cdp::Result<api::VaultUsage>> usage_;  // as it was found last, then:
  cdp::Nanos usage_read_{};                            // scheduler's time
  bool reading_usage_ = false;                         // in the background
  cdp::TaskGroup background_;
  std::set<cdp::VolumeId> rolling_back_;
};

}  // namespace tools
