// SPDX-License-Identifier: Apache-2.0
//
// How this command reaches the daemon that it was told to ask: with whose token, and which CA it
// trusts.
#pragma once

#include <optional>
#include <string>

#include "cdp/base/result.h"
#include "tools/api/client.h"
#include "tools/cli/command_line.h"
#include "tools/cli/credentials.h"

namespace tools::cli {

// The token of HINDSIGHT_TOKEN, else the one of `hindsight login`; the CA of --ca, else the one of
// that login, else the system's.
cdp::Result<api::Client> make_client(const CommandLine& line);

// What is stored for the server; nothing of a unix socket, where the daemon knows the user.
cdp::Result<std::optional<StoredLogin>> stored_login(const api::ServerAddress& server);

// The certificates of the file of --ca in PEM, and nothing else that it holds; empty without --ca.
cdp::Result<std::string> read_named_ca(const CommandLine& line);

}  // namespace tools::cli
