// SPDX-License-Identifier: Apache-2.0
//
// TimeZone: what a wall clock shows in a place, from the system's tz database, and the text of
// moments. History is indexed in UTC; zones exist for people, at the edges only. Immutable, cheap
// to copy, for any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cdp/base/result.h"
#include "cdp/base/types.h"

namespace restore {

using cdp::Nanos;
using cdp::Result;
using cdp::Status;

// A calendar day and a time of day, in no particular zone.
struct CivilTime {
  int year = 1970;
  int month = 1;  // 1..12
  int day = 1;    // 1..31
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::int64_t nanosecond = 0;
  bool operator==(const CivilTime&) const = default;
};

// Moments are Nanos since 1970 in an int64: from these years only.
inline constexpr int kFirstYear = 1970;
inline constexpr int kLastYear = 2261;

bool is_valid_date(int year, int month, int day);

class TimeZone {
 public:
  static TimeZone utc();
  // "Asia/Shanghai", "UTC", "Z", "+08:00", "-03:30".
  static Result<TimeZone> find(std::string_view name);
  // The zone that TZ names, else the one of /etc/localtime, else UTC.
  static TimeZone local();

  const std::string& name() const;
  // Seconds east of UTC at that moment.
  std::int64_t offset_seconds_at(Nanos utc) const;
  CivilTime civil_at(Nanos utc) const;

  enum class Match { kUnique, kFold, kGap };
  struct Lookup {
    Match match = Match::kUnique;
    // Unique: the moment, twice. Fold: the first and the second time the clock showed it.
    // Gap: the last moment before the clock went forward, and the first after it.
    Nanos first;
    Nanos second;
  };
  // The moments at which a clock of this zone shows `local`, whose date must be valid.
  Lookup find_moment(const CivilTime& local) const;

 private:
  struct Rules;
  explicit TimeZone(std::shared_ptr<const Rules> rules);
  std::shared_ptr<const Rules> rules_;
};

// RFC 3339 with nine digits: "2020-02-23T18:56:00.000000000+08:00". UTC ends in "Z", and so does a
// moment whose offset is no whole number of minutes, which RFC 3339 cannot write.
std::string format_time(Nanos utc, const TimeZone& zone);
// For sentences and tables: "2020-02-23 18:56:00.5 +08:00", digits of the second as needed.
std::string format_time_short(Nanos utc, const TimeZone& zone);
// "1.5 s", "2 min 5 s", "3 d 4 h": two units at most, never a sign.
std::string format_duration(Nanos length);

}  // namespace restore
