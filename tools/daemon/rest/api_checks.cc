// SPDX-License-Identifier: Apache-2.0
//
// Has a recovery point checked, before somebody brings it back.
#include <spdlog/spdlog.h>

#include <utility>

#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/job_document.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Task;

Task<Api::Answer> Api::check_point(Call call) {
  VolumeAt wanted{call.arguments.text("volume"), call.arguments.get<restore::Point>("at")};
  Result<ResolvedVolume> resolved = co_await resolve(std::move(wanted), call.zone);
  if (!resolved) co_return std::move(resolved).error();
  if (stopping_) co_return make_error(ESHUTDOWN, "the daemon is stopping");
  Result<PointChecks::Begun> begun = checks_.begin();
  if (!begun) co_return std::move(begun).error();
  const journal::VolumeState& volume = resolved->point.volume;
  Job job{.kind = Job::Kind::kCheck, .volume = volume.name};
  job.volume_id = volume.uuid.to_string();
  job.by = call.who.name;
  const std::uint64_t id = jobs_.begin(std::move(job));
  background_.spawn(run_check(id, *std::move(begun), std::move(resolved->point)));
  HttpResponse response = json_response(job_document(*jobs_.find(id), call.zone, false));
  response.location = fmt::format("/api/jobs/{}", id);
  co_return response;
}

Task<void> Api::run_check(std::uint64_t id, PointChecks::Begun begun,
                          restore::ResolvedPoint point) {
  PointChecks::Watcher watcher{
      .is_cancelled = [this, id] { return stopping_ || jobs_.is_cancel_wanted(id); },
      .progress =
          [this, id](std::uint64_t read_bytes, const std::string& doing) {
            jobs_.progress(id, read_bytes, 0);
            jobs_.say_doing(id, doing);
          }};
  Result<Document> found = co_await checks_.run(std::move(begun), point, std::move(watcher));
  if (stopping_) co_return;  // the next start says that it was interrupted
  if (found) {
    co_await jobs_.end(id, Job::State::kDone, kept_check(*std::move(found), point), "");
    co_return;
  }
  const bool is_cancelled = found.error().code == ECANCELED;
  if (!is_cancelled)
    spdlog::warn("check of {} (job {}): {}", point.volume.name, id, found.error().message);
  const Job::State state = is_cancelled ? Job::State::kCancelled : Job::State::kFailed;
  std::string problem =
      is_cancelled ? fmt::format("the check was cancelled (job {})", id) : found.error().message;
  Document nothing;
  co_await jobs_.end(id, state, std::move(nothing), std::move(problem));
}

}  // namespace tools
