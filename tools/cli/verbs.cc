// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/verbs.h"

#include <boost/json/array.hpp>
#include <optional>
#include <string>
#include <utility>

#include "restore/point.h"
#include "restore/target_file.h"
#include "tools/cli/next_steps.h"
#include "tools/cli/output.h"
#include "tools/cli/progress.h"
#include "tools/cli/verb_support.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using cdp::Result;
using restore::TimeZone;
using Document = Backend::Document;

int show_points(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  Result<std::optional<restore::Point>> point = asked_point(line, zone);
  if (!point.ok()) {
    say(point.error().message);
    return kWrongUsage;
  }
  const bool one = point->has_value();
  const Backend::Reply reply = backend.points(line.name, std::move(point).value());
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    print(one ? point_fields(*reply, zone) : points_overview(*reply, zone));
  return with_notices(*reply);
}

int create_volume(const CommandLine& line, Backend& backend) {
  const Backend::Reply reply = backend.create_volume(line.name, line.size_bytes, line.backing);
  if (!reply.ok()) return failed(reply.error());
  if (line.json) {
    print_document(*reply);
    return kDone;
  }
  const json::array* uris = array_of(*reply, "uris");
  if (uris != nullptr && !uris->empty() && uris->front().is_string()) {
    print(std::string{uris->front().as_string()} + "\n");
  }
  say(fmt::format("the volume {} ({}, id:{}) is protected from now on", line.name,
                  restore::format_bytes(line.size_bytes), text_of(*reply, "id")));
  return kDone;
}

// Of a verb that changes something: its document or one sentence.
int changed(const CommandLine& line, const Backend::Reply& reply, const std::string& sentence) {
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    say(sentence);
  return kDone;
}

int mark(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const cdp::Status label = restore::check_mark_label(line.label);
  if (!label.ok()) {
    say(label.error().message);
    return kWrongUsage;
  }
  const Backend::Reply reply = backend.mark(line.name, line.label);
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    print(fmt::format("mark:{}  {}\n", line.label, stamp_text_of(*reply, zone)));
  return kDone;
}

int list_volumes(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const Backend::Reply reply = backend.volumes(line.with_removed);
  if (!reply.ok()) return failed(reply.error());
  const json::array* volumes = array_of(*reply, "volumes");
  if (line.json)
    print_document(*reply);
  else if (volumes != nullptr && !volumes->empty())
    print(volume_table(*volumes, zone));
  else
    say("there are no volumes: `hindsight volume create NAME --size SIZE` makes one");
  return with_notices(*reply);
}

int show_volume(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const Backend::Reply reply = backend.volume(line.name);
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    print(volume_fields(*reply, zone));
  return with_notices(*reply);
}

int verify(const CommandLine& line, Backend& backend) {
  std::optional<Backend::Reply> reply;
  {
    Progress progress{"verifying"};
    reply.emplace(backend.verify(line.deep, [&progress](std::uint64_t done, std::uint64_t all) {
      progress.update(done, all);
    }));
  }
  if (!reply->ok()) return failed(reply->error());
  const Document& report = **reply;
  if (line.json)
    print_document(report);
  else
    print(verify_text(report));
  const json::value* const ok = report.if_contains("ok");
  if (ok != nullptr && ok->is_bool() && ok->get_bool()) return kDone;
  const json::array none;
  const json::array* problems = array_of(report, "problems");
  if (problems == nullptr) problems = &none;
  for (const json::value& problem : *problems) {
    if (problem.is_string()) say(std::string{problem.as_string()});
  }
  if (const std::uint64_t more = number_of(report, "problems_left_out"); more > 0) {
    say(fmt::format("and {} more problems", more));
  }
  return kFailed;
}

int status(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const Backend::Reply reply = backend.status();
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    print(status_text(*reply, zone));
  return with_alerts(*reply);
}

}  // namespace

int run_verb(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  switch (line.verb) {
    case Verb::kNextSteps:
      return run_next_steps(line, zone, backend);
    case Verb::kVolumeCreate:
      return create_volume(line, backend);
    case Verb::kVolumeList:
      return list_volumes(line, zone, backend);
    case Verb::kVolumeShow:
      return show_volume(line, zone, backend);
    case Verb::kVolumeResize:
      return changed(line, backend.resize_volume(line.name, line.size_bytes),
                     fmt::format("the volume {} has {} now", line.name,
                                 restore::format_bytes(line.size_bytes)));
    case Verb::kVolumeRename:
      return changed(line, backend.rename_volume(line.name, line.new_name),
                     fmt::format("the volume {} is called {} now", line.name, line.new_name));
    case Verb::kVolumeRemove:
      return changed(line, backend.remove_volume(line.name),
                     fmt::format("the volume {} is not served and protected any more; its history "
                                 "and its backing store stay",
                                 line.name));
    case Verb::kVolumeResume:
      return changed(line, backend.resume_volume(line.name),
                     fmt::format("writers can connect to the volume {} again", line.name));
    case Verb::kPoints:
      return show_points(line, zone, backend);
    case Verb::kTimeline:
      return run_timeline(line, zone, backend);
    case Verb::kMark:
      return mark(line, zone, backend);
    case Verb::kRestore:
      return run_restore(line, zone, backend);
    case Verb::kView:
    case Verb::kClone:
    case Verb::kCloneList:
    case Verb::kCloneRemove:
    case Verb::kRecover:
    case Verb::kRollback:
    case Verb::kDiff:
      return run_recovery_verb(line, zone, backend);
    case Verb::kCheck:
      return run_check(line, zone, backend);
    case Verb::kVerify:
      return verify(line, backend);
    case Verb::kStatus:
      return status(line, zone, backend);
    case Verb::kJobs:
    case Verb::kJobShow:
    case Verb::kJobCancel:
      return run_jobs(line, zone, backend);
    case Verb::kAlertTest:
      return changed(line, backend.test_alert(), "the webhook has been told of a test");
    case Verb::kAudit:
      return run_audit(line, zone, backend);
    default:  // a verb that no backend is asked for
      break;
  }
  CHECK(false);
}

}  // namespace tools::cli
