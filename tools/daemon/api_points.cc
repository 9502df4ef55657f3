// SPDX-License-Identifier: Apache-2.0
//
// Routes that bring a point back: differences, views, clones, rollback.
#include <algorithm>
#include <boost/json/array.hpp>

#include "restore/difference.h"
#include "tools/api/documents.h"
#include "tools/daemon/api.h"
#include "tools/daemon/api_requests.h"

namespace tools {

using cdp::Task;

// The most volumes of one rollback, as in the journal's record.
constexpr std::size_t kRollbackVolumesMax = 256;

namespace {

json::object volume_at(const json::value& volume, const std::string& at) {
  return {{"volume", volume}, {"at", at}};
}

}  // namespace

Task<Result<Api::ResolvedVolume>> Api::resolve_member(json::value given,
                                                      Result<restore::TimeZone> zone) {
  if (!zone) co_return std::move(zone).error();
  Result<std::string> name = text_member(given, "volume");
  if (!name) co_return std::move(name).error();
  Result<std::string> at = text_member(given, "at");
  if (!at) co_return std::move(at).error();
  Result<restore::Point> point = restore::parse_absolute_point(*at);
  if (!point) co_return std::move(point).error();
  Result<restore::History> history = co_await queries_.history(*zone);
  if (!history) co_return std::move(history).error();
  Result<api::VaultQueries::PointOfVolume> found =
      co_await queries_.open_point(*history, *name, *std::move(point));
  if (!found) co_return std::move(found).error();
  co_return ResolvedVolume{std::move(found->point), history->newest(), *std::move(zone)};
}

Task<Api::Answer> Api::get_diff(HttpRequest request) {
  Result<restore::TimeZone> zone = zone_of(request);
  if (!zone) co_return std::move(zone).error();
  Result<restore::Point> from = point_member(request, "from");
  if (!from) co_return std::move(from).error();
  Result<restore::Point> to = point_member(request, "to");
  if (!to) co_return std::move(to).error();
  Result<Document> document = co_await queries_.diff(
      *std::move(zone), request.path[kVolumeSegment], *std::move(from), *std::move(to));
  if (!document) co_return std::move(document).error();
  co_return json_response(200, *document);
}

// A view comes with its first client; this only says where, in words that mean the same for ever.
Task<Api::Answer> Api::create_view(HttpRequest request) {
  Status known = only_members(request.body, {"volume", "at"});
  if (!known) co_return std::move(known).error();
  Result<ResolvedVolume> resolved = co_await resolve_member(request.body, zone_of(request));
  if (!resolved) co_return std::move(resolved).error();
  const restore::ResolvedPoint& point = resolved->point;
  Document document = api::point_document(point, resolved->newest, resolved->zone);
  // The name that it has now may be another one.
  document["uris"] = uris_of(
      fmt::format("id:{}@lsn:{}", point.volume.uuid.to_string(), point.at.lsn.value));
  const journal::VolumeState* named = resolved->newest.find(point.volume.name);
  if (named != nullptr && named->id == point.volume.id) {
    document["uris"] = uris_of(fmt::format("{}@lsn:{}", point.volume.name, point.at.lsn.value));
  }
  co_return json_response(200, document);
}

// --- Clones -------------------------------------------------------------------------------------

Api::Document Api::clone_document(const restore::CloneEntry& clone) const {
  const journal::VolumeState* volume = appliance_.journal().state().find(clone.volume);
  return {{"name", clone.name},
          {"id", clone.uuid.to_string()},
          {"volume", volume != nullptr ? volume->name : std::string{}},
          {"volume_id", volume != nullptr ? volume->uuid.to_string() : std::string{}},
          {"lsn", clone.lsn.value},
          {"size_bytes", clone.size_bytes},
          {"created_utc", restore::format_time(clone.created, restore::TimeZone::utc())},
          {"uris", uris_of(clone.name)}};
}

Task<Api::Answer> Api::list_clones(HttpRequest) {
  if (const auto& problem = appliance_.point_exports().problem()) co_return *problem;
  json::array clones;
  for (const restore::CloneEntry& clone : appliance_.point_exports().clones()) {
    clones.push_back(clone_document(clone));
  }
  co_return json_response(200, {{"clones", std::move(clones)}});
}

Task<Api::Answer> Api::create_clone(HttpRequest request) {
  Status known = only_members(request.body, {"volume", "at", "name"});
  if (!known) co_return std::move(known).error();
  Result<std::string> name = text_member(request.body, "name");
  if (!name) co_return std::move(name).error();
  if (Status free = appliance_.check_new_name(*name); !free) co_return std::move(free).error();
  Result<ResolvedVolume> resolved = co_await resolve_member(request.body, zone_of(request));
  if (!resolved) co_return std::move(resolved).error();
  // Once more, in the step that takes the name.
  if (Status still = appliance_.check_new_name(*name); !still) co_return std::move(still).error();
  Result<restore::CloneEntry> clone =
      co_await appliance_.point_exports().create_clone(*name, resolved->point);
  if (!clone) co_return std::move(clone).error();
  Document document = api::point_document(resolved->point, resolved->newest, resolved->zone);
  document["clone"] = clone_document(*clone);
  co_return json_response(201, document);
}

Task<Api::Answer> Api::remove_clone(HttpRequest request) {
  const std::string name = request.path[kVolumeSegment];
  if (const auto device = appliance_.point_exports().opened_clone(name)) {
    co_await nbd_.disconnect(device);
  }
  Status removed = co_await appliance_.point_exports().remove_clone(name);
  if (!removed) co_return std::move(removed).error();
  co_return json_response(200, {{"name", name}});
}

// --- Rollback -----------------------------------------------------------------------------------

std::shared_ptr<const cdp::BlockDevice> Api::device_of(cdp::VolumeId id) const {
  const auto found = appliance_.live_volumes().find(id);
  return found == appliance_.live_volumes().end() ? nullptr : found->second.volume;
}

std::vector<cdp::nbd::Server::Connection> Api::connections_of(cdp::VolumeId id) const {
  const auto device = device_of(id);
  if (device == nullptr) return {};
  std::vector<cdp::nbd::Server::Connection> connections = nbd_.connections();
  std::erase_if(connections, [&](const auto& one) { return one.device != device.get(); });
  return connections;
}

std::size_t Api::writers_of(cdp::VolumeId id) const {
  const auto connections = connections_of(id);
  return static_cast<std::size_t>(std::count_if(connections.begin(), connections.end(),
                                                [](const auto& one) { return !one.read_only; }));
}

Api::Document Api::rolled_back_document(const journal::VolumeState& now,
                                        const restore::ResolvedPoint& point) const {
  return {{"name", now.name},
          {"id", now.uuid.to_string()},
          {"size_bytes", point.volume.size_bytes},
          {"writers", writers_of(now.id)}};
}

Status Api::no_writers(const std::vector<Appliance::VolumePoint>& points) const {
  for (const Appliance::VolumePoint& point : points) {
    const std::size_t writers = writers_of(point.volume);
    if (writers == 0) continue;
    return make_error(EBUSY,
                      "{} client(s) that may write are connected to the volume {}, and a mounted "
                      "file system would write its cache over what comes back: unmount it there "
                      "and disconnect first, or roll back with --disconnect",
                      writers, appliance_.journal().state().find(point.volume)->name);
  }
  return {};
}

// Body: {"volumes": [NAME], "at": POINT, "dry_run": bool, "disconnect": bool}. The point is resolved
// once, for the first volume; all go back to its LSN.
Task<Api::Answer> Api::roll_back(HttpRequest request) {
  Status known = only_members(request.body, {"volumes", "at", "dry_run", "disconnect"});
  if (!known) co_return std::move(known).error();
  const json::object* body = request.body.if_object();
  const json::value* names = body != nullptr ? body->if_contains("volumes") : nullptr;
  if (names == nullptr || !names->is_array() || names->get_array().empty() ||
      names->get_array().size() > kRollbackVolumesMax) {
    co_return make_error(EINVAL, "the request's body wants \"volumes\": 1 to {} names",
                         kRollbackVolumesMax);
  }
  Result<std::string> at = text_member(request.body, "at");
  if (!at) co_return std::move(at).error();
  const auto flag = [body](const char* key) {
    const json::value* value = body->if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
  };
  const bool disconnect = flag("disconnect");
  const bool dry_run = flag("dry_run");

  std::vector<Appliance::VolumePoint> points;
  std::uint64_t changed_bytes = 0;
  Document document;
  json::array volumes;
  for (const json::value& entry : names->get_array()) {
    Result<ResolvedVolume> resolved =
        co_await resolve_member(volume_at(entry, *at), zone_of(request));
    if (!resolved) co_return std::move(resolved).error();
    const restore::ResolvedPoint& point = resolved->point;
    if (points.empty()) {
      document = api::point_document(point, resolved->newest, resolved->zone);
      document.erase("volume");
      *at = fmt::format("lsn:{}", point.at.lsn.value);
    }
    for (const Appliance::VolumePoint& other : points) {
      if (other.volume == point.volume.id) {
        co_return make_error(EINVAL, "the volume {} is named twice", point.volume.name);
      }
    }
    const journal::VolumeState& now = *resolved->newest.find(point.volume.id);
    if (now.removed) {
      co_return make_error(ENOENT,
                           "the volume {} was removed: `hindsight recover` makes a new one of it",
                           now.name);
    }
    volumes.push_back(rolled_back_document(now, point));
    if (dry_run) {  // it takes the longer the more there is
      Result<restore::Difference> difference =
          co_await queries_.difference_from_now(resolved->newest, point);
      if (!difference) co_return std::move(difference).error();
      changed_bytes += difference->bytes;
      volumes.back().as_object()["changed_bytes"] = difference->bytes;
    }
    points.push_back({point.volume.id, point.at.lsn, point.volume.size_bytes});
  }
  document["volumes"] = volumes;
  document["dry_run"] = dry_run;
  if (dry_run) {
    document["changed_bytes"] = changed_bytes;
    co_return json_response(200, document);
  }

  Status alone = no_writers(points);
  if (!alone && !disconnect) co_return std::move(alone).error();
  // In the same step: who comes from here on may not write before it is done (rule 10).
  Status begun = appliance_.begin_roll_back(points);
  if (!begun) co_return std::move(begun).error();
  if (disconnect) {
    for (const Appliance::VolumePoint& point : points) {
      co_await nbd_.disconnect(device_of(point.volume));
    }
  }
  Result<cdp::Stamp> stamp = co_await appliance_.roll_back(points, request.peer, disconnect);
  if (!stamp) co_return std::move(stamp).error();
  document["rollback"] = api::stamp_document(*stamp, restore::TimeZone::utc());
  document["undo"] = fmt::format("lsn:{}", stamp->lsn.value - 1);
  document["writers_refused"] = disconnect;
  co_return json_response(200, document);
}

}  // namespace tools
