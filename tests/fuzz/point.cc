// SPDX-License-Identifier: Apache-2.0
//
// The grammar of points, at some moments and in some zones. A point that is understood is printed
// as a text that means the same to everybody, everywhere.
#include "restore/point.h"

#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(point) {
  static const restore::TimeZone kZones[] = {
      restore::TimeZone::utc(), cdp::value_or_throw(restore::TimeZone::find("Asia/Shanghai")),
      cdp::value_or_throw(restore::TimeZone::find("Europe/Berlin")),
      cdp::value_or_throw(restore::TimeZone::find("-03:30"))};
  constexpr std::int64_t kHour = 3'600'000'000'000;
  constexpr std::int64_t kMoments[] = {
      0, kHour, 1'582'455'360'000'000'000,
      1'603'587'600'000'000'000,  // clocks of Berlin are put back
      INT64_MAX};
  fuzz::Input in(input);
  const std::uint8_t where = in.u8();
  const restore::TimeZone& zone = kZones[where % 4];
  const restore::PointContext context{.now = {kMoments[(where >> 2) % 5]}, .zone = zone};
  const std::string text = in.text_of_rest();

  const auto parsed = restore::parse_point(text, context);
  if (parsed.ok()) {
    const restore::Point& point = parsed->point;
    CHECK(point.kind != restore::PointKind::kTime || point.time.value >= 0);
    // In the zone of somebody else, the first and the last day of all may be days that cannot be
    // named.
    constexpr std::int64_t kLast = 9'214'646'400'000'000'000 - 24 * kHour;  // of the year 2261
    const bool everywhere = point.kind != restore::PointKind::kTime ||
                            (point.time.value >= 24 * kHour && point.time.value < kLast);
    for (const restore::TimeZone& printed_in : kZones) {
      const auto back = restore::parse_absolute_point(restore::point_text(point, printed_in));
      if (everywhere) CHECK(back.ok() && *back == point);
    }
    const auto alone = restore::check_unattended(*parsed, text, zone);
    CHECK(alone.ok() == (parsed->basis == restore::PointBasis::kAbsolute));
  }
  const auto absolute = restore::parse_absolute_point(text);
  if (absolute.ok() && absolute->force) {
    constexpr std::size_t kPrefixBytes = 6;
    const auto unforced = restore::parse_absolute_point(text.substr(kPrefixBytes));
    CHECK(unforced.ok() && !unforced->force && !parsed.ok());
    CHECK(restore::point_text(*absolute, zone) == "force:" + restore::point_text(*unforced, zone));
  } else if (absolute.ok()) {
    CHECK(parsed.ok() && parsed->point == *absolute);
    CHECK(parsed->basis == restore::PointBasis::kAbsolute);
  } else {
    CHECK(!parsed.ok() || parsed->basis != restore::PointBasis::kAbsolute);
  }
}
