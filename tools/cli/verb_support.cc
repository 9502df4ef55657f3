// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/verb_support.h"

#include <boost/json/array.hpp>
#include <utility>

#include "cdp/base/clock.h"
#include "tools/cli/output.h"
#include "tools/cli/verbs.h"

namespace tools::cli {

namespace json = boost::json;
using cdp::Result;
using Document = Backend::Document;
using restore::TimeZone;

int failed(const cdp::Error& error) {
  say(error.message);
  return kFailed;
}

int with_notices(const Document& document) {
  int code = kDone;
  if (const json::array* notices = array_of(document, "notices")) {
    for (const json::value& notice : *notices) {
      if (!notice.is_object()) continue;
      say("note: " + text_of(notice.as_object(), "message"));
      code = kSomethingToKnow;
    }
  }
  return code;
}

int with_alerts(const Document& status) {
  const int noticed = with_notices(status);
  const json::array* const alerts = array_of(status, "alerts");
  if (alerts == nullptr || alerts->empty()) return noticed;
  for (const json::value& alert : *alerts) {
    if (alert.is_string()) say("alert: " + std::string{alert.as_string()});
  }
  return kSomethingToKnow;
}

Result<restore::ParsedPoint> parse_asked(const std::string& text, const CommandLine& line,
                                         const TimeZone& zone) {
  Result<restore::ParsedPoint> parsed =
      restore::parse_point(text, {cdp::SystemClock{}.realtime(), zone});
  if (parsed.ok()) parsed->point.force = line.force;
  return parsed;
}

Result<std::optional<restore::Point>> asked_point(const CommandLine& line, const TimeZone& zone) {
  if (!line.at) return std::optional<restore::Point>{};
  Result<restore::ParsedPoint> parsed = parse_asked(*line.at, line, zone);
  if (!parsed.ok()) return std::move(parsed).error();
  return std::optional{std::move(parsed->point)};
}

restore::Point same_point(const Document& document, const restore::Point& asked) {
  const json::object* point = object_of(document, "point");
  if (point == nullptr) return asked;
  restore::Point same = restore::Point::at_lsn(cdp::Lsn{number_of(*point, "lsn")});
  same.force = asked.force;
  return same;
}

}  // namespace tools::cli
