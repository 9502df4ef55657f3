// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/structured_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <boost/json/parse.hpp>
#include <memory>
#include <sstream>
#include <string>

namespace tools {
namespace {

namespace json = boost::json;
using testing::EndsWith;
using testing::MatchesRegex;

class StructuredLog : public testing::Test {
 protected:
  StructuredLog() {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(written_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", std::move(sink)));
  }
  ~StructuredLog() override { spdlog::set_default_logger(before_); }

  std::string line_of(std::string_view message, std::initializer_list<LogField> fields) {
    written_.str("");
    log_event(spdlog::level::warn, message, fields);
    return written_.str();
  }

  std::ostringstream written_;
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST_F(StructuredLog, TextHasTheFieldsBehindTheSentence) {
  set_log_format(LogFormat::kText);
  EXPECT_THAT(line_of("audit", {{"act", "rollBack"}, {"actor", "root (uid 0)"}, {"status", "200"}}),
              MatchesRegex("[0-9T:.+-]+ warning audit act=rollBack actor=\"root .uid 0.\" "
                           "status=200\n"));
  EXPECT_THAT(line_of("m", {{"detail", R"({"name":"a b"})"}, {"none", ""}}),
              EndsWith(" m detail={\"name\":\"a b\"} none=\"\"\n"));
}

TEST_F(StructuredLog, NoFieldCanBeginAnotherLineOrField) {
  set_log_format(LogFormat::kText);
  EXPECT_THAT(line_of("m", {{"actor", "eve\n2020 info all is well"}}),
              EndsWith(" m actor=\"eve\\n2020 info all is well\"\n"));
  EXPECT_THAT(line_of("m", {{"actor", "eve status=200"}}), EndsWith(" actor=\"eve status=200\"\n"));
  EXPECT_THAT(line_of("m", {{"actor", "a=b"}}), EndsWith(" actor=\"a=b\"\n"));
  EXPECT_THAT(line_of("m", {{"detail", "{\n}"}}), EndsWith(" detail=\"{\\n}\"\n"));
}

TEST_F(StructuredLog, JsonIsAnObjectALine) {
  set_log_format(LogFormat::kJson);
  const std::string line = line_of("a \"b\"\n\xff c", {{"request", "0123"}, {"actor", "e\xff"}});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const json::object event = json::parse(line).as_object();
  EXPECT_EQ(event.at("level"), "warning");
  EXPECT_EQ(event.at("message"), "a \"b\"\n? c");
  EXPECT_EQ(event.at("request"), "0123");
  EXPECT_EQ(event.at("actor"), "e?");
  EXPECT_THAT(std::string{event.at("time").as_string()},
              MatchesRegex("20[0-9-]+T[0-9:.]+(Z|.00:00)"));
  EXPECT_EQ(event.size(), 5U);
}

TEST_F(StructuredLog, FieldsAreOfOneEventAlone) {
  set_log_format(LogFormat::kJson);
  line_of("first", {{"request", "0123"}});
  written_.str("");
  spdlog::warn("second");
  EXPECT_FALSE(json::parse(written_.str()).as_object().contains("request"));
}

}  // namespace
}  // namespace tools
