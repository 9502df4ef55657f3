// SPDX-License-Identifier: Apache-2.0
//
// Operations of volumes.
#include <boost/json/array.hpp>
#include <memory>
#include <utility>

#include "tools/api/documents.h"
#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/paging.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {
constexpr PageSize kVolumesInPage{.without = 1000, .most = 10'000};
}  // namespace

Api::Document Api::volume_document(const journal::VolumeState& volume) const {
  Document document = api::volume_document(volume, restore::TimeZone::utc());
  const auto found = appliance_.live_volumes().find(volume.id);
  if (found == appliance_.live_volumes().end()) return document;
  const Appliance::LiveVolume& live = found->second;
  document["backing_path"] = live.backing_path;
  if (live.volume == nullptr) {
    document["state"] = "unavailable";
    document["problem"] = live.problem->message;
    if (volume.is_in_gap()) {
      const auto& gap = volume.gaps.back();
      document["gap"] =
          Document{{"cause", gap.cause},
                   {"begin", api::stamp_document(gap.begin, restore::TimeZone::utc())}};
    }
    return document;
  }
  const auto& fenced = live.volume->fence_reason();
  document["state"] = fenced ? "fenced" : "protected";
  if (fenced) document["problem"] = fenced->message;
  document["uris"] = uris_of(volume.name);
  const cdp::VolumeStatistics statistics = live.volume->statistics();
  if (statistics.hydrating) {
    if (!fenced) document["state"] = "hydrating";
    const std::uint64_t remaining = statistics.hydration_remaining_blocks * cdp::kBlockBytes;
    json::object hydration{{"remaining_bytes", std::min(remaining, volume.size_bytes)},
                           {"hydrated_bytes", statistics.hydrated_bytes}};
    if (const auto& problem = live.volume->hydration_problem()) {
      hydration["problem"] = problem->message;
    }
    document["hydration"] = std::move(hydration);
  }
  document["writers_refused"] = volume.writers_refused;
  document["dirty_bytes"] = statistics.dirty_bytes;
  document["last_lsn"] = statistics.last.value;
  document["lag_ns"] = appliance_.lag_of(*live.volume).value;
  const cdp::IoStatistics& io = live.volume->io_statistics();
  document["written_bytes"] = io.of(cdp::IoStatistics::Kind::kWrite).bytes;
  document["read_bytes"] = io.of(cdp::IoStatistics::Kind::kRead).bytes;
  document["connections"] = nbd_.connections_to(*live.volume);
  return document;
}

Task<Api::Answer> Api::list_volumes(Call call) {
  const Result<std::size_t> limit = limit_of(call.arguments, kVolumesInPage);
  if (!limit) co_return limit.error();
  const std::string after = call.arguments.has("after") ? call.arguments.text("after") : "";
  const std::vector<const journal::VolumeState*> all =
      api::volumes_by_name(appliance_.journal().state(), call.arguments.flag("removed"));
  const auto page = page_of(
      all, [&after](const journal::VolumeState* volume) { return volume->name > after; }, *limit);
  json::array volumes;
  for (const journal::VolumeState* volume : page) volumes.push_back(volume_document(*volume));
  Document document{{"volumes", std::move(volumes)}};
  if (!page.empty() && page.back() != all.back()) document["after"] = page.back()->name;
  co_return json_response(document);
}

Task<Api::Answer> Api::create_volume(Call call) {
  const Arguments& arguments = call.arguments;
  if (arguments.has("origin") == arguments.has("size_bytes")) {
    co_return make_error(EINVAL,
                         "give either \"size_bytes\" or an \"origin\": a volume from a point has "
                         "the size that it had there");
  }
  Appliance::NewVolume wanted{arguments.text("name"), 0, {}, {}};
  Document origin;
  if (arguments.has("origin")) {
    Result<ResolvedVolume> resolved =
        co_await resolve(arguments.get<VolumeAt>("origin"), call.zone);
    if (!resolved) co_return std::move(resolved).error();
    const restore::ResolvedPoint& point = resolved->point;
    wanted.size_bytes = point.volume.size_bytes;
    wanted.origin = {point.volume.id, point.at.lsn, point.volume.size_bytes};
    origin = api::point_document(point, resolved->newest, resolved->zone);
  } else {
    wanted.size_bytes = arguments.get<std::uint64_t>("size_bytes");
  }
  if (arguments.has("backing")) {
    wanted.backing_path = arguments.text("backing");
    if (wanted.backing_path.empty()) {
      co_return make_error(EINVAL, "\"backing\" is a path, or is left out");
    }
  }
  Result<cdp::VolumeId> id = co_await appliance_.create_volume(std::move(wanted));
  if (!id) co_return std::move(id).error();
  Document document = volume_document(*appliance_.journal().state().find(*id));
  if (!origin.empty()) document["origin"] = std::move(origin);
  co_return json_response(document);
}

Task<Api::Answer> Api::get_volume(Call call) {
  Result<const journal::VolumeState*> volume = named_volume(call.arguments.text("volume"));
  if (!volume) co_return std::move(volume).error();
  co_return json_response(volume_document(**volume));
}

Task<Api::Answer> Api::change_volume(Call call) {
  const Arguments& arguments = call.arguments;
  if (arguments.has("name") == arguments.has("size_bytes")) {
    co_return make_error(EINVAL, "give either a new \"name\" or a new \"size_bytes\"");
  }
  Result<const journal::VolumeState*> volume = named_volume(arguments.text("volume"));
  if (!volume) co_return std::move(volume).error();
  const cdp::VolumeId id = (*volume)->id;
  Status changed;
  if (arguments.has("name")) {
    changed = co_await appliance_.rename_volume(id, arguments.text("name"));
  } else {
    changed = co_await appliance_.resize_volume(id, arguments.get<std::uint64_t>("size_bytes"));
  }
  if (!changed) co_return std::move(changed).error();
  co_return json_response(volume_document(*appliance_.journal().state().find(id)));
}

Task<Api::Answer> Api::remove_volume(Call call) {
  Result<const journal::VolumeState*> volume = named_volume(call.arguments.text("volume"));
  if (!volume) co_return std::move(volume).error();
  const cdp::VolumeId id = (*volume)->id;
  const auto device = device_of(id);
  Status removed = co_await appliance_.remove_volume(id);
  if (!removed) co_return std::move(removed).error();
  if (device != nullptr) co_await nbd_.disconnect(device);
  co_return json_response(volume_document(*appliance_.journal().state().find(id)));
}

Task<Api::Answer> Api::resume_volume(Call call) {
  Result<const journal::VolumeState*> volume = named_volume(call.arguments.text("volume"));
  if (!volume) co_return std::move(volume).error();
  const cdp::VolumeId id = (*volume)->id;
  Status resumed = co_await appliance_.resume_volume(id);
  if (!resumed) co_return std::move(resumed).error();
  co_return json_response(volume_document(*appliance_.journal().state().find(id)));
}

}  // namespace tools
