// SPDX-License-Identifier: Apache-2.0
#include "restore/history.h"

#include <algorithm>
#include <utility>

#include "journal/index/history_reader.h"
#include "restore/time_search.h"

namespace restore {
namespace {

constexpr std::string_view kIdPrefix = "id:";

using journal::JournalState;
using journal::VolumeState;

// By name or "id:UUID"; null where there is none. The name must have been checked.
const VolumeState* find_in(const JournalState& state, std::string_view volume) {
  if (!volume.starts_with(kIdPrefix)) return state.find(volume);
  const Result<journal::Uuid> uuid = journal::Uuid::parse(volume.substr(kIdPrefix.size()));
  return uuid.ok() ? state.find(*uuid) : nullptr;
}

Status check_volume(std::string_view volume) {
  if (!volume.starts_with(kIdPrefix)) return journal::check_volume_name(volume);
  const Result<journal::Uuid> uuid = journal::Uuid::parse(volume.substr(kIdPrefix.size()));
  if (uuid.ok()) return {};
  return uuid.error();
}

bool is_inside(const VolumeState::Gap& gap, Lsn lsn) {
  return lsn >= gap.begin.lsn && (!gap.end || lsn < gap.end->lsn);
}

// Of two that are as near, the one that was there first stays.
template <typename Nearest>
void take_nearer(std::optional<Nearest>& nearest, Nearest candidate) {
  const auto length = [](Nanos n) { return n.value < 0 ? -n.value : n.value; };
  if (!nearest || length(candidate.distance) < length(nearest->distance)) {
    nearest = std::move(candidate);
  }
}

std::optional<NearestGap> nearest_gap(const VolumeState& volume, Stamp at) {
  std::optional<NearestGap> nearest;
  for (const VolumeState::Gap& gap : volume.gaps) {
    Nanos distance{};
    if (at.lsn < gap.begin.lsn) distance = at.time - gap.begin.time;
    if (gap.end && at.lsn >= gap.end->lsn) distance = at.time - gap.end->time;
    take_nearer(nearest, NearestGap{gap, distance});
  }
  return nearest;
}

// The first LSN at which a volume had the name.
class FirstNamed final : public journal::RecordVisitor {
 public:
  explicit FirstNamed(std::string_view name) : name_(name) {}
  void on_volume_created(const journal::VolumeCreated& r) override { look(r.name, r.stamp); }
  void on_volume_created_from(const journal::VolumeCreatedFrom& r) override {
    look(r.name, r.stamp);
  }
  void on_volume_renamed(const journal::VolumeRenamed& r) override { look(r.name, r.stamp); }
  bool done() const override { return found_.has_value(); }
  std::optional<Stamp> found() const { return found_; }

 private:
  void look(std::string_view name, Stamp stamp) {
    if (name == name_ && !found_) found_ = stamp;
  }
  std::string_view name_;
  std::optional<Stamp> found_;
};

std::string damage_sentence(const journal::Damage& damage) {
  return fmt::format("history between LSN {} and {} cannot be read, and its changes are missing: {}",
                     damage.after.value, damage.before.value, damage.what);
}

}  // namespace

Task<Result<ResolvedPoint>> History::resolve(TimeIndex& index, std::string volume,
                                             Point point) const {
  Status sound = check_volume(volume);
  if (!sound.ok()) co_return std::move(sound).error();
  const Result<Lsn> lsn = co_await find_lsn(index, volume, point);
  if (!lsn.ok()) co_return lsn.error();
  Result<JournalState> state = co_await state_at(index, *lsn);
  if (!state.ok()) co_return std::move(state).error();

  const VolumeState* found = find_in(*state, volume);
  if (found == nullptr) co_return not_there(volume, *state);
  if (found->removed && !volume.starts_with(kIdPrefix)) {
    co_return cdp::make_error(
        ERANGE,
        "the volume {} was removed at {}: {}; its last point is lsn:{}, and id:{} names it at any "
        "later one",
        volume, stamp_text(*found->removed), ends_text(volume), found->removed->lsn.value - 1,
        found->uuid.to_string());
  }

  ResolvedPoint resolved;
  resolved.at = Stamp{*lsn, state->time};
  if (point.kind == PointKind::kTime) resolved.asked_time = point.time;
  resolved.volume = *found;
  const VolumeState* at_end = newest_.find(found->id);
  const VolumeState& known = at_end != nullptr ? *at_end : *found;
  resolved.ends = ends_of(known);
  for (const VolumeState::Gap& gap : known.gaps) {
    if (!is_inside(gap, *lsn)) continue;
    std::string sentence = fmt::format("the point {} lies in a gap of the history of {}: {}",
                                       stamp_text(resolved.at), found->name, gap_text(gap));
    if (!point.force) {
      co_return cdp::make_error(ERANGE, "{}; --force takes it all the same", sentence);
    }
    resolved.is_in_gap = true;
    resolved.notices.push_back({"gap", std::move(sentence)});
  }
  resolved.nearest_mark = nearest_mark(*found, resolved.at);
  resolved.nearest_gap = nearest_gap(known, resolved.at);
  add_crash_notices(point, *lsn, &resolved.notices);
  for (Notice& of : lost()) resolved.notices.push_back(std::move(of));
  co_return std::move(resolved);
}

Task<Result<Lsn>> History::find_lsn(TimeIndex& index, std::string volume, Point point) const {
  if (newest_.lsn == Lsn{}) {
    co_return cdp::make_error(ERANGE, "the vault holds no history yet: nothing was recorded in it");
  }
  switch (point.kind) {
    case PointKind::kNow:
      co_return newest_.lsn;
    case PointKind::kLsn:
      if (point.lsn == Lsn{} || point.lsn > newest_.lsn) {
        co_return outside(volume, fmt::format("lsn:{}", point.lsn.value));
      }
      co_return point.lsn;
    case PointKind::kMark: {
      const auto mark = newest_.marks.find(point.mark);
      if (mark != newest_.marks.end()) co_return mark->second.stamp.lsn;
      co_return cdp::make_error(ENOENT,
                                "there is no mark \"{}\": `hindsight points {}` lists the marks",
                                point.mark, volume);
    }
    case PointKind::kTime: {
      const Result<Lsn> found = co_await find_time(index, volume, point.time);
      co_return found;
    }
    case PointKind::kFirst:
      break;
  }
  const Result<Lsn> first = co_await find_first(index, volume);
  co_return first;
}

Task<Result<JournalState>> History::state_at(TimeIndex& index, Lsn lsn) const {
  if (lsn == newest_.lsn) co_return newest_;
  auto snapshot = co_await index.snapshot(lsn);
  if (!snapshot.ok()) co_return std::move(snapshot).error();
  journal::index::HistoryReader reader{index.segments(), index.vault(), *std::move(snapshot)};
  Result<JournalState> state = co_await reader.state_at(lsn);
  co_return state;
}

Task<Result<Lsn>> History::find_time(TimeIndex& index, std::string volume, Nanos time) const {
  auto snapshot = co_await index.snapshot_for(time);
  if (!snapshot.ok()) co_return std::move(snapshot).error();
  journal::index::HistoryReader reader{index.segments(), index.vault(), *std::move(snapshot)};
  TimeSearch search{time};
  Status visited = co_await reader.visit_deciding(time, search);
  if (!visited.ok()) co_return std::move(visited).error();
  if (search.is_ambiguous()) {
    std::vector<Lsn> candidates = search.stretch_ends();
    Error refused = co_await ambiguous(index, time, std::move(candidates));
    co_return std::move(refused);
  }
  const bool beyond = search.is_after_all() && time > newest_.time &&
                      time > options_.complete_until.value_or(newest_.time);
  if (beyond || search.stretch_ends().empty()) {
    co_return outside(volume, format_time(time, options_.zone));
  }
  co_return search.stretch_ends().front();
}

Task<Result<Lsn>> History::find_first(TimeIndex& index, std::string volume) const {
  if (volume.starts_with(kIdPrefix)) {
    const VolumeState* known = find_in(newest_, volume);
    if (known == nullptr) co_return not_there(volume, newest_);
    co_return known->created.lsn;
  }
  FirstNamed search{volume};
  auto snapshot = co_await index.snapshot(newest_.lsn);
  if (!snapshot.ok()) co_return std::move(snapshot).error();
  journal::index::HistoryReader reader{index.segments(), index.vault(), *std::move(snapshot)};
  Status visited = co_await reader.visit_control({Lsn{}, newest_.lsn}, search);
  if (!visited.ok()) co_return std::move(visited).error();
  if (!search.found()) co_return not_there(volume, newest_);
  co_return search.found()->lsn;
}

Task<Result<std::vector<std::string>>> History::damage(TimeIndex& index,
                                                       journal::LsnInterval interval) {
  auto snapshot = co_await index.snapshot(interval.upto);
  if (!snapshot.ok()) co_return std::move(snapshot).error();
  auto damaged = co_await (*snapshot)->damaged_frames(interval);
  if (!damaged.ok()) co_return std::move(damaged).error();
  std::vector<std::string> sentences;
  for (const journal::index::FrameRow& row : *damaged)
    sentences.push_back(damage_sentence(journal::index::damage_of(row)));
  co_return sentences;
}

Task<Error> History::ambiguous(TimeIndex& index, Nanos time, std::vector<Lsn> candidates) const {
  std::string list;
  for (const Lsn lsn : candidates) {
    const Result<JournalState> state = co_await state_at(index, lsn);
    if (!state.ok()) co_return state.error();
    if (!list.empty()) list += ", ";
    list +=
        fmt::format("lsn:{} (written at {})", lsn.value, format_time(state->time, options_.zone));
  }
  co_return cdp::make_error(ENOTUNIQ,
                            "the time {} is ambiguous, since the wall clock stepped back over it: "
                            "choose one of the points "
                            "{}",
                            format_time(time, options_.zone), list);
}

Error History::outside(std::string_view volume, std::string_view asked) const {
  return cdp::make_error(ERANGE, "the point {} lies outside of what is recorded: {}", asked,
                         ends_text(volume));
}

Error History::not_there(std::string_view volume, const JournalState& state) const {
  if (const VolumeState* const now = find_in(newest_, volume)) {
    const VolumeState* const then = state.find(now->id);
    if (then != nullptr && then->name != volume) {
      return cdp::make_error(ERANGE,
                             "the volume {} was named {} at lsn:{} ({}): ask for it by that name, or "
                             "by the one that it has for ever, id:{}",
                             volume, then->name, state.lsn.value,
                             format_time(state.time, options_.zone), then->uuid.to_string());
    }
    return cdp::make_error(ERANGE, "there was no volume {} at lsn:{} ({}): {}", volume,
                           state.lsn.value, format_time(state.time, options_.zone),
                           ends_text(volume));
  }
  std::string names;
  for (const auto& [id, known] : state.volumes) {
    if (known.removed) continue;
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  return cdp::make_error(
      ENOENT, "there was no volume {} at lsn:{} ({}): {}", volume, state.lsn.value,
      format_time(state.time, options_.zone),
      names.empty() ? "no volume existed then" : fmt::format("the volumes then were {}", names));
}

std::string History::stamp_text(Stamp stamp) const {
  return fmt::format("{} (lsn:{})", format_time(stamp.time, options_.zone), stamp.lsn.value);
}

// Both ends of the volume's history, or of the vault's where the volume is not known.
std::string History::ends_text(std::string_view volume) const {
  const VolumeState* known = find_in(newest_, volume);
  if (known == nullptr) {
    return fmt::format("the newest record of the vault is {}",
                       stamp_text({newest_.lsn, newest_.time}));
  }
  const Ends ends = ends_of(*known);
  return fmt::format("the history of {} reaches from {} to {}", volume, stamp_text(ends.first),
                     stamp_text(ends.last));
}

Result<const VolumeState*> History::find_volume(std::string_view volume) const {
  Status sound = check_volume(volume);
  if (!sound.ok()) return std::move(sound).error();
  const VolumeState* found = find_in(newest_, volume);
  if (found != nullptr) return found;
  std::string names;
  for (const auto& [id, known] : newest_.volumes) {
    if (known.removed) continue;
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  return cdp::make_error(ENOENT, "there is no volume {}: {}", volume,
                         names.empty() ? "`hindsight volume create` makes one"
                                       : fmt::format("the volumes are {}", names));
}

Ends History::ends_of(const VolumeState& volume) const {
  if (volume.removed) {
    return {volume.created, {Lsn{volume.removed->lsn.value - 1}, volume.removed->time}};
  }
  return {volume.created, {newest_.lsn, newest_.time}};
}

std::vector<Notice> History::notices_of(const VolumeState& volume) const {
  const Ends ends = ends_of(volume);
  std::vector<Notice> notices;
  for (const journal::CrashRecord& crash : newest_.crashes) {
    if (crash.stamp.lsn >= ends.first.lsn && crash.last_lsn <= ends.last.lsn) {
      notices.push_back(crash_notice(crash));
    }
  }
  for (const VolumeState::Gap& gap : volume.gaps) {
    notices.push_back({"gap", "its history has a gap: " + gap_text(gap)});
  }
  for (Notice& of : lost()) notices.push_back(std::move(of));
  return notices;
}

std::string History::gap_text(const VolumeState::Gap& gap) const {
  const std::uint64_t last_whole = gap.begin.lsn.value - 1;
  if (!gap.end) {
    return fmt::format(
        "since {} writes bypass the journal ({}), and that is not over; the nearest whole point is "
        "lsn:{}",
        stamp_text(gap.begin), gap.cause, last_whole);
  }
  return fmt::format(
      "from {} to {} writes bypassed the journal ({}); the nearest whole points are lsn:{} and "
      "lsn:{}",
      stamp_text(gap.begin), stamp_text(*gap.end), gap.cause, last_whole, gap.end->lsn.value);
}

std::vector<Notice> History::lost() const {
  std::vector<Notice> notices;
  for (const journal::Damage& damage : options_.lost) notices.push_back(notice_of(damage));
  return notices;
}

Notice History::notice_of(const journal::Damage& damage) {
  return {"damage", damage_sentence(damage)};
}

std::vector<Notice> History::confirmed_losses(Lsn after, Lsn before) const {
  std::vector<Notice> notices;
  for (const journal::CrashRecord& crash : newest_.crashes) {
    if (crash.tail_lost() && crash.last_lsn < before && crash.stamp.lsn > after)
      notices.push_back(crash_notice(crash));
  }
  return notices;
}

std::optional<NearestMark> History::nearest_mark(const VolumeState& volume, Stamp at) const {
  std::optional<NearestMark> nearest;
  for (const auto& [label, mark] : newest_.marks) {
    if (mark.volume != journal::VolumeId{} && mark.volume != volume.id) continue;
    take_nearer(nearest, NearestMark{mark, at.time - mark.stamp.time});
  }
  return nearest;
}

// A time between the last record that survived a crash and the restart may miss writes; a mark was
// durable, and an LSN means just what was kept up to it, unless it is among the lost ones.
void History::add_crash_notices(const Point& point, Lsn at, std::vector<Notice>* notices) const {
  const bool by_time = point.kind == PointKind::kTime;
  for (const journal::CrashRecord& crash : newest_.crashes) {
    const bool after_the_cut = by_time ? at >= crash.last_lsn : at > crash.last_lsn;
    if (after_the_cut && at < crash.stamp.lsn) notices->push_back(crash_notice(crash));
  }
}

Notice History::crash_notice(const journal::CrashRecord& crash) const {
  std::string message = fmt::format(
      "the journal was cut by a crash after lsn:{} and went on at {}: writes in between "
      "that no flush had confirmed may be missing",
      crash.last_lsn.value, stamp_text(crash.stamp));
  if (crash.tail_lost()) {
    message += fmt::format(", and so is what was confirmed as durable up to lsn:{}",
                           crash.remembered_lsn.value);
  }
  if (crash.corrupt()) message += ", and a part of what is left there cannot be read";
  return {"crash", std::move(message)};
}

}  // namespace restore
