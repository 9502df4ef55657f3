// SPDX-License-Identifier: Apache-2.0
//
// The grammar of points: what a person types to name a moment of a volume's history.
//
//   2020-02-23T18:56:00+08:00   a moment; fractions down to a nanosecond; `Z` for UTC
//   2020-02-23 18:56            a clock in the given zone, seconds and fraction optional
//   18:56  yesterday 18:56      today's, yesterday's
//   5 minutes ago               from now on backwards
//   lsn:N  mark:LABEL           a place in the sequence; the place that somebody named
//   now  first                  the ends
//
// Parsing needs the present moment and a zone, and gives an absolute point, which history.h finds
// in a vault. A clock that was put back shows some times twice and one that was put forward skips
// some: both are refused here, with what to type instead (rule 16). Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "restore/time_zone.h"

namespace restore {

using cdp::Lsn;

enum class PointKind : std::uint8_t { kLsn, kTime, kMark, kNow, kFirst };

// A point that means the same whoever reads it, wherever. Only the member of its kind counts.
struct Point {
  PointKind kind = PointKind::kNow;
  Lsn lsn;
  Nanos time;  // UTC: the state after every write stamped at or before it
  std::string mark;
  bool force = false;  // even inside a gap, with what history has of it

  bool operator==(const Point&) const = default;

  static Point at_lsn(Lsn lsn) { return {PointKind::kLsn, lsn, {}, {}}; }
  static Point at_time(Nanos time) { return {PointKind::kTime, {}, time, {}}; }
  static Point at_mark(std::string label) { return {PointKind::kMark, {}, {}, std::move(label)}; }
  static Point now() { return {PointKind::kNow, {}, {}, {}}; }
  static Point first() { return {PointKind::kFirst, {}, {}, {}}; }
};

// How much of the meaning came from outside the text.
enum class PointBasis : std::uint8_t {
  kAbsolute,  // nothing
  kZone,      // the zone of a clock without an offset
  kNow,       // the moment of typing
};

struct ParsedPoint {
  Point point;
  PointBasis basis = PointBasis::kAbsolute;
};

struct PointContext {
  Nanos now;  // UTC
  TimeZone zone;
};

// Any point of the grammar. The error says what is wrong and what to type.
Result<ParsedPoint> parse_point(std::string_view text, const PointContext& context);

// Absolute points only, as the REST API and names of exports take them: lsn:, mark:, now, first,
// RFC 3339 with offset. In front of any of them `force:` says that it is wanted even inside a gap.
Result<Point> parse_absolute_point(std::string_view text);

// For `--yes`: a script must say what it means. Refuses what leans on a zone or on the moment.
Status check_unattended(const ParsedPoint& parsed, std::string_view text, const TimeZone& zone);

// The text that parse_absolute_point reads back to the same point.
std::string point_text(const Point& point, const TimeZone& zone);

// Labels of marks and how long they may be: 1 to 128 bytes, no control characters, no blank ends.
Status check_mark_label(std::string_view label);

}  // namespace restore
