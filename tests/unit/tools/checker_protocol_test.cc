// SPDX-License-Identifier: Apache-2.0
//
// What a checker says is not believed. tests/system/check_is_contained.sh has a whole one that
// lies.
#include "tools/daemon/checks/checker_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string>

#include "tools/daemon/checks/line_buffer.h"

namespace tools {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t kDeviceBytes = 1u << 20;

json::object system_with(json::object changes) {
  json::object system{{"offset", 4096},
                      {"bytes", 8192},
                      {"type", "ext4"},
                      {"tool", "e2fsck"},
                      {"outcome", "clean"}};
  for (auto& [name, value] : changes) system[name] = value;
  return system;
}

std::string result_of(json::array systems, json::value table = nullptr) {
  const bool knows_nothing = systems.empty() && table.is_null();
  return json::serialize(json::object{{"result",
                                       {{"partition_table", std::move(table)},
                                        {"file_systems", std::move(systems)},
                                        {"nothing_known", knows_nothing}}}});
}

std::string result_with(json::object changes) {
  return result_of({system_with(std::move(changes))}, {{"type", "gpt"}, {"id", ""}});
}

// What is wrong with it; empty where it is taken.
std::string refusal_of(const std::string& line) {
  const auto word = parse_checker_line(line, kDeviceBytes);
  if (word.ok()) return {};
  EXPECT_EQ(word.error().code, EPROTO);
  EXPECT_THAT(word.error().message, StartsWith("the checker does not keep to what was agreed: "));
  return word.error().message;
}

TEST(CheckerProtocol, TakesWhatACheckerSays) {
  const auto wants = parse_checker_line(R"({"open":{"offset":4096,"bytes":8192}})", kDeviceBytes);
  ASSERT_TRUE(wants.ok());
  EXPECT_EQ(std::get<CheckerWants>(*wants).offset, 4096u);
  EXPECT_EQ(std::get<CheckerWants>(*wants).bytes, 8192u);
  const auto does = parse_checker_line(R"({"doing":"checking ext4 at offset 0"})", kDeviceBytes);
  ASSERT_TRUE(does.ok());
  EXPECT_EQ(std::get<CheckerDoes>(*does).what, "checking ext4 at offset 0");
  const auto failed = parse_checker_line(R"({"failed":"no"})", kDeviceBytes);
  ASSERT_TRUE(failed.ok());
  EXPECT_EQ(std::get<CheckerFailed>(*failed).why, "no");
}

TEST(CheckerProtocol, GivesAResultAsItWasSaid) {
  for (const std::string& line :
       {result_of({}), result_of({}, {{"type", "dos"}, {"id", "9e1d"}}), result_with({}),
        result_with({{"partition", 2}, {"label", "the sh\xc3\xb6p"}, {"uuid", "A-B"}}),
        result_with({{"outcome", "damaged"}, {"output", "one\ntwo\n"}}),
        result_with({{"offset", 0}, {"bytes", kDeviceBytes}}),
        result_with({{"outcome", "not_checked"}, {"reason", "it is swap"}})}) {
    const auto word = parse_checker_line(line, kDeviceBytes);
    ASSERT_TRUE(word.ok()) << word.error().message;
    const json::object again{{"result", std::get<CheckerFound>(*word).result}};
    EXPECT_EQ(json::value(again), json::parse(line));
  }
}

TEST(CheckerProtocol, RefusesWhatIsNoLineOfACheckers) {
  EXPECT_THAT(refusal_of(""), HasSubstr("no JSON"));
  EXPECT_THAT(refusal_of("{} {}"), HasSubstr("no JSON"));
  EXPECT_THAT(refusal_of("{\"doing\":\"\xff\"}"), HasSubstr("no JSON"));
  EXPECT_THAT(refusal_of(std::string(100, '[') + std::string(100, ']')), HasSubstr("no JSON"));
  EXPECT_THAT(refusal_of(std::string(kCheckerLineBytesMax + 1, ' ')), HasSubstr("too long"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("no object"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("lacks result"));
  EXPECT_THAT(refusal_of(R"({"doing":"a","failed":"b"})"), HasSubstr("too many"));
  EXPECT_THAT(refusal_of(R"({"doing":7})"), HasSubstr("no text"));
  EXPECT_THAT(refusal_of(R"({"doing":""})"), HasSubstr("empty"));
  EXPECT_THAT(refusal_of(R"({"doing":"a\nb"})"), HasSubstr("no plain text"));
  EXPECT_THAT(refusal_of(R"({"doing":"a\u0085b"})"), HasSubstr("no plain text"));
  EXPECT_THAT(refusal_of(R"({"doing":")" + std::string(513, 'a') + "\"}"), HasSubstr("longer"));
  EXPECT_THAT(refusal_of(R"({"open":{"offset":-1,"bytes":1}})"), HasSubstr("whole number"));
  EXPECT_THAT(refusal_of(R"({"open":{"offset":1e3,"bytes":1}})"), HasSubstr("whole number"));
  EXPECT_THAT(refusal_of(R"({"open":{"offset":0,"bytes":1,"path":"/"}})"), HasSubstr("too many"));
}

TEST(CheckerProtocol, RefusesAResultThatCannotBe) {
  const struct {
    json::object changes;
    const char* why;
  } lies[] = {
      {{{"offset", kDeviceBytes}}, "does not lie in the device"},
      {{{"offset", UINT64_MAX}}, "does not lie in the device"},
      {{{"bytes", 0}}, "does not lie in the device"},
      {{{"bytes", UINT64_MAX}}, "does not lie in the device"},
      {{{"bytes", kDeviceBytes}}, "does not lie in the device"},
      {{{"offset", -4096}}, "whole number"},
      {{{"bytes", 8192.0}}, "whole number"},
      {{{"partition", 0}}, "no partition"},
      {{{"partition", 70000}}, "no partition"},
      {{{"type", ""}}, "empty"},
      {{{"type", std::string(65, 'a')}}, "longer"},
      {{{"label", "a\x1b[2J"}}, "no plain text"},
      {{{"label", std::string(257, 'a')}}, "longer"},
      {{{"output", std::string(kCheckOutputBytesMax + 1, 'a')}}, "longer"},
      {{{"output", "a\rb"}}, "no plain text"},
      {{{"outcome", "splendid"}}, "no such outcome"},
      {{{"outcome", true}}, "no text"},
      {{{"outcome", "needs_mount"}}, "no reason"},
      {{{"html", "<b>"}}, "too many"},
  };
  for (const auto& [changes, why] : lies)
    EXPECT_THAT(refusal_of(result_with(changes)), HasSubstr(why)) << json::serialize(changes);
  json::object nobody = system_with({});
  nobody.erase("tool");
  EXPECT_THAT(refusal_of(result_of({nobody})), HasSubstr("nobody has found"));
  EXPECT_THAT(refusal_of(result_of({system_with({{"partition", 1}})})), HasSubstr("no partition"));
  EXPECT_THAT(refusal_of(result_of({7})), HasSubstr("no object"));
  EXPECT_THAT(refusal_of(result_of({}, "gpt")), HasSubstr("no object"));
  EXPECT_THAT(refusal_of(result_of({}, {{"type", "gpt"}})), HasSubstr("lacks id"));
  EXPECT_EQ(refusal_of(result_of(json::array(kCheckFileSystemsMax, system_with({})))), "");
  EXPECT_THAT(refusal_of(result_of(json::array(kCheckFileSystemsMax + 1, system_with({})))),
              HasSubstr("more than"));
  EXPECT_THAT(
      refusal_of(R"({"result":{"partition_table":null,"file_systems":[],"nothing_known":false}})"),
      HasSubstr("contradicts"));
}

TEST(CheckerProtocol, ALongResultLosesItsLongestOutputsFirst) {
  json::array systems;
  for (const std::size_t length : {10u, 4000u, 3000u})
    systems.push_back(system_with({{"output", std::string(length, 'a')}, {"reason", "so"}}));
  json::object result{{"file_systems", systems}};
  shorten_check(result, 4000);
  EXPECT_LE(json::serialize(result).size(), 4000u);
  const json::array& left = result.at("file_systems").as_array();
  EXPECT_TRUE(left[0].as_object().contains("output"));
  EXPECT_FALSE(left[1].as_object().contains("output"));
  EXPECT_TRUE(left[2].as_object().contains("output"));
  // Everything else of the most that there may be stays.
  const std::string label(256, '"');
  result["file_systems"] = json::array(
      kCheckFileSystemsMax, system_with({{"label", label}, {"reason", std::string(512, 'a')}}));
  shorten_check(result, 64u << 10);
  EXPECT_LE(json::serialize(result).size(), 64u << 10);
  EXPECT_EQ(result.at("file_systems").as_array().size(), kCheckFileSystemsMax);
}

TEST(LineBuffer, GivesLinesInWhateverPiecesTheyCome) {
  LineBuffer buffer{{.line_bytes_max = 8, .bytes_max = 100, .lines_max = 10}};
  ASSERT_TRUE(buffer.feed("one\ntw").ok());
  EXPECT_EQ(buffer.next().value(), "one");
  EXPECT_EQ(buffer.next().value(), std::nullopt);
  ASSERT_TRUE(buffer.feed("o\n\n").ok());
  EXPECT_EQ(buffer.next().value(), "two");
  EXPECT_EQ(buffer.next().value(), "");
  EXPECT_EQ(buffer.next().value(), std::nullopt);
}

TEST(LineBuffer, RefusesMoreThanItsLimits) {
  LineBuffer long_line{{.line_bytes_max = 8, .bytes_max = 100, .lines_max = 10}};
  EXPECT_FALSE(long_line.feed("123456789").ok());
  LineBuffer second_line{{.line_bytes_max = 8, .bytes_max = 100, .lines_max = 10}};
  ASSERT_TRUE(second_line.feed("1\n123456789\n").ok());
  EXPECT_TRUE(second_line.next().ok());
  EXPECT_FALSE(second_line.next().ok());
  LineBuffer bytes{{.line_bytes_max = 8, .bytes_max = 6, .lines_max = 10}};
  ASSERT_TRUE(bytes.feed("12\n").ok());
  EXPECT_FALSE(bytes.feed("1234").ok());
  LineBuffer lines{{.line_bytes_max = 8, .bytes_max = 100, .lines_max = 1}};
  ASSERT_TRUE(lines.feed("1\n2\n").ok());
  EXPECT_TRUE(lines.next().ok());
  EXPECT_FALSE(lines.next().ok());
}

}  // namespace
}  // namespace tools
