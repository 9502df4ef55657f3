// SPDX-License-Identifier: Apache-2.0
#include "restore/point.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace restore {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TimeZone zone(std::string_view name) { return cdp::value_or_throw(TimeZone::find(name)); }

// 2020-02-23 18:56:00 in Shanghai, computed by hand: 18315 days, 10:56:00 UTC.
constexpr std::int64_t kIncident = (18'315LL * 86'400 + 10 * 3600 + 56 * 60) * kSecond;

// Noon of 2020-02-24 in Shanghai.
PointContext context() {
  return {Nanos{(18'316LL * 86'400 + 4 * 3600) * kSecond}, zone("Asia/Shanghai")};
}

std::int64_t time_of(std::string_view text, const PointContext& at = context()) {
  const Result<ParsedPoint> parsed = parse_point(text, at);
  EXPECT_TRUE(parsed.ok()) << text << ": " << (parsed.ok() ? "" : parsed.error().message);
  if (!parsed.ok()) return -1;
  EXPECT_EQ(parsed->point.kind, PointKind::kTime) << text;
  return parsed->point.time.value;
}

std::string error_of(std::string_view text, const PointContext& at = context()) {
  const Result<ParsedPoint> parsed = parse_point(text, at);
  EXPECT_FALSE(parsed.ok()) << text;
  if (parsed.ok()) return {};
  EXPECT_EQ(parsed.error().code, EINVAL);
  EXPECT_FALSE(parsed.error().message.ends_with('.'));
  return parsed.error().message;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST(Point, TimeWithOffsetNamesTheSameMomentInEveryZone) {
  for (const char* name : {"UTC", "Asia/Shanghai", "America/New_York", "+05:45"}) {
    const PointContext at{context().now, zone(name)};
    EXPECT_EQ(time_of("2020-02-23T18:56:00+08:00", at), kIncident) << name;
    EXPECT_EQ(time_of("2020-02-23T10:56:00Z", at), kIncident) << name;
    EXPECT_EQ(time_of("2020-02-23t10:56:00z", at), kIncident) << name;
    EXPECT_EQ(time_of("2020-02-23 10:56 UTC", at), kIncident) << name;
    EXPECT_EQ(time_of("2020-02-23 05:26:00 -05:30", at), kIncident) << name;
    EXPECT_EQ(time_of("2020-02-23T18:56+0800", at), kIncident) << name;
    EXPECT_EQ(time_of("2020-02-23T18:56+08", at), kIncident) << name;
    EXPECT_EQ(time_of("  2020-02-23T18:56:00+08:00\n", at), kIncident) << name;
  }
}

TEST(Point, FractionsOfASecondAreKeptToTheNanosecond) {
  EXPECT_EQ(time_of("2020-02-23T18:56:00.5+08:00"), kIncident + kSecond / 2);
  EXPECT_EQ(time_of("2020-02-23T18:56:00.000000001+08:00"), kIncident + 1);
  EXPECT_EQ(time_of("2020-02-23 18:56:00.123456789"), kIncident + 123'456'789);
  EXPECT_EQ(time_of("2020-02-23T18:56:59.999999999+08:00"), kIncident + 60 * kSecond - 1);
  EXPECT_TRUE(contains(error_of("2020-02-23T18:56:00.1234567890+08:00"), "nanosecond"));
  EXPECT_TRUE(contains(error_of("2020-02-23T18:56:00.+08:00"), "no digits"));
}

TEST(Point, TimeWithoutOffsetIsReadInTheGivenZone) {
  EXPECT_EQ(time_of("2020-02-23 18:56"), kIncident);
  EXPECT_EQ(time_of("2020-02-23T18:56"), kIncident);
  EXPECT_EQ(time_of("2020-02-23  18:56:00"), kIncident);
  EXPECT_EQ(time_of("2020-02-23 10:56", {context().now, TimeZone::utc()}), kIncident);
  EXPECT_EQ(time_of("2020-02-23 05:56", {context().now, zone("America/New_York")}), kIncident);
}

TEST(Point, TimeOfDayIsTodaysInTheZoneAndYesterdayIsTheDayBefore) {
  EXPECT_EQ(time_of("yesterday 18:56"), kIncident);
  EXPECT_EQ(time_of("Yesterday  18:56:01.5"), kIncident + kSecond + kSecond / 2);
  EXPECT_EQ(time_of("11:59"), context().now.value - 60 * kSecond);
  EXPECT_EQ(time_of("12:00"), context().now.value);
  EXPECT_EQ(time_of("today 00:00"), context().now.value - 12 * 3600 * kSecond);
  // In New York it is still the 23rd, 23:00.
  EXPECT_EQ(time_of("18:56", {context().now, zone("America/New_York")}),
            (18'315LL * 86'400 + 23 * 3600 + 56 * 60) * kSecond);
}

TEST(Point, YesterdayCrossesMonthsAndYears) {
  const PointContext march{Nanos{18'322LL * 86'400 * kSecond}, TimeZone::utc()};    // 2020-03-01
  EXPECT_EQ(time_of("yesterday 00:00", march), 18'321LL * 86'400 * kSecond);        // leap day
  const PointContext january{Nanos{18'262LL * 86'400 * kSecond}, TimeZone::utc()};  // 2020-01-01
  EXPECT_EQ(time_of("yesterday 00:00", january), 18'261LL * 86'400 * kSecond);
}

TEST(Point, TimeOfDayStillToComeIsRefusedWithYesterdayAsAdvice) {
  const std::string error = error_of("18:56");
  EXPECT_TRUE(contains(error, "still to come")) << error;
  EXPECT_TRUE(contains(error, "\"yesterday 18:56\"")) << error;
  EXPECT_TRUE(contains(error, "2020-02-24 12:00:00 +08:00")) << error;
  EXPECT_TRUE(contains(error_of("today 12:00:00.000000001"), "still to come"));
}

TEST(Point, AgoCountsBackFromNow) {
  const std::int64_t now = context().now.value;
  EXPECT_EQ(time_of("5 minutes ago"), now - 300 * kSecond);
  EXPECT_EQ(time_of("1 minute ago"), now - 60 * kSecond);
  EXPECT_EQ(time_of("a minute ago"), now - 60 * kSecond);
  EXPECT_EQ(time_of("an hour ago"), now - 3600 * kSecond);
  EXPECT_EQ(time_of("30s ago"), now - 30 * kSecond);
  EXPECT_EQ(time_of("1 hour 30 min ago"), now - 5400 * kSecond);
  EXPECT_EQ(time_of("1h30m ago"), now - 5400 * kSecond);
  EXPECT_EQ(time_of("2 Weeks AGO"), now - 14 * 86'400 * kSecond);
  EXPECT_EQ(time_of("0 seconds ago"), now);
  for (const char* bad : {"minutes ago", "5 ago", "five minutes ago", "5 parsecs ago", "-5 m ago",
                          "5.5 minutes ago", "99999999999999999999 s ago", "9999999999 weeks ago",
                          "5 minutes ago ago", "5 minutes", "1500000000 s 900000000 s ago"}) {
    EXPECT_FALSE(error_of(bad).empty()) << bad;
  }
}

TEST(Point, NamedPointsAreTakenAsTheyAre) {
  const auto parsed = [](std::string_view text) {
    return cdp::value_or_throw(parse_point(text, context())).point;
  };
  EXPECT_EQ(parsed("now"), Point::now());
  EXPECT_EQ(parsed("first"), Point::first());
  EXPECT_EQ(parsed("lsn:0"), Point::at_lsn(Lsn{0}));
  EXPECT_EQ(parsed("lsn:18446744073709551615"), Point::at_lsn(Lsn{UINT64_MAX}));
  EXPECT_EQ(parsed("mark:before upgrade: 18:56"), Point::at_mark("before upgrade: 18:56"));
  EXPECT_EQ(parsed("mark:\xe5\x89\x8d"), Point::at_mark("\xe5\x89\x8d"));
  for (const char* bad :
       {"lsn:", "lsn:-1", "lsn:1a", "lsn: 1", "lsn:18446744073709551616", "lsn", "mark:", "mark: x",
        "mark:a\tb", "mark:\xff", "mark:\xc0\xaf", "mark:\xed\xa0\x80", "mark:\xe5\x89"}) {
    EXPECT_FALSE(error_of(bad).empty()) << bad;
  }
  EXPECT_FALSE(check_mark_label(std::string(129, 'x')).ok());
  EXPECT_TRUE(check_mark_label(std::string(128, 'x')).ok());
}

// Rule 16.
TEST(Point, LocalTimeThatHappenedTwiceIsRefusedWithBothCandidates) {
  const PointContext at{Nanos{1'700'000'000LL * kSecond}, zone("America/New_York")};
  const std::string error = error_of("2020-11-01 01:30", at);
  EXPECT_TRUE(contains(error, "twice in America/New_York")) << error;
  EXPECT_TRUE(contains(error, "2020-11-01T01:30:00.000000000-04:00")) << error;
  EXPECT_TRUE(contains(error, "2020-11-01T01:30:00.000000000-05:00")) << error;
  // What it offers is accepted, and the two are an hour apart.
  EXPECT_EQ(time_of("2020-11-01T01:30:00.000000000-04:00", at) + 3600 * kSecond,
            time_of("2020-11-01T01:30:00.000000000-05:00", at));
  // The edges of the fold.
  EXPECT_EQ(time_of("2020-11-01 00:59:59.999999999", at), 1'604'206'800LL * kSecond - 1);
  EXPECT_FALSE(error_of("2020-11-01 01:00", at).empty());
  EXPECT_FALSE(error_of("2020-11-01 01:59:59.999999999", at).empty());
  EXPECT_EQ(time_of("2020-11-01 02:00", at), 1'604'214'000LL * kSecond);
}

// Rule 16.
TEST(Point, LocalTimeThatWasSkippedIsRefusedWithItsNeighbours) {
  const PointContext at{Nanos{1'700'000'000LL * kSecond}, zone("America/New_York")};
  const std::string error = error_of("2020-03-08 02:30", at);
  EXPECT_TRUE(contains(error, "did not happen in America/New_York")) << error;
  EXPECT_TRUE(contains(error, "2020-03-08T01:59:59.000000000-05:00")) << error;
  EXPECT_TRUE(contains(error, "2020-03-08T03:00:00.000000000-04:00")) << error;
  EXPECT_EQ(time_of("2020-03-08 01:59:59", at) + kSecond, time_of("2020-03-08 03:00", at));
}

TEST(Point, TimesOfDayInAFoldAreRefusedToo) {
  // 2020-11-01 12:00 in New York.
  const PointContext at{Nanos{1'604'250'000LL * kSecond}, zone("America/New_York")};
  EXPECT_TRUE(contains(error_of("01:30", at), "happened twice"));
  EXPECT_EQ(time_of("02:30", at), 1'604'215'800LL * kSecond);
}

TEST(Point, EveryMomentRoundTripsThroughItsCanonicalTextInEveryZone) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  for (const char* name : {"UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe",
                           "Africa/Monrovia", "-03:30", "Europe/London"}) {
    const TimeZone in = zone(name);
    for (int i = 0; i < 500; ++i) {
      const Point point =
          Point::at_time(Nanos{static_cast<std::int64_t>(random() % 9'000'000'000'000'000'000ULL)});
      const std::string text = point_text(point, in);
      const Result<Point> back = parse_absolute_point(text);
      ASSERT_TRUE(back.ok()) << name << " " << text << " " << back.error().message;
      EXPECT_EQ(*back, point) << name << " " << text;
    }
  }
  for (const Point& point :
       {Point::now(), Point::first(), Point::at_lsn(Lsn{42}), Point::at_mark("before: upgrade")}) {
    EXPECT_EQ(cdp::value_or_throw(parse_absolute_point(point_text(point, TimeZone::utc()))), point);
  }
}

// Walks over every quarter of an hour of two years: the civil time of a moment names that moment,
// or is refused as a fold that offers it.
TEST(Point, CivilTimesOfAllMomentsAreFoundAgain) {
  for (const char* name : {"America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}) {
    const TimeZone in = zone(name);
    for (std::int64_t s = 1'577'836'800; s < 1'640'995'200; s += 900) {
      const Nanos moment{s * kSecond};
      const TimeZone::Lookup lookup = in.find_moment(in.civil_at(moment));
      ASSERT_NE(lookup.match, TimeZone::Match::kGap) << name << " " << s;
      ASSERT_TRUE(lookup.first == moment || lookup.second == moment) << name << " " << s;
      ASSERT_EQ(lookup.match == TimeZone::Match::kFold, lookup.first != lookup.second);
    }
  }
}

TEST(Point, GarbageIsRefusedWithExamples) {
  for (const char* bad : {"",
                          "   ",
                          "tomorrow",
                          "yesterday",
                          "yesterday at noon",
                          "2020",
                          "2020-02",
                          "2020-2-23 18:56",
                          "2020-02-30 00:00",
                          "2020-13-01 00:00",
                          "2021-02-29 00:00",
                          "2020-00-10 00:00",
                          "2020-02-23",
                          "2020-02-23 ",
                          "2020-02-23T",
                          "2020-02-23T18",
                          "2020-02-23 1:56",
                          "2020-02-23 24:00",
                          "2020-02-23 18:60",
                          "2020-02-23 18:56:60",
                          "2020-02-23 18:56:61",
                          "2020-02-23 18:56 Europe/Paris",
                          "2020-02-23T18:56:00+8",
                          "2020-02-23T18:56:00+24:00",
                          "2020-02-23T18:56:00+08:60",
                          "2020-02-23T18:56:00+08:00x",
                          "2020-02-23T18:56:00Zulu",
                          "2020-02-23_18:56",
                          "1969-12-31 23:59",
                          "2262-01-01 00:00",
                          "18:56Z",
                          "18:56 +08:00",
                          "1:56",
                          "18h56",
                          "yesterday 18",
                          "NOW",
                          "latest",
                          "12345",
                          "lsn 5",
                          "@5",
                          "18:5",
                          "18:56:"}) {
    const std::string error = error_of(bad);
    EXPECT_TRUE(contains(error, "write a point such as")) << bad << ": " << error;
  }
  EXPECT_TRUE(contains(error_of("2020-02-23"), "\"2020-02-23 00:00\""));
  EXPECT_TRUE(contains(error_of("2020-02-23T18:56:60Z"), "leap second"));
  EXPECT_TRUE(contains(error_of(std::string(10'000, '1')), "longer than"));
}

TEST(Point, RandomTextNeverCrashesTheParser) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random{seed};
  const std::string_view alphabet = "0123456789-:T .+Zagomnuteslk yerdy\xff\n";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = i % 3 == 0 ? "2020-02-23T18:56:00+08:00" : i % 3 == 1 ? "5 minutes ago" : "";
    const std::size_t edits = 1 + random() % 6;
    for (std::size_t k = 0; k < edits; ++k) {
      const std::size_t at = random() % (text.size() + 1);
      if (random() % 3 == 0 && at < text.size()) {
        text.erase(at, 1);
      } else {
        text.insert(at, 1, alphabet[random() % alphabet.size()]);
      }
    }
    const Result<ParsedPoint> parsed = parse_point(text, context());
    if (parsed.ok() && parsed->point.kind == PointKind::kTime) {
      EXPECT_GE(parsed->point.time.value, 0) << text;
    }
  }
}

TEST(Point, YesRefusesWhatLeansOnAZoneOrOnTheMoment) {
  const auto allowed = [](std::string_view text) {
    const ParsedPoint parsed = cdp::value_or_throw(parse_point(text, context()));
    return check_unattended(parsed, text, context().zone);
  };
  for (const char* fine :
       {"2020-02-23T18:56:00+08:00", "2020-02-23 10:56 UTC", "lsn:7", "mark:x", "now", "first"}) {
    EXPECT_TRUE(allowed(fine).ok()) << fine;
  }
  for (const char* refused : {"2020-02-23 18:56", "11:00", "yesterday 18:56", "5 minutes ago"}) {
    EXPECT_FALSE(allowed(refused).ok()) << refused;
  }
  EXPECT_TRUE(
      contains(allowed("yesterday 18:56").error().message, "2020-02-23T18:56:00.000000000+08:00"));
}

TEST(Point, TheApiTakesAbsolutePointsOnly) {
  for (const char* refused :
       {"2020-02-23 18:56", "18:56", "5 minutes ago", "", "yesterday 18:56"}) {
    EXPECT_FALSE(parse_absolute_point(refused).ok()) << refused;
  }
  EXPECT_EQ(cdp::value_or_throw(parse_absolute_point("2020-02-23T18:56:00+08:00")),
            Point::at_time(Nanos{kIncident}));
}

// Rule 12.
TEST(Point, AnAbsolutePointMayBeForced) {
  for (const char* text : {"lsn:7", "2020-02-23T18:56:00+08:00", "mark:x", "now", "first"}) {
    const std::string forced = std::string{"force:"} + text;
    Point wanted = cdp::value_or_throw(parse_absolute_point(text));
    EXPECT_FALSE(wanted.force);
    wanted.force = true;
    EXPECT_EQ(cdp::value_or_throw(parse_absolute_point(forced)), wanted) << forced;
    EXPECT_EQ(cdp::value_or_throw(parse_absolute_point(point_text(wanted, TimeZone::utc()))),
              wanted);
  }
  std::string nested;
  while (nested.size() < 1u << 20) nested += "force:";
  for (const std::string& refused : {std::string{"force:"}, std::string{"force:force:now"},
                                     std::string{"force"}, std::string{"force:18:56"}, nested}) {
    EXPECT_FALSE(parse_absolute_point(refused).ok()) << refused.substr(0, 40);
  }
  EXPECT_EQ(cdp::value_or_throw(parse_absolute_point("mark:force:now")).mark, "force:now");
}

TEST(TimeZone, UnknownNamesAreRefusedAndOffsetsAreTaken) {
  for (const char* bad : {"", "Mars/Olympus", "+25:00", "8", "+8", "../../etc/passwd"}) {
    EXPECT_FALSE(TimeZone::find(bad).ok()) << bad;
  }
  EXPECT_EQ(zone("+05:45").offset_seconds_at(Nanos{}), 20'700);
  EXPECT_EQ(zone("-0330").offset_seconds_at(Nanos{}), -12'600);
  EXPECT_EQ(zone("-0330").name(), "-03:30");
}

TEST(TimeZone, LocalFollowsTheEnvironment) {
  ::setenv("TZ", ":Asia/Shanghai", 1);
  EXPECT_EQ(TimeZone::local().name(), "Asia/Shanghai");
  ::setenv("TZ", "America/New_York", 1);
  EXPECT_EQ(TimeZone::local().name(), "America/New_York");
  ::unsetenv("TZ");
  EXPECT_FALSE(TimeZone::local().name().empty());
}

TEST(TimeZone, DurationsAreShortAndNeverNegative) {
  EXPECT_EQ(format_duration(Nanos{12}), "12 ns");
  EXPECT_EQ(format_duration(cdp::milliseconds(-250)), "250 ms");
  EXPECT_EQ(format_duration(cdp::seconds(59)), "59.0 s");
  EXPECT_EQ(format_duration(cdp::seconds(125)), "2 min 5 s");
  EXPECT_EQ(format_duration(cdp::seconds(7500)), "2 h 5 min");
  EXPECT_EQ(format_duration(cdp::seconds(90'000)), "1 d 1 h");
  EXPECT_EQ(format_duration(Nanos{INT64_MIN}), format_duration(Nanos{INT64_MAX}));
}

}  // namespace
}  // namespace restore
