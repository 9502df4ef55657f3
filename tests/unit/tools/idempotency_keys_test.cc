// SPDX-License-Identifier: Apache-2.0
//
// Which requests are known again by their keys, and for how long. That no operation is done twice,
// over HTTP, is in tests/system/api_keeps_its_word.
#include "tools/daemon/rest/idempotency_keys.h"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>

namespace tools {
namespace {

namespace json = boost::json;
using cdp::Nanos;
using cdp::seconds;

constexpr Nanos kDay = seconds(24 * 60 * 60);

class SetClock final : public cdp::Clock {
 public:
  Nanos realtime() const override { return now + seconds(1'582'455'360); }
  Nanos boottime() const override { return now; }
  Nanos now = seconds(100'000);
};

Principal user(std::string name, std::string credential = "token 1") {
  return {.kind = Principal::Kind::kToken,
          .name = std::move(name),
          .credential = std::move(credential)};
}

HttpRequest mark(std::string label, std::string key) {
  HttpRequest request;
  request.method = "POST";
  request.path = {"api", "marks"};
  request.body = json::object{{"label", std::move(label)}, {"all", true}};
  request.header.idempotency_key = std::move(key);
  return request;
}

HttpResponse answer(unsigned status, std::string body = "{}") {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

class IdempotencyKeysTest : public testing::Test {
 protected:
  // Whether it is to be done now.
  bool is_first(const Principal& who, const HttpRequest& request) {
    const auto begun = keys_.begin(who, request);
    EXPECT_TRUE(begun.ok()) << begun.error().message;
    return begun.ok() && !begun->has_value();
  }
  std::string repeated(const Principal& who, const HttpRequest& request) {
    const auto begun = keys_.begin(who, request);
    if (!begun.ok()) return begun.error().message;
    return begun->has_value() ? (*begun)->body : "it is a first one";
  }
  int refusal(const Principal& who, const HttpRequest& request) {
    const auto begun = keys_.begin(who, request);
    return begun.ok() ? 0 : begun.error().code;
  }
  void do_once(const Principal& who, const HttpRequest& request, std::string body = "{}") {
    EXPECT_TRUE(is_first(who, request));
    keys_.finish(who, request.header.idempotency_key, answer(201, std::move(body)));
  }

  SetClock clock_;
  IdempotencyKeys keys_{clock_};
  const Principal anna_ = user("anna");
  const HttpRequest request_ = mark("before", "key");
};

TEST_F(IdempotencyKeysTest, TheSecondRequestGetsTheAnswerOfTheFirst) {
  EXPECT_TRUE(is_first(anna_, request_));
  EXPECT_EQ(refusal(anna_, request_), EBUSY) << "the first is under way";
  keys_.finish(anna_, "key", answer(201, R"({"lsn":7})"));
  const auto second = keys_.begin(anna_, request_);
  ASSERT_TRUE(second.ok() && second->has_value());
  EXPECT_EQ((*second)->status, 201u);
  EXPECT_EQ((*second)->body, R"({"lsn":7})");
  EXPECT_EQ(repeated(anna_, request_), R"({"lsn":7})") << "as often as it comes";
  EXPECT_TRUE(is_first(anna_, mark("before", "another key")));
}

TEST_F(IdempotencyKeysTest, ARefusalIsAnAnswerToo) {
  EXPECT_TRUE(is_first(anna_, request_));
  keys_.finish(anna_, "key", answer(409, "there is such a mark"));
  EXPECT_EQ(repeated(anna_, request_), "there is such a mark");
}

TEST_F(IdempotencyKeysTest, AKeyIsOfOneRequest) {
  do_once(anna_, request_);
  HttpRequest other = request_;
  other.body.as_object()["label"] = "after";
  EXPECT_EQ(refusal(anna_, other), EINVAL) << "another body";
  other = request_;
  other.path.back() = "views";
  EXPECT_EQ(refusal(anna_, other), EINVAL) << "another path";
  other.path = {"api/marks"};
  EXPECT_EQ(refusal(anna_, other), EINVAL) << "a path that only reads the same";
  other = request_;
  other.method = "PATCH";
  EXPECT_EQ(refusal(anna_, other), EINVAL) << "another method";
  other = request_;
  other.query["tz"] = "Asia/Shanghai";
  EXPECT_EQ(refusal(anna_, other), EINVAL) << "another query";
  EXPECT_EQ(refusal(user("anna", "token 2"), request_), EINVAL)
      << "what one token was answered may be more than another may have";
  EXPECT_EQ(repeated(anna_, request_), "{}") << "none of them changed what is remembered";
}

TEST_F(IdempotencyKeysTest, AnotherRequestIsRefusedWhileTheFirstIsUnderWay) {
  EXPECT_TRUE(is_first(anna_, request_));
  EXPECT_EQ(refusal(anna_, mark("after", "key")), EINVAL);
  EXPECT_EQ(refusal(anna_, request_), EBUSY);
}

TEST_F(IdempotencyKeysTest, UsersHaveKeysOfTheirOwn) {
  const Principal bertha = user("bertha");
  do_once(anna_, request_, "anna's");
  EXPECT_TRUE(is_first(bertha, request_));
  keys_.finish(bertha, "key", answer(201, "bertha's"));
  EXPECT_EQ(repeated(anna_, request_), "anna's");
  EXPECT_EQ(repeated(bertha, request_), "bertha's");
}

TEST_F(IdempotencyKeysTest, WhatMayGoBetterTheNextTimeIsNotKept) {
  EXPECT_TRUE(is_first(anna_, request_));
  keys_.finish(anna_, "key", answer(503));
  EXPECT_TRUE(is_first(anna_, request_));
  keys_.finish(anna_, "key", answer(499));
  EXPECT_EQ(repeated(anna_, request_), "{}");
}

class EmptySource final : public BodySource {
 public:
  cdp::Task<cdp::Result<std::optional<std::string>>> next() override {
    co_return std::optional<std::string>{};
  }
  cdp::Task<void> abandon() override { co_return; }
};

TEST_F(IdempotencyKeysTest, WhatIsTooLargeToKeepIsForgotten) {
  constexpr std::size_t kMost = 64u << 10;
  do_once(anna_, request_, std::string(kMost, 'x'));
  EXPECT_EQ(repeated(anna_, request_).size(), kMost);
  const HttpRequest larger = mark("before", "a larger one");
  do_once(anna_, larger, std::string(kMost + 1, 'x'));
  EXPECT_TRUE(is_first(anna_, larger));
  const HttpRequest endless = mark("before", "a stream");
  EXPECT_TRUE(is_first(anna_, endless));
  HttpResponse stream = answer(200);
  stream.source = std::make_shared<EmptySource>();
  keys_.finish(anna_, "a stream", stream);
  EXPECT_TRUE(is_first(anna_, endless)) << "a stream is read once";
}

TEST_F(IdempotencyKeysTest, ADayLaterAKeyIsANewOne) {
  do_once(anna_, request_, "the first day's");
  clock_.now = clock_.now + kDay - Nanos{1};
  EXPECT_EQ(repeated(anna_, request_), "the first day's");
  clock_.now = clock_.now + Nanos{1};
  do_once(anna_, request_, "the second day's");
  EXPECT_EQ(repeated(anna_, request_), "the second day's");
  clock_.now = clock_.now + kDay;
  EXPECT_TRUE(is_first(anna_, mark("after", "key"))) << "and may be another request's";
}

TEST_F(IdempotencyKeysTest, AKeyHasAtMost255Bytes) {
  EXPECT_TRUE(is_first(anna_, mark("before", std::string(255, 'k'))));
  EXPECT_EQ(refusal(anna_, mark("before", std::string(256, 'k'))), EINVAL);
}

TEST_F(IdempotencyKeysTest, TheOldestThatHasEndedMakesRoom) {
  const HttpRequest under_way = mark("before", "under way");
  EXPECT_TRUE(is_first(anna_, under_way));
  const auto numbered = [](std::size_t i) { return mark("before", std::to_string(i)); };
  for (std::size_t i = 1; i < IdempotencyKeys::kRememberedMax; ++i) {
    clock_.now = clock_.now + seconds(1);
    do_once(anna_, numbered(i), std::to_string(i));
  }
  clock_.now = clock_.now + seconds(1);
  do_once(anna_, numbered(IdempotencyKeys::kRememberedMax));
  EXPECT_EQ(refusal(anna_, under_way), EBUSY) << "it is older, and would be done twice";
  EXPECT_EQ(repeated(anna_, numbered(2)), "2");
  EXPECT_TRUE(is_first(anna_, numbered(1)));
}

// Their number is bounded by that of connections.
TEST_F(IdempotencyKeysTest, WhatIsUnderWayIsNeverPushedOut) {
  for (std::size_t i = 0; i <= IdempotencyKeys::kRememberedMax; ++i) {
    EXPECT_TRUE(is_first(anna_, mark("before", std::to_string(i))));
  }
  EXPECT_EQ(refusal(anna_, mark("before", "0")), EBUSY);
}

}  // namespace
}  // namespace tools
