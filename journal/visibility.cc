// SPDX-License-Identifier: Apache-2.0
#include "journal/visibility.h"

#include <algorithm>

#include "cdp/base/planted_bug.h"

namespace journal {
namespace {

using Intervals = std::vector<LsnInterval>;

void add(Intervals& to, LsnInterval interval) {
  if (interval.after < interval.upto) to.push_back(interval);
}

// What combine() keeps of the LSNs, by whether the first and the second list have them.
enum class Keep { kEither, kOneOnly };

// Walks both lists from the newest LSN down, from one end of an interval to the next: in between,
// an LSN is in each of them or not.
Intervals combine(const Intervals& one, const Intervals& other, Keep keep) {
  Intervals result;
  auto a = one.begin();
  auto b = other.begin();
  // Everything above `at` is done.
  const auto inside = [](auto interval, auto end, Lsn at) {
    return interval != end && interval->upto >= at;
  };
  Lsn at = {UINT64_MAX};
  for (;;) {
    while (a != one.end() && a->after >= at) ++a;
    while (b != other.end() && b->after >= at) ++b;
    if (a == one.end() && b == other.end()) return result;
    const bool in_a = inside(a, one.end(), at);
    const bool in_b = inside(b, other.end(), at);
    Lsn next{};  // where it changes
    if (a != one.end()) next = std::max(next, in_a ? a->after : a->upto);
    if (b != other.end()) next = std::max(next, in_b ? b->after : b->upto);
    const bool kept = keep == Keep::kEither ? in_a || in_b : in_a != in_b;
    if (kept && !result.empty() && result.back().after == at) {
      result.back().after = next;
    } else if (kept) {
      add(result, {.after = next, .upto = at});
    }
    at = next;
  }
}

// By volume, the youngest first, as all lists of layers are.
Visibility combine(const Visibility& one, const Visibility& other, Keep keep) {
  Visibility result;
  const auto append = [&result](VolumeId volume, Intervals intervals) {
    if (!intervals.empty()) result.push_back({volume, std::move(intervals)});
  };
  auto a = one.begin();
  auto b = other.begin();
  while (a != one.end() || b != other.end()) {
    if (b == other.end() || (a != one.end() && a->volume > b->volume)) {
      append(a->volume, a->intervals);
      ++a;
    } else if (a == one.end() || b->volume > a->volume) {
      append(b->volume, b->intervals);
      ++b;
    } else {
      append(a->volume, combine(a->intervals, b->intervals, keep));
      ++a;
      ++b;
    }
  }
  return result;
}

// The volume's own changes that are visible at `lsn`: those since the newest rollback up to there,
// then those up to its point, and so on down. A point lies before its rollback, so this ends.
Intervals own_intervals(const VolumeState& volume, Lsn lsn) {
  Intervals intervals;
  for (;;) {
    const auto later = std::upper_bound(
        volume.rollbacks.begin(), volume.rollbacks.end(), lsn,
        [](Lsn at, const VolumeState::Rollback& rollback) { return at < rollback.stamp.lsn; });
    if (later == volume.rollbacks.begin()) break;
    const VolumeState::Rollback& newest = *std::prev(later);
    add(intervals, {.after = newest.stamp.lsn, .upto = lsn});
    lsn = newest.point;
  }
  add(intervals, {.after = {}, .upto = lsn});
  return intervals;
}

}  // namespace

Visibility visible_at(const JournalState& state, VolumeId volume, Lsn lsn) {
  Visibility visible;
  for (;;) {
    const VolumeState* of = state.find(volume);
    if (of == nullptr || of->created.lsn > lsn) return visible;
    Intervals own = own_intervals(*of, lsn);
    if (!own.empty()) visible.push_back({volume, std::move(own)});
    if (!of->origin.has_value()) return visible;
    volume = of->origin->volume;
    lsn = of->origin->point;
  }
}

Visibility difference(const Visibility& one, const Visibility& other) {
  return combine(one, other, Keep::kOneOnly);
}

Visibility united(const Visibility& one, const Visibility& other) {
  return combine(one, other, Keep::kEither);
}

Visibility within(const Visibility& of, LsnInterval interval) {
  Visibility result;
  for (const VisibleLayer& layer : of) {
    Intervals inside;
    for (const LsnInterval& one : layer.intervals)
      add(inside, {.after = std::max(one.after, interval.after),
                   .upto = std::min(one.upto, interval.upto)});
    if (!inside.empty()) result.push_back({layer.volume, std::move(inside)});
  }
  return result;
}

Visibility may_differ(const JournalState& state, VolumeId volume, Lsn now) {
  const VolumeState* of = state.find(volume);
  if (of == nullptr || !of->hydration.has_value()) return {};
  const Lsn base = of->hydration->base;
  Visibility differing;
  if (base < now) differing.push_back({volume, {{.after = base, .upto = now}}});
  // Created from a point, and the store was blank then: all of the origin's content too.
  if (base < of->created.lsn)
    differing = united(differing, visible_at(state, volume, of->created.lsn));
  for (const VolumeState::Rollback& rollback : of->rollbacks) {
    if (rollback.stamp.lsn <= base || rollback.stamp.lsn > now) continue;
    if (cdp::planted(cdp::PlantedBug::kRollbackOfNewerLsnsOnly)) {
      const Visibility newer{{volume, {{.after = rollback.point, .upto = rollback.stamp.lsn}}}};
      differing = united(differing, newer);
      continue;
    }
    const Lsn before{rollback.stamp.lsn.value - 1};
    differing = united(differing, difference(visible_at(state, volume, before),
                                             visible_at(state, volume, rollback.stamp.lsn)));
  }
  return differing;
}

}  // namespace journal
