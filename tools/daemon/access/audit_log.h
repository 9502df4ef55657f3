// SPDX-License-Identifier: Apache-2.0
//
// AuditLog: every act, with who, from where, what and how it ended, as an AUDIT record. Of what was
// refused to somebody who may be nobody only so many a minute are recorded, with the number of
// those left out: nobody fills the journal by asking.
//
// On the reactor's thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "cdp/base/clock.h"
#include "cdp/io/task.h"
#include "tools/daemon/access/rights.h"
#include "tools/daemon/appliance.h"

namespace tools {

class AuditLog {
 public:
  // Both must outlive it.
  AuditLog(const cdp::Clock& clock, Appliance& appliance) : clock_(clock), appliance_(appliance) {}

  struct Entry {
    std::string act;  // an operation's id
    boost::json::object detail{};
    std::string request{};  // its id
    unsigned status = 0;    // of the answer
  };
  // Durable when it returns, but for what was refused. A journal that takes nothing any more does
  // not undo what was done: the daemon's log says it then.
  cdp::Task<void> record(Principal who, Entry entry);

 private:
  static constexpr unsigned kRefusalsAMinute = 60;

  bool may_record_refusal();

  const cdp::Clock& clock_;
  Appliance& appliance_;
  cdp::Nanos minute_began_{};
  unsigned refusals_ = 0;  // of this minute, those recorded
  std::uint64_t left_out_ = 0;
};

}  // namespace tools
