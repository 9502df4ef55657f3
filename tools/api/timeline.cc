// SPDX-License-Identifier: Apache-2.0
#include "tools/api/timeline.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <utility>
#include <vector>

#include "cdp/io_statistics.h"
#include "journal/activity.h"
#include "restore/activity.h"
#include "tools/api/documents.h"

namespace tools::api {
namespace {

namespace json = boost::json;
using cdp::make_error;
using cdp::Nanos;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using journal::PulseRecord;
using restore::TimeZone;

constexpr Nanos kDefaultLength = cdp::seconds(3600);
constexpr std::int64_t kDefaultSteps = 120;
constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 3600;
constexpr std::int64_t kDay = 86400;
constexpr std::int64_t kSteps[] = {
    1,        2,           5,           10,           15,           30,
    kMinute,  2 * kMinute, 5 * kMinute, 10 * kMinute, 15 * kMinute, 30 * kMinute,
    kHour,    2 * kHour,   3 * kHour,   6 * kHour,    12 * kHour,   kDay,
    7 * kDay, 28 * kDay};

std::int64_t step_for(std::int64_t seconds) {
  for (const std::int64_t step : kSteps)
    if (seconds <= step * kDefaultSteps) return step;
  return kSteps[std::size(kSteps) - 1];
}

struct Moments {
  Nanos since{};
  Nanos until{};
};

class Timeline {
 public:
  Timeline(journal::index::TimeIndex& index, const restore::History& history,
           const journal::VolumeState& volume)
      : index_(index), history_(history), volume_(volume), zone_(history.zone()) {
    const restore::Ends ends = history.ends_of(volume);
    first_ = ends.first.time;
    last_ = ends.last.time;
    if (!volume.removed && history.complete_until())
      last_ = std::max(last_, *history.complete_until());
  }

  Task<Result<Moments>> find(TimelineWindow window) {
    Moments found{.until = last_};
    if (window.until) {
      Result<Nanos> until = co_await time_of(*std::move(window.until));
      if (!until.ok()) co_return std::move(until).error();
      found.until = std::min(*until, last_);
    }
    found.since = std::max(found.until - kDefaultLength, first_);
    if (window.since) {
      Result<Nanos> since = co_await time_of(*std::move(window.since));
      if (!since.ok()) co_return std::move(since).error();
      found.since = std::max(*since, first_);
    }
    if (found.since > last_ || found.until < first_)
      co_return make_error(ERANGE, "of volume {} there is history from {} to {} only", volume_.name,
                           format_time_short(first_, zone_), format_time_short(last_, zone_));
    if (found.since > found.until)
      co_return make_error(EINVAL, "the time since which ({}) comes after that until which ({})",
                           format_time_short(found.since, zone_),
                           format_time_short(found.until, zone_));
    co_return found;
  }

  json::array events(Moments when) const {
    std::vector<std::pair<cdp::Stamp, json::object>> found;
    const auto add = [&](cdp::Stamp at, std::string_view kind, std::string text) -> json::object& {
      json::object document = stamp_document(at, zone_);
      document["kind"] = kind;
      document["text"] = std::move(text);
      return found.emplace_back(at, std::move(document)).second;
    };
    const journal::JournalState& state = history_.newest();
    add(volume_.created, "created", volume_.name);
    if (volume_.removed) add(*volume_.removed, "removed", volume_.name);
    for (const auto& [label, mark] : state.marks) {
      if (mark.volume.value == 0 || mark.volume == volume_.id) add(mark.stamp, "mark", label);
    }
    for (const auto& rollback : volume_.rollbacks)
      add(rollback.stamp, "rollback",
          fmt::format("to lsn:{}{}", rollback.point.value,
                      rollback.author.empty() ? "" : " by " + rollback.author));
    for (const auto& gap : volume_.gaps) {
      json::object& document = add(gap.begin, "gap", gap.cause);
      if (gap.end) document["until"] = format_time(gap.end->time, zone_);
    }
    for (const journal::CrashRecord& crash : state.crashes) {
      const char* const text =
          crash.tail_lost() ? "writes that had been confirmed were lost before it"
          : crash.corrupt() ? "some of the history before it cannot be read"
                            : "writes that were not flushed may be lost before it";
      add(crash.stamp, "crash", text);
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.first.lsn < b.first.lsn; });
    json::array events;
    for (auto& [at, document] : found) {
      const bool begins_before = at.time <= when.until;
      const bool is_over = document.contains("until") || document["kind"] != "gap";
      if (begins_before && (at.time >= when.since || !is_over || ends_after(document, when.since)))
        events.push_back(std::move(document));
    }
    return events;
  }

  json::array steps(const std::vector<restore::ActivityStep>& activity) const {
    json::array steps;
    for (const restore::ActivityStep& step : activity) steps.push_back(step_document(step));
    return steps;
  }

 private:
  static bool ends_after(const json::object& event, Nanos time) {
    const json::value* const until = event.if_contains("until");
    if (until == nullptr) return false;
    const auto end = restore::parse_absolute_point(until->as_string());
    return end.ok() && end->time >= time;
  }

  Task<Result<Nanos>> time_of(restore::Point point) {
    if (point.kind == restore::PointKind::kTime) co_return point.time;
    if (point.kind == restore::PointKind::kNow) co_return last_;
    if (point.kind == restore::PointKind::kFirst) co_return first_;
    point.force = true;  // only its time is asked for
    std::string id = "id:" + volume_.uuid.to_string();
    Result<restore::ResolvedPoint> resolved =
        co_await history_.resolve(index_, std::move(id), std::move(point));
    if (!resolved.ok()) co_return std::move(resolved).error();
    co_return resolved->at.time;
  }

  json::object step_document(const restore::ActivityStep& step) const {
    const PulseRecord& sum = step.sum;
    json::object document{{"begin", format_time(cdp::seconds(step.begin), zone_)},
                          {"writes", sum.writes},
                          {"flushes", sum.flushes},
                          {"written_bytes", sum.written_blocks * cdp::kBlockBytes},
                          {"zeroed_bytes", sum.zeroed_blocks * cdp::kBlockBytes},
                          {"trimmed_bytes", sum.trimmed_blocks * cdp::kBlockBytes},
                          {"unique_bytes", sum.stored_blocks * cdp::kBlockBytes},
                          {"stored_bytes", sum.stored_bytes}};
    if (sum.overwritten != PulseRecord::kUnknown) document["overwritten_percent"] = sum.overwritten;
    if (sum.entropy != PulseRecord::kUnknown)
      document["entropy_percent"] = sum.entropy * 100 / PulseRecord::kEntropyMax;
    if (sum.p99 != PulseRecord::kUnknown) {
      constexpr auto& kBounds = cdp::IoStatistics::kBounds;
      const std::size_t bound = std::min<std::size_t>(sum.p99, kBounds.size() - 1);
      document["p99_us"] = kBounds[bound].value / 1000;
      if (sum.p99 > bound) document["p99_is_more"] = true;
    }
    return document;
  }

  journal::index::TimeIndex& index_;
  const restore::History& history_;
  const journal::VolumeState& volume_;
  const TimeZone& zone_;
  Nanos first_{};
  Nanos last_{};
};

}  // namespace

Task<Result<json::object>> read_timeline(journal::index::TimeIndex& index,
                                         const restore::History& history, std::string volume,
                                         TimelineWindow window, bool is_recorded) {
  const Result<const journal::VolumeState*> known = history.find_volume(volume);
  if (!known.ok()) co_return known.error();
  Timeline timeline(index, history, **known);
  const std::optional<std::uint64_t> step = window.step;
  Result<Moments> when = co_await timeline.find(std::move(window));
  if (!when.ok()) co_return std::move(when).error();
  restore::ActivityQuery query{.volume = (*known)->id};
  query.from = journal::second_of(when->since);
  query.until = journal::second_of(when->until) + 1;
  query.step = step_for(query.until - query.from);
  if (step) query.step = static_cast<std::int64_t>(std::min<std::uint64_t>(*step, INT32_MAX));
  query.nobody_records = !is_recorded;
  auto activity = co_await restore::read_activity(index, history.newest(), query);
  if (!activity.ok()) co_return std::move(activity).error();
  std::vector<restore::Notice> notices = history.lost();
  if (activity->ends_passed_over > 0)
    notices.push_back(
        {"crash",
         fmt::format(
             "in this time the appliance was ended by force so often that for the oldest {} "
             "of these ends the sums recorded around them are shown as they are, without a "
             "look at their seconds: ask for less time to have that",
             activity->ends_passed_over)});
  co_return json::object{{"volume", volume_document(**known, history.zone())},
                         {"since", format_time(when->since, history.zone())},
                         {"until", format_time(when->until, history.zone())},
                         {"step_seconds", query.step},
                         {"steps", timeline.steps(activity->steps)},
                         {"events", timeline.events(*when)},
                         {"notices", notices_document(notices)}};
}

}  // namespace tools::api
