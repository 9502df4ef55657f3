// SPDX-License-Identifier: Apache-2.0
//
// hindsight(1) and hindsightd(8), made of what the programs parse their command lines by.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tools::manual {

std::string client_page(const CLI::App& hindsight);
std::string daemon_page(const CLI::App& hindsightd);

}  // namespace tools::manual
