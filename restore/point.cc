// SPDX-License-Identifier: Apache-2.0
#include "restore/point.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "cdp/base/utf8.h"

namespace restore {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
constexpr std::size_t kMarkLabelBytesMax = 128;
constexpr std::size_t kPointTextBytesMax = 256;
constexpr std::string_view kForce = "force:";

constexpr std::string_view kExamples =
    "write a point such as 2020-02-23T18:56:00+08:00, \"2020-02-23 18:56\", 18:56, \"yesterday "
    "18:56\", \"5 minutes ago\", lsn:1234, mark:before-upgrade, now or first";

// A time of day, and a zone if one was written.
struct Clock {
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::int64_t nanosecond = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

// Reads a text from left to right; every take either consumes what it wants or leaves all as is.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // `word` in any case, not followed by a letter or digit.
  bool take_word(std::string_view word) {
    if (rest_.size() < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (lower(rest_[i]) != word[i]) return false;
    }
    if (rest_.size() > word.size() && is_word_char(rest_[word.size()])) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool take_blanks() {
    const std::size_t before = rest_.size();
    while (take(' ') || take('\t')) {
    }
    return rest_.size() != before;
  }
  // Exactly `digits` digits.
  bool take_number(std::size_t digits, int& value) {
    if (rest_.size() < digits) return false;
    int sum = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(rest_[i])) return false;
      sum = sum * 10 + (rest_[i] - '0');
    }
    value = sum;
    rest_.remove_prefix(digits);
    return true;
  }
  std::string_view take_digits() {
    std::size_t n = 0;
    while (n < rest_.size() && is_digit(rest_[n])) ++n;
    const std::string_view digits = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return digits;
  }
  std::string take_letters() {
    std::string letters;
    while (!rest_.empty() && is_letter(rest_.front())) {
      letters += lower(rest_.front());
      rest_.remove_prefix(1);
    }
    return letters;
  }

 private:
  static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
  static bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
  static bool is_word_char(char c) { return is_letter(c) || is_digit(c); }

  std::string_view rest_;
};

std::optional<std::uint64_t> parse_u64(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return {};
  return value;
}

cdp::Error bad_point(std::string_view text, std::string_view why) {
  return cdp::make_error(EINVAL, "the point {} cannot be understood: {}; {}", quoted(text), why,
                         kExamples);
}

// HH:MM[:SS[.fraction]]
Result<Clock> parse_clock(Scanner& scanner, std::string_view text) {
  Clock clock;
  if (!scanner.take_number(2, clock.hour) || !scanner.take(':') ||
      !scanner.take_number(2, clock.minute)) {
    return bad_point(text, "a time of day is written HH:MM or HH:MM:SS");
  }
  if (scanner.take(':')) {
    if (!scanner.take_number(2, clock.second)) {
      return bad_point(text, "the seconds of a time of day have two digits");
    }
    if (scanner.take('.')) {
      const std::string_view digits = scanner.take_digits();
      if (digits.empty()) return bad_point(text, "the fraction of the second has no digits");
      if (digits.size() > 9) {
        return bad_point(text, "times are kept to a nanosecond, which is nine digits");
      }
      clock.nanosecond = static_cast<std::int64_t>(*parse_u64(digits));
      for (std::size_t i = digits.size(); i < 9; ++i) clock.nanosecond *= 10;
    }
  }
  if (clock.second == 60) {
    return bad_point(text, "leap seconds are not counted, write second 59 or the next minute");
  }
  if (clock.hour > 23 || clock.minute > 59 || clock.second > 59) {
    return bad_point(text, "the time of day must lie between 00:00:00 and 23:59:59");
  }
  return clock;
}

// Nothing, "Z", "UTC" or "+08:00", to the end of the text.
Result<std::optional<TimeZone>> parse_zone_suffix(Scanner& scanner, std::string_view text) {
  scanner.take_blanks();
  if (scanner.at_end()) return std::optional<TimeZone>{};
  if (scanner.take_word("z") || scanner.take_word("utc")) {
    if (scanner.at_end()) return std::optional<TimeZone>{TimeZone::utc()};
  } else if (scanner.rest().front() == '+' || scanner.rest().front() == '-') {
    Result<TimeZone> zone = TimeZone::find(scanner.rest());
    if (zone.ok()) return std::optional<TimeZone>{std::move(zone).value()};
    return bad_point(text, "an offset from UTC is written +08:00, -05:30 or Z");
  }
  return bad_point(text, fmt::format("{} after the time is no offset from UTC such as +08:00 or Z "
                                     "(a zone by its name is given with --tz)",
                                     quoted(trimmed(scanner.rest()))));
}

std::string clock_text(const CivilTime& t) {
  std::string result =
      fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute);
  if (t.second != 0 || t.nanosecond != 0) result += fmt::format(":{:02}", t.second);
  if (t.nanosecond != 0) {
    result += fmt::format(".{:09}", t.nanosecond);
    result.erase(result.find_last_not_of('0') + 1);
  }
  return result;
}

// The one moment that `local` names in `zone`, or why there is none.
Result<Nanos> moment_of(const CivilTime& local, const TimeZone& zone) {
  const TimeZone::Lookup lookup = zone.find_moment(local);
  if (lookup.match == TimeZone::Match::kFold) {
    return cdp::make_error(EINVAL,
                           "{} happened twice in {}, where clocks were put back: write which of "
                           "the two is meant, {} or {}",
                           clock_text(local), zone.name(), format_time(lookup.first, zone),
                           format_time(lookup.second, zone));
  }
  if (lookup.match == TimeZone::Match::kGap) {
    return cdp::make_error(EINVAL,
                           "{} did not happen in {}, where clocks were put forward over it: the "
                           "last second before is {}, the first one after is {}",
                           clock_text(local), zone.name(), format_time(lookup.first, zone),
                           format_time(lookup.second, zone));
  }
  return lookup.first;
}

CivilTime on_day(const CivilTime& day, const Clock& clock) {
  return {day.year, day.month, day.day, clock.hour, clock.minute, clock.second, clock.nanosecond};
}

CivilTime day_before(CivilTime day) {
  if (--day.day >= 1) return day;
  if (--day.month < 1) {
    day.month = 12;
    --day.year;
  }
  day.day = 31;
  while (!is_valid_date(day.year, day.month, day.day)) --day.day;
  return day;
}

// YYYY-MM-DD{T| }HH:MM[:SS[.fraction]][offset]
Result<ParsedPoint> parse_date_time(std::string_view text, const TimeZone& zone) {
  Scanner scanner{text};
  CivilTime day;
  if (!scanner.take_number(4, day.year) || !scanner.take('-') ||
      !scanner.take_number(2, day.month) || !scanner.take('-') ||
      !scanner.take_number(2, day.day)) {
    return bad_point(text, "a date is written YYYY-MM-DD");
  }
  if (!is_valid_date(day.year, day.month, day.day)) {
    return bad_point(text, "there is no such day in the calendar");
  }
  if (day.year < kFirstYear || day.year > kLastYear) {
    return bad_point(text, fmt::format("years from {} to {} can be named", kFirstYear, kLastYear));
  }
  if (scanner.at_end()) {
    return bad_point(text,
                     fmt::format("a day alone names no moment, its start is \"{} 00:00\"", text));
  }
  if (!scanner.take('T') && !scanner.take('t') && !scanner.take_blanks()) {
    return bad_point(text, "between date and time stands a T or a space");
  }
  const Result<Clock> clock = parse_clock(scanner, text);
  if (!clock.ok()) return clock.error();
  const Result<std::optional<TimeZone>> written = parse_zone_suffix(scanner, text);
  if (!written.ok()) return written.error();
  const TimeZone& used = written->has_value() ? **written : zone;
  const Result<Nanos> moment = moment_of(on_day(day, *clock), used);
  if (!moment.ok()) return moment.error();
  if (moment->value < 0) return bad_point(text, "no moment before 1970 can be named");
  return ParsedPoint{Point::at_time(*moment),
                     written->has_value() ? PointBasis::kAbsolute : PointBasis::kZone};
}

// HH:MM..., with "today" or "yesterday" before it or not.
Result<ParsedPoint> parse_time_of_day(Scanner scanner, std::string_view text, bool yesterday,
                                      const PointContext& context) {
  const Result<Clock> clock = parse_clock(scanner, text);
  if (!clock.ok()) return clock.error();
  scanner.take_blanks();
  if (!scanner.at_end()) {
    return bad_point(text, fmt::format("{} after the time of day is too much (a time with an "
                                       "offset needs its date, too)",
                                       quoted(scanner.rest())));
  }
  const CivilTime today = context.zone.civil_at(context.now);
  if (today.year > kLastYear) return bad_point(text, "the clock stands beyond what can be named");
  const Result<Nanos> moment =
      moment_of(on_day(yesterday ? day_before(today) : today, *clock), context.zone);
  if (!moment.ok()) return moment.error();
  // Of a clock that was never set.
  if (moment->value < 0) return bad_point(text, "no moment before 1970 can be named");
  if (*moment > context.now) {
    return cdp::make_error(
        EINVAL, "{} is still to come today, it is {} now: did you mean \"yesterday {}\"?",
        quoted(text), format_time_short(context.now, context.zone),
        text.substr(text.find(':') - 2));
  }
  return ParsedPoint{Point::at_time(*moment), PointBasis::kNow};
}

std::optional<std::int64_t> unit_seconds(std::string_view unit) {
  struct Unit {
    std::string_view name;
    std::int64_t seconds;
  };
  static constexpr std::array<Unit, 21> kUnits{{
      {"s", 1},           {"sec", 1},      {"secs", 1},      {"second", 1},  {"seconds", 1},
      {"m", 60},          {"min", 60},     {"mins", 60},     {"minute", 60}, {"minutes", 60},
      {"h", 3600},        {"hr", 3600},    {"hrs", 3600},    {"hour", 3600}, {"hours", 3600},
      {"d", 86'400},      {"day", 86'400}, {"days", 86'400}, {"w", 604'800}, {"week", 604'800},
      {"weeks", 604'800},
  }};
  for (const Unit& known : kUnits) {
    if (known.name == unit) return known.seconds;
  }
  return {};
}

// "5 minutes ago", "1 hour 30 min ago", "an hour ago". A day is 24 hours.
Result<ParsedPoint> parse_ago(std::string_view text, const PointContext& context) {
  Scanner scanner{text};
  std::int64_t total_seconds = 0;
  const std::int64_t now_seconds = context.now.value / kNanosPerSecond;
  while (true) {
    scanner.take_blanks();
    if (scanner.take_word("ago")) break;
    std::optional<std::uint64_t> count;
    if (scanner.take_word("a") || scanner.take_word("an")) {
      count = 1;
    } else {
      const std::string_view digits = scanner.take_digits();
      count = parse_u64(digits);
      if (digits.empty() || !count) return bad_point(text, "a length of time is \"5 minutes ago\"");
    }
    scanner.take_blanks();
    const std::string unit = scanner.take_letters();
    const std::optional<std::int64_t> seconds = unit_seconds(unit);
    if (!seconds) {
      return bad_point(text, fmt::format("{} is no unit of time, which are seconds, minutes, "
                                         "hours, days and weeks",
                                         quoted(unit)));
    }
    if (*count > static_cast<std::uint64_t>(now_seconds) ||
        static_cast<std::int64_t>(*count) * *seconds > now_seconds - total_seconds) {
      return bad_point(text, "that is before 1970");
    }
    total_seconds += static_cast<std::int64_t>(*count) * *seconds;
  }
  if (!scanner.at_end()) return bad_point(text, "nothing can follow \"ago\"");
  return ParsedPoint{Point::at_time(Nanos{context.now.value - total_seconds * kNanosPerSecond}),
                     PointBasis::kNow};
}

// lsn:N, mark:LABEL, now, first; nothing where the text is none of these.
Result<std::optional<Point>> parse_named(std::string_view text) {
  if (text == "now") return std::optional{Point::now()};
  if (text == "first") return std::optional{Point::first()};
  if (text.starts_with("lsn:")) {
    const std::optional<std::uint64_t> lsn = parse_u64(text.substr(4));
    if (!lsn) return bad_point(text, "after lsn: stands a whole number, such as lsn:1234");
    return std::optional{Point::at_lsn(Lsn{*lsn})};
  }
  if (text.starts_with("mark:")) {
    const std::string_view label = text.substr(5);
    const Status fine = check_mark_label(label);
    if (!fine.ok()) return fine.error();
    return std::optional{Point::at_mark(std::string{label})};
  }
  return std::optional<Point>{};
}

bool is_date_like(std::string_view text) {
  return text.size() >= 5 && is_digit(text[0]) && is_digit(text[1]) && is_digit(text[2]) &&
         is_digit(text[3]) && text[4] == '-';
}

Result<std::string_view> checked_text(std::string_view text) {
  const std::string_view body = trimmed(text);
  if (body.empty()) return cdp::make_error(EINVAL, "the point is empty: {}", kExamples);
  if (body.size() > kPointTextBytesMax) {
    return cdp::make_error(EINVAL, "the point is longer than {} characters: {}", kPointTextBytesMax,
                           kExamples);
  }
  return body;
}

}  // namespace

Result<ParsedPoint> parse_point(std::string_view text, const PointContext& context) {
  const Result<std::string_view> checked = checked_text(text);
  if (!checked.ok()) return checked.error();
  const std::string_view body = *checked;

  Result<std::optional<Point>> named = parse_named(body);
  if (!named.ok()) return named.error();
  if (named->has_value()) return ParsedPoint{std::move(**named), PointBasis::kAbsolute};

  if (is_date_like(body)) return parse_date_time(body, context.zone);
  Scanner scanner{body};
  const bool yesterday = scanner.take_word("yesterday");
  if (yesterday || scanner.take_word("today")) {
    if (!scanner.take_blanks()) {
      return bad_point(body, "it names no time of day, as in \"yesterday 18:56\"");
    }
    return parse_time_of_day(scanner, body, yesterday, context);
  }
  if (body.size() >= 3 && is_digit(body[0]) && is_digit(body[1]) && body[2] == ':') {
    return parse_time_of_day(scanner, body, false, context);
  }
  if (body.size() > 4 && Scanner{body.substr(body.size() - 3)}.take_word("ago")) {
    return parse_ago(body, context);
  }
  return bad_point(body, "it has none of the known forms");
}

Result<Point> parse_absolute_point(std::string_view text) {
  const bool force = text.starts_with(kForce);
  const Result<std::string_view> checked = checked_text(force ? text.substr(kForce.size()) : text);
  if (!checked.ok()) return checked.error();
  Result<std::optional<Point>> named = parse_named(*checked);
  if (!named.ok()) return named.error();
  if (!named->has_value() && is_date_like(*checked)) {
    Result<ParsedPoint> parsed = parse_date_time(*checked, TimeZone::utc());
    if (!parsed.ok()) return parsed.error();
    if (parsed->basis == PointBasis::kAbsolute) *named = std::move(parsed->point);
  }
  if (named->has_value()) {
    (*named)->force = force;
    return std::move(**named);
  }
  return cdp::make_error(EINVAL,
                         "the point {} is not absolute: write a time with its offset from UTC such "
                         "as 2020-02-23T18:56:00+08:00, lsn:1234, mark:before-upgrade, now or "
                         "first",
                         quoted(*checked));
}

Status check_unattended(const ParsedPoint& parsed, std::string_view text, const TimeZone& zone) {
  if (parsed.basis == PointBasis::kAbsolute) return {};
  return cdp::make_error(
      EINVAL, "the point {} {}, which --yes does not accept: write {}", quoted(text),
      parsed.basis == PointBasis::kZone ? "has no offset from UTC" : "depends on when it is read",
      point_text(parsed.point, zone));
}

std::string point_text(const Point& point, const TimeZone& zone) {
  const std::string force{point.force ? kForce : ""};
  switch (point.kind) {
    case PointKind::kLsn:
      return force + fmt::format("lsn:{}", point.lsn.value);
    case PointKind::kTime:
      return force + format_time(point.time, zone);
    case PointKind::kMark:
      return force + "mark:" + point.mark;
    case PointKind::kNow:
      return force + "now";
    case PointKind::kFirst:
      break;
  }
  return force + "first";
}

Status check_mark_label(std::string_view label) {
  if (label.empty() || label.size() > kMarkLabelBytesMax) {
    return cdp::make_error(EINVAL, "a mark's label has 1 to {} bytes, such as before-upgrade",
                           kMarkLabelBytesMax);
  }
  for (const char c : label) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return cdp::make_error(EINVAL, "a mark's label has no control characters");
    }
  }
  if (!cdp::is_utf8(label)) return cdp::make_error(EINVAL, "a mark's label is UTF-8 text");
  if (label.front() == ' ' || label.back() == ' ') {
    return cdp::make_error(EINVAL, "a mark's label neither begins nor ends with a blank");
  }
  return {};
}

}  // namespace restore
