// SPDX-License-Identifier: Apache-2.0
//
// hindsight-check: checks the file systems of one device for hindsightd, whose socket is its
// standard input, as systemd starts it (tools/packaging/hindsight-check@.service). It is a program
// of its own, since it runs tools that parse what somebody may have written to break them, and
// mounts; the daemon may do neither. README.md here has the whole of it.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "tools/check/contents.h"
#include "tools/check/daemon_line.h"
#include "tools/check/file_systems.h"
#include "tools/check/fuse_file.h"
#include "tools/check/sandbox.h"
#include "tools/check/tool.h"

namespace check {
namespace {

namespace json = boost::json;

constexpr int kWrongUsage = 2;
constexpr std::size_t kWhyBytesMax = 400;

json::object object_of(const Area& area, const Verdict& verdict) {
  json::object object{{"offset", area.offset}, {"bytes", area.bytes}, {"type", area.type}};
  if (area.partition) object["partition"] = *area.partition;
  const auto add = [&object](const char* name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  add("label", area.label);
  add("uuid", area.uuid);
  add("tool", verdict.tool);
  add("outcome", verdict.outcome);
  add("reason", verdict.reason);
  add("output", verdict.output);
  return object;
}

Verdict judge(const Area& area, DaemonLine& daemon) {
  const Tool* const tool = tool_of(area.type);
  if (tool == nullptr) return {.outcome = "not_checked", .reason = why_not_checked(area.type)};
  daemon.say_doing(fmt::format("checking {} at offset {}", area.type, area.offset));
  cdp::Result<cdp::FileDescriptor> stretch = daemon.open(area.offset, area.bytes);
  if (!stretch) return {.outcome = "not_checked", .reason = stretch.error().message};
  FuseFile file{*stretch, Access::kReadWrite};
  return verdict_of(*tool, file);
}

Contents look_at(std::uint64_t bytes, DaemonLine& daemon) {
  daemon.say_doing("looking for partitions and file systems");
  cdp::Result<cdp::FileDescriptor> whole = daemon.open(0, bytes);
  FuseFile file{cdp::value_or_throw(std::move(whole)), Access::kReadOnly};
  Contents contents = contents_of(file.path(), bytes);
  file.require_served();
  return contents;
}

void check_device(DaemonLine& daemon) {
  const std::uint64_t bytes = daemon.receive_request();
  const Contents contents = look_at(bytes, daemon);
  json::value table;
  if (contents.table) table = {{"type", contents.table->type}, {"id", contents.table->id}};
  json::array systems;
  for (const Area& area : contents.areas) systems.push_back(object_of(area, judge(area, daemon)));
  const bool knows_nothing = table.is_null() && systems.empty();
  daemon.say_result({{"partition_table", std::move(table)},
                     {"file_systems", std::move(systems)},
                     {"nothing_known", knows_nothing}});
}

// The daemon is told why; where it has gone, the log is.
int told(const std::exception& error) {
  std::cerr << "hindsight-check: " << error.what() << "\n";
  try {
    std::string why = plain_tail(error.what(), kWhyBytesMax);
    std::ranges::replace(why, '\n', ' ');
    DaemonLine{STDIN_FILENO}.say_failed(why);
  } catch (const std::exception&) {
    return EXIT_FAILURE;
  }
  return EXIT_FAILURE;
}

int check_in_sandbox() {
  try {
    DaemonLine daemon{STDIN_FILENO};
    check_device(daemon);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    return told(error);
  }
}

int main_of(int argc) {
  struct stat input {};
  if (argc > 1 || fstat(STDIN_FILENO, &input) != 0 || !S_ISSOCK(input.st_mode)) {
    std::cerr << "hindsight-check: hindsightd's socket must be its standard input; "
                 "hindsight-check.socket has systemd start it so\n";
    return kWrongUsage;
  }
  try {
    return run_in_sandbox(STDIN_FILENO, check_in_sandbox);
  } catch (const std::exception& error) {
    return told(error);
  }
}

}  // namespace
}  // namespace check

int main(int argc, char**) { return check::main_of(argc); }
