// SPDX-License-Identifier: Apache-2.0
//
// Visibility: which changes make up a volume at an LSN. Without rollbacks they are all of the
// volume's own up to there. After a rollback at L to P they are those since L, and then what was
// visible at P; a volume that was created from a point of another falls through to what was visible
// of that one there. So a point, whatever happened before it, is a short list of intervals, and two
// points differ at most where their lists do (rule 8).
#pragma once

#include <span>
#include <vector>

#include "journal/state.h"

namespace journal {

// LSNs with after < LSN <= upto.
struct LsnInterval {
  Lsn after{};
  Lsn upto{};
  bool contains(Lsn lsn) const { return after < lsn && lsn <= upto; }
  bool operator==(const LsnInterval&) const = default;
};

// Changes of one volume. The intervals are not empty, do not touch, and lie newest first.
struct VisibleLayer {
  VolumeId volume{};
  std::vector<LsnInterval> intervals{};
  bool operator==(const VisibleLayer&) const = default;
};

// A block is as the newest change in the first layer that has one left it; where none has, it is
// zeroes. No two layers are of one volume, and they lie in the order of falling volume numbers,
// since a volume is younger than its origin.
using Visibility = std::vector<VisibleLayer>;

// Of `volume` at `lsn`; `state` is that at `lsn` or any later LSN, and knows the volume. Empty
// before the volume was created.
Visibility visible_at(const JournalState& state, VolumeId volume, Lsn lsn);

// The changes that are visible in one of the two only: the blocks that none of them touches are
// the same in both.
Visibility difference(const Visibility& one, const Visibility& other);

// What is in either.
Visibility united(const Visibility& one, const Visibility& other);

// What of `of` lies in `interval`.
Visibility within(const Visibility& of, LsnInterval interval);

// The blocks in which the backing store of a volume that hydrates may differ from the volume at
// `now` are touched by these changes: all that came after the base of its hydration, and for every
// rollback since, those that became visible or invisible by it. `state` is that at `now`. Empty
// where the volume does not hydrate.
Visibility may_differ(const JournalState& state, VolumeId volume, Lsn now);

}  // namespace journal
