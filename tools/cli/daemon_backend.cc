// SPDX-License-Identifier: Apache-2.0
//
// The backend that asks a daemon.
#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "tools/api/client.h"
#include "tools/api/extent_stream.h"
#include "tools/api/target_sink.h"
#include "tools/cli/backend.h"
#include "tools/cli/interrupt.h"
#include "tools/cli/output.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using api::Client;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

// Between looks at a job.
constexpr std::chrono::milliseconds kFirstPause{10};
constexpr std::chrono::milliseconds kPauseMax{500};

class DaemonBackend final : public Backend {
 public:
  DaemonBackend(Client client, const restore::TimeZone& zone)
      : client_(std::move(client)), zone_(zone) {}

  Reply volumes(bool with_removed) override {
    Document all{{"volumes", json::array{}}};
    std::string after;
    do {
      Client::Query query{{"tz", zone_.name()}};
      if (with_removed) query.emplace_back("removed", "true");
      if (!after.empty()) query.emplace_back("after", after);
      Reply page = object(client_.get({"api", "volumes"}, query));
      if (!page.ok()) return page;
      if (const json::array* const volumes = array_of(*page, "volumes"))
        for (const json::value& volume : *volumes) all.at("volumes").as_array().push_back(volume);
      after = text_of(*page, "after");
    } while (!after.empty());
    return all;
  }
  Reply volume(const std::string& name) override {
    return object(client_.get({"api", "volumes", name}, {{"tz", zone_.name()}}));
  }
  Reply points(const std::string& name, std::optional<restore::Point> point) override {
    Client::Query query{{"tz", zone_.name()}};
    if (point) query.emplace_back("at", restore::point_text(*point, zone_));
    return object(client_.get({"api", "volumes", name, "points"}, query));
  }
  Reply timeline(const std::string& name, const TimelineWindow& window) override {
    Client::Query query{{"tz", zone_.name()}};
    if (window.since) query.emplace_back("since", restore::point_text(*window.since, zone_));
    if (window.until) query.emplace_back("until", restore::point_text(*window.until, zone_));
    if (window.step) query.emplace_back("step", std::to_string(*window.step));
    return object(client_.get({"api", "volumes", name, "timeline"}, query));
  }
  Reply diff(const std::string& name, restore::Point from, restore::Point to) override {
    return object(
        client_.get({"api", "volumes", name, "diff"}, {{"tz", zone_.name()},
                                                       {"from", restore::point_text(from, zone_)},
                                                       {"to", restore::point_text(to, zone_)}}));
  }
  Reply status() override { return object(client_.get({"api", "status"}, {{"tz", zone_.name()}})); }
  Reply audit(const AuditWindow& window) override {
    Client::Query query{{"tz", zone_.name()}};
    if (window.limit) query.emplace_back("limit", std::to_string(*window.limit));
    if (window.before) query.emplace_back("before", std::to_string(*window.before));
    return object(client_.get({"api", "audit"}, query));
  }
  Reply jobs(std::optional<std::uint64_t> before, std::optional<std::uint64_t> limit) override {
    Client::Query query{{"tz", zone_.name()}};
    if (limit) query.emplace_back("limit", std::to_string(*limit));
    if (before) query.emplace_back("before", std::to_string(*before));
    return object(client_.get({"api", "jobs"}, query));
  }
  Reply job(std::uint64_t id) override {
    return object(client_.get({"api", "jobs", std::to_string(id)}, {{"tz", zone_.name()}}));
  }
  Reply cancel_job(std::uint64_t id) override {
    return object(client_.send("DELETE", {"api", "jobs", std::to_string(id)}, nullptr));
  }
  Reply verify(bool deep, const ProgressFunction& progress) override {
    Reply begun = object(client_.send("POST", {"api", "verify"}, json::object{{"deep", deep}}));
    return end_of(std::move(begun), "verification", "verification", progress);
  }
  Reply check(const std::string& name, const restore::Point& point,
              const ProgressFunction& progress) override {
    Reply begun = object(client_.send("POST", {"api", "volumes", name, "checks"},
                                      json::object{{"at", restore::point_text(point, zone_)}}));
    return end_of(std::move(begun), "check", "check", progress);
  }

  Result<std::vector<std::string>> restore(const std::string& volume_id,
                                           const restore::Point& point,
                                           restore::ImageTarget& target) override {
    Client::Query query{{"at", restore::point_text(point, zone_)}};
    if (target.wants_offset_order()) query.emplace_back("by_offset", "true");
    api::TargetSink sink{target};
    api::ExtentStreamDecoder decoder{sink};
    Status status = client_.stream(
        {"api", "volumes", "id:" + volume_id, "image"}, query,
        [&decoder](std::span<const std::byte> bytes) { return decoder.feed(bytes); });
    if (status.ok()) status = decoder.finish();
    if (status.ok()) status = target.finish();
    if (!status.ok()) return std::move(status).error();
    return sink.notices();
  }

  Reply view(const std::string& name, const restore::Point& point) override {
    return object(client_.send("POST", {"api", "views"}, volume_at(name, point)));
  }
  Reply clone(const std::string& name, const restore::Point& point,
              const std::string& new_name) override {
    json::object body = volume_at(name, point);
    body["name"] = new_name;
    return object(client_.send("POST", {"api", "clones"}, body));
  }
  Reply clones() override { return object(client_.get({"api", "clones"}, {})); }
  Reply remove_clone(const std::string& name) override {
    return object(client_.send("DELETE", {"api", "clones", name}, nullptr));
  }
  Reply recover(const std::string& name, const restore::Point& point, const std::string& new_name,
                const std::string& backing) override {
    json::object body{{"name", new_name}, {"origin", volume_at(name, point)}};
    if (!backing.empty()) body["backing"] = backing;
    return object(client_.send("POST", {"api", "volumes"}, body));
  }
  Reply roll_back(const Rollback& rollback) override {
    json::array names;
    for (const std::string& name : rollback.names) names.emplace_back(name);
    return object(client_.send("POST", {"api", "rollbacks"},
                               json::object{{"volumes", std::move(names)},
                                            {"at", restore::point_text(rollback.point, zone_)},
                                            {"dry_run", rollback.dry_run},
                                            {"disconnect", rollback.disconnect}}));
  }

  Reply create_volume(const std::string& name, std::uint64_t size_bytes,
                      const std::string& backing) override {
    json::object body{{"name", name}, {"size_bytes", size_bytes}};
    if (!backing.empty()) body["backing"] = backing;
    return object(client_.send("POST", {"api", "volumes"}, body));
  }
  Reply resize_volume(const std::string& name, std::uint64_t size_bytes) override {
    return object(
        client_.send("PATCH", {"api", "volumes", name}, json::object{{"size_bytes", size_bytes}}));
  }
  Reply rename_volume(const std::string& name, const std::string& new_name) override {
    return object(
        client_.send("PATCH", {"api", "volumes", name}, json::object{{"name", new_name}}));
  }
  Reply remove_volume(const std::string& name) override {
    return object(client_.send("DELETE", {"api", "volumes", name}, nullptr));
  }
  Reply resume_volume(const std::string& name) override {
    return object(client_.send("POST", {"api", "volumes", name, "resume"}, nullptr));
  }
  Reply mark(const std::string& name, const std::string& label) override {
    json::object body{{"label", label}};
    if (name.empty())
      body["all"] = true;
    else
      body["volume"] = name;
    return object(client_.send("POST", {"api", "marks"}, body));
  }
  Reply test_alert() override {
    return object(client_.send("POST", {"api", "alerts", "test"}, nullptr));
  }

 private:
  json::object volume_at(const std::string& name, const restore::Point& point) const {
    return {{"volume", name}, {"at", restore::point_text(point, zone_)}};
  }
  static Reply object(Result<json::value> answer) {
    return api::object_of_answer(std::move(answer));
  }
  // What a job that has begun comes to, which is this member of it. Who interrupts has it ended.
  Reply end_of(Reply begun, const char* what, const char* member,
               const ProgressFunction& progress) {
    if (!begun.ok()) return begun;
    const std::uint64_t id = number_of(*begun, "id");
    watch_for_interrupts();
    auto pause = kFirstPause;
    for (bool is_cancelled = false;;) {
      Reply job = this->job(id);
      if (!job.ok()) {
        return make_error(job.error().code, "{}; job {} may go on: `hindsight jobs show {}` tells",
                          job.error().message, id, id);
      }
      progress(number_of(*job, "done_bytes"), number_of(*job, "total_bytes"));
      const std::string state = text_of(*job, "state");
      if (const json::object* result = object_of(*job, member)) return *result;
      if (state != "running")
        return make_error(EIO, "the {} {} (job {}): {}", what,
                          state == "failed" ? "has failed" : "was " + state, id,
                          text_of(*job, "problem"));
      if (was_interrupted() && !is_cancelled) {
        is_cancelled = true;
        if (Reply ending = cancel_job(id); !ending.ok()) return ending;
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, kPauseMax);
    }
  }

  Client client_;
  const restore::TimeZone zone_;
};

}  // namespace

std::unique_ptr<Backend> make_daemon_backend(Client client, const restore::TimeZone& zone) {
  return std::make_unique<DaemonBackend>(std::move(client), zone);
}

}  // namespace tools::cli
