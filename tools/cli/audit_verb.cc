// SPDX-License-Identifier: Apache-2.0
//
// `hindsight audit`: who did what, the newest first.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/verb_support.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace json = boost::json;

// A text, or whatever else is there as JSON.
std::string any_text_of(const json::object& document, std::string_view key) {
  const json::value* const value = document.if_contains(key);
  if (value == nullptr || value->is_null()) return {};
  return value->is_string() ? std::string{value->as_string()} : json::serialize(*value);
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
    for (const json::value& value : *entries) {
      const json::object* const entry = value.if_object();
      if (entry == nullptr) continue;
      table.add({std::to_string(number_of(*entry, "lsn")), local_time_of(*entry, zone),
                 text_of(*entry, "actor"), text_of(*entry, "origin"), text_of(*entry, "act"),
                 any_text_of(*entry, "status"), any_text_of(*entry, "detail")});
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
