// SPDX-License-Identifier: Apache-2.0
//
// Operations of jobs, that which begins one by itself (verify), with the segments that it reads,
// and the events that tell of them.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <utility>

#include "restore/time_zone.h"
#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/job_document.h"
#include "tools/daemon/rest/paging.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

constexpr PageSize kJobsInPage{.without = 100, .most = 1000};
constexpr PageSize kSegmentsInPage{.without = 100, .most = 1000};

// What it takes to begin one takes it to end it.
Rights right_to_cancel(Job::Kind kind) {
  return kind == Job::Kind::kVerify ? Rights::kOperate : Rights::kRestore;
}

bool sees_data(const Principal& who) { return includes(who.rights, Rights::kSeeData); }

// A report with as many of its problems as are kept.
void shorten(json::object& report) {
  json::array& problems = report.at("problems").as_array();
  std::uint64_t left_out = report.at("problems_left_out").to_number<std::uint64_t>();
  while (!problems.empty() && json::serialize(report).size() > Jobs::kResultBytesMax) {
    problems.pop_back();
    report["problems_left_out"] = ++left_out;
  }
}

}  // namespace

Result<const Job*> Api::named_job(const std::string& number) const {
  std::uint64_t id = 0;
  const char* const end = number.data() + number.size();
  const auto [at, failed] = std::from_chars(number.data(), end, id);
  const Job* const job = failed == std::errc{} && at == end ? jobs_.find(id) : nullptr;
  if (job == nullptr)
    return make_error(ENOENT,
                      "there is no job {}; of those that have ended, the newest {} are kept",
                      number, Jobs::kEndedMax);
  return job;
}

std::string Api::job_text(const Job& job) {
  return json::serialize(job_document(job, restore::TimeZone::utc(), false));
}

Task<Api::Answer> Api::get_events(Call call) {
  std::string name = call.who.name;
  auto opened = events_.open(std::move(name), [this, who = std::move(call.who)] {
    return access_.is_still(who, Rights::kSee);
  });
  if (!opened) co_return std::move(opened).error();
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.source = *std::move(opened);
  co_return response;
}

Task<Api::Answer> Api::list_segments(Call call) {
  const Result<std::size_t> limit = limit_of(call.arguments, kSegmentsInPage);
  if (!limit) co_return limit.error();
  api::SegmentWindow window{.limit = *limit};
  if (call.arguments.has("before")) window.before = call.arguments.get<std::uint64_t>("before");
  Result<Document> document = co_await queries_.segments(std::move(call.zone), window);
  if (!document) co_return std::move(document).error();
  co_return json_response(*document);
}

Task<Api::Answer> Api::verify(Call call) {
  if (stopping_) co_return make_error(ESHUTDOWN, "the daemon is stopping");
  if (const Job* const other = jobs_.running(Job::Kind::kVerify, ""))
    co_return make_error(EBUSY, "a verification is under way already: job {}", other->id);
  Job begun{.kind = Job::Kind::kVerify};
  begun.by = call.who.name;
  const std::uint64_t id = jobs_.begin(std::move(begun));
  background_.spawn(run_verify(id, call.arguments.flag("deep")));
  HttpResponse response = json_response(job_document(*jobs_.find(id), call.zone, false));
  response.location = fmt::format("/api/jobs/{}", id);
  co_return response;
}

Task<void> Api::run_verify(std::uint64_t id, bool deep) {
  journal::VerifyOptions options;
  options.deep = deep;
  options.progress = [this, id](std::uint64_t done, std::uint64_t total) {
    jobs_.progress(id, done, total);
  };
  options.is_cancelled = [this, id] { return stopping_ || jobs_.is_cancel_wanted(id); };
  Result<Document> report = make_error(EIO, "");
  Status durable = co_await appliance_.make_durable();
  if (durable)
    report = co_await queries_.verify(std::move(options));
  else
    report = std::move(durable).error();
  if (stopping_) co_return;  // the next start says that it was interrupted
  Job::State state = Job::State::kDone;
  Document result;
  std::string problem;
  if (report) {
    result = *std::move(report);
    shorten(result);
  } else {
    state = report.error().code == ECANCELED ? Job::State::kCancelled : Job::State::kFailed;
    problem = report.error().message;
  }
  co_await jobs_.end(id, state, std::move(result), std::move(problem));
}

Task<Api::Answer> Api::list_jobs(Call call) {
  const Result<std::size_t> limit = limit_of(call.arguments, kJobsInPage);
  if (!limit) co_return limit.error();
  const bool has_before = call.arguments.has("before");
  const std::uint64_t before =
      has_before ? call.arguments.get<std::uint64_t>("before") : UINT64_MAX;
  co_await hydrations_.look();
  json::array listed;
  std::uint64_t oldest = 0;
  bool is_whole = true;
  for (auto at = jobs_.all().rbegin(); at != jobs_.all().rend(); ++at) {
    if (at->first >= before) continue;
    if (listed.size() == *limit) {
      is_whole = false;
      break;
    }
    oldest = at->first;
    listed.push_back(job_document(at->second, call.zone, sees_data(call.who)));
  }
  Document document{{"jobs", std::move(listed)}};
  if (!is_whole) document["before"] = oldest;
  co_return json_response(document);
}

Task<Api::Answer> Api::get_job(Call call) {
  co_await hydrations_.look();
  Result<const Job*> job = named_job(call.arguments.text("job"));
  if (!job) co_return std::move(job).error();
  co_return json_response(job_document(**job, call.zone, sees_data(call.who)));
}

Task<Api::Answer> Api::cancel_job(Call call) {
  Result<const Job*> job = named_job(call.arguments.text("job"));
  if (!job) co_return std::move(job).error();
  if (Status allowed = decide(call.who, right_to_cancel((*job)->kind)); !allowed)
    co_return std::move(allowed).error();
  if (Status wanted = jobs_.cancel((*job)->id); !wanted) co_return std::move(wanted).error();
  co_return json_response(job_document(**job, call.zone, sees_data(call.who)));
}

}  // namespace tools
