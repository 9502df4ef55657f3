// SPDX-License-Identifier: Apache-2.0
//
// How requests are parsed by the descriptions of operations. What the daemon makes of them, and
// what each refuses, is in tests/system/api_keeps_its_word.
#include "tools/daemon/rest/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "tools/daemon/rest/openapi.h"
#include "tools/daemon/rest/paging.h"

namespace tools {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

const Operation& operation(std::string_view id) {
  for (const Operation& each : operations()) {
    if (each.id == id) return each;
  }
  throw std::invalid_argument(std::string(id));
}

HttpRequest request(std::vector<std::string> path, std::map<std::string, std::string> query,
                    std::string_view body) {
  HttpRequest made;
  made.path = std::move(path);
  made.query = std::move(query);
  if (!body.empty()) made.body = json::parse({body.data(), body.size()});
  made.peer.name = "root (uid 0)";
  return made;
}

cdp::Result<Call> parsed(std::string_view id, HttpRequest from) {
  return operation(id).parse(std::move(from), {});
}

TEST(Operations, HaveIdsAndParametersThatAreTheirOwn) {
  std::set<std::string_view> ids;
  std::set<std::pair<std::string_view, std::string_view>> places;
  for (const Operation& each : operations()) {
    EXPECT_TRUE(ids.insert(each.id).second) << each.id;
    EXPECT_TRUE(places.emplace(each.method, each.path).second) << each.id;
    std::set<std::string_view> names{kZoneParameter.name};
    for (const auto* const parameters : {&each.query, &each.body}) {
      for (const Parameter& parameter : *parameters) {
        EXPECT_TRUE(names.insert(parameter.name).second) << each.id << ": " << parameter.name;
        EXPECT_EQ(each.path.find(parameter.name), each.path.npos) << each.id;
        EXPECT_FALSE(parameter.meaning.empty()) << each.id << ": " << parameter.name;
      }
    }
  }
}

TEST(Operations, AreFoundByTheirPaths) {
  EXPECT_TRUE(operation("listVolumes").is_at({"api", "volumes"}));
  EXPECT_TRUE(operation("getVolume").is_at({"api", "volumes", "shop"}));
  EXPECT_TRUE(operation("getPoints").is_at({"api", "volumes", "points", "points"}));
  EXPECT_FALSE(operation("getVolume").is_at({"api", "volumes"}));
  EXPECT_FALSE(operation("getVolume").is_at({"api", "volumes", "shop", "points"}));
  EXPECT_FALSE(operation("listVolumes").is_at({}));
}

TEST(Operations, TakeWhatARequestSays) {
  const auto created =
      parsed("createVolume",
             request({"api", "volumes"}, {{"tz", "Asia/Shanghai"}},
                     R"({"name":"a","origin":{"volume":"b","at":"lsn:7"},"size_bytes":4096})"));
  ASSERT_TRUE(created.ok()) << created.error().message;
  EXPECT_EQ(created->zone.name(), "Asia/Shanghai");
  EXPECT_EQ(created->peer.name, "root (uid 0)");
  EXPECT_EQ(created->arguments.text("name"), "a");
  EXPECT_EQ(created->arguments.get<std::uint64_t>("size_bytes"), 4096u);
  EXPECT_EQ(created->arguments.get<VolumeAt>("origin").volume, "b");
  EXPECT_EQ(created->arguments.get<VolumeAt>("origin").at, restore::Point::at_lsn({7}));
  EXPECT_FALSE(created->arguments.has("backing"));

  const auto rolled = parsed(
      "rollBack",
      request({"api", "rollbacks"}, {}, R"({"volumes":["a","b"],"at":"first","dry_run":true})"));
  ASSERT_TRUE(rolled.ok()) << rolled.error().message;
  EXPECT_THAT(rolled->arguments.get<std::vector<std::string>>("volumes"), ElementsAre("a", "b"));
  EXPECT_EQ(rolled->arguments.get<restore::Point>("at"), restore::Point::first());
  EXPECT_TRUE(rolled->arguments.flag("dry_run"));
  EXPECT_FALSE(rolled->arguments.flag("disconnect"));

  const auto image = parsed("getImage", request({"api", "volumes", "shop", "image"},
                                                {{"at", "now"}, {"by_offset", "1"}}, ""));
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->arguments.text("volume"), "shop");
  EXPECT_TRUE(image->arguments.flag("by_offset"));
}

TEST(Operations, SayWhatIsWrongWithARequest) {
  const struct {
    const char* id;
    std::map<std::string, std::string> query;
    const char* body;
    const char* sentence;
  } cases[] = {
      {"createMark", {}, "", "body wants \"label\""},
      {"createMark", {}, "{}", "body wants \"label\""},
      {"createMark", {}, R"({"label":7})", "\"label\" to be a string"},
      {"createMark", {}, R"({"label":"a","volum":"b"})", "it knows label, volume, all"},
      {"createMark", {}, R"({"label":"a","all":"true"})", "\"all\" to be true or false"},
      {"createMark", {}, R"(["label"])", "must be a JSON object"},
      {"createVolume",
       {},
       R"({"name":"a","size_bytes":-1})",
       "\"size_bytes\" to be a whole number"},
      {"createVolume",
       {},
       R"({"name":"a","size_bytes":1e3})",
       "\"size_bytes\" to be a whole number"},
      {"createVolume",
       {},
       R"({"name":"a","size_bytes":"1"})",
       "\"size_bytes\" to be a whole number"},
      {"createVolume", {}, R"({"name":"a","origin":"b"})", "\"origin\" to be an object"},
      {"createVolume", {}, R"({"name":"a","origin":{"volume":"b"}})", "\"origin\" to be an object"},
      {"createVolume", {}, R"({"name":"a","origin":{"volume":"b","at":"x"}})", "the point"},
      {"createVolume",
       {},
       R"({"name":"a","origin":{"volume":"b","at":"now","to":"c"}})",
       "an object of"},
      {"rollBack", {}, R"({"volumes":[],"at":"now"})", "a list of 1 to 256 strings"},
      {"rollBack", {}, R"({"volumes":["a",1],"at":"now"})", "a list of 1 to 256 strings"},
      {"rollBack", {}, R"({"volumes":"a","at":"now"})", "a list of 1 to 256 strings"},
      {"rollBack", {}, R"({"volumes":["a"],"at":7})", "\"at\" to be a point"},
      {"rollBack", {}, R"({"volumes":["a"],"at":"5 minutes ago"})", "the point"},
      {"getStatus", {{"at", "now"}}, "", "query has \"at\", which this resource does not know"},
      {"getStatus", {}, R"({"at":1})", "body has \"at\", which this resource does not know"},
      {"getStatus", {{"tz", "Mars/Olympus"}}, "", "Mars/Olympus"},
      {"listVolumes", {{"removed", "perhaps"}}, "", "is true or false, not \"perhaps\""},
      {"listMarks", {{"", "1"}}, "", "query has \"\""},
  };
  for (const auto& [id, query, body, sentence] : cases) {
    const auto call = parsed(id, request({}, query, body));
    ASSERT_FALSE(call.ok()) << id << " " << body;
    EXPECT_EQ(call.error().code, EINVAL) << id << " " << body;
    EXPECT_THAT(call.error().message, HasSubstr(sentence)) << id << " " << body;
  }
}

TEST(Operations, WantTheRightsOfWhatTheyDo) {
  const HttpRequest blank = request({"api", "volumes"}, {}, R"({"name":"a","size_bytes":4096})");
  const HttpRequest from = request({"api", "volumes"}, {}, R"({"name":"a","origin":7})");
  EXPECT_EQ(operation("createVolume").needs_of(blank), Rights::kOperate);
  EXPECT_EQ(operation("createVolume").needs_of(from), Rights::kRestore);
  EXPECT_EQ(operation("createVolume").needs_of(request({}, {}, "[]")), Rights::kOperate);
  EXPECT_EQ(operation("signIn").needs_of(blank), std::nullopt);
  EXPECT_EQ(operation("getSession").needs_of(blank), Rights::kNone);
  // What changes something is told in the audit, and is for nobody who only sees.
  for (const Operation& each : operations()) {
    EXPECT_TRUE(each.is_act || each.method == "GET") << each.id;
    EXPECT_FALSE(each.is_act && each.needs == Rights::kSee) << each.id;
  }
}

TEST(Operations, TellTheAuditNoSecret) {
  const HttpRequest made =
      request({"api", "users", "anna"}, {{"tz", "UTC"}},
              R"({"password":"a secret of twelve","roles":["viewer"],"frob":"x"})");
  EXPECT_EQ(json::serialize(operation("changeUser").detail_of(made)),
            R"({"user":"anna","roles":["viewer"]})");
  for (const Operation& each : operations()) {
    HttpRequest full = request({"a", "b", "c", "d"}, {}, "{}");
    for (const Parameter& parameter : each.body) full.body.as_object()[parameter.name] = "hidden";
    for (const Parameter& parameter : each.body) {
      const bool is_secret = parameter.name == "password" || parameter.name == "code" ||
                             parameter.name == "current" || parameter.name == "new";
      EXPECT_EQ(each.detail_of(full).contains(parameter.name), !is_secret) << each.id;
    }
  }
}

TEST(Paging, PagesOfAListAreTheList) {
  const std::vector<int> all = {2, 3, 5, 7, 11};
  for (std::size_t limit = 1; limit < 7; ++limit) {
    std::vector<int> seen;
    for (int after = 0;;) {
      const auto page = page_of(
          all, [after](int each) { return each > after; }, limit);
      if (page.empty()) break;
      EXPECT_LE(page.size(), limit);
      seen.insert(seen.end(), page.begin(), page.end());
      after = page.back();
    }
    EXPECT_EQ(seen, all);
  }
}

TEST(Paging, ALimitIsWithinItsBounds) {
  constexpr PageSize kSize{.without = 10, .most = 100};
  const auto limit = [&](std::string text) {
    return limit_of(
        cdp::value_or_throw(parsed("listMarks", request({"api", "marks"}, {{"limit", text}}, "")))
            .arguments,
        kSize);
  };
  EXPECT_EQ(cdp::value_or_throw(limit_of(Arguments{}, kSize)), 10u);
  EXPECT_EQ(cdp::value_or_throw(limit("1")), 1u);
  EXPECT_EQ(cdp::value_or_throw(limit("100")), 100u);
  EXPECT_FALSE(limit("0").ok());
  EXPECT_FALSE(limit("101").ok());
}

TEST(Operations, AreAllInTheOpenApiDocument) {
  const json::object document = openapi_document(operations(), "7");
  EXPECT_EQ(document.at("info").at("version").as_string(), "7");
  std::size_t described = 0;
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    described += methods.as_object().size();
  }
  EXPECT_EQ(described, operations().size());
  const json::value& create = document.at("paths").at("/api/volumes").at("post");
  EXPECT_TRUE(create.at("responses").as_object().contains("201"));
  const json::value& body =
      create.at("requestBody").at("content").at("application/json").at("schema");
  EXPECT_EQ(json::serialize(body.at("required")), R"(["name"])");
  EXPECT_EQ(body.at("properties").at("size_bytes").at("type").as_string(), "integer");
}

}  // namespace
}  // namespace tools
