// SPDX-License-Identifier: Apache-2.0
//
// Parts of describe_command_line, by subject.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "tools/cli/command_line.h"

namespace tools::cli {

// setup, login, logout, whoami, user, token
void add_access_verbs(CLI::App& app, CommandLine& line);
void add_audit(CLI::App& app, CommandLine& line, std::string& before);
// tls
void add_tls_verbs(CLI::App& app, CommandLine& line);

// "lsn:7" or "7"; throws CLI::ValidationError.
std::uint64_t parse_lsn(const std::string& text);

}  // namespace tools::cli
