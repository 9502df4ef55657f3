// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/job_document.h"

#include <boost/json/array.hpp>
#include <exception>
#include <utility>

#include "tools/api/documents.h"
#include "tools/daemon/checks/checker_protocol.h"

namespace tools {

namespace json = boost::json;

namespace {

// Throws where it is none that was kept here.
json::object check_document(const json::object& kept, const restore::TimeZone& zone,
                            bool with_output) {
  json::object document = kept;
  const json::object& point = kept.at("point").as_object();
  const cdp::Stamp stamp{cdp::Lsn{point.at("lsn").to_number<std::uint64_t>()},
                         {point.at("time_ns").to_number<std::int64_t>()}};
  document["point"] = api::stamp_document(stamp, zone);
  for (json::value& system : document.at("file_systems").as_array())
    if (!with_output) system.as_object().erase("output");
  return document;
}

void add_check(json::object& document, const Job& job, const restore::TimeZone& zone,
               bool with_output) {
  try {
    document["check"] = check_document(job.result, zone, with_output);
  } catch (const std::exception&) {
    document.erase("check");  // the file of jobs is another daemon's, or somebody's
  }
}

}  // namespace

json::object job_document(const Job& job, const restore::TimeZone& zone, bool with_output) {
  json::object document{{"id", job.id},
                        {"kind", name_of(job.kind)},
                        {"state", name_of(job.state)},
                        {"by", job.by},
                        {"began", restore::format_time(job.began, zone)},
                        {"done_bytes", job.done_bytes}};
  if (!job.volume.empty()) {
    document["volume"] = job.volume;
    document["volume_id"] = job.volume_id;
  }
  if (job.total_bytes > 0) document["total_bytes"] = job.total_bytes;
  if (job.is_running() && job.bytes_per_second >= 1)
    document["bytes_per_second"] = static_cast<std::uint64_t>(job.bytes_per_second);
  if (const auto left = job.time_left())
    document["seconds_left"] = (left->value + cdp::seconds(1).value - 1) / cdp::seconds(1).value;
  if (job.is_running() && job.is_cancel_wanted) document["is_being_cancelled"] = true;
  if (!job.is_running()) document["ended"] = restore::format_time(job.ended, zone);
  if (!job.problem.empty()) document["problem"] = job.problem;
  if (job.is_running() && !job.doing.empty()) document["doing"] = job.doing;
  if (job.kind == Job::Kind::kVerify && job.state == Job::State::kDone)
    document["verification"] = job.result;
  if (job.kind == Job::Kind::kCheck && job.state == Job::State::kDone)
    add_check(document, job, zone, with_output);
  return document;
}

json::object kept_check(json::object found, const restore::ResolvedPoint& point) {
  found["point"] = {{"lsn", point.at.lsn.value}, {"time_ns", point.at.time.value}};
  found["size_bytes"] = point.volume.size_bytes;
  found["notices"] = api::notices_document(point.notices);
  shorten_check(found, Jobs::kResultBytesMax);
  return found;
}

}  // namespace tools
