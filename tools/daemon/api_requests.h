// SPDX-License-Identifier: Apache-2.0
//
// What the routes of the API ask of a request, and how they answer. Errors are EINVAL with a
// sentence for the client.
#pragma once

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "restore/point.h"
#include "restore/time_zone.h"
#include "tools/daemon/http_server.h"

namespace tools {

namespace json = boost::json;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

inline constexpr std::size_t kVolumeSegment = 2;  // of /api/volumes/NAME, and of /api/clones/NAME

inline HttpResponse json_response(unsigned status, const json::object& document) {
  return {status, "application/json", json::serialize(document), nullptr};
}

inline Result<std::string> text_member(const json::value& body, std::string_view key) {
  const json::object* object = body.if_object();
  const json::value* member = object != nullptr ? object->if_contains(key) : nullptr;
  if (member == nullptr || !member->is_string()) {
    return make_error(EINVAL, "the request's body wants a member \"{}\" that is a string", key);
  }
  return std::string{member->get_string()};
}

inline Result<std::uint64_t> size_member(const json::value& body, std::string_view key) {
  const json::object* object = body.if_object();
  const json::value* member = object != nullptr ? object->if_contains(key) : nullptr;
  boost::system::error_code error;
  const std::uint64_t value = member != nullptr ? member->to_number<std::uint64_t>(error) : 0;
  if (member == nullptr || error) {
    return make_error(EINVAL, "the request's body wants a member \"{}\" that is a whole number", key);
  }
  return value;
}

inline bool has_member(const json::value& body, std::string_view key) {
  const json::object* object = body.if_object();
  return object != nullptr && object->contains(key);
}

inline bool is_true(const HttpRequest& request, const char* key) {
  const auto found = request.query.find(key);
  return found != request.query.end() && (found->second == "true" || found->second == "1");
}

// The zone of the client, for the times in sentences.
inline Result<restore::TimeZone> zone_of(const HttpRequest& request) {
  const auto zone = request.query.find("tz");
  if (zone == request.query.end() || zone->second.empty()) return restore::TimeZone::utc();
  return restore::TimeZone::find(zone->second);
}

inline Result<restore::Point> point_member(const HttpRequest& request, const char* key) {
  const auto found = request.query.find(key);
  if (found != request.query.end()) return restore::parse_absolute_point(found->second);
  return make_error(EINVAL, "the query wants {}=POINT, such as {}=now or {}=lsn:7", key, key, key);
}

// Refuses a body with members that nobody reads: a misspelt option must not pass unnoticed.
inline Status only_members(const json::value& body, std::initializer_list<std::string_view> known) {
  if (body.is_null()) return {};
  if (!body.is_object()) return make_error(EINVAL, "the request's body must be a JSON object");
  for (const auto& member : body.get_object()) {
    const bool is_known = std::find(known.begin(), known.end(), member.key()) != known.end();
    if (!is_known) {
      return make_error(EINVAL, "the request's body has an unknown member \"{}\"",
                        std::string_view{member.key()});
    }
  }
  return {};
}

}  // namespace tools
