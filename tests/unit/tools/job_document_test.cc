// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/job_document.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace tools {
namespace {

namespace json = boost::json;

Job done_check() {
  restore::ResolvedPoint point;
  point.at = {cdp::Lsn{7}, cdp::seconds(1'582'484'160)};
  point.volume.size_bytes = 1u << 20;
  point.notices.push_back({"damage", "a frame is rotten"});
  json::object found =
      json::parse(R"({"partition_table":null,"nothing_known":false,"file_systems":[{"offset":0,
        "bytes":4096,"type":"ext4","tool":"e2fsck","outcome":"damaged","output":"/etc/shadow"}]})")
          .as_object();
  Job job{.kind = Job::Kind::kCheck, .state = Job::State::kDone};
  job.result = kept_check(std::move(found), point);
  return job;
}

TEST(JobDocument, ACheckIsToldInTheZoneOfWhoAsks) {
  const json::object document =
      job_document(done_check(), restore::TimeZone::find("Asia/Shanghai").value(), true);
  const json::object& check = document.at("check").as_object();
  EXPECT_EQ(check.at("point"), json::value({{"lsn", 7},
                                            {"time", "2020-02-24T02:56:00.000000000+08:00"},
                                            {"time_utc", "2020-02-23T18:56:00.000000000Z"}}));
  EXPECT_EQ(check.at("size_bytes"), 1u << 20);
  EXPECT_EQ(check.at("notices").as_array().size(), 1u);
  EXPECT_EQ(check.at("file_systems").at(0).at("output"), "/etc/shadow");
}

TEST(JobDocument, WhatToolsSayOfFilesIsForWhoMaySeeData) {
  const std::string text =
      json::serialize(job_document(done_check(), restore::TimeZone::utc(), false));
  EXPECT_EQ(text.find("shadow"), std::string::npos);
  EXPECT_NE(text.find("damaged"), std::string::npos);
}

TEST(JobDocument, WhatWasNotKeptHereIsNotTold) {
  Job job = done_check();
  for (const char* result : {"{}", R"({"left_out":"too long"})", R"({"point":7,"file_systems":{}})",
                             R"({"point":{"lsn":-1,"time_ns":0},"file_systems":[]})",
                             R"({"point":{"lsn":1,"time_ns":0},"file_systems":[7]})"}) {
    job.result = json::parse(result).as_object();
    EXPECT_FALSE(job_document(job, restore::TimeZone::utc(), false).contains("check")) << result;
  }
}

TEST(JobDocument, OnlyACheckThatIsDoneHasAResult) {
  Job job = done_check();
  job.state = Job::State::kRunning;
  job.doing = "checking ext4 at offset 0";
  json::object document = job_document(job, restore::TimeZone::utc(), true);
  EXPECT_FALSE(document.contains("check"));
  EXPECT_EQ(document.at("doing"), "checking ext4 at offset 0");
  job.state = Job::State::kFailed;
  document = job_document(job, restore::TimeZone::utc(), true);
  EXPECT_FALSE(document.contains("check") || document.contains("doing"));
}

}  // namespace
}  // namespace tools
