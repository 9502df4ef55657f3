// SPDX-License-Identifier: Apache-2.0
//
// Finds the operation of a request, and answers about the appliance as a whole: status, marks.
#include "tools/daemon/rest/api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/url.hpp>
#include <utility>

#include "cdp/base/check.h"
#include "cdp/io/scheduler.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tools/api/documents.h"
#include "tools/daemon/rest/openapi.h"
#include "tools/daemon/rest/operations.h"
#include "tools/daemon/rest/paging.h"
#include "tools/daemon/rest/problem.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {
constexpr PageSize kMarksInPage{.without = 1000, .most = 10'000};
constexpr std::size_t kVolumesInline = 16;
}  // namespace

Api::Handler Api::handler_of(const Operation& operation) {
  static constexpr std::pair<std::string_view, Handler> kHandlers[] = {
      {"getDescription", &Api::get_description},
      {"getMetrics", &Api::get_metrics},
      {"getHealth", &Api::get_health},
      {"getReadiness", &Api::get_readiness},
      {"getStatus", &Api::get_status},
      {"listVolumes", &Api::list_volumes},
      {"createVolume", &Api::create_volume},
      {"getVolume", &Api::get_volume},
      {"changeVolume", &Api::change_volume},
      {"removeVolume", &Api::remove_volume},
      {"resumeVolume", &Api::resume_volume},
      {"getPoints", &Api::get_points},
      {"getTimeline", &Api::get_timeline},
      {"getImage", &Api::get_image},
      {"getDiff", &Api::get_diff},
      {"listClients", &Api::list_clients},
      {"listViews", &Api::list_views},
      {"createView", &Api::create_view},
      {"closeView", &Api::close_view},
      {"listClones", &Api::list_clones},
      {"createClone", &Api::create_clone},
      {"removeClone", &Api::remove_clone},
      {"rollBack", &Api::roll_back},
      {"checkPoint", &Api::check_point},
      {"listMarks", &Api::list_marks},
      {"createMark", &Api::create_mark},
      {"listSegments", &Api::list_segments},
      {"verify", &Api::verify},
      {"getEvents", &Api::get_events},
      {"listJobs", &Api::list_jobs},
      {"getJob", &Api::get_job},
      {"cancelJob", &Api::cancel_job},
      {"listAlerts", &Api::list_alerts},
      {"testAlert", &Api::test_alert},
      {"getSetUp", &Api::get_set_up},
      {"setUp", &Api::set_up},
      {"signIn", &Api::sign_in},
      {"getSession", &Api::get_session},
      {"signOut", &Api::sign_out},
      {"changePassword", &Api::change_password},
      {"listUsers", &Api::list_users},
      {"createUser", &Api::create_user},
      {"changeUser", &Api::change_user},
      {"removeUser", &Api::remove_user},
      {"listTokens", &Api::list_tokens},
      {"createToken", &Api::create_token},
      {"revokeToken", &Api::revoke_token},
      {"getAudit", &Api::get_audit},
  };
  for (const auto& [id, handler] : kHandlers) {
    if (id == operation.id) return handler;
  }
  return nullptr;
}

Api::Api(cdp::Scheduler& scheduler, const cdp::Clock& clock, Appliance& appliance, Access& access,
         AlertWatch& alerts, Jobs& jobs, HydrationWatch& hydrations, PointChecks& checks,
         cdp::nbd::Server& nbd, std::vector<NbdAddress> nbd_addresses)
    : scheduler_(scheduler),
      clock_(clock),
      appliance_(appliance),
      access_(access),
      alerts_(alerts),
      jobs_(jobs),
      hydrations_(hydrations),
      checks_(checks),
      audit_(clock, appliance),
      keys_(clock),
      nbd_(nbd),
      nbd_addresses_(std::move(nbd_addresses)),
      queries_(appliance),
      events_(scheduler, jobs,
              {.status = [this] { return status_for_events(); },
               .job = [](const Job& job) { return job_text(job); }}),
      background_(scheduler) {
  for (const Operation& operation : operations()) CHECK(handler_of(operation) != nullptr);
}

Task<void> Api::stop() {
  stopping_ = true;
  co_await events_.stop();
  co_await background_.join();
}

const Operation* Api::find_operation(const HttpRequest& request, HttpResponse& refusal) {
  std::vector<std::string_view> methods;
  for (const Operation& operation : operations()) {
    if (!operation.is_at(request.path)) continue;
    if (operation.method == request.method) return &operation;
    methods.push_back(operation.method);
  }
  if (methods.empty()) {
    refusal = problem_response(make_error(
        ENOENT, "there is no such resource in the API; /api/openapi.json describes what there is"));
    return nullptr;
  }
  refusal = problem_response(
      make_error(EOPNOTSUPP, "this resource does not know the method {}", request.method));
  refusal.allow = fmt::format("{}", fmt::join(methods, ", "));
  return nullptr;
}

Task<HttpResponse> Api::perform(const Operation& operation, HttpRequest request, Principal who) {
  Result<Call> call = operation.parse(std::move(request), std::move(who));
  if (!call) co_return problem_response(call.error());
  Answer answer = co_await (this->*handler_of(operation))(*std::move(call));
  if (!answer) co_return problem_response(answer.error());
  if (answer->status == 200) answer->status = operation.status;
  co_return *std::move(answer);
}

Task<HttpResponse> Api::answer(HttpRequest request) {
  HttpResponse response;
  const Operation* const operation = find_operation(request, response);
  if (operation == nullptr) co_return response;
  Result<Principal> known = access_.identify(request);
  const std::optional<Rights> needed = operation->needs_of(request);
  Principal who = known ? *known : Principal{.origin = request.peer.name};
  AuditLog::Entry entry{.act = std::string{operation->id},
                        .detail = operation->detail_of(request),
                        .request = request.id};
  Status allowed;
  // Who begins a session may come with one that has ended.
  const bool is_foreign = !known && known.error().code == EPERM;
  if (needed.has_value() || is_foreign) allowed = known ? decide(who, *needed) : known.error();
  const bool may_have_key = operation->takes_key() && who.kind != Principal::Kind::kNobody;
  const std::string key = may_have_key ? request.header.idempotency_key : std::string{};
  if (allowed && !key.empty()) {
    Result<std::optional<HttpResponse>> first = keys_.begin(who, request);
    if (!first) co_return problem_response(first.error());
    if (*first) co_return **std::move(first);
  }
  if (allowed) {
    response = co_await perform(*operation, std::move(request), who);
  } else {
    response = problem_response(allowed.error());
  }
  if (allowed && !key.empty()) keys_.finish(who, key, response);
  entry.status = response.status;
  // Who has just said who he is, is.
  const boost::json::value* const name = entry.detail.if_contains("name");
  const bool has_signed_in = who.kind == Principal::Kind::kNobody && response.status < 400;
  if (has_signed_in && name != nullptr) who.name = name->as_string();
  // A page asks who it is before anybody has signed in: nothing was tried.
  const bool asked_who_it_is = known.ok() && needed == Rights::kNone;
  if (operation->is_act || (!allowed && !asked_who_it_is))
    co_await audit_.record(std::move(who), std::move(entry));
  co_return response;
}

Task<HttpResponse> Api::answer_anybody(HttpRequest request) {
  static constexpr std::string_view kOpen[] = {"getMetrics", "getHealth", "getReadiness"};
  HttpResponse response;
  const Operation* const operation = find_operation(request, response);
  if (operation != nullptr && std::ranges::find(kOpen, operation->id) != std::end(kOpen)) {
    Principal nobody;
    response = co_await perform(*operation, std::move(request), std::move(nobody));
    co_return response;
  }
  co_return problem_response(
      make_error(ENOENT, "there are /metrics, /healthz and /readyz here, and nothing else"));
}

HttpResponse Api::json_response(const Document& document) {
  HttpResponse response;
  response.body = json::serialize(document);
  return response;
}

HttpResponse Api::text_response(std::string text) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = std::move(text);
  return response;
}

// --- Documents ----------------------------------------------------------------------------------

std::string Api::uri_of(const NbdAddress& at, const std::string& volume) const {
  const cdp::SocketAddress& address = at.address;
  boost::urls::url uri;
  if (address.kind == cdp::SocketAddress::Kind::kUnix) {
    uri.set_scheme("nbd+unix").set_encoded_authority("").set_path("/" + volume);
    uri.params().set("socket", address.path);
  } else {
    uri.set_scheme(at.requires_tls ? "nbds" : "nbd")
        .set_host(address.host)
        .set_port_number(address.port);
    uri.set_path("/" + volume);
  }
  return uri.buffer();
}

boost::json::array Api::uris_of(const std::string& export_name) const {
  json::array uris;
  for (const NbdAddress& address : nbd_addresses_) {
    uris.emplace_back(uri_of(address, export_name));
  }
  return uris;
}

Api::Document Api::head_document(const journal::ChainHead& head) {
  Document document{{"segment", head.segment},
                    {"sequence", head.sequence},
                    {"lsn", head.newest.lsn.value},
                    {"digest", api::hex(head.digest)}};
  if (head.newest.time != cdp::Nanos{})
    document["time_utc"] = restore::format_time(head.newest.time, restore::TimeZone::utc());
  return document;
}

Api::Document Api::journal_document() const {
  const journal::JournalStatistics& s = appliance_.journal().statistics();
  const journal::JournalHealth health = appliance_.journal().health();
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
          {"lag_ns", appliance_.lag().value},
          {"head", head_document(health.head)}};
}

Api::Document Api::index_document() const {
  const journal::index::TimeIndexStatistics s = appliance_.time_index().statistics();
  const PointExports::Leases leases = appliance_.point_exports().leases();
  Document document{{"lsn", s.upto.value},       {"runs", s.runs},     {"entries", s.entries},
                    {"bytes", s.bytes},          {"merges", s.merges}, {"repairs", s.repairs},
                    {"open_views", leases.views}};
  if (leases.oldest) document["oldest_leased_lsn"] = leases.oldest->value;
  return document;
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

// --- Operations ---------------------------------------------------------------------------------

Task<Api::Answer> Api::get_description(Call) {
  co_return json_response(openapi_document(operations(), HINDSIGHT_VERSION));
}

Task<Result<Figures>> Api::figures() {
  Figures figures{.version = HINDSIGHT_VERSION};
  const journal::JournalState& state = appliance_.journal().state();
  figures.oldest = appliance_.journal().vault().created;
  figures.newest = state.time;
  figures.crashes = state.crashes.size();
  figures.journal = appliance_.journal().statistics();
  figures.health = appliance_.journal().health();
  figures.lag = appliance_.lag();
  figures.index = appliance_.time_index().statistics();
  figures.alerts = appliance_.alerts().size();
  figures.open_views = appliance_.point_exports().leases().views;
  figures.clones = appliance_.point_exports().clones().size();
  for (const auto& [id, live] : appliance_.live_volumes()) {
    const journal::VolumeState& known = *state.find(id);
    VolumeFigures volume{.name = known.name, .size_bytes = known.size_bytes};
    if (live.volume != nullptr) {
      volume.is_served = true;
      volume.is_fenced = live.volume->fence_reason().has_value();
      volume.writers_refused = known.writers_refused;
      volume.connections = nbd_.connections_to(*live.volume);
      volume.volume = live.volume->statistics();
      volume.io = live.volume->io_statistics();
    }
    figures.volumes.push_back(std::move(volume));
  }
  const Result<api::VaultUsage> usage = co_await appliance_.usage();
  if (!usage) co_return usage.error();
  figures.segments = usage->segments;
  figures.vault_bytes = usage->bytes;
  figures.vault_free_bytes = usage->free_bytes;
  co_return figures;
}

Task<Api::Answer> Api::get_metrics(Call) {
  const Result<Figures> now = co_await figures();
  if (!now) co_return now.error();
  HttpResponse response;
  response.content_type = kMetricsMediaType;
  // Of a thousand volumes it is long; of a few it is sooner done than a worker is free.
  if (now->volumes.size() > kVolumesInline)
    co_await cdp::on_worker(scheduler_, [&] { response.body = metrics_text(*now); });
  else
    response.body = metrics_text(*now);
  co_return response;
}

Task<Api::Answer> Api::get_health(Call) { co_return text_response("ok\n"); }

Task<Api::Answer> Api::get_readiness(Call) {
  const std::vector<Alert> outages = appliance_.outages();
  if (!outages.empty()) co_return make_error(ESHUTDOWN, "{}", outages.front().message);
  co_return text_response("ready\n");
}

Task<Result<Api::Document>> Api::status_document(restore::TimeZone zone) {
  Result<Document> document = co_await queries_.status(std::move(zone));
  if (!document) co_return std::move(document).error();
  document->erase("volumes");
  json::array alerts;
  for (const Alert& alert : appliance_.alerts()) alerts.emplace_back(alert.message);
  (*document)["rpo_objective_ns"] = appliance_.options().rpo_objective.value;
  (*document)["journal"] = journal_document();
  (*document)["index"] = index_document();
  (*document)["alerts"] = std::move(alerts);
  (*document)["server"] = json::object{{"version", HINDSIGHT_VERSION},
                                       {"vault_path", appliance_.options().vault_path},
                                       {"state_path", appliance_.options().state_path}};
  co_return document;
}

Task<Api::Answer> Api::get_status(Call call) {
  Result<Document> document = co_await status_document(std::move(call.zone));
  if (!document) co_return std::move(document).error();
  json::array volumes;
  for (const auto& [id, live] : appliance_.live_volumes())
    volumes.push_back(volume_document(*appliance_.journal().state().find(id)));
  (*document)["volumes"] = std::move(volumes);
  co_return json_response(*document);
}

Task<Result<Events::Status>> Api::status_for_events() {
  Result<Document> document = co_await status_document(restore::TimeZone::utc());
  if (!document) co_return std::move(document).error();
  Events::Status status{.appliance = json::serialize(*document)};
  for (const auto& [id, volume] : appliance_.journal().state().volumes) {
    if (!volume.removed || events_.has_volume(id))
      status.volumes.emplace(id, json::serialize(volume_document(volume)));
  }
  co_return status;
}

Task<Api::Answer> Api::list_marks(Call call) {
  const Result<std::size_t> limit = limit_of(call.arguments, kMarksInPage);
  if (!limit) co_return limit.error();
  const bool has_after = call.arguments.has("after");
  const cdp::Lsn after{has_after ? call.arguments.get<std::uint64_t>("after") : 0};
  const journal::JournalState& state = appliance_.journal().state();
  const std::vector<const journal::MarkRecord*> all = api::marks_by_lsn(state, nullptr);
  const auto page = page_of(
      all, [after](const journal::MarkRecord* mark) { return mark->stamp.lsn > after; }, *limit);
  json::array marks;
  for (const journal::MarkRecord* mark : page)
    marks.push_back(api::mark_document(*mark, state, call.zone));
  Document document{{"marks", std::move(marks)}};
  if (!page.empty() && page.back() != all.back()) document["after"] = page.back()->stamp.lsn.value;
  co_return json_response(document);
}

Task<Api::Answer> Api::create_mark(Call call) {
  const Arguments& arguments = call.arguments;
  if (arguments.has("volume") == arguments.flag("all")) {
    co_return make_error(EINVAL, "give either the \"volume\" to mark or \"all\": true");
  }
  const std::string& label = arguments.text("label");
  if (Status valid = restore::check_mark_label(label); !valid) co_return std::move(valid).error();
  cdp::VolumeId id{};  // of all
  if (arguments.has("volume")) {
    Result<const journal::VolumeState*> volume = named_volume(arguments.text("volume"));
    if (!volume) co_return std::move(volume).error();
    id = (*volume)->id;
  }
  Result<cdp::Stamp> stamp = co_await appliance_.mark(id, label, call.who.name);
  if (!stamp) co_return std::move(stamp).error();
  Document document = api::stamp_document(*stamp, call.zone);
  document["label"] = label;
  document["author"] = call.who.name;
  co_return json_response(document);
}

}  // namespace tools
