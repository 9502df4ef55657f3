// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/timeline_text.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>

namespace tools::cli {
namespace {

namespace json = boost::json;
using restore::TimeZone;

constexpr TimelineLook kWide{.columns = 120, .unicode = true, .colour = false};

std::string draw(const std::string& document, TimelineLook look = kWide,
                 const TimeZone& zone = TimeZone::utc()) {
  return timeline_text(json::parse(document).as_object(), zone, look);
}

// From 10:00:00 on, by the minute.
std::string timeline(const std::string& until, const std::string& steps,
                     const std::string& events = "", int step_seconds = 60) {
  return R"({"volume": {"name": "shop"}, "since": "2020-02-23T10:00:00Z", "until": ")" + until +
         R"(", "step_seconds": )" + std::to_string(step_seconds) + R"(, "steps": [)" + steps +
         R"(], "events": [)" + events + "]}";
}

std::string step(const std::string& begin, std::uint64_t written, std::uint64_t trimmed = 0,
                 const std::string& more = "") {
  return R"({"begin": "2020-02-23T)" + begin + R"(Z", "written_bytes": )" +
         std::to_string(written) + R"(, "zeroed_bytes": 0, "trimmed_bytes": )" +
         std::to_string(trimmed) + more + "}";
}

std::string event(const std::string& kind, const std::string& at, const std::string& text,
                  const std::string& more = "") {
  return R"({"kind": ")" + kind + R"(", "lsn": 7, "time": "2020-02-23T)" + at + R"(Z", "text": ")" +
         text + "\"" + more + "}";
}

TEST(TimelineText, ShowsADestructionAmongWrites) {
  const std::string text = draw(timeline(
      "2020-02-23T10:09:59Z",
      step("10:00:00", 1 << 20) + "," + step("10:01:00", 4 << 20) + "," + step("10:02:00", 64) +
          "," +
          step("10:06:00", 1 << 20, 1 << 30,
               R"(, "overwritten_percent": 100, "entropy_percent": 3)") +
          "," +
          step("10:09:00", 256 << 10, 0, R"(, "overwritten_percent": 40, "entropy_percent": 50)"),
      event("mark", "10:05:30", "before-upgrade")));
  EXPECT_EQ(text,
            "shop  2020-02-23 10:00:00 UTC to 2020-02-23 10:09:59 UTC, a column is 1 min\n"
            "\n"
            "written    ▄█▁   ▄  ▂  max 4M\n"
            "zeroed           █     max 1G\n"
            "overwrites       █  ▄  max 100 %\n"
            "entropy          ▁  ▄  max 50 %\n"
            "                ▲    \n"
            "           ╵10:00:00\n"
            "\n"
            "   TIME                     POINT                WHAT\n"
            "▲  2020-02-23 10:05:30 UTC  mark:before-upgrade  mark\n"
            "\n"
            "The most was trimmed or zeroed (1G) at 2020-02-23 10:06:00 UTC. Closer:\n"
            "  hindsight timeline shop --since 2020-02-23T10:06:00Z --until "
            "2020-02-23T10:07:00Z\n");
}

TEST(TimelineText, ByTheSecondNamesThePointBefore) {
  const std::string text = draw(timeline("2020-02-23T10:00:02Z", step("10:00:01", 0, 4096), "", 1));
  EXPECT_NE(text.find("zeroed      █   max 4K\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  hindsight points shop --at 2020-02-23T10:00:00.999999999Z\n"),
            std::string::npos)
      << text;
}

TEST(TimelineText, PassesOverAnEndThatIsNoTime) {
  for (const char* until : {R"("until": "soon")", R"("until": 5)", R"("until": null)"}) {
    const std::string text =
        draw(timeline("2020-02-23T10:01:59Z", step("10:00:00", 4096),
                      event("gap", "10:00:30", "full", std::string(", ") + until)));
    EXPECT_NE(text.find("gap full\n"), std::string::npos) << text;
  }
}

TEST(TimelineText, TellsThatNothingHappened) {
  EXPECT_EQ(draw(timeline("2020-02-23T10:01:59Z", "")),
            "shop  2020-02-23 10:00:00 UTC to 2020-02-23 10:01:59 UTC, a column is 1 min\n"
            "\n"
            "Nothing was written in this time.\n"
            "           ╵10:00:00\n");
}

// A block in one second of ten days is seen in any width.
TEST(TimelineText, DropsNothingWhereColumnsHoldManySteps) {
  const std::string document = timeline(
      "2020-03-04T10:00:00Z",
      step("10:00:00", std::uint64_t{1} << 40) + "," + step("10:20:00", 4096, 4096), "", 1);
  for (const std::size_t columns : {1U, 20U, 80U, 1000U}) {
    const std::string text = draw(document, {.columns = columns, .unicode = true, .colour = false});
    EXPECT_NE(text.find("\nzeroed "), std::string::npos) << text;
    EXPECT_NE(text.find("  max 4K\n"), std::string::npos) << text;
  }
}

TEST(TimelineText, HatchesGapsAndTellsWhatStandsBesideWrites) {
  const std::string text = draw(timeline(
      "2020-02-23T10:05:59Z", step("10:00:00", 4096),
      event("created", "10:00:01", "shop") + "," +
          event("gap", "10:02:10", "the vault was full", R"(, "until": "2020-02-23T10:03:10Z")") +
          "," + event("crash", "10:04:10", "writes that were not flushed may be lost before it") +
          "," + event("mark", "10:04:20", "a") + "," +
          event("rollback", "10:05:10", "to lsn:3 by ops")));
  EXPECT_NE(text.find("written    █ ▒▒    max 4K\n"), std::string::npos) << text;
  EXPECT_NE(text.find("           │ ▒ ◆↶\n"), std::string::npos) << text;
  EXPECT_NE(text.find("gap the vault was full (over at 2020-02-23 10:03:10 UTC)"),
            std::string::npos);
  EXPECT_NE(text.find("lsn:7   rollback to lsn:3 by ops"), std::string::npos) << text;
}

TEST(TimelineText, SpeaksAsciiWhereTheLocaleDoes) {
  const std::string text = draw(
      timeline("2020-02-23T10:03:59Z", step("10:00:00", 64 << 20) + "," + step("10:02:00", 1 << 20),
               event("mark", "10:01:00", "a")),
      {.columns = 80, .unicode = false, .colour = false});
  EXPECT_NE(text.find("written    @ .   max 64M\n"), std::string::npos) << text;
  EXPECT_EQ(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; }), 0);
}

TEST(TimelineText, IsColouredOnlyWhereItMayBe) {
  const std::string document = timeline("2020-02-23T10:03:59Z", step("10:00:00", 4096, 4096),
                                        event("crash", "10:01:00", "it crashed"));
  EXPECT_EQ(draw(document).find('\x1b'), std::string::npos);
  const std::string text = draw(document, {.columns = 80, .unicode = true, .colour = true});
  EXPECT_NE(text.find("\x1b[31m✗\x1b[0m"), std::string::npos);
}

TEST(TimelineText, HasItsTimesInTheZone) {
  const auto zone = cdp::value_or_throw(TimeZone::find("+08:00"));
  const std::string text =
      draw(timeline("2020-02-23T10:03:59Z", step("10:00:00", 4096)), kWide, zone);
  EXPECT_NE(text.find("2020-02-23 18:00:00 +08:00 to 2020-02-23 18:03:59 +08:00"),
            std::string::npos);
  EXPECT_NE(text.find("╵18:00:00"), std::string::npos);
  EXPECT_NE(text.find("--since 2020-02-23T18:00:00+08:00"), std::string::npos);
}

// What names and labels say is no command to a terminal, and what is missing is no crash.
TEST(TimelineText, IsNotMisledByWhatItIsTold) {
  const std::string text =
      draw(timeline("2020-02-23T10:03:59Z", "7, {}, null",
                    event("mark", "10:01:00", "a\\u001b[2J") + R"(, 7, {"kind": 3})"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  for (const char* document : {"{}", R"({"since": "x", "until": 7, "step_seconds": -1})",
                               R"({"until": "2261-01-01T00:00:00Z", "step_seconds": 1})"})
    EXPECT_FALSE(draw(document).empty());
}

}  // namespace
}  // namespace tools::cli
