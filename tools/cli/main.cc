// SPDX-License-Identifier: Apache-2.0
//
// hindsight: the command line.
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "restore/time_zone.h"
#include "tools/cli/backend.h"
#include "tools/cli/command_line.h"
#include "tools/cli/output.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

int run(int argc, const char* const* argv) {
  CommandLine line;
  if (const std::optional<int> ended = parse_command_line(argc, argv, &line)) return *ended;
  cdp::Result<restore::TimeZone> zone =
      line.tz.empty() ? cdp::Result<restore::TimeZone>{restore::TimeZone::local()}
                      : restore::TimeZone::find(line.tz);
  if (!zone.ok()) {
    say(zone.error().message);
    return kWrongUsage;
  }
  // A reader who has gone away shows as EPIPE, which says more than a silent end.
  ::signal(SIGPIPE, SIG_IGN);
  cdp::Result<std::unique_ptr<Backend>> backend =
      line.vault ? make_vault_backend(*line.vault, *zone) : make_daemon_backend(line.server, *zone);
  if (!backend.ok()) {
    say(backend.error().message);
    return backend.error().code == EINVAL ? kWrongUsage : kFailed;
  }
  const int code = run_verb(line, *zone, **backend);
  if (std::fflush(stdout) != 0) {
    say("writing to standard output failed");
    return kFailed;
  }
  return code;
}

}  // namespace
}  // namespace tools::cli

int main(int argc, char** argv) {
  try {
    return tools::cli::run(argc, argv);
  } catch (const std::exception& error) {
    tools::cli::say(error.what());
    return tools::cli::kFailed;
  }
}
