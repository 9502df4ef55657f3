// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/api.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/url.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cdp/io/socket.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tools/api/documents.h"
#include "tools/api/extent_stream.h"
#include "tools/api/image_stream.h"
#include "tools/daemon/api_requests.h"
#include "tools/daemon/problem.h"

namespace tools {
namespace {

namespace json = boost::json;
using cdp::Error;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

// The pieces of an image as an HTTP body.
class ImageBody final : public BodySource {
 public:
  ImageBody(cdp::Scheduler& scheduler, std::unique_ptr<restore::ImageSource> source,
            bool in_offset_order)
      : stream_(scheduler, std::move(source), in_offset_order) {}
  Task<Result<std::optional<std::string>>> next() override { return stream_.next(); }
  Task<void> abandon() override { return stream_.abandon(); }

 private:
  api::ImageStream stream_;
};

}  // namespace

struct Api::Route {
  const char* method;
  std::vector<std::string_view> path;  // "*" matches any segment
  Task<Answer> (Api::*handler)(HttpRequest);

  bool matches(const HttpRequest& request) const {
    if (path.size() != request.path.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i] != "*" && path[i] != request.path[i]) return false;
    }
    return true;
  }
};

Api::Api(cdp::Scheduler& scheduler, const cdp::Clock& clock, Appliance& appliance,
         cdp::nbd::Server& nbd, std::vector<cdp::SocketAddress> nbd_addresses)
    : scheduler_(scheduler),
      clock_(clock),
      appliance_(appliance),
      nbd_(nbd),
      nbd_addresses_(std::move(nbd_addresses)),
      queries_(appliance) {}

Task<HttpResponse> Api::answer(HttpRequest request) {
  static const std::vector<Route> kRoutes = {
      {"GET", {"api", "status"}, &Api::get_status},
      {"GET", {"api", "volumes"}, &Api::list_volumes},
      {"POST", {"api", "volumes"}, &Api::create_volume},
      {"GET", {"api", "volumes", "*"}, &Api::get_volume},
      {"PATCH", {"api", "volumes", "*"}, &Api::change_volume},
      {"DELETE", {"api", "volumes", "*"}, &Api::remove_volume},
      {"POST", {"api", "volumes", "*", "resume"}, &Api::resume_volume},
      {"GET", {"api", "volumes", "*", "points"}, &Api::get_points},
      {"GET", {"api", "volumes", "*", "image"}, &Api::get_image},
      {"GET", {"api", "volumes", "*", "diff"}, &Api::get_diff},
      {"POST", {"api", "views"}, &Api::create_view},
      {"GET", {"api", "clones"}, &Api::list_clones},
      {"POST", {"api", "clones"}, &Api::create_clone},
      {"DELETE", {"api", "clones", "*"}, &Api::remove_clone},
      {"POST", {"api", "rollbacks"}, &Api::roll_back},
      {"GET", {"api", "marks"}, &Api::list_marks},
      {"POST", {"api", "marks"}, &Api::create_mark},
      {"POST", {"api", "verify"}, &Api::verify},
  };
  bool path_is_known = false;
  for (const Route& route : kRoutes) {
    if (!route.matches(request)) continue;
    path_is_known = true;
    if (route.method != request.method) continue;
    Answer answer = co_await (this->*route.handler)(std::move(request));
    if (!answer) co_return problem_response(answer.error());
    co_return *std::move(answer);
  }
  if (path_is_known) {
    co_return problem_response(
        make_error(EOPNOTSUPP, "this resource does not know the method {}", request.method));
  }
  co_return problem_response(make_error(ENOENT, "there is no such resource in the API"));
}

// --- Documents ----------------------------------------------------------------------------------

std::string Api::uri_of(const cdp::SocketAddress& address, const std::string& volume) const {
  boost::urls::url uri;
  if (address.kind == cdp::SocketAddress::Kind::kUnix) {
    uri.set_scheme("nbd+unix").set_encoded_authority("").set_path("/" + volume);
    uri.params().set("socket", address.path);
  } else {
    uri.set_scheme("nbd").set_host(address.host).set_port_number(address.port);
    uri.set_path("/" + volume);
  }
  return uri.buffer();
}

boost::json::array Api::uris_of(const std::string& export_name) const {
  json::array uris;
  for (const cdp::SocketAddress& address : nbd_addresses_) {
    uris.emplace_back(uri_of(address, export_name));
  }
  return uris;
}

Api::Document Api::volume_document(const journal::VolumeState& volume) const {
  Document document = api::volume_document(volume, restore::TimeZone::utc());
  const auto found = appliance_.live_volumes().find(volume.id);
  if (found == appliance_.live_volumes().end()) return document;
  const Appliance::LiveVolume& live = found->second;
  document["backing_path"] = live.backing_path;
  if (live.volume == nullptr) {
    document["state"] = "unavailable";
    document["problem"] = live.problem->message;
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
  document["connections"] = connections_of(volume.id).size();
  return document;
}

Api::Document Api::journal_document() const {
  const journal::JournalStatistics& s = appliance_.journal().statistics();
  const journal::JournalHealth health = appliance_.journal().health();
  const bool lags = health.oldest_undurable.value != 0;
  return {{"client_bytes", s.client_bytes},
          {"unique_bytes", s.unique_bytes},
          {"stored_bytes", s.stored_bytes},
          {"journal_bytes", s.journal_bytes},
          {"frames", s.frames},
          {"records", s.records},
          {"syncs", s.syncs},
          {"zero_blocks", s.zero_blocks},
          {"same_blocks", s.same_blocks},
          {"duplicate_blocks", s.duplicate_blocks},
          {"dedup_reads", s.dedup_reads},
          {"queued_blocks", health.queued_blocks},
          {"recorded_lsn", health.recorded.value},
          {"durable_lsn", health.durable.value},
          {"lag_ns", lags ? (clock_.realtime() - health.oldest_undurable).value : 0}};
}

Api::Document Api::index_document() const {
  const journal::index::TimeIndexStatistics s = appliance_.time_index().statistics();
  const PointExports::Leases leases = appliance_.point_exports().leases();
  Document document{{"lsn", s.upto.value},
                    {"runs", s.runs},
                    {"entries", s.entries},
                    {"bytes", s.bytes},
                    {"merges", s.merges},
                    {"repairs", s.repairs},
                    {"open_views", leases.views}};
  if (leases.oldest) document["oldest_leased_lsn"] = leases.oldest->value;
  return document;
}

// --- Routes -------------------------------------------------------------------------------------

Task<Api::Answer> Api::get_status(HttpRequest request) {
  const Document journal = journal_document();  // before we flush it ourselves
  Result<restore::TimeZone> zone = zone_of(request);
  if (!zone) co_return std::move(zone).error();
  Result<Document> document = co_await queries_.status(*std::move(zone));
  if (!document) co_return std::move(document).error();
  json::array volumes;
  for (const auto& [id, live] : appliance_.live_volumes()) {
    volumes.push_back(volume_document(*appliance_.journal().state().find(id)));
  }
  json::array alerts;
  for (const std::string& alert : appliance_.alerts()) alerts.emplace_back(alert);
  (*document)["volumes"] = std::move(volumes);
  (*document)["journal"] = journal;
  (*document)["index"] = index_document();
  (*document)["alerts"] = std::move(alerts);
  (*document)["server"] = json::object{{"version", HINDSIGHT_VERSION},
                                       {"vault_path", appliance_.options().vault_path},
                                       {"state_path", appliance_.options().state_path}};
  co_return json_response(200, *document);
}

Task<Api::Answer> Api::list_volumes(HttpRequest request) {
  const journal::JournalState& state = appliance_.journal().state();
  Document list =
      api::volume_list_document(state, is_true(request, "removed"), restore::TimeZone::utc());
  for (json::value& entry : list.at("volumes").as_array()) {
    const auto uuid = journal::Uuid::parse(entry.at("id").as_string());
    entry = volume_document(*state.find(*uuid));
  }
  co_return json_response(200, list);
}

Result<const journal::VolumeState*> Api::named_volume(const std::string& name) const {
  constexpr std::string_view kIdPrefix = "id:";
  const journal::JournalState& state = appliance_.journal().state();
  const journal::VolumeState* found = nullptr;
  if (name.starts_with(kIdPrefix)) {
    const Result<journal::Uuid> uuid = journal::Uuid::parse(name.substr(kIdPrefix.size()));
    if (!uuid) return uuid.error();
    found = state.find(*uuid);
  } else {
    found = state.find(name);
  }
  if (found == nullptr) return make_error(ENOENT, "there is no volume named {}", name);
  return found;
}

Task<Api::Answer> Api::create_volume(HttpRequest request) {
  Status known = only_members(request.body, {"name", "size_bytes", "backing", "origin"});
  if (!known) co_return std::move(known).error();
  Result<std::string> name = text_member(request.body, "name");
  if (!name) co_return std::move(name).error();
  Appliance::NewVolume wanted{*name, 0, {}, {}};
  Document origin;
  if (has_member(request.body, "origin")) {
    if (has_member(request.body, "size_bytes")) {
      co_return make_error(EINVAL, "a volume from a point has the size that it had there: give "
                                   "either \"origin\" or \"size_bytes\"");
    }
    const json::value given = request.body.at("origin");
    Status members = only_members(given, {"volume", "at"});
    if (!members) co_return std::move(members).error();
    Result<ResolvedVolume> resolved = co_await resolve_member(given, zone_of(request));
    if (!resolved) co_return std::move(resolved).error();
    const restore::ResolvedPoint& point = resolved->point;
    wanted.size_bytes = point.volume.size_bytes;
    wanted.origin = {point.volume.id, point.at.lsn, point.volume.size_bytes};
    origin = api::point_document(point, resolved->newest, resolved->zone);
  } else {
    Result<std::uint64_t> size = size_member(request.body, "size_bytes");
    if (!size) co_return std::move(size).error();
    wanted.size_bytes = *size;
  }
  if (has_member(request.body, "backing")) {
    Result<std::string> backing = text_member(request.body, "backing");
    if (!backing) co_return std::move(backing).error();
    wanted.backing_path = *backing;
  }
  Result<cdp::VolumeId> id = co_await appliance_.create_volume(std::move(wanted));
  if (!id) co_return std::move(id).error();
  Document document = volume_document(*appliance_.journal().state().find(*id));
  if (!origin.empty()) document["origin"] = std::move(origin);
  co_return json_response(201, document);
}

Task<Api::Answer> Api::get_volume(HttpRequest request) {
  Result<const journal::VolumeState*> volume = named_volume(request.path[kVolumeSegment]);
  if (!volume) co_return std::move(volume).error();
  co_return json_response(200, volume_document(**volume));
}

Task<Api::Answer> Api::change_volume(HttpRequest request) {
  Status known = only_members(request.body, {"name", "size_bytes"});
  if (!known) co_return std::move(known).error();
  Result<const journal::VolumeState*> volume = named_volume(request.path[kVolumeSegment]);
  if (!volume) co_return std::move(volume).error();
  const cdp::VolumeId id = (*volume)->id;
  const bool renames = has_member(request.body, "name");
  if (renames == has_member(request.body, "size_bytes")) {
    co_return make_error(EINVAL, "give either a new \"name\" or a new \"size_bytes\"");
  }
  Status changed;
  if (renames) {
    Result<std::string> name = text_member(request.body, "name");
    if (!name) co_return std::move(name).error();
    changed = co_await appliance_.rename_volume(id, *name);
  } else {
    Result<std::uint64_t> size = size_member(request.body, "size_bytes");
    if (!size) co_return std::move(size).error();
    changed = co_await appliance_.resize_volume(id, *size);
  }
  if (!changed) co_return std::move(changed).error();
  co_return json_response(200, volume_document(*appliance_.journal().state().find(id)));
}

Task<Api::Answer> Api::remove_volume(HttpRequest request) {
  Result<const journal::VolumeState*> volume = named_volume(request.path[kVolumeSegment]);
  if (!volume) co_return std::move(volume).error();
  const cdp::VolumeId id = (*volume)->id;
  const auto device = device_of(id);
  Status removed = co_await appliance_.remove_volume(id);
  if (!removed) co_return std::move(removed).error();
  if (device != nullptr) co_await nbd_.disconnect(device);
  co_return json_response(200, volume_document(*appliance_.journal().state().find(id)));
}

Task<Api::Answer> Api::resume_volume(HttpRequest request) {
  Result<const journal::VolumeState*> volume = named_volume(request.path[kVolumeSegment]);
  if (!volume) co_return std::move(volume).error();
  const cdp::VolumeId id = (*volume)->id;
  Status resumed = co_await appliance_.resume_volume(id);
  if (!resumed) co_return std::move(resumed).error();
  co_return json_response(200, volume_document(*appliance_.journal().state().find(id)));
}

Task<Api::Answer> Api::get_points(HttpRequest request) {
  std::optional<restore::Point> point;
  if (const auto at = request.query.find("at"); at != request.query.end()) {
    Result<restore::Point> parsed = restore::parse_absolute_point(at->second);
    if (!parsed) co_return std::move(parsed).error();
    point = *std::move(parsed);
  }
  Result<restore::TimeZone> zone = zone_of(request);
  if (!zone) co_return std::move(zone).error();
  Result<Document> document = co_await queries_.points(
      *std::move(zone), request.path[kVolumeSegment], std::move(point));
  if (!document) co_return std::move(document).error();
  co_return json_response(200, *document);
}

Task<Api::Answer> Api::get_image(HttpRequest request) {
  Result<restore::Point> point = point_member(request, "at");
  if (!point) co_return std::move(point).error();
  const auto order = request.query.find("order");
  const bool in_offset_order = order != request.query.end() && order->second == "offset";
  Result<restore::TimeZone> zone = zone_of(request);
  if (!zone) co_return std::move(zone).error();
  auto source = co_await queries_.image(*std::move(zone), request.path[kVolumeSegment],
                                        *std::move(point));
  if (!source) co_return std::move(source).error();
  HttpResponse response;
  response.content_type = api::kExtentStreamMediaType;
  response.source = std::make_shared<ImageBody>(scheduler_, *std::move(source), in_offset_order);
  co_return response;
}

Task<Api::Answer> Api::list_marks(HttpRequest) {
  co_return json_response(
      200, api::marks_document(appliance_.journal().state(), restore::TimeZone::utc()));
}

Task<Api::Answer> Api::create_mark(HttpRequest request) {
  Status known = only_members(request.body, {"label", "volume", "all"});
  if (!known) co_return std::move(known).error();
  Result<std::string> label = text_member(request.body, "label");
  if (!label) co_return std::move(label).error();
  if (Status valid = restore::check_mark_label(*label); !valid) co_return std::move(valid).error();
  cdp::VolumeId id{};  // of all
  if (has_member(request.body, "volume") == has_member(request.body, "all")) {
    co_return make_error(EINVAL, "give either the \"volume\" to mark or \"all\": true");
  }
  if (has_member(request.body, "volume")) {
    Result<std::string> name = text_member(request.body, "volume");
    if (!name) co_return std::move(name).error();
    Result<const journal::VolumeState*> volume = named_volume(*name);
    if (!volume) co_return std::move(volume).error();
    id = (*volume)->id;
  }
  Result<cdp::Stamp> stamp = co_await appliance_.mark(id, *label, request.peer);
  if (!stamp) co_return std::move(stamp).error();
  Document document = api::stamp_document(*stamp, restore::TimeZone::utc());
  document["label"] = *label;
  document["author"] = request.peer;
  co_return json_response(201, document);
}

Task<Api::Answer> Api::verify(HttpRequest request) {
  Status known = only_members(request.body, {"deep"});
  if (!known) co_return std::move(known).error();
  journal::VerifyOptions options;
  if (const json::object* body = request.body.if_object()) {
    const json::value* deep = body->if_contains("deep");
    options.deep = deep != nullptr && deep->is_bool() && deep->get_bool();
  }
  Status durable = co_await appliance_.make_durable();
  if (!durable) co_return std::move(durable).error();
  Result<Document> document = co_await queries_.verify(std::move(options));
  if (!document) co_return std::move(document).error();
  co_return json_response(200, *document);
}

}  // namespace tools
