// SPDX-License-Identifier: Apache-2.0
#include "restore/time_search.h"

namespace restore {

bool TimeSearch::on_frame(const journal::FrameInfo& frame) {
  if (frame.kind != journal::FrameKind::kRecords || frame.record_count == 0) return false;
  if (frame.last_lsn <= last_taken_) return false;
  if (frame.max_time <= asked_) {
    take(frame.last_lsn, true);
    return false;
  }
  if (frame.min_time > asked_) {
    take(frame.last_lsn, false);
    return false;
  }
  return true;
}

// A record, or a frame of records on one side of the time.
void TimeSearch::take(journal::Lsn last_lsn, bool up_to_asked) {
  if (last_lsn <= last_taken_) return;
  last_taken_ = last_lsn;
  if (!up_to_asked) {
    seen_later_ = true;
    in_stretch_ = false;
    return;
  }
  if (seen_later_) ambiguous_ = true;
  if (!in_stretch_) {
    in_stretch_ = true;
    full_ = ends_.size() == kCandidatesMax;
    if (!full_) ends_.push_back(last_lsn);
  }
  if (!full_) ends_.back() = last_lsn;
}

}  // namespace restore
