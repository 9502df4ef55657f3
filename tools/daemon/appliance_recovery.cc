// SPDX-License-Identifier: Apache-2.0
//
// Volumes go back to points.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

#include "cdp/base/check.h"
#include "journal/visibility.h"
#include "restore/point_hydration.h"
#include "tools/daemon/appliance.h"

namespace tools {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

std::shared_ptr<cdp::HydrationSource> Appliance::hydration_source(
    const journal::JournalState& state, VolumeId id,
    std::shared_ptr<const journal::index::BlockMap> map) {
  const journal::VolumeState& volume = *state.find(id);
  auto content = std::make_shared<const restore::PointReader>(
      restore::PointParts{scheduler_, std::move(map), blocks_},
      restore::PointContent{journal::visible_at(state, id, state.lsn), volume.size_bytes,
                            volume.name});
  return std::make_shared<restore::PointHydration>(
      std::move(content), journal::may_differ(state, id, state.lsn), hydration_pages_);
}

Status Appliance::check_not_rolling_back(VolumeId id) const {
  if (!rolling_back_.contains(id)) return {};
  return make_error(EBUSY, "the volume {} is being rolled back: wait until that is done",
                    journal_->state().find(id)->name);
}

Status Appliance::begin_roll_back(const std::vector<VolumePoint>& points) {
  for (const VolumePoint& point : points) {
    Result<LiveVolume*> live = served_volume(point.volume);
    if (!live) return std::move(live).error();
    if (Status free = check_not_rolling_back(point.volume); !free) return free;
  }
  for (const VolumePoint& point : points) {
    rolling_back_.insert(point.volume);
    live_.at(point.volume).volume->refuse_changes(true);
  }
  return {};
}

Task<Result<cdp::Stamp>> Appliance::roll_back(std::vector<VolumePoint> points, std::string author,
                                              bool refuse_writers) {
  std::sort(points.begin(), points.end(),
            [](const VolumePoint& a, const VolumePoint& b) { return a.volume < b.volume; });
  journal::RollbackRecord record{.point = points.front().lsn, .refuse_writers = refuse_writers};
  record.author = author;
  for (const VolumePoint& point : points) {
    CHECK(rolling_back_.contains(point.volume));
    record.volumes.push_back({point.volume, point.size_bytes});
  }
  Result<cdp::Stamp> stamp = co_await roll_back_held(points, std::move(record));
  for (const VolumePoint& point : points) {
    rolling_back_.erase(point.volume);
    const bool refused = journal_->state().find(point.volume)->writers_refused;
    live_.at(point.volume).volume->refuse_changes(refused);
  }
  co_return stamp;
}

// Every volume is held while the one record is made, so that it has one place in the sequence for
// all of them; what can fail comes before it.
Task<Result<cdp::Stamp>> Appliance::roll_back_held(std::vector<VolumePoint> points,
                                                   journal::RollbackRecord record) {
  for (const VolumePoint& point : points) {
    Status long_enough = co_await lengthen_backing(point.volume, point.size_bytes);
    if (!long_enough) co_return std::move(long_enough).error();
  }
  std::vector<std::shared_ptr<cdp::Volume>> held;
  Status status;
  for (const VolumePoint& point : points) {
    const std::shared_ptr<cdp::Volume> volume = live_.at(point.volume).volume;
    status = co_await volume->begin_replacement();
    if (!status) break;
    held.push_back(volume);
  }
  std::shared_ptr<const journal::index::BlockMap> map;
  if (status) status = co_await make_durable();
  if (status) {
    auto covering = co_await index_->snapshot(journal_->durable_lsn());
    if (covering)
      map = *std::move(covering);
    else
      status = std::move(covering).error();
  }
  if (status) {
    record.stamp = sequencer_.next();
    status = journal_->record_rollback(record.stamp, record.point, record.volumes, record.author,
                                       record.refuse_writers);
  }
  if (status) status = co_await journal_->flush(record.stamp.lsn);
  if (!status) {
    for (const auto& volume : held) volume->abandon_replacement();
    co_return std::move(status).error();
  }
  const journal::JournalState state = journal_->durable_state();
  for (std::size_t i = 0; i < points.size(); ++i) {
    held[i]->finish_replacement(hydration_source(state, points[i].volume, map),
                                points[i].size_bytes, record.stamp.lsn);
    spdlog::info("volume {}: rolled back to LSN {} at LSN {} by {}", held[i]->name(),
                 record.point.value, record.stamp.lsn.value, record.author);
  }
  co_return record.stamp;
}

Task<Status> Appliance::resume_volume(VolumeId id) {
  Result<LiveVolume*> live = served_volume(id);
  if (!live) co_return std::move(live).error();
  if (Status free = check_not_rolling_back(id); !free) co_return free;
  if (!journal_->state().find(id)->writers_refused) co_return Status{};
  const cdp::Stamp stamp = sequencer_.next();
  Status recorded = journal_->record_volume_resumed(id, stamp);
  if (!recorded) co_return recorded;
  Status durable = co_await journal_->flush(stamp.lsn);
  if (!durable) co_return durable;
  // The volume may have been removed meanwhile.
  Result<LiveVolume*> still = served_volume(id);
  if (!still) co_return std::move(still).error();
  if (!rolling_back_.contains(id)) (*still)->volume->refuse_changes(false);
  co_return Status{};
}

}  // namespace tools
