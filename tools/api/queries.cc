// SPDX-License-Identifier: Apache-2.0
#include "tools/api/queries.h"

#include <algorithm>
#include <utility>

#include "journal/vault_reader.h"

namespace tools::api {

using cdp::Result;
using cdp::Status;
using cdp::Task;
using restore::History;

namespace {

History history_of(VaultSource::Newest newest, restore::TimeZone zone) {
  return {std::move(newest.state),
          {newest.complete_until, std::move(zone), std::move(newest.lost)}};
}

// Whether what comes behind the state cannot change what the point means.
bool decides(const journal::JournalState& state, const restore::Point& point) {
  switch (point.kind) {
    case restore::PointKind::kFirst:
      return true;
    case restore::PointKind::kNow:
      return false;
    case restore::PointKind::kTime:
      return point.time < state.time;
    case restore::PointKind::kLsn:
      return point.lsn <= state.lsn;
    case restore::PointKind::kMark:
      return state.marks.contains(point.mark);
  }
  return false;
}

}  // namespace

Task<Result<History>> VaultQueries::history(restore::TimeZone zone) {
  Result<VaultSource::Newest> newest = co_await source_.newest();
  if (!newest.ok()) co_return std::move(newest).error();
  co_return history_of(*std::move(newest), std::move(zone));
}

Task<Result<History>> VaultQueries::history_for(restore::TimeZone zone,
                                                std::vector<restore::Point> points) {
  Result<VaultSource::Newest> found = co_await source_.durable();
  const auto is_decided = [&found](const restore::Point& point) {
    return decides(found->state, point);
  };
  if (found.ok() && !found->is_all && !std::all_of(points.begin(), points.end(), is_decided))
    found = co_await source_.newest();
  if (!found.ok()) co_return std::move(found).error();
  co_return history_of(*std::move(found), std::move(zone));
}

VaultQueries::Document VaultQueries::with_lost(Document document, const History& history) {
  const std::vector<restore::Notice> lost = history.lost();
  if (!lost.empty()) document["notices"] = notices_document(lost);
  return document;
}

Task<Result<VaultQueries::Document>> VaultQueries::volumes(restore::TimeZone zone,
                                                           bool with_removed) {
  const Result<History> opened = co_await history(std::move(zone));
  if (!opened.ok()) co_return opened.error();
  co_return with_lost(volume_list_document(opened->newest(), with_removed, opened->zone()),
                      *opened);
}

Task<Result<VaultQueries::Document>> VaultQueries::volume(restore::TimeZone zone,
                                                          std::string volume) {
  const Result<History> opened = co_await history(std::move(zone));
  if (!opened.ok()) co_return opened.error();
  const Result<const journal::VolumeState*> found = opened->find_volume(volume);
  if (!found.ok()) co_return found.error();
  co_return with_lost(volume_document(**found, opened->zone()), *opened);
}

Task<Result<VaultQueries::Document>> VaultQueries::points(restore::TimeZone zone,
                                                          std::string volume,
                                                          std::optional<restore::Point> point) {
  std::vector<restore::Point> asked;
  if (point) asked.push_back(*point);
  const Result<History> opened = co_await history_for(std::move(zone), std::move(asked));
  if (!opened.ok()) co_return opened.error();
  if (!point) {
    const Result<const journal::VolumeState*> found = opened->find_volume(volume);
    if (!found.ok()) co_return found.error();
    co_return points_document(*opened, **found);
  }
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  const Result<restore::ResolvedPoint> resolved =
      co_await opened->resolve(**index, std::move(volume), std::move(*point));
  if (!resolved.ok()) co_return resolved.error();
  co_return point_document(*resolved, opened->newest(), opened->zone());
}

Task<Result<VaultQueries::Document>> VaultQueries::timeline(restore::TimeZone zone,
                                                            std::string volume,
                                                            TimelineWindow window) {
  const bool is_recorded = source_.records_activity();
  const Result<History> opened = co_await history_for(std::move(zone), {});
  if (!opened.ok()) co_return opened.error();
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  Result<Document> document =
      co_await read_timeline(**index, *opened, std::move(volume), std::move(window), is_recorded);
  co_return document;
}

Task<Result<VaultQueries::Document>> VaultQueries::status(restore::TimeZone zone) {
  const Result<History> opened = co_await history_for(std::move(zone), {});
  if (!opened.ok()) co_return opened.error();
  const Result<VaultUsage> usage = co_await source_.usage();
  if (!usage.ok()) co_return usage.error();
  co_return with_lost(status_document(*opened, source_.vault(), *usage), *opened);
}

Task<Result<VaultQueries::Document>> VaultQueries::audit(restore::TimeZone zone,
                                                         AuditWindow window) {
  const Result<History> opened = co_await history_for(std::move(zone), {});
  if (!opened.ok()) co_return opened.error();
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  const cdp::Lsn before = window.before.value_or(cdp::Lsn{UINT64_MAX});
  const Result<journal::index::TimeIndex::Audits> page =
      co_await (*index)->audits_before(before, std::max<std::size_t>(window.limit, 1));
  if (!page.ok()) co_return page.error();
  co_return audit_document(*page, window, *opened);
}

Task<Result<VaultQueries::Document>> VaultQueries::segments(restore::TimeZone zone,
                                                            SegmentWindow window) {
  const Result<VaultUsage> usage = co_await source_.usage();
  if (!usage.ok()) co_return usage.error();
  // They have numbers from 1 on, and one says how the one before it ended. More may have been begun
  // since.
  const std::uint64_t upto =
      std::min<std::uint64_t>(window.before.value_or(UINT32_MAX), UINT32_MAX);
  const std::uint64_t end = std::min(upto, usage->segments + 1);
  const std::uint64_t from = end > window.limit ? end - window.limit : 1;
  const auto reader = co_await journal::VaultReader::open(
      source_.scheduler(), source_.segments(), source_.vault(), static_cast<std::uint32_t>(from),
      static_cast<std::uint32_t>(upto));
  if (!reader.ok()) co_return reader.error();
  co_return segments_document((*reader)->segments(), window, zone);
}

Task<Result<VaultQueries::Document>> VaultQueries::verify(journal::VerifyOptions options) {
  const bool deep = options.deep;
  const Result<journal::VerifyReport> report = co_await journal::verify(
      source_.scheduler(), source_.segments(), source_.vault(), std::move(options));
  if (!report.ok()) co_return report.error();
  co_return verify_document(*report, deep);
}

Task<Result<VaultQueries::PointOfVolume>> VaultQueries::open_point(const History& history,
                                                                   std::string volume,
                                                                   restore::Point point) {
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  Result<restore::ResolvedPoint> resolved =
      co_await history.resolve(**index, std::move(volume), std::move(point));
  if (!resolved.ok()) co_return std::move(resolved).error();
  auto snapshot = co_await (*index)->snapshot(resolved->at.lsn);
  if (!snapshot.ok()) co_return std::move(snapshot).error();
  journal::Visibility visible =
      journal::visible_at(history.newest(), resolved->volume.id, resolved->at.lsn);
  co_return PointOfVolume{*std::move(resolved),
                          std::move(visible),
                          {source_.scheduler(), *std::move(snapshot), source_.blocks()}};
}

Task<Result<std::vector<std::string>>> VaultQueries::damage_of(const History& history,
                                                               const PointOfVolume& at) {
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  cdp::Lsn oldest = at.point.at.lsn;
  for (const journal::VisibleLayer& layer : at.visible) {
    const journal::VolumeState* const made = history.newest().find(layer.volume);
    const cdp::Lsn before_it{made == nullptr ? 0 : made->created.lsn.value - 1};
    for (const journal::LsnInterval& interval : layer.intervals)
      oldest = std::min(oldest, std::max(interval.after, before_it));
  }
  const journal::LsnInterval made_of{oldest, at.point.at.lsn};
  co_return co_await History::damage(**index, made_of);
}

Task<Result<VaultQueries::Document>> VaultQueries::diff(restore::TimeZone zone, std::string volume,
                                                        restore::Point from, restore::Point to,
                                                        std::size_t extents_max) {
  std::vector<restore::Point> asked{from, to};
  const Result<History> opened = co_await history_for(std::move(zone), std::move(asked));
  if (!opened.ok()) co_return opened.error();
  std::string id = volume;
  Result<PointOfVolume> one = co_await open_point(*opened, std::move(volume), std::move(from));
  if (!one.ok()) co_return std::move(one).error();
  Result<PointOfVolume> other = co_await open_point(*opened, std::move(id), std::move(to));
  if (!other.ok()) co_return std::move(other).error();
  if (one->point.volume.id != other->point.volume.id) {
    co_return cdp::make_error(EINVAL,
                              "the name stands for two different volumes at the two points: name "
                              "the one you mean by its id, id:{} or id:{}",
                              one->point.volume.uuid.to_string(),
                              other->point.volume.uuid.to_string());
  }
  const auto& map = one->point.at.lsn > other->point.at.lsn ? one->parts.map : other->parts.map;
  restore::VolumeAtPoint then{one->visible, one->point.volume.size_bytes};
  restore::VolumeAtPoint now{other->visible, other->point.volume.size_bytes};
  Result<restore::Difference> difference =
      co_await difference_of(*map, std::move(then), std::move(now), extents_max);
  if (!difference.ok()) co_return std::move(difference).error();
  co_return diff_document(one->point, other->point, *difference, opened->zone());
}

Task<Result<restore::Difference>> VaultQueries::difference_from_now(
    const journal::JournalState& newest, restore::ResolvedPoint point) {
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  auto map = co_await (*index)->snapshot(newest.lsn);
  if (!map.ok()) co_return std::move(map).error();
  const cdp::VolumeId id = point.volume.id;
  restore::VolumeAtPoint now{journal::visible_at(newest, id, newest.lsn),
                             newest.find(id)->size_bytes};
  restore::VolumeAtPoint then{journal::visible_at(newest, id, point.at.lsn),
                              point.volume.size_bytes};
  co_return co_await difference_of(**map, std::move(now), std::move(then), 0);
}

Task<Result<restore::Difference>> VaultQueries::difference_of(const journal::index::BlockMap& map,
                                                              restore::VolumeAtPoint from,
                                                              restore::VolumeAtPoint to,
                                                              std::size_t extents_max) {
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index.ok()) co_return std::move(index).error();
  auto touched = co_await (*index)->touched_by_few(journal::difference(from.visible, to.visible));
  if (!touched.ok()) co_return std::move(touched).error();
  co_return co_await restore::find_difference(source_.scheduler(), map, std::move(from),
                                              std::move(to), extents_max, *std::move(touched));
}

Task<Result<std::unique_ptr<restore::ImageSource>>> VaultQueries::image(restore::TimeZone zone,
                                                                        std::string volume,
                                                                        restore::Point point) {
  std::vector<restore::Point> asked{point};
  const Result<History> opened = co_await history_for(std::move(zone), std::move(asked));
  if (!opened.ok()) co_return opened.error();
  Result<PointOfVolume> at = co_await open_point(*opened, std::move(volume), std::move(point));
  if (!at.ok()) co_return std::move(at).error();
  Result<std::vector<std::string>> damage = co_await damage_of(*opened, *at);
  if (!damage.ok()) co_return std::move(damage).error();
  Result<std::unique_ptr<restore::ImageSource>> source = co_await restore::ImageSource::open(
      at->parts, std::move(at->visible), std::move(at->point), *std::move(damage));
  co_return source;
}

}  // namespace tools::api
