// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/alerts/alert_watch.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "restore/time_zone.h"

namespace tools {
namespace {

using cdp::Status;
using cdp::Task;

constexpr cdp::Nanos kInterval = cdp::seconds(1);
constexpr cdp::Nanos kOverAfter = cdp::seconds(60);
constexpr cdp::Nanos kToldAgainAfter = cdp::seconds(60 * 60);

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

AlertWatch::AlertWatch(Parts parts)
    : parts_(std::move(parts)), stop_(parts_.scheduler), running_(parts_.scheduler) {}

Task<void> AlertWatch::run() {
  while (!stopping_) {
    co_await look();
    const cdp::Nanos until = parts_.scheduler.now() + kInterval;
    while (!stopping_ && parts_.scheduler.now() < until) (void)co_await stop_.wait_until(until);
  }
}

Task<void> AlertWatch::look() {
  const cdp::Nanos now = parts_.clock.boottime();
  struct Change {
    std::string_view state;
    std::string message;
    cdp::Nanos raised;
  };
  std::vector<Change> changes;
  for (Alert& alert : parts_.alerts()) {
    const auto [at, is_new] = known_.try_emplace(alert.key);
    Known& known = at->second;
    known.alert = std::move(alert);
    if (is_new) known.raised = parts_.clock.realtime();
    if (is_new || known.told + kToldAgainAfter <= now) {
      known.told = now;
      changes.push_back({"firing", known.alert.message, known.raised});
    }
    known.seen = now;
  }
  std::erase_if(known_, [&](const auto& each) {
    if (each.second.seen + kOverAfter > now) return false;
    changes.push_back({"resolved", each.second.alert.message, each.second.raised});
    ended_.push_front({each.second.alert, each.second.raised, parts_.clock.realtime()});
    return true;
  });
  if (ended_.size() > kEndedMax) ended_.resize(kEndedMax);
  for (Change& change : changes) {
    co_await tell(change.state, std::move(change.message), change.raised);
  }
}

std::vector<AlertWatch::Entry> AlertWatch::entries() const {
  std::vector<Entry> entries;
  for (const auto& [key, known] : known_)
    entries.push_back({.alert = known.alert, .since = known.raised});
  std::ranges::stable_sort(entries, {}, [](const Entry& entry) {
    return std::tuple{entry.alert.severity, entry.since};
  });
  entries.insert(entries.end(), ended_.begin(), ended_.end());
  return entries;
}

boost::json::object AlertWatch::document(std::string_view state, std::string_view message,
                                         cdp::Nanos raised) const {
  return {{"status", state},
          {"message", message},
          {"since", restore::format_time(raised, restore::TimeZone::utc())},
          {"host", host_name()},
          {"vault", parts_.vault}};
}

Task<void> AlertWatch::tell(std::string_view state, std::string message, cdp::Nanos raised) {
  const boost::json::object told = document(state, message, raised);
  if (state == "resolved")
    spdlog::info("alert is over: {}", message);
  else
    spdlog::error("alert: {}", message);
  parts_.webhook.tell(boost::json::serialize(told));
  constexpr std::size_t kMessageBytesMax = 1024;
  const boost::json::object detail{{"status", state},
                                   {"message", message.substr(0, kMessageBytesMax)}};
  journal::AuditRecord record{.actor = "hindsightd",
                              .origin = "the appliance",
                              .act = "alert",
                              .detail = boost::json::serialize(detail)};
  // Of a journal that takes nothing the alert itself may tell; the log and the webhook have it.
  const Status recorded = co_await parts_.record(std::move(record));
  if (!recorded) spdlog::warn("alerts: not in the journal: {}", recorded.error().message);
}

Task<Status> AlertWatch::test(const std::string& who) {
  const std::string message = "this is a test, asked for by " + who;
  std::string told = boost::json::serialize(document("test", message, parts_.clock.realtime()));
  co_return co_await parts_.webhook.try_once(std::move(told));
}

Task<void> AlertWatch::stop() {
  stopping_ = true;
  stop_.notify_all();
  co_await running_.join();
  co_await parts_.webhook.stop();
}

}  // namespace tools
