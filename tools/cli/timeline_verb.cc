// SPDX-License-Identifier: Apache-2.0
//
// `hindsight timeline`: what happened to a volume, and when.
#include <utility>

#include "tools/cli/output.h"
#include "tools/cli/terminal.h"
#include "tools/cli/timeline_text.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

using cdp::Result;
using restore::TimeZone;

TimelineLook look_of_stdout() {
  TimelineLook look{.unicode = is_locale_utf8(), .colour = stdout_has_colours()};
  look.columns = columns_of_stdout().value_or(look.columns);
  return look;
}

Result<std::optional<restore::Point>> asked(const std::string& text, const CommandLine& line,
                                            const TimeZone& zone) {
  if (text.empty()) return std::optional<restore::Point>{};
  Result<restore::ParsedPoint> parsed = parse_asked(text, line, zone);
  if (!parsed.ok()) return std::move(parsed).error();
  return std::optional{std::move(parsed->point)};
}

}  // namespace

int run_timeline(const CommandLine& line, const TimeZone& zone, Backend& backend) {
  Result<std::optional<restore::Point>> since = asked(line.from, line, zone);
  Result<std::optional<restore::Point>> until = asked(line.until, line, zone);
  for (const auto* point : {&since, &until}) {
    if (point->ok()) continue;
    say(point->error().message);
    return kWrongUsage;
  }
  const Backend::Reply reply =
      backend.timeline(line.name, {*std::move(since), *std::move(until), line.step});
  if (!reply.ok()) return failed(reply.error());
  if (line.json)
    print_document(*reply);
  else
    print(timeline_text(*reply, zone, look_of_stdout()));
  return with_notices(*reply);
}

}  // namespace tools::cli
