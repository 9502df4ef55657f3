// SPDX-License-Identifier: Apache-2.0
//
// What several verbs do alike.
#pragma once

#include <boost/json/object.hpp>
#include <optional>

#include "cdp/base/result.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tools/cli/backend.h"
#include "tools/cli/command_line.h"

namespace tools::cli {

// Says the error, and gives the exit code of a failure.
int failed(const cdp::Error& error);
// Says what there is to know of a document (its "notices"), and gives the exit code.
int with_notices(const boost::json::object& document);
// Says the alerts of a status document besides, and gives the exit code.
int with_alerts(const boost::json::object& status);
// A point as it was typed, with or without --force. An error is wrong usage.
cdp::Result<restore::ParsedPoint> parse_asked(const std::string& text, const CommandLine& line,
                                              const restore::TimeZone& zone);
// The point of --at, absolute; nothing without one. An error is wrong usage.
cdp::Result<std::optional<restore::Point>> asked_point(const CommandLine& line,
                                                       const restore::TimeZone& zone);
// The LSN that the document says a point was found at, wanted as the point was.
restore::Point same_point(const boost::json::object& document, const restore::Point& asked);

// view, clone, recover, rollback, diff.
int run_recovery_verb(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);
int run_check(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);
int run_audit(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);
int run_jobs(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);
int run_timeline(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);
int run_restore(const CommandLine& line, const restore::TimeZone& zone, Backend& backend);

}  // namespace tools::cli
