// SPDX-License-Identifier: Apache-2.0
//
// `hindsight tls`: the appliance's CA, which needs no daemon.
#pragma once

#include <optional>

#include "tools/cli/command_line.h"

namespace tools::cli {

// The exit code; nothing where the verb is another one.
std::optional<int> run_tls_verb(const CommandLine& line);

}  // namespace tools::cli
