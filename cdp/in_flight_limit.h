// SPDX-License-Identifier: Apache-2.0
//
// How many writes may be in flight to a store whose speed is not known. More are tried while it
// answers quickly, and fewer where it takes its time: a fast disk is kept busy, and on a slow one a
// client's read does not wait behind a hundred writes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cdp/base/types.h"

namespace cdp {

class InFlightLimit {
 public:
  static constexpr std::size_t kFewest = 16;
  static constexpr std::size_t kMost = 128;
  static constexpr Nanos kQuick = milliseconds(2);

  std::size_t now() const { return limit_; }

  // One write took `time`, among `in_flight`. Where there was room for many more, nothing is learnt
  // from it.
  void took(Nanos time, std::size_t in_flight) {
    if (in_flight + in_flight < limit_) return;
    time_ = time_ + time;
    if (++count_ < limit_) return;
    const Nanos mean{time_.value / static_cast<std::int64_t>(count_)};
    if (mean <= kQuick) limit_ = std::min(limit_ + limit_ / 4, kMost);
    if (mean > kQuick + kQuick) limit_ = std::max(limit_ - limit_ / 4, kFewest);
    time_ = Nanos{};
    count_ = 0;
  }

 private:
  std::size_t limit_ = kFewest;
  Nanos time_{};  // of the last count_ writes
  std::size_t count_ = 0;
};

}  // namespace cdp
