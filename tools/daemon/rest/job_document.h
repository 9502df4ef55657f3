// SPDX-License-Identifier: Apache-2.0
//
// How a job looks in the API (schema Job), and what a check came to: as it is kept with its job,
// and as it looks (schema Check). Pure functions.
#pragma once

#include <boost/json/object.hpp>

#include "restore/history.h"
#include "restore/time_zone.h"
#include "tools/daemon/jobs/jobs.h"

namespace tools {

// With what tools said of file systems, which names what volumes hold, or without it.
boost::json::object job_document(const Job& job, const restore::TimeZone& zone, bool with_output);

// What the checker found (RESULT of checker_protocol.h) at a point, to be kept: times are for
// whoever asks later, in a zone of his.
boost::json::object kept_check(boost::json::object found, const restore::ResolvedPoint& point);

}  // namespace tools
