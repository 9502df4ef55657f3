// SPDX-License-Identifier: Apache-2.0
//
// `hindsight check`: has the daemon check a point, and tells what came of it.
#include <boost/json/array.hpp>
#include <optional>
#include <string>
#include <vector>

#include "restore/target_file.h"
#include "tools/cli/output.h"
#include "tools/cli/progress.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;
using restore::format_bytes;
using restore::TimeZone;

std::vector<json::object> file_systems_of(const json::object& check) {
  std::vector<json::object> systems;
  const json::array* const listed = array_of(check, "file_systems");
  for (std::size_t i = 0; listed != nullptr && i < listed->size(); ++i)
    if (const json::object* const each = (*listed)[i].if_object()) systems.push_back(*each);
  return systems;
}

// "partition 2 (ext4 \"data\")", "the ext4 of the whole volume"
std::string name_of(const json::object& system) {
  std::string what = text_of(system, "type");
  if (const std::string label = text_of(system, "label"); !label.empty())
    what += fmt::format(" \"{}\"", label);
  return system.contains("partition")
             ? fmt::format("partition {} ({})", number_of(system, "partition"), what)
             : fmt::format("the {} of the whole volume", what);
}

// What an administrator has to know; nothing where it is sound.
std::string trouble_of(const json::object& system) {
  const std::string outcome = text_of(system, "outcome");
  const std::string reason = text_of(system, "reason");
  const std::string because = reason.empty() ? "" : ": " + reason;
  if (outcome == "clean" || outcome == "recovered") return {};
  if (outcome == "damaged") return fmt::format("{} is damaged{}", name_of(system), because);
  if (outcome == "needs_mount") return fmt::format("{} needs a mount{}", name_of(system), because);
  return fmt::format("{} was not checked{}", name_of(system), because);
}

int say_troubles(const json::object& check) {
  const std::vector<json::object> systems = file_systems_of(check);
  int code = with_notices(check);
  if (systems.empty()) {
    say(object_of(check, "partition_table") != nullptr
            ? "the volume has a partition table there, and no partition"
            : "nothing is known in the volume there: neither a partition table nor a file system");
    return kSomethingToKnow;
  }
  for (const json::object& system : systems) {
    const std::string trouble = trouble_of(system);
    if (trouble.empty()) continue;
    say(trouble);
    code = kSomethingToKnow;
  }
  return code;
}

}  // namespace

std::string check_text(const json::object& check, const TimeZone& zone) {
  Fields fields;
  if (const json::object* const point = object_of(check, "point"))
    fields.add("point", stamp_text_of(*point, zone));
  fields.add("size", format_bytes(number_of(check, "size_bytes")));
  const json::object* const partitions = object_of(check, "partition_table");
  fields.add("partitions", partitions != nullptr ? text_of(*partitions, "type") : "none");
  std::string text = fields.text();
  const std::vector<json::object> systems = file_systems_of(check);
  if (systems.empty()) return text;
  Table table{{"OFFSET", "SIZE", "PARTITION", "TYPE", "LABEL", "OUTCOME"}};
  table.keep("OUTCOME");
  for (const json::object& system : systems) {
    table.add({std::to_string(number_of(system, "offset")),
               format_bytes(number_of(system, "bytes")),
               system.contains("partition") ? std::to_string(number_of(system, "partition")) : "-",
               text_of(system, "type"), text_of(system, "label"), text_of(system, "outcome")});
  }
  return text + "\n" + table.text();
}

int run_check(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  const cdp::Result<std::optional<restore::Point>> point = asked_point(line, zone);
  if (!point.ok()) {
    say(point.error().message);
    return kWrongUsage;
  }
  std::optional<Backend::Reply> reply;
  {
    Progress progress{fmt::format("checking {}", line.name)};
    reply.emplace(backend.check(
        line.name, **point,
        [&progress](std::uint64_t done, std::uint64_t all) { progress.update(done, all); }));
  }
  if (!reply->ok()) return failed(reply->error());
  const json::object& check = **reply;
  if (line.json)
    print_document(check);
  else
    print(check_text(check, zone));
  for (const json::object& system : file_systems_of(check)) {
    const std::string output = text_of(system, "output");
    if (!line.json && text_of(system, "outcome") == "damaged" && !output.empty())
      print(fmt::format("\n{} of {}:\n{}\n", text_of(system, "tool"), name_of(system), output));
  }
  return say_troubles(check);
}

}  // namespace tools::cli
