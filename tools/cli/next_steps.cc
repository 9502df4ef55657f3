// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/next_steps.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <cstdlib>
#include <string_view>

#include "restore/point.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;

// "every second since 2020-02-09 18:56:00 +08:00 can be had back", or as much of it as is known.
std::string reach(const json::object& status, const restore::TimeZone& zone) {
  const json::object* const vault = object_of(status, "vault");
  const auto since = restore::parse_absolute_point(vault ? text_of(*vault, "created") : "");
  if (!since.ok() || since->kind != restore::PointKind::kTime) return "any second can be had back";
  // The first whole second.
  const std::int64_t second = cdp::seconds(1).value;
  const cdp::Nanos first{(since->time.value + second - 1) / second * second};
  return fmt::format("any second since {} can be had back",
                     restore::format_time_short(first, zone));
}

std::string name_of_first(const json::array& volumes) {
  const json::object* const first = volumes.front().if_object();
  return first != nullptr ? text_of(*first, "name") : "NAME";
}

// As it has to be typed, so that the next command speaks to the same daemon.
std::string command_of(const CommandLine& line) {
  if (line.vault) return fmt::format("hindsight --vault {}", *line.vault);
  const char* const by_environment = std::getenv("HINDSIGHT_SERVER");
  const bool is_implied = line.server == (by_environment ? by_environment : kDefaultServer);
  return is_implied ? "hindsight" : fmt::format("hindsight --server {}", line.server);
}

}  // namespace

std::string next_steps_text(const json::object& status, const std::string& command,
                            const restore::TimeZone& zone) {
  const json::array* const volumes = array_of(status, "volumes");
  const bool is_daemon = object_of(status, "server") != nullptr;
  const std::string more = fmt::format("`{} --help` lists everything.\n", command);
  if (volumes == nullptr || volumes->empty()) {
    if (!is_daemon) return "This vault has no volumes.\n";
    return fmt::format(
        "The daemon runs, and nothing is protected yet. The first volume, of 20 GiB; its NBD URI "
        "is printed:\n\n  {} volume create shop --size 20G\n\n{}",
        command, more);
  }
  const std::string name = name_of_first(*volumes);
  const auto verb = [&](std::string_view words) { return fmt::format("{} {}", command, words); };
  Fields steps;
  steps.add("  how things stand", verb("status"));
  steps.add("  what happened, and when", verb(fmt::format("timeline {}", name)));
  steps.add("  what a time means", verb(fmt::format("points {} --at \"5 minutes ago\"", name)));
  if (is_daemon) {
    steps.add("  a new volume as it was, served at once",
              verb(fmt::format("recover {0} --at POINT --as {0}-recovered", name)));
    steps.add("  the volume itself as it was",
              verb(fmt::format("rollback {} --at POINT --dry-run", name)));
  }
  steps.add("  an image of it", verb(fmt::format("restore {0} --at POINT --to {0}.img", name)));
  const std::string are = volumes->size() == 1 ? fmt::format("The volume {} is", name)
                                               : fmt::format("{} volumes are", volumes->size());
  // Commands are copied: no line of them is broken.
  return fmt::format("{} {}: {}.\n\n{}\n{}", are, is_daemon ? "protected" : "in this vault",
                     reach(status, zone), steps.text(std::nullopt), more);
}

int run_next_steps(const CommandLine& line, const restore::TimeZone& zone, Backend& backend) {
  const Backend::Reply status = backend.status();
  if (!status.ok()) return failed(status.error());
  print(next_steps_text(*status, command_of(line), zone));
  return with_alerts(*status);
}

}  // namespace tools::cli
