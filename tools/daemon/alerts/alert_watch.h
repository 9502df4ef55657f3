// SPDX-License-Identifier: Apache-2.0
//
// AlertWatch: looks each second at what an operator has to know, and tells of what is new, of what
// is over, and each hour again of what lasts: to the log, to the journal (as AUDIT of the daemon's
// own) and to the webhook. An alert that is gone for less than a minute has not been over.
//
// On the reactor's thread. All that it is given must outlive it; stop() must have returned before
// it is destroyed.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>

#include "cdp/base/clock.h"
#include "cdp/io/reactor.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "tools/daemon/alerts/webhook.h"
#include "tools/daemon/appliance.h"

namespace tools {

class AlertWatch {
 public:
  AlertWatch(cdp::Reactor& reactor, const cdp::Clock& clock, Appliance& appliance,
             Webhook& webhook);

  // Begins it.
  void start() { running_.spawn(run()); }
  cdp::Task<void> stop();
  // Has the webhook told of a test, as it would be of an alert.
  cdp::Task<cdp::Status> test(const std::string& who);

 private:
  struct Known {
    cdp::Nanos raised{};  // wall clock
    cdp::Nanos told{};    // clock since boot, as the next
    cdp::Nanos seen{};
  };

  cdp::Task<void> run();
  cdp::Task<void> look();
  cdp::Task<void> tell(std::string_view state, std::string message, cdp::Nanos raised);
  boost::json::object document(std::string_view state, std::string_view message,
                               cdp::Nanos raised) const;

  cdp::Reactor& reactor_;
  const cdp::Clock& clock_;
  Appliance& appliance_;
  Webhook& webhook_;
  cdp::Signal stop_;
  bool stopping_ = false;
  std::map<std::string, Known> known_;
  cdp::TaskGroup running_;
};

}  // namespace tools
