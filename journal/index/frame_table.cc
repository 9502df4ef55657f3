// SPDX-License-Identifier: Apache-2.0
#include "journal/index/frame_table.h"

namespace journal::index {
namespace {

using Attempt = Run::Attempt;

// The deciding frames of one run, in one attempt.
class Decision {
 public:
  Decision(PageReader& pages, const Run& run, Nanos time, std::vector<FrameRow>& into)
      : pages_(pages), run_(run), time_(ordered(time)), into_(into) {}

  void visit(std::uint32_t page, std::uint32_t level) {
    const CachedPage* const found = pages_.find(run_, page);
    if (found == nullptr) return;  // what follows is of the next attempt
    const CachedPageRef kept(const_cast<CachedPage*>(found));
    const PackedPage rows(found->data);
    for (unsigned row = 0; row < rows.rows(); ++row) {
      const Side side = level == 0 ? side_of_frame(rows, row) : side_of_fence(rows, row);
      const bool last_of_side =
          row + 1 == rows.rows() ||
          (level == 0 ? side_of_frame(rows, row + 1) : side_of_fence(rows, row + 1)) != side;
      if (side == Side::kBefore && !last_of_side) continue;
      if (side == Side::kAfter && last_ == Side::kAfter) continue;
      if (level == 0)
        take(frame_at_row(rows, row), side);
      else if (side == Side::kBoth)
        visit(child(rows, row), level - 1);
      else
        visit_edge(child(rows, row), level - 1, side);
    }
  }

 private:
  enum class Side { kNone, kBefore, kBoth, kAfter };

  Side side(std::uint64_t min_time, std::uint64_t max_time) const {
    if (max_time <= time_) return Side::kBefore;
    return min_time > time_ ? Side::kAfter : Side::kBoth;
  }
  Side side_of_frame(const PackedPage& rows, unsigned row) const {
    const std::uint64_t min_time = rows.get(kMinTime, row);
    return side(min_time, min_time + rows.get(kTimes, row));
  }
  Side side_of_fence(const PackedPage& rows, unsigned row) const {
    return side(rows.get(kFenceMinTime, row), rows.get(kFenceMaxTime, row));
  }
  static std::uint32_t child(const PackedPage& rows, unsigned row) {
    return static_cast<std::uint32_t>(rows.get(kFrameChild, row));
  }

  // The last frame below a page that is before the time, the first of one that is after it.
  void visit_edge(std::uint32_t page, std::uint32_t level, Side side) {
    for (;; --level) {
      const CachedPage* const found = pages_.find(run_, page);
      if (found == nullptr) return;
      const PackedPage rows(found->data);
      const unsigned row = side == Side::kBefore ? rows.rows() - 1 : 0;
      if (level == 0) return take(frame_at_row(rows, row), side);
      page = child(rows, row);
    }
  }

  void take(const FrameRow& frame, Side side) {
    if (side == Side::kBefore && last_ == Side::kBefore)
      into_.back() = frame;
    else
      into_.push_back(frame);
    last_ = side;
  }

  PageReader& pages_;
  const Run& run_;
  std::uint64_t time_;
  std::vector<FrameRow>& into_;
  Side last_ = Side::kNone;
};

constexpr std::uint16_t kOfInterest = FrameRow::kControl | FrameRow::kDamaged;

// Of a fence that others stand beside: whether no frame below it has an LSN in the interval. All
// frames below end before the next fence's LSN, and begin after the end of any before.
bool is_outside(const PackedPage& fences, unsigned row, LsnInterval interval) {
  const bool too_old =
      row + 1 < fences.rows() && fences.get(kFenceLsn, row + 1) <= interval.after.value + 1;
  const bool too_new = row > 0 && fences.get(kFenceLsn, row - 1) >= interval.upto.value;
  return too_old || too_new;
}

constexpr std::uint16_t kAny = 0;

constexpr bool has_one_of(std::uint64_t flags, std::uint16_t wanted) {
  return wanted == kAny || (flags & wanted) != 0;
}

void visit_flagged(PageReader& pages, const Run& run, LsnInterval interval, std::uint16_t wanted,
                   std::uint32_t page, std::uint32_t level, std::vector<FrameRow>& into) {
  const CachedPage* const found = pages.find(run, page);
  if (found == nullptr) return;
  const CachedPageRef kept(const_cast<CachedPage*>(found));
  const PackedPage rows(found->data);
  for (unsigned row = 0; row < rows.rows(); ++row) {
    if (level == 0) {
      const FrameRow frame = frame_at_row(rows, row);
      if (has_one_of(frame.flags, wanted) && frame.last_lsn > interval.after &&
          frame.first_lsn <= interval.upto)
        into.push_back(frame);
      continue;
    }
    if (!has_one_of(rows.get(kFenceFlags, row), wanted) || is_outside(rows, row, interval))
      continue;
    visit_flagged(pages, run, interval, wanted,
                  static_cast<std::uint32_t>(rows.get(kFrameChild, row)), level - 1, into);
  }
}

Task<Status> flagged_frames(PageReader& pages, const Run& run, LsnInterval interval,
                            std::uint16_t wanted, std::vector<FrameRow>& into) {
  if (run.header().frames.rows == 0) co_return Status{};
  for (;;) {
    std::vector<FrameRow> found;
    visit_flagged(pages, run, interval, wanted, run.header().frames.root,
                  run.header().frames.height, found);
    if (!pages.has_missing()) {
      into.insert(into.end(), found.begin(), found.end());
      co_return Status{};
    }
    if (Status loaded = co_await pages.load(); !loaded.ok()) co_return loaded;
  }
}

struct WantedPulses {
  std::uint16_t flag = 0;
  std::uint64_t from = 0;  // both ordered
  std::uint64_t until = 0;

  bool may_be_in(std::uint64_t flags, std::uint64_t min_time, std::uint64_t max_time) const {
    if ((flags & flag) == 0) return false;
    return (flags & FrameRow::kPulseOfOtherTime) != 0 || (max_time >= from && min_time <= until);
  }
};

void visit_pulses(PageReader& pages, const Run& run, const WantedPulses& wanted, std::uint32_t page,
                  std::uint32_t level, std::vector<FrameRow>& into) {
  const CachedPage* const found = pages.find(run, page);
  if (found == nullptr) return;
  const CachedPageRef kept(const_cast<CachedPage*>(found));
  const PackedPage rows(found->data);
  for (unsigned row = 0; row < rows.rows(); ++row) {
    if (level == 0) {
      // Of most rows the flags are all that is looked at.
      if ((rows.get(kFlags, row) & wanted.flag) == 0) continue;
      const FrameRow frame = frame_at_row(rows, row);
      if (wanted.may_be_in(frame.flags, ordered(frame.min_time), ordered(frame.max_time)))
        into.push_back(frame);
      continue;
    }
    if (wanted.may_be_in(rows.get(kFenceFlags, row), rows.get(kFenceMinTime, row),
                         rows.get(kFenceMaxTime, row)))
      visit_pulses(pages, run, wanted, static_cast<std::uint32_t>(rows.get(kFrameChild, row)),
                   level - 1, into);
  }
}

// From the newest on, up to the first that is found. What lies before a missing page is of the next
// attempt.
Attempt find_last(PageReader& pages, const Run& run, LsnInterval interval, WantedFrame wanted,
                  std::uint32_t page, std::uint32_t level, std::optional<FrameRow>& found) {
  const CachedPage* const at = pages.find(run, page);
  if (at == nullptr) return Attempt::kMissing;
  const CachedPageRef kept(const_cast<CachedPage*>(at));
  const PackedPage rows(at->data);
  for (unsigned row = rows.rows(); row-- > 0 && !found.has_value();) {
    if (level == 0) {
      const FrameRow frame = frame_at_row(rows, row);
      if (has_one_of(frame.flags, wanted.flags) && frame.max_time < wanted.before &&
          interval.contains(frame.last_lsn))
        found = frame;
      continue;
    }
    if (!has_one_of(rows.get(kFenceFlags, row), wanted.flags) ||
        rows.get(kFenceMinTime, row) >= ordered(wanted.before) || is_outside(rows, row, interval))
      continue;
    const auto child = static_cast<std::uint32_t>(rows.get(kFrameChild, row));
    if (find_last(pages, run, interval, wanted, child, level - 1, found) == Attempt::kMissing)
      return Attempt::kMissing;
  }
  return Attempt::kDone;
}

Attempt find_frame(PageReader& pages, const Run& run, Lsn lsn, std::optional<FrameRow>& found) {
  std::uint32_t leaf = 0;
  if (run.frame_leaf_for(pages, lsn, leaf) == Attempt::kMissing) return Attempt::kMissing;
  for (; leaf < run.header().frames.end_leaf(); ++leaf) {
    const CachedPage* const page = pages.find(run, leaf);
    if (page == nullptr) return Attempt::kMissing;
    const PackedPage rows(page->data);
    unsigned from = 0;
    unsigned end = rows.rows();
    while (from < end) {
      const unsigned middle = from + (end - from) / 2;
      if (rows.get(kLastLsn, middle) < lsn.value)
        from = middle + 1;
      else
        end = middle;
    }
    if (from == rows.rows()) continue;
    found = frame_at_row(rows, from);
    return Attempt::kDone;
  }
  return Attempt::kDone;
}

}  // namespace

Task<Result<std::optional<FrameRow>>> frame_at(PageReader& pages, const Run& run, Lsn lsn) {
  std::optional<FrameRow> found;
  if (run.header().frames.rows == 0) co_return found;
  while (find_frame(pages, run, lsn, found) == Attempt::kMissing) {
    if (Status loaded = co_await pages.load(); !loaded.ok()) co_return loaded.error();
  }
  co_return found;
}

Task<Status> deciding_frames(PageReader& pages, const Run& run, Nanos time,
                             std::vector<FrameRow>& into) {
  if (run.header().frames.rows == 0) co_return Status{};
  for (;;) {
    std::vector<FrameRow> found;
    Decision(pages, run, time, found).visit(run.header().frames.root, run.header().frames.height);
    if (!pages.has_missing()) {
      into.insert(into.end(), found.begin(), found.end());
      co_return Status{};
    }
    if (Status loaded = co_await pages.load(); !loaded.ok()) co_return loaded;
  }
}

Task<Status> control_frames(PageReader& pages, const Run& run, LsnInterval interval,
                            std::vector<FrameRow>& into) {
  return flagged_frames(pages, run, interval, kOfInterest, into);
}

Task<Status> damaged_frames(PageReader& pages, const Run& run, LsnInterval interval,
                            std::vector<FrameRow>& into) {
  return flagged_frames(pages, run, interval, FrameRow::kDamaged, into);
}

Task<Status> frames_in(PageReader& pages, const Run& run, LsnInterval interval,
                       std::vector<FrameRow>& into) {
  return flagged_frames(pages, run, interval, kAny, into);
}

Task<Status> pulse_frames(PageReader& pages, const Run& run, PulseRecord::Step step, Nanos from,
                          Nanos until, std::vector<FrameRow>& into) {
  if (run.header().frames.rows == 0) co_return Status{};
  const WantedPulses wanted{FrameRow::pulse_flag(step), ordered(from), ordered(until)};
  for (;;) {
    std::vector<FrameRow> found;
    visit_pulses(pages, run, wanted, run.header().frames.root, run.header().frames.height, found);
    if (!pages.has_missing()) {
      into.insert(into.end(), found.begin(), found.end());
      co_return Status{};
    }
    if (Status loaded = co_await pages.load(); !loaded.ok()) co_return loaded;
  }
}

Task<Result<std::optional<FrameRow>>> last_frame(PageReader& pages, const Run& run,
                                                 LsnInterval interval, WantedFrame wanted) {
  std::optional<FrameRow> found;
  const TreeSection& frames = run.header().frames;
  if (frames.rows == 0) co_return found;
  while (find_last(pages, run, interval, wanted, frames.root, frames.height, found) ==
         Attempt::kMissing) {
    if (Status loaded = co_await pages.load(); !loaded.ok()) co_return loaded.error();
  }
  co_return found;
}

}  // namespace journal::index
