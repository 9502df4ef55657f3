// SPDX-License-Identifier: Apache-2.0
//
// What the routes of the API ask of the body and the query of a request: a body of JSON, and behind
// a first zero byte the values of the query's members.
#include <boost/json/parse.hpp>

#include "tests/fuzz/fuzz.h"
#include "tools/daemon/api_requests.h"

FUZZ_TARGET(api_request) {
  fuzz::Input in(input);
  const std::string text = in.text_of_rest();
  const std::size_t end = std::min(text.find('\0'), text.size());
  tools::HttpRequest request;
  boost::system::error_code error;
  request.body = boost::json::parse({text.data(), end}, error);
  if (error) request.body = nullptr;
  const std::string value = end < text.size() ? text.substr(end + 1) : std::string();
  request.query = {{"tz", value}, {"at", value}, {"deep", value}};

  const bool known = tools::only_members(request.body, {"name", "size_bytes", "point"}).ok();
  const auto name = tools::text_member(request.body, "name");
  if (name.ok()) CHECK(tools::has_member(request.body, "name"));
  const auto size = tools::size_member(request.body, "size_bytes");
  if (size.ok()) {
    CHECK(tools::has_member(request.body, "size_bytes"));
    const boost::json::value& said = request.body.get_object().at("size_bytes");
    CHECK(said.is_uint64() ? said.get_uint64() == *size : said.is_number());
  }
  if (known) CHECK(request.body.is_null() || request.body.is_object());
  const auto zone = tools::zone_of(request);
  const auto point = tools::point_member(request, "at");
  CHECK(point.ok() == restore::parse_absolute_point(value).ok());
  CHECK(tools::is_true(request, "deep") == (value == "true" || value == "1"));
  static_cast<void>(zone);
}
