// SPDX-License-Identifier: Apache-2.0
//
// The timeline of a volume: what happened to it in equal steps of time (restore/activity.h), and
// beside that whatever an operator looks for there: marks, rollbacks, gaps, crashes, its beginning
// and its end.
//
// One scheduler's thread; what is given must outlive the task.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "journal/index/time_index.h"
#include "restore/history.h"
#include "restore/point.h"

namespace tools::api {

struct TimelineWindow {
  std::optional<restore::Point> since{};  // an hour before the end, or the volume's beginning
  std::optional<restore::Point> until{};  // the end of history
  std::optional<std::uint64_t> step{};    // seconds; such that there are at most 120
};

// {"volume", "since": time, "until": time, "step_seconds", "steps": [{"begin": time, "writes",
// "flushes", "written_bytes", "zeroed_bytes", "trimmed_bytes", "unique_bytes", "stored_bytes",
// "overwritten_percent", "entropy_percent", "p99_us", "p99_is_more"}], "events": [{"kind", "lsn", "time",
// "time_utc", "text", "until"}], "notices"}. There are steps only where something happened; they
// begin at multiples of their length since 1970, so that the first one may begin before "since".
// What is not known of a step is absent. Where `is_recorded`, an appliance records the newest
// activity; else it is read from the changes themselves.
cdp::Task<cdp::Result<boost::json::object>> read_timeline(journal::index::TimeIndex& index,
                                                          const restore::History& history,
                                                          std::string volume,
                                                          TimelineWindow window,
                                                          bool is_recorded);

}  // namespace tools::api
