// SPDX-License-Identifier: Apache-2.0
//
// Operations that bring a point back: where and what it is, images, differences, views, clones,
// rollback.
#include <algorithm>
#include <boost/json/array.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "restore/difference.h"
#include "tools/api/documents.h"
#include "tools/api/extent_stream.h"
#include "tools/api/image_stream.h"
#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/paging.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

constexpr PageSize kExtentsInDiff{.without = api::VaultQueries::kDiffExtentsMax,
                                  .most = api::VaultQueries::kDiffExtentsMax};

// The pieces of an image as an HTTP body, and the job of it.
class ImageBody final : public BodySource {
 public:
  ImageBody(cdp::Scheduler& scheduler, std::unique_ptr<restore::ImageSource> source,
            bool in_offset_order, Jobs& jobs, std::string by)
      : stream_(scheduler, std::move(source), in_offset_order), jobs_(jobs), by_(std::move(by)) {}
  Task<Result<std::optional<std::string>>> next() override {
    if (job_ == 0) begin();
    if (jobs_.is_cancel_wanted(job_))
      stream_.cancel(fmt::format("the restore was cancelled (job {})", job_));
    Result<std::optional<std::string>> piece = co_await stream_.next();
    jobs_.progress(job_, stream_.told_bytes(), stream_.source().size_bytes());
    if (piece && !*piece) co_await end(stream_.outcome());
    co_return std::move(piece);
  }
  Task<void> abandon() override {
    co_await stream_.abandon();
    if (job_ == 0) co_return;  // of HEAD, say: nothing was wanted
    Status gone = make_error(EPIPE, "the connection ended before all of it was sent");
    co_await end(std::move(gone));
  }

 private:
  void begin() {
    const journal::VolumeState& volume = stream_.source().point().volume;
    Job begun{.kind = Job::Kind::kRestore, .volume = volume.name};
    begun.volume_id = volume.uuid.to_string();
    begun.by = by_;
    begun.total_bytes = stream_.source().size_bytes();
    job_ = jobs_.begin(std::move(begun));
  }
  Task<void> end(Status outcome) {
    const bool is_cancelled = jobs_.is_cancel_wanted(job_);
    const Job::State state = outcome                         ? Job::State::kDone
                             : is_cancelled                  ? Job::State::kCancelled
                             : outcome.error().code == EPIPE ? Job::State::kInterrupted
                                                             : Job::State::kFailed;
    std::string problem = outcome ? "" : outcome.error().message;
    json::object result;
    co_await jobs_.end(job_, state, std::move(result), std::move(problem));
  }

  api::ImageStream stream_;
  Jobs& jobs_;
  const std::string by_;
  std::uint64_t job_ = 0;  // 0 before its first piece
};

}  // namespace

Task<Result<Api::ResolvedVolume>> Api::resolve(VolumeAt wanted, restore::TimeZone zone) {
  Result<restore::History> history = co_await queries_.history(zone);
  if (!history) co_return std::move(history).error();
  Result<api::VaultQueries::PointOfVolume> found =
      co_await queries_.open_point(*history, std::move(wanted.volume), std::move(wanted.at));
  if (!found) co_return std::move(found).error();
  Result<std::vector<std::string>> damage = co_await queries_.damage_of(*history, *found);
  if (!damage) co_return std::move(damage).error();
  for (std::string& sentence : *damage)
    found->point.notices.push_back({"damage", std::move(sentence)});
  co_return ResolvedVolume{std::move(found->point), history->newest(), std::move(zone)};
}

Task<Api::Answer> Api::get_points(Call call) {
  std::optional<restore::Point> point;
  if (call.arguments.has("at")) point = call.arguments.get<restore::Point>("at");
  Result<Document> document = co_await queries_.points(
      std::move(call.zone), call.arguments.text("volume"), std::move(point));
  if (!document) co_return std::move(document).error();
  co_return json_response(*document);
}

Task<Api::Answer> Api::get_timeline(Call call) {
  const Arguments& said = call.arguments;
  api::TimelineWindow window;
  if (said.has("since")) window.since = said.get<restore::Point>("since");
  if (said.has("until")) window.until = said.get<restore::Point>("until");
  if (said.has("step")) window.step = said.get<std::uint64_t>("step");
  Result<Document> document =
      co_await queries_.timeline(call.zone, said.text("volume"), std::move(window));
  if (!document) co_return std::move(document).error();
  co_return json_response(*document);
}

Task<Api::Answer> Api::get_image(Call call) {
  auto source = co_await queries_.image(std::move(call.zone), call.arguments.text("volume"),
                                        call.arguments.get<restore::Point>("at"));
  if (!source) co_return std::move(source).error();
  HttpResponse response;
  response.content_type = api::kExtentStreamMediaType;
  response.source = std::make_shared<ImageBody>(
      scheduler_, *std::move(source), call.arguments.flag("by_offset"), jobs_, call.who.name);
  co_return response;
}

Task<Api::Answer> Api::get_diff(Call call) {
  const Result<std::size_t> limit = limit_of(call.arguments, kExtentsInDiff);
  if (!limit) co_return limit.error();
  Result<Document> document = co_await queries_.diff(
      std::move(call.zone), call.arguments.text("volume"),
      call.arguments.get<restore::Point>("from"), call.arguments.get<restore::Point>("to"), *limit);
  if (!document) co_return std::move(document).error();
  co_return json_response(*document);
}

// A view comes with its first client; this only says where, in words that mean the same for ever.
Task<Api::Answer> Api::create_view(Call call) {
  VolumeAt wanted{call.arguments.text("volume"), call.arguments.get<restore::Point>("at")};
  Result<ResolvedVolume> resolved = co_await resolve(std::move(wanted), call.zone);
  if (!resolved) co_return std::move(resolved).error();
  const restore::ResolvedPoint& point = resolved->point;
  Document document = api::point_document(point, resolved->newest, resolved->zone);
  restore::Point same = restore::Point::at_lsn(point.at.lsn);
  same.force = point.is_in_gap || std::ranges::any_of(point.notices, [](const auto& notice) {
                 return notice.kind == "damage";
               });
  const std::string at = restore::point_text(same, resolved->zone);
  // The name that it has now may be another one.
  document["uris"] = uris_of(fmt::format("id:{}@{}", point.volume.uuid.to_string(), at));
  const journal::VolumeState* named = resolved->newest.find(point.volume.name);
  if (named != nullptr && named->id == point.volume.id) {
    document["uris"] = uris_of(fmt::format("{}@{}", point.volume.name, at));
  }
  co_return json_response(document);
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

Task<Api::Answer> Api::list_clones(Call) {
  if (const auto& problem = appliance_.point_exports().problem()) co_return *problem;
  json::array clones;
  for (const restore::CloneEntry& clone : appliance_.point_exports().clones()) {
    clones.push_back(clone_document(clone));
  }
  co_return json_response({{"clones", std::move(clones)}});
}

Task<Api::Answer> Api::create_clone(Call call) {
  const std::string& name = call.arguments.text("name");
  if (Status free = appliance_.check_new_name(name); !free) co_return std::move(free).error();
  VolumeAt wanted{call.arguments.text("volume"), call.arguments.get<restore::Point>("at")};
  Result<ResolvedVolume> resolved = co_await resolve(std::move(wanted), call.zone);
  if (!resolved) co_return std::move(resolved).error();
  // Once more, in the step that takes the name.
  if (Status still = appliance_.check_new_name(name); !still) co_return std::move(still).error();
  Result<restore::CloneEntry> clone =
      co_await appliance_.point_exports().create_clone(name, resolved->point);
  if (!clone) co_return std::move(clone).error();
  Document document = api::point_document(resolved->point, resolved->newest, resolved->zone);
  document["clone"] = clone_document(*clone);
  co_return json_response(document);
}

Task<Api::Answer> Api::remove_clone(Call call) {
  const std::string& name = call.arguments.text("clone");
  if (const auto device = appliance_.point_exports().opened_clone(name)) {
    co_await nbd_.disconnect(device);
  }
  Status removed = co_await appliance_.point_exports().remove_clone(name);
  if (!removed) co_return std::move(removed).error();
  co_return json_response({{"name", name}});
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

// The point is resolved once, for the first volume; all go back to its LSN.
Task<Api::Answer> Api::roll_back(Call call) {
  const bool disconnect = call.arguments.flag("disconnect");
  const bool dry_run = call.arguments.flag("dry_run");
  restore::Point at = call.arguments.get<restore::Point>("at");
  std::vector<Appliance::VolumePoint> points;
  std::uint64_t changed_bytes = 0;
  Document document;
  json::array volumes;
  for (const std::string& name : call.arguments.get<std::vector<std::string>>("volumes")) {
    VolumeAt wanted{name, at};
    Result<ResolvedVolume> resolved = co_await resolve(std::move(wanted), call.zone);
    if (!resolved) co_return std::move(resolved).error();
    const restore::ResolvedPoint& point = resolved->point;
    if (points.empty()) {
      document = api::point_document(point, resolved->newest, resolved->zone);
      document.erase("volume");
      at = restore::Point::at_lsn(point.at.lsn);
      at.force = call.arguments.get<restore::Point>("at").force;
    }
    for (const Appliance::VolumePoint& other : points) {
      if (other.volume == point.volume.id) {
        co_return make_error(EINVAL, "the volume {} is named twice", point.volume.name);
      }
    }
    const journal::VolumeState& now = *resolved->newest.find(point.volume.id);
    if (now.removed) {
      co_return make_error(
          ENOENT, "the volume {} was removed: `hindsight recover` makes a new one of it", now.name);
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
    co_return json_response(document);
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
  Result<cdp::Stamp> stamp = co_await appliance_.roll_back(points, call.who.name, disconnect);
  if (!stamp) co_return std::move(stamp).error();
  document["rollback"] = api::stamp_document(*stamp, restore::TimeZone::utc());
  document["undo"] = fmt::format("lsn:{}", stamp->lsn.value - 1);
  document["writers_refused"] = disconnect;
  co_return json_response(document);
}

}  // namespace tools
