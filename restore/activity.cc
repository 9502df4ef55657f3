// SPDX-License-Identifier: Apache-2.0
#include "restore/activity.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "journal/activity.h"
#include "restore/missing_pulses.h"
#include "restore/overwritten.h"
#include "restore/pulse_sum.h"
#include "restore/stretch.h"

namespace restore {
namespace {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using journal::PulseRecord;
using journal::seconds_of;
using Step = PulseRecord::Step;

// One frame is read for each, at most.
constexpr std::int64_t kPulsesMax = 40'000;
// Some hundred frames are read for each, at most.
constexpr std::size_t kDoubtsMax = 32;
// Seconds between two that are taken for one.
constexpr std::int64_t kDoubtsApart = 60;

// The longest that steps can be made of.
Step source_of(std::int64_t step) {
  for (const Step source : {Step::kDay, Step::kHour, Step::kMinute})
    if (step % seconds_of(source) == 0) return source;
  return Step::kSecond;
}

class Reading final : public journal::RecordVisitor {
 public:
  Reading(journal::index::TimeIndex& index, ActivityQuery query) : index_(index), query_(query) {}

  cdp::VolumeId volume() const { return query_.volume; }
  void doubt(Stretch when) {
    const bool continues = !doubts_.empty() && when.from >= doubts_.back().from &&
                           when.from <= doubts_.back().until + kDoubtsApart;
    if (continues)
      doubts_.back().until = std::max(doubts_.back().until, when.until);
    else
      doubts_.push_back(when);
  }
  // Of a second in doubt, and in no pulse of a second.
  void add_missing(const PulseRecord& pulse) {
    sums_[rounded_down(pulse.begin, query_.step)].add(pulse);
  }

  // Pulses of `step` where they can be relied on, of shorter ones elsewhere. The stretch is a
  // multiple of the step's length.
  Task<Status> read(Step step, Stretch when) {
    if (step == Step::kSecond) co_return co_await take(step, when);
    const std::int64_t length = seconds_of(step);
    const auto shorter = static_cast<Step>(static_cast<int>(step) - 1);
    std::int64_t at = when.from;
    while (at < when.until) {
      // Up to the next doubt, and then the doubt.
      Stretch next{when.until, when.until};
      for (const Stretch& doubt : doubts_) {
        const Stretch wide{rounded_down(doubt.from, length),
                           std::min(rounded_up(doubt.until, length), when.until)};
        if (wide.until > at && std::max(wide.from, at) < next.from)
          next = {std::max(wide.from, at), wide.until};
      }
      if (at < next.from) {
        Status taken = co_await take(step, {at, next.from});
        if (!taken.ok()) co_return taken;
      }
      if (next.from < next.until) {
        Status taken = co_await read(shorter, next);
        if (!taken.ok()) co_return taken;
      }
      at = next.until;
    }
    co_return Status();
  }

  void on_pulse(const PulseRecord& pulse) override {
    if (pulse.volume == query_.volume && pulse.begin >= wanted_.from && pulse.begin < wanted_.until)
      sums_[rounded_down(pulse.begin, query_.step)].add(pulse);
  }

  std::vector<ActivityStep> steps() const {
    std::vector<ActivityStep> steps;
    for (const auto& [begin, sum] : sums_) steps.push_back({begin, sum.total()});
    return steps;
  }

 private:
  Task<Status> take(Step step, Stretch when) {
    wanted_ = when;
    co_return co_await index_.visit_pulses(
        step, time_of(when.from), time_of(when.until + journal::kPulseRecordedWithin), *this);
  }

  journal::index::TimeIndex& index_;
  const ActivityQuery query_;
  std::vector<Stretch> doubts_;
  std::map<std::int64_t, PulseSum> sums_;
  Stretch wanted_{};
};

Status check(const ActivityQuery& query) {
  if (query.step < 1) return make_error(EINVAL, "a step of activity is at least a second");
  const std::int64_t seconds = query.until - query.from;
  if (seconds / query.step > kActivityStepsMax)
    return make_error(
        EINVAL,
        "that would be {} steps, and {} can be asked for: ask for longer ones, or for "
        "less time",
        seconds / query.step, kActivityStepsMax);
  const Step source = source_of(query.step);
  if (seconds / seconds_of(source) > kPulsesMax)
    return make_error(
        EINVAL,
        "so much time cannot be told in steps of {} s: ask for less of it, or for steps "
        "of whole {}",
        query.step, source == Step::kSecond ? "minutes" : "hours or days");
  return {};
}

// What of the end of history no pulse tells is read from the records of the changes.
Task<Status> add_missing(journal::index::TimeIndex& index, Stretch all, Reading& reading) {
  Result<MissingSeconds> missing = co_await find_missing_seconds(index, index.learnt());
  if (!missing.ok()) co_return missing.error();
  for (const std::int64_t second : missing->around) reading.doubt({second, second + 1});
  std::vector<journal::VolumeActivity>& activities = missing->activities;
  std::erase_if(activities, [&](const journal::VolumeActivity& activity) {
    return activity.volume != reading.volume() || activity.second < all.from ||
           activity.second >= all.until;
  });
  const std::vector<std::uint8_t> overwritten = co_await find_overwritten(index, activities);
  for (std::size_t i = 0; i < activities.size(); ++i) {
    PulseRecord pulse = journal::pulse_of(activities[i]);
    pulse.overwritten = overwritten[i];
    reading.add_missing(pulse);
  }
  co_return Status();
}

// The ends by force that may matter, oldest first: what was recorded last before one is told by the
// shorter pulses alone.
std::span<const journal::CrashRecord> ends_by_force(const journal::JournalState& newest,
                                                    Stretch all) {
  const auto& crashes = newest.crashes;
  const auto is_later = [](std::int64_t second, const journal::CrashRecord& crash) {
    return second <= journal::second_of(crash.stamp.time);
  };
  const auto first = std::find_if(crashes.begin(), crashes.end(),
                                  [&](const auto& crash) { return is_later(all.from, crash); });
  auto end = std::find_if(first, crashes.end(),
                          [&](const auto& crash) { return is_later(all.until, crash); });
  if (end != crashes.end()) ++end;  // history may have ended long before it
  return {first, end};
}

}  // namespace

Task<Result<Activity>> read_activity(journal::index::TimeIndex& index,
                                     const journal::JournalState& newest, ActivityQuery query) {
  if (Status possible = check(query); !possible.ok()) co_return possible.error();
  const Stretch all{rounded_down(query.from, query.step), rounded_up(query.until, query.step)};
  Reading reading(index, query);
  // What is not over, or has only just been.
  const std::int64_t now = journal::second_of(newest.time);
  reading.doubt({now - 2, std::max(now, all.until) + 1});
  Activity activity;
  auto ends = ends_by_force(newest, all);
  if (ends.size() > kDoubtsMax) {
    activity.ends_passed_over = ends.size() - kDoubtsMax;
    ends = ends.last(kDoubtsMax);
  }
  for (const journal::CrashRecord& crash : ends) {
    auto snapshot = co_await index.snapshot(crash.last_lsn);
    if (!snapshot.ok()) co_return snapshot.error();
    auto last = co_await (*snapshot)->frame_at(crash.last_lsn);
    if (!last.ok()) co_return last.error();
    if (!last->has_value()) continue;
    const std::int64_t end = journal::second_of((*last)->max_time);
    reading.doubt({end - 2, end + 1});
  }
  if (query.nobody_records) {
    Status added = co_await add_missing(index, all, reading);
    if (!added.ok()) co_return added.error();
  }
  Status read = co_await reading.read(source_of(query.step), all);
  if (!read.ok()) co_return read.error();
  activity.steps = reading.steps();
  co_return activity;
}

}  // namespace restore
