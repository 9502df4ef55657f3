// SPDX-License-Identifier: Apache-2.0
//
// `hindsight jobs`: the daemon's long work.
#include <boost/json/array.hpp>

#include "restore/point.h"
#include "restore/target_file.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using restore::format_bytes;
using restore::TimeZone;

std::string time_of(const json::object& job, std::string_view key, const TimeZone& zone) {
  const auto point = restore::parse_absolute_point(text_of(job, key));
  return point.ok() ? restore::format_time_short(point->time, zone) : std::string{"-"};
}

std::string progress_of(const json::object& job) {
  const std::uint64_t done = number_of(job, "done_bytes");
  const std::uint64_t total = number_of(job, "total_bytes");
  std::string text = format_bytes(done);
  if (total > 0) text += " of " + format_bytes(total);
  if (job.contains("seconds_left")) {
    const auto seconds = static_cast<std::int64_t>(number_of(job, "seconds_left"));
    text += fmt::format(", {} left", restore::format_duration(cdp::seconds(seconds)));
  }
  return text;
}

std::string state_of(const json::object& job) {
  return job.contains("is_being_cancelled") ? "being cancelled" : text_of(job, "state");
}

std::string of_what(const json::object& job) {
  const std::string volume = text_of(job, "volume");
  return volume.empty() ? "the vault" : volume;
}

std::string job_fields(const json::object& job, const TimeZone& zone) {
  Fields fields;
  fields.add("job", std::to_string(number_of(job, "id")));
  fields.add("kind", text_of(job, "kind"));
  fields.add("of", of_what(job));
  fields.add("state", state_of(job));
  if (const std::string problem = text_of(job, "problem"); !problem.empty())
    fields.add("why", problem);
  fields.add("done", progress_of(job));
  if (const std::string doing = text_of(job, "doing"); !doing.empty()) fields.add("doing", doing);
  fields.add("by", text_of(job, "by"));
  fields.add("began", time_of(job, "began", zone));
  if (job.contains("ended")) fields.add("ended", time_of(job, "ended", zone));
  std::string text = fields.text();
  if (const json::object* report = object_of(job, "verification"))
    text += "\n" + verify_text(*report);
  if (const json::object* check = object_of(job, "check")) text += "\n" + check_text(*check, zone);
  return text;
}

std::string job_table(const json::array& jobs, const TimeZone& zone) {
  Table table{{"ID", "KIND", "OF", "STATE", "DONE", "BEGAN", "BY"}};
  for (const json::value& value : jobs) {
    const json::object* const job = value.if_object();
    if (job == nullptr) continue;
    table.add({std::to_string(number_of(*job, "id")), text_of(*job, "kind"), of_what(*job),
               state_of(*job), progress_of(*job), time_of(*job, "began", zone),
               text_of(*job, "by")});
  }
  return table.text();
}

}  // namespace

int run_jobs(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const Backend::Reply reply = line.verb == Verb::kJobs      ? backend.jobs(line.before, line.limit)
                               : line.verb == Verb::kJobShow ? backend.job(line.job)
                                                             : backend.cancel_job(line.job);
  if (!reply.ok()) return failed(reply.error());
  if (line.json) {
    print_document(*reply);
    return kDone;
  }
  if (line.verb == Verb::kJobShow) print(job_fields(*reply, zone));
  if (line.verb == Verb::kJobCancel) say(fmt::format("job {} is being ended", line.job));
  if (line.verb != Verb::kJobs) return kDone;
  const json::array* const jobs = array_of(*reply, "jobs");
  if (jobs == nullptr || jobs->empty())
    say(line.before ? "nothing is older" : "there is no long work, and was none");
  else
    print(job_table(*jobs, zone));
  if (reply->contains("before"))
    say(fmt::format("there are older ones: `hindsight jobs --before {}`",
                    number_of(*reply, "before")));
  return kDone;
}

}  // namespace tools::cli
