// SPDX-License-Identifier: Apache-2.0
//
// The verbs: each asks a backend, prints what it answers, and gives the exit code.
#pragma once

#include "restore/time_zone.h"
#include "tools/cli/backend.h"
#include "tools/cli/command_line.h"

namespace tools::cli {

// Scripts rely on these numbers.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kWrongUsage = 2,
  kSomethingToKnow = 3,
};

// Runs the verb of the command line to its end.
int run_verb(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);

}  // namespace tools::cli
