// SPDX-License-Identifier: Apache-2.0
//
// The verbs about who may do what, which only a daemon can be asked: setup, login, logout, whoami
// (session_verbs.cc), user and token (account_verbs.cc).
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "restore/time_zone.h"
#include "tools/api/client.h"
#include "tools/cli/command_line.h"

namespace tools::cli {

// The exit code; nothing where the verb is another one.
std::optional<int> run_access_verb(const CommandLine& line, const restore::TimeZone& zone);

// Its parts.
std::optional<int> run_session_verb(const CommandLine& line, const restore::TimeZone& zone,
                                    const api::Client& client);
std::optional<int> run_account_verb(const CommandLine& line, const restore::TimeZone& zone,
                                    const api::Client& client);

// "viewer, operator", of a document's "roles".
std::string roles_text(const boost::json::object& document);
// Of a document's "sees_data".
bool may_see_data(const boost::json::object& document);
// When a token ends: a moment in the zone, or "never".
std::string expiry_text(const boost::json::object& document, const restore::TimeZone& zone);

}  // namespace tools::cli
