// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/daemon/rest/problem.h"
#include "tools/daemon/rest/request_head.h"

namespace tools {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(RequestHead, EndsWithItsFirstEmptyLineHoweverItComes) {
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string bytes = head + "\n\0 and what may follow\r\n\r\n";
  std::size_t looked_at = 0;
  for (std::size_t length = 0; length < head.size(); ++length) {
    const auto end = find_head_end(bytes.substr(0, length), looked_at);
    ASSERT_TRUE(end.ok()) << length;
    EXPECT_EQ(*end, std::nullopt) << length;
  }
  EXPECT_EQ(*find_head_end(bytes, looked_at), head.size());
  looked_at = 0;
  EXPECT_EQ(*find_head_end(bytes, looked_at), head.size());
}

TEST(RequestHead, WhatNoHeaderHasIsSeenAtOnce) {
  using namespace std::literals;
  for (const std::string& begin :
       {"\n"s, "GET / HTTP/1.1\n"s, "GET / HTTP/1.1\rH"s, "\r\r"s, "GET\0"s, "GET\x7f"s, "\x16"s}) {
    std::size_t looked_at = 0;
    EXPECT_FALSE(find_head_end(begin, looked_at).ok()) << testing::PrintToString(begin);
  }
}

TEST(RequestHead, HasWhatIsDecidedByOnce) {
  const std::string begin = "POST / HTTP/1.1\r\nHost: x\r\n";
  EXPECT_TRUE(check_head(begin + "Accept: a\r\nAccept: b\r\nContent-Length: 2\r\n\r\n").ok());
  EXPECT_TRUE(check_head(begin + "Transfer-Encoding: \tChunked \r\n\r\n").ok());
  EXPECT_TRUE(check_head("GET / HTTP/1.0\r\n\r\n").ok());
  const std::pair<const char*, const char*> cases[] = {
      {"hOST: x", "two of host"},
      {"Cookie: a\r\nCookie: b", "two of cookie"},
      {"Authorization: a\r\nauthorization: a", "two of authorization"},
      {"Content-Length: 2\r\nContent-Length: 2", "two of content-length"},
      {"Content-Length: 2\r\nTransfer-Encoding: chunked", "not both"},
      {"Content-Length: +2", "a number of bytes"},
      {"Transfer-Encoding: chunked, identity", "the only Transfer-Encoding"},
      {"X: y\r\n Content-Length: 2", "one line"},
      {"Content-Length : 2", "before the colon"},
  };
  for (const auto& [fields, why] : cases) {
    const cdp::Status checked = check_head(begin + fields + "\r\n\r\n");
    ASSERT_FALSE(checked.ok()) << fields;
    EXPECT_THAT(checked.error().message, HasSubstr(why)) << fields;
  }
}

TEST(RequestReader, FieldsBehindTheChunksAreNotTheHeaders) {
  RequestReader reader;
  ASSERT_FALSE(
      reader.take_head("POST /api/%61?q=%20 HTTP/1.1\r\nHost: here:1\r\nCookie: c\r\n"
                       "X-CSRF-Token: t\r\nOrigin: o\r\nSec-Fetch-Site: none\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n"));
  const std::string body =
      "2\r\n[1\r\n1\r\n]\r\n0\r\nAuthorization: a\r\nConnection: close\r\n\r\n";
  std::size_t taken = 0;
  ASSERT_FALSE(reader.take_body(body + "GET", taken));
  EXPECT_EQ(taken, body.size()) << "what follows is the next request's";
  ASSERT_TRUE(reader.is_done());
  EXPECT_TRUE(reader.keeps_alive());
  const auto request = reader.request();
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->path, (std::vector<std::string>{"api", "a"}));
  EXPECT_EQ(request->query.at("q"), " ");
  EXPECT_EQ(request->body, boost::json::value{1});
  EXPECT_EQ(request->header.host, "here:1");
  EXPECT_EQ(request->header.authorization, "");
  EXPECT_EQ(request->header.cookie, "c");
  EXPECT_EQ(request->header.csrf_token, "t");
  EXPECT_EQ(request->header.origin, "o");
  EXPECT_EQ(request->header.fetch_site, "none");
}

TEST(ResponseHead, SaysWhatTheResponseSays) {
  HttpResponse response = problem_response(cdp::Error{EDQUOT, "too often"});
  response.retry_after = std::chrono::seconds{7};
  response.set_cookie = "a=b; Secure";
  const std::string head = response_head(response, {.keeps_alive = true, .is_encrypted = true});
  EXPECT_THAT(head, StartsWith("HTTP/1.1 429 Too Many Requests\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nRetry-After: 7\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nSet-Cookie: a=b; Secure\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nStrict-Transport-Security: max-age=31536000\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("Connection:")));
  EXPECT_THAT(head, HasSubstr(fmt::format("\r\nContent-Length: {}\r\n", response.body.size())));
  const HttpResponse unknown = problem_response(cdp::Error{EKEYREJECTED, "who are you"});
  const std::string in_clear = response_head(unknown, {.is_http_1_0 = true});
  EXPECT_THAT(in_clear, StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
  EXPECT_THAT(in_clear, HasSubstr("\r\nWWW-Authenticate: Bearer\r\n"));
  EXPECT_THAT(in_clear, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(in_clear, Not(HasSubstr("Strict-Transport")));
}

}  // namespace
}  // namespace tools
