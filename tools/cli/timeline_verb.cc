// SPDX-License-Identifier: Apache-2.0
//
// `hindsight timeline`: what happened to a volume, and when.
#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <utility>

#include "tools/cli/output.h"
#include "tools/cli/timeline_text.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

using cdp::Result;
using restore::TimeZone;

bool is_locale_utf8() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const std::string_view codeset = ::nl_langinfo_l(CODESET, locale);
  const bool is_utf8 = codeset == "UTF-8";
  ::freelocale(locale);
  return is_utf8;
}

TimelineLook look_of_stdout() {
  TimelineLook look{.unicode = is_locale_utf8()};
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 1) {
    const char* const no_colour = std::getenv("NO_COLOR");
    look.colour = no_colour == nullptr || *no_colour == '\0';
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      look.columns = size.ws_col;
      return look;
    }
  }
  if (const char* const columns = std::getenv("COLUMNS"))
    if (const unsigned long wanted = std::strtoul(columns, nullptr, 10); wanted > 0)
      look.columns = wanted;
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
