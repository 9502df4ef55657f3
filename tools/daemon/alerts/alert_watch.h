// SPDX-License-Identifier: Apache-2.0
//
// AlertWatch: looks each second at what an operator has to know, and tells of what is new, of what
// is over, and each hour again of what lasts: to the log, to the journal (as AUDIT of the daemon's
// own) and to the webhook. An alert that is gone for less than a minute has not been over, and one
// whose words change is not a new one.
//
// On the scheduler's thread. All that it is given must outlive it; stop() must have returned before
// it is destroyed.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "journal/records.h"
#include "tools/daemon/alerts/alert.h"
#include "tools/daemon/alerts/webhook.h"

namespace tools {

class AlertWatch {
 public:
  struct Parts {
    cdp::Scheduler& scheduler;
    const cdp::Clock& clock;
    Webhook& webhook;
    std::string vault;  // its id, for who is told
    // What is so now.
    std::function<std::vector<Alert>()> alerts;
    // In the journal; it need not be durable.
    std::function<cdp::Task<cdp::Status>(journal::AuditRecord)> record;
  };
  explicit AlertWatch(Parts parts);

  // An alert, and how long it has been so.
  struct Entry {
    Alert alert;         // as it was seen last
    cdp::Nanos since{};  // wall clock, as the next
    std::optional<cdp::Nanos> ended{};
  };
  // How many of those that are over are remembered; the journal has them all.
  static constexpr std::size_t kEndedMax = 200;

  // Begins it.
  void start() { running_.spawn(run()); }
  cdp::Task<void> stop();
  // Those that hold, the gravest first and the older of two before the newer; then those that are
  // over, the newest first.
  std::vector<Entry> entries() const;
  // Has the webhook told of a test, as it would be of an alert.
  cdp::Task<cdp::Status> test(const std::string& who);

 private:
  struct Known {
    cdp::Nanos raised{};  // wall clock
    cdp::Nanos told{};    // clock since boot, as the next
    cdp::Nanos seen{};
    Alert alert;  // when it was seen last
  };

  cdp::Task<void> run();
  cdp::Task<void> look();
  cdp::Task<void> tell(std::string_view state, std::string message, cdp::Nanos raised);
  boost::json::object document(std::string_view state, std::string_view message,
                               cdp::Nanos raised) const;

  const Parts parts_;
  cdp::Signal stop_;
  bool stopping_ = false;
  std::map<Alert::Key, Known> known_;
  std::deque<Entry> ended_;  // the newest first
  cdp::TaskGroup running_;
};

}  // namespace tools
