// SPDX-License-Identifier: Apache-2.0
//
// A timeline (the document of tools/api/timeline.h) as strips for a terminal: a column is a stretch
// of time, its height what happened in it. Columns hold as many steps as they must, and nothing is
// dropped for that: what happened in one second of a year is seen.
//
// Pure function.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <string>

#include "restore/time_zone.h"

namespace tools::cli {

struct TimelineLook {
  std::size_t columns = 80;  // of the terminal
  bool unicode = true;
  bool colour = false;
};

std::string timeline_text(const boost::json::object& timeline, const restore::TimeZone& zone,
                          TimelineLook look);

}  // namespace tools::cli
