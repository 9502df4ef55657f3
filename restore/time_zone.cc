// SPDX-License-Identifier: Apache-2.0
#include "restore/time_zone.h"

#include <date/tz.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <utility>

namespace restore {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

std::int64_t floor_seconds(Nanos moment) {
  std::int64_t seconds = moment.value / kNanosPerSecond;
  if (moment.value % kNanosPerSecond < 0) --seconds;
  return seconds;
}

date::sys_seconds sys_seconds_of(Nanos moment) {
  return date::sys_seconds{std::chrono::seconds{floor_seconds(moment)}};
}

date::local_seconds local_seconds_of(const CivilTime& local) {
  const auto days =
      date::local_days{date::year{local.year} / date::month{static_cast<unsigned>(local.month)} /
                       date::day{static_cast<unsigned>(local.day)}};
  return days + std::chrono::hours{local.hour} + std::chrono::minutes{local.minute} +
         std::chrono::seconds{local.second};
}

Nanos nanos_of(date::sys_seconds moment, std::int64_t nanosecond) {
  return Nanos{moment.time_since_epoch().count() * kNanosPerSecond + nanosecond};
}

std::string format_offset(std::int64_t seconds) {
  const std::int64_t minutes = (seconds < 0 ? -seconds : seconds) / 60;
  return fmt::format("{}{:02}:{:02}", seconds < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

// "+08:00", "-0330", "+08" as seconds.
bool parse_offset(std::string_view text, std::int64_t& seconds) {
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return false;
  std::string digits;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == ':' && i == 3 && text.size() == 6) continue;
    if (text[i] < '0' || text[i] > '9') return false;
    digits += text[i];
  }
  if (digits.size() != 2 && digits.size() != 4) return false;
  const int hours = (digits[0] - '0') * 10 + (digits[1] - '0');
  const int minutes = digits.size() == 4 ? (digits[2] - '0') * 10 + (digits[3] - '0') : 0;
  if (hours > 23 || minutes > 59) return false;
  seconds = (hours * 60 + minutes) * 60;
  if (text[0] == '-') seconds = -seconds;
  return true;
}

const date::time_zone* locate(std::string_view name) {
  try {
    return date::locate_zone(std::string{name});
  } catch (const std::exception&) {
    return nullptr;  // not in the database, or no database on this machine
  }
}

}  // namespace

struct TimeZone::Rules {
  std::string name;
  const date::time_zone* zone = nullptr;  // null: a fixed offset
  std::int64_t fixed_offset_seconds = 0;
};

TimeZone::TimeZone(std::shared_ptr<const Rules> rules) : rules_(std::move(rules)) {}

TimeZone TimeZone::utc() { return TimeZone{std::make_shared<Rules>(Rules{"UTC", nullptr, 0})}; }

Result<TimeZone> TimeZone::find(std::string_view name) {
  if (name == "UTC" || name == "Z" || name == "z" || name == "utc") return utc();
  std::int64_t offset = 0;
  if (parse_offset(name, offset)) {
    return TimeZone{std::make_shared<Rules>(Rules{format_offset(offset), nullptr, offset})};
  }
  if (const date::time_zone* zone = name.empty() ? nullptr : locate(name)) {
    return TimeZone{std::make_shared<Rules>(Rules{std::string{name}, zone, 0})};
  }
  return cdp::make_error(EINVAL,
                         "the time zone \"{}\" is not known here: give a name of the tz database "
                         "such as Asia/Shanghai (Debian package tzdata), UTC, or an offset such as "
                         "+08:00",
                         name);
}

TimeZone TimeZone::local() {
  if (const char* variable = std::getenv("TZ"); variable != nullptr && *variable != '\0') {
    const std::string_view text{variable};
    Result<TimeZone> named = find(text.starts_with(':') ? text.substr(1) : text);
    if (named.ok()) return std::move(named).value();
  }
  try {
    const date::time_zone* zone = date::current_zone();
    return TimeZone{std::make_shared<Rules>(Rules{zone->name(), zone, 0})};
  } catch (const std::exception&) {
    return utc();
  }
}

const std::string& TimeZone::name() const { return rules_->name; }

std::int64_t TimeZone::offset_seconds_at(Nanos utc) const {
  if (rules_->zone == nullptr) return rules_->fixed_offset_seconds;
  return rules_->zone->get_info(sys_seconds_of(utc)).offset.count();
}

CivilTime TimeZone::civil_at(Nanos utc) const {
  const std::int64_t seconds = floor_seconds(utc);
  const date::local_seconds local{std::chrono::seconds{seconds + offset_seconds_at(utc)}};
  const auto day = date::floor<date::days>(local);
  const date::year_month_day date_part{day};
  const std::int64_t of_day = (local - day).count();
  return CivilTime{static_cast<int>(date_part.year()),
                   static_cast<int>(static_cast<unsigned>(date_part.month())),
                   static_cast<int>(static_cast<unsigned>(date_part.day())),
                   static_cast<int>(of_day / 3600),
                   static_cast<int>(of_day / 60 % 60),
                   static_cast<int>(of_day % 60),
                   utc.value - seconds * kNanosPerSecond};
}

TimeZone::Lookup TimeZone::find_moment(const CivilTime& local) const {
  const date::local_seconds wanted = local_seconds_of(local);
  const auto moment = [&](std::chrono::seconds offset) {
    return nanos_of(date::sys_seconds{wanted.time_since_epoch() - offset}, local.nanosecond);
  };
  if (rules_->zone == nullptr) {
    const Nanos only = moment(std::chrono::seconds{rules_->fixed_offset_seconds});
    return {Match::kUnique, only, only};
  }
  const date::local_info info = rules_->zone->get_info(wanted);
  if (info.result == date::local_info::ambiguous) {
    return {Match::kFold, moment(info.first.offset), moment(info.second.offset)};
  }
  if (info.result == date::local_info::nonexistent) {
    const Nanos change = nanos_of(info.second.begin, 0);
    return {Match::kGap, Nanos{change.value - kNanosPerSecond}, change};
  }
  return {Match::kUnique, moment(info.first.offset), moment(info.first.offset)};
}

bool is_valid_date(int year, int month, int day) {
  if (month < 1 || month > 12 || day < 1 || day > 31) return false;
  return (date::year{year} / date::month{static_cast<unsigned>(month)} /
          date::day{static_cast<unsigned>(day)})
      .ok();
}

std::string format_time(Nanos utc, const TimeZone& zone) {
  const std::int64_t offset = zone.offset_seconds_at(utc);
  const bool as_utc = offset % 60 != 0 || (offset == 0 && zone.name() == "UTC");
  const CivilTime t = (as_utc ? TimeZone::utc() : zone).civil_at(utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{}", t.year, t.month, t.day, t.hour,
                     t.minute, t.second, t.nanosecond, as_utc ? "Z" : format_offset(offset));
}

std::string format_time_short(Nanos utc, const TimeZone& zone) {
  const std::int64_t offset = zone.offset_seconds_at(utc);
  const bool as_utc = offset % 60 != 0 || (offset == 0 && zone.name() == "UTC");
  const CivilTime t = (as_utc ? TimeZone::utc() : zone).civil_at(utc);
  std::string fraction;
  if (t.nanosecond != 0) {
    fraction = fmt::format(".{:09}", t.nanosecond);
    fraction.erase(fraction.find_last_not_of('0') + 1);
  }
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}{} {}", t.year, t.month, t.day, t.hour,
                     t.minute, t.second, fraction, as_utc ? "UTC" : format_offset(offset));
}

std::string format_duration(Nanos length) {
  std::int64_t ns = length.value;
  if (ns < 0) ns = ns == INT64_MIN ? INT64_MAX : -ns;
  const std::int64_t s = ns / kNanosPerSecond;
  if (s < 1) {
    if (ns < 1000) return fmt::format("{} ns", ns);
    if (ns < 1'000'000) return fmt::format("{} us", ns / 1000);
    return fmt::format("{} ms", ns / 1'000'000);
  }
  if (s < 60) return fmt::format("{}.{} s", s, ns / 100'000'000 % 10);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86'400, s / 3600 % 24);
}

}  // namespace restore
