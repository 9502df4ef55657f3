// SPDX-License-Identifier: Apache-2.0
//
// `hindsight` alone: how things stand in a sentence, and the commands that come next.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "restore/time_zone.h"
#include "tools/cli/backend.h"
#include "tools/cli/command_line.h"

namespace tools::cli {

// Of a status document. `command` is how the program is called, with the server or the vault that
// it was asked about.
std::string next_steps_text(const boost::json::object& status, const std::string& command,
                            const restore::TimeZone& zone);

int run_next_steps(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);

}  // namespace tools::cli
