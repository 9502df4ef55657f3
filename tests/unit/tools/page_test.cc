// SPDX-License-Identifier: Apache-2.0
#include "tools/web/page.h"

#include <gtest/gtest.h>

namespace tools {
namespace {

const std::vector<PageFile> kFiles{
    {"index.html", "<!doctype html>, and so on and on", "as gzip"},
    {"favicon.svg", "<svg/>", "longer by gzip"},
    {"assets/index-BHeLogAS.js", "code, and so on and on", "less"},
    {"assets/Text-DNKNjMr3.woff2", "compressed", "compressed twice"},
};

HttpRequest get(std::vector<std::string> path, std::string accept_encoding = "gzip, deflate, br") {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  request.header.accept_encoding = std::move(accept_encoding);
  return request;
}

TEST(Page, IsServedAsItIsOrByGzipWhereThatIsTakenAndShorter) {
  for (const std::vector<std::string>& path :
       std::initializer_list<std::vector<std::string>>{{}, {""}, {"index.html"}}) {
    const auto page = page_response(get(path), kFiles);
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(page->status, 200u);
    EXPECT_EQ(page->body, "as gzip");
    EXPECT_EQ(page->content_encoding, "gzip");
    EXPECT_EQ(page->varies_by, "Accept-Encoding");
    EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
  }
  for (const char* const encodings : {"", "br", "gzip;q=0", "identity"}) {
    const auto page = page_response(get({}, encodings), kFiles);
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(page->body, kFiles[0].bytes);
    EXPECT_EQ(page->content_encoding, "");
  }
  const auto icon = page_response(get({"favicon.svg"}), kFiles);
  ASSERT_TRUE(icon.has_value());
  EXPECT_EQ(icon->body, "<svg/>");
  EXPECT_EQ(icon->content_type, "image/svg+xml");
}

// A browser keeps for ever what has its digest in its name, and asks again for what has not.
TEST(Page, MayBeKeptAsLongAsItIsTheSame) {
  EXPECT_EQ(page_response(get({}), kFiles)->cache_control, "no-cache");
  EXPECT_EQ(page_response(get({"favicon.svg"}), kFiles)->cache_control, "no-cache");
  const auto script = page_response(get({"assets", "index-BHeLogAS.js"}), kFiles);
  ASSERT_TRUE(script.has_value());
  EXPECT_EQ(script->cache_control, "public, max-age=31536000, immutable");
  EXPECT_EQ(script->content_type, "text/javascript; charset=utf-8");
}

TEST(Page, RunsNothingFromElsewhere) {
  for (const PageFile& file : kFiles) {
    const std::string path(file.path);
    const std::size_t slash = path.find('/');
    std::vector<std::string> segments{path};
    if (slash != std::string::npos) segments = {path.substr(0, slash), path.substr(slash + 1)};
    const auto page = page_response(get(segments), kFiles);
    ASSERT_TRUE(page.has_value()) << path;
    const std::string& policy = page->content_security_policy;
    EXPECT_TRUE(policy.starts_with("default-src 'none'; ")) << policy;
    for (const char* const never : {"unsafe", "http", "*", "blob"})
      EXPECT_EQ(policy.find(never), std::string::npos) << policy;
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  }
}

TEST(Page, LeavesEverythingElseToTheApi) {
  for (const std::vector<std::string>& path : std::initializer_list<std::vector<std::string>>{
           {"api"},
           {"api", "volumes"},
           {"metrics"},
           {"assets"},
           {"assets", ""},
           {"assets", "..", "index.html"},
           {"..", "index.html"},
           {"index.html", ""},
           {"assets/index-BHeLogAS.js"},
           {"INDEX.HTML"}})
    EXPECT_FALSE(page_response(get(path), kFiles).has_value()) << path.front();
  for (const char* const method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    HttpRequest request = get({});
    request.method = method;
    EXPECT_FALSE(page_response(request, kFiles).has_value()) << method;
  }
  EXPECT_FALSE(page_response(get({}), {}).has_value()) << "built without the page";
}

}  // namespace
}  // namespace tools
