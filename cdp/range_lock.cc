// SPDX-License-Identifier: Apache-2.0
#include "cdp/range_lock.h"

#include <utility>

namespace cdp {

RangeLock::Guard::Guard(RangeLock& lock, std::uint64_t first_block, std::uint64_t count)
    : lock_(lock), first_(first_block), end_(first_block + count) {
  CHECK(count > 0);
  lock_.guards_.push_back(*this);
}

RangeLock::Guard::~Guard() {
  CHECK(!waiting_);
  lock_.wake_after(*this);
}

bool RangeLock::overlaps(std::uint64_t first_block, std::uint64_t count) const {
  for (const Guard& guard : guards_) {
    if (guard.first_ < first_block + count && first_block < guard.end_) return true;
  }
  return false;
}

bool RangeLock::blocked(const Guard& guard) const {
  for (const Guard& earlier : guards_) {
    if (&earlier == &guard) return false;
    if (earlier.first_ < guard.end_ && guard.first_ < earlier.end_) return true;
  }
  CHECK(false);
}

void RangeLock::wake_after(const Guard& released) {
  auto guard = guards_.erase(guards_.iterator_to(released));
  for (; guard != guards_.end(); ++guard) {
    const bool overlapped = guard->first_ < released.end_ && released.first_ < guard->end_;
    if (guard->waiting_ && overlapped && !blocked(*guard)) {
      scheduler_.post(std::exchange(guard->waiting_, nullptr));
    }
  }
}

}  // namespace cdp
