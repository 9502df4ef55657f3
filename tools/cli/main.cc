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
#include "tools/cli/access_verbs.h"
#include "tools/cli/backend.h"
#include "tools/cli/command_line.h"
#include "tools/cli/daemon_access.h"
#include "tools/cli/output.h"
#include "tools/cli/tls_verbs.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

cdp::Result<std::unique_ptr<Backend>> make_backend(const CommandLine& line,
                                                   const restore::TimeZone& zone) {
  if (line.vault) return make_vault_backend(*line.vault, zone);
  cdp::Result<api::Client> client = make_client(line);
  if (!client.ok()) return std::move(client).error();
  return make_daemon_backend(std::move(client).value(), zone);
}

int run_to_end(const CommandLine& line, const restore::TimeZone& zone) {
  if (const std::optional<int> code = run_tls_verb(line)) return *code;
  if (const std::optional<int> code = run_access_verb(line, zone)) return *code;
  const cdp::Result<std::unique_ptr<Backend>> backend = make_backend(line, zone);
  if (!backend.ok()) {
    say(backend.error().message);
    return backend.error().code == EINVAL ? kWrongUsage : kFailed;
  }
  return run_verb(line, zone, **backend);
}

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
  const int code = run_to_end(line, *zone);
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
