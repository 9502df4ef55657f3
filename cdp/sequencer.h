// SPDX-License-Identifier: Apache-2.0
//
// The one sequence of changes of an appliance. Every change takes its LSN and its time here, and
// is linked into the dirty map and handed to the Recorder in the same step, without suspending:
// that is what makes the order of the live volume and the order of history one (rule 4).
#pragma once

#include "cdp/base/check.h"
#include "cdp/base/clock.h"
#include "cdp/base/types.h"

namespace cdp {

struct Stamp {
  Lsn lsn;
  Nanos time;  // wall clock when the LSN was taken; does not order anything
  bool operator==(const Stamp&) const = default;
};

class Sequencer {
 public:
  explicit Sequencer(const Clock& clock) : clock_(clock) {}

  Stamp next() { return {Lsn{++last_.value}, clock_.realtime()}; }
  Lsn last() const { return last_; }

  // After recovery: everything up to `lsn` is taken.
  void skip_to(Lsn lsn) {
    CHECK(lsn >= last_);
    last_ = lsn;
  }

 private:
  const Clock& clock_;
  Lsn last_;
};

}  // namespace cdp
