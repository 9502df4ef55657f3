// SPDX-License-Identifier: Apache-2.0
//
// Operations of NBD clients, and of the views that they have open.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <optional>
#include <utility>

#include "restore/time_zone.h"
#include "tools/daemon/rest/api.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Task;

void Api::add_volume(Document& document, cdp::VolumeId id) const {
  const journal::VolumeState* const volume = appliance_.journal().state().find(id);
  if (volume == nullptr) return;
  document["volume"] = volume->name;
  document["volume_id"] = volume->uuid.to_string();
}

std::optional<cdp::VolumeId> Api::describe_device(const cdp::BlockDevice& device,
                                                  Document& document) const {
  for (const auto& [id, live] : appliance_.live_volumes()) {
    if (live.volume.get() != &device) continue;
    document["kind"] = "volume";
    return id;
  }
  PointExports& points = appliance_.point_exports();
  if (const auto view = points.view_of(device)) {
    document["kind"] = "view";
    document["lsn"] = view->at.lsn.value;
    return view->volume;
  }
  for (const restore::CloneEntry& clone : points.clones()) {
    if (points.opened_clone(clone.name).get() != &device) continue;
    document["kind"] = "clone";
    document["lsn"] = clone.lsn.value;
    return clone.volume;
  }
  return std::nullopt;  // it has just been removed
}

Task<Api::Answer> Api::list_clients(Call call) {
  std::optional<cdp::VolumeId> wanted;
  if (call.arguments.has("volume")) {
    const Result<const journal::VolumeState*> volume = named_volume(call.arguments.text("volume"));
    if (!volume) co_return volume.error();
    wanted = (*volume)->id;
  }
  const cdp::Nanos wall_clock = clock_.realtime() - scheduler_.now();
  json::array clients;
  for (const cdp::nbd::Server::Connection& connection : nbd_.connections()) {
    if (connection.device == nullptr) continue;  // it has not said yet what it wants
    Document document{{"peer", connection.peer},
                      {"export", connection.export_name},
                      {"read_only", connection.read_only},
                      {"encrypted", connection.encrypted},
                      {"since", restore::format_time(wall_clock + connection.began, call.zone)}};
    const std::optional<cdp::VolumeId> of = describe_device(*connection.device, document);
    if (!of || (wanted && *of != *wanted)) continue;
    add_volume(document, *of);
    clients.push_back(std::move(document));
  }
  co_return json_response({{"clients", std::move(clients)}});
}

std::string Api::view_name(const PointExports::OpenView& view) const {
  const journal::VolumeState& volume = *appliance_.journal().state().find(view.volume);
  return fmt::format("{}@lsn:{}", volume.uuid.to_string(), view.at.lsn.value);
}

Task<Api::Answer> Api::list_views(Call call) {
  json::array views;
  for (const PointExports::OpenView& view : appliance_.point_exports().views()) {
    const std::size_t clients = nbd_.connections_to(*view.device);
    if (clients == 0) continue;  // below a clone
    const std::string name = view_name(view);
    Document document{{"id", name},
                      {"lsn", view.at.lsn.value},
                      {"size_bytes", view.device->size_bytes()},
                      {"clients", clients},
                      {"opened", restore::format_time(view.opened, call.zone)},
                      {"uris", uris_of("id:" + name)}};
    if (view.at.time != cdp::Nanos{})
      document["time_utc"] = restore::format_time(view.at.time, restore::TimeZone::utc());
    add_volume(document, view.volume);
    views.push_back(std::move(document));
  }
  co_return json_response({{"views", std::move(views)}});
}

Task<Api::Answer> Api::close_view(Call call) {
  const std::string& name = call.arguments.text("view");
  const std::vector<PointExports::OpenView> views = appliance_.point_exports().views();
  const auto found =
      std::ranges::find_if(views, [&](const auto& view) { return view_name(view) == name; });
  if (found == views.end())
    co_return make_error(ENOENT, "no client has the view {} open: GET /api/views lists them", name);
  co_await nbd_.disconnect(found->device);
  co_return json_response({{"id", name}});
}

}  // namespace tools
