// SPDX-License-Identifier: Apache-2.0
//
// `hindsight audit`: who did what, the newest first.
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string>

#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;

// "name=shop size_bytes=1048576": what is in the detail, but for the request's id, which is for
// those who look into the log.
std::string words_of(const std::string& detail) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(detail, failed);
  if (failed || !parsed.is_object()) return detail;
  std::string words;
  for (const auto& [name, value] : parsed.get_object()) {
    if (name == "request") continue;
    const std::string text =
        value.is_string() ? std::string{value.get_string()} : json::serialize(value);
    words += fmt::format("{}{}={}", words.empty() ? "" : " ", std::string_view{name}, text);
  }
  return words;
}

}  // namespace

int run_audit(const CommandLine& line, const restore::TimeZone& zone, Backend& backend) {
  const Backend::Reply reply = backend.audit({line.before, line.limit});
  if (!reply.ok()) return failed(reply.error());
  const json::array* const entries = array_of(*reply, "audit");
  if (line.json) {
    print_document(*reply);
  } else if (entries == nullptr || entries->empty()) {
    say(line.before ? "nothing is older" : "nothing has been done yet");
  } else {
    Table table{{"LSN", "TIME", "WHO", "FROM", "DID", "STATUS", "DETAIL"}};
    table.spare("FROM").keep("TIME");
    for (const json::value& value : *entries) {
      const json::object* const entry = value.if_object();
      if (entry == nullptr) continue;
      table.add({std::to_string(number_of(*entry, "lsn")), local_second_of(*entry, zone),
                 text_of(*entry, "actor"), text_of(*entry, "origin"), text_of(*entry, "act"),
                 std::to_string(number_of(*entry, "status")), words_of(text_of(*entry, "detail"))});
    }
    print(table.text());
  }
  if (reply->contains("before")) {
    say(fmt::format("there are older ones: `hindsight audit --before lsn:{}`",
                    number_of(*reply, "before")));
  }
  return with_notices(*reply);
}

}  // namespace tools::cli
