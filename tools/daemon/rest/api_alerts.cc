// SPDX-License-Identifier: Apache-2.0
//
// Operations of alerts.
#include <boost/json/array.hpp>
#include <utility>

#include "restore/time_zone.h"
#include "tools/daemon/rest/api.h"

namespace tools {

namespace json = boost::json;
using cdp::Status;
using cdp::Task;

Task<Api::Answer> Api::list_alerts(Call call) {
  json::array alerts;
  for (const AlertWatch::Entry& entry : alerts_.entries()) {
    const Alert& alert = entry.alert;
    const bool is_critical = alert.severity == Alert::Severity::kCritical;
    Document document{{"kind", alert.key.kind},
                      {"severity", is_critical ? "critical" : "warning"},
                      {"message", alert.message},
                      {"since", restore::format_time(entry.since, call.zone)}};
    if (entry.ended) document["ended"] = restore::format_time(*entry.ended, call.zone);
    if (alert.volume) add_volume(document, *alert.volume);
    alerts.push_back(std::move(document));
  }
  co_return json_response({{"alerts", std::move(alerts)}});
}

Task<Api::Answer> Api::test_alert(Call call) {
  Status told = co_await alerts_.test(call.who.name);
  if (!told) co_return std::move(told).error();
  co_return json_response({{"told", true}});
}

}  // namespace tools
