// SPDX-License-Identifier: Apache-2.0
#include "restore/missing_pulses.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "journal/index/history_reader.h"
#include "restore/pulse_sum.h"
#include "restore/stretch.h"

namespace restore {
namespace {

using cdp::Lsn;
using cdp::Nanos;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;
using journal::PulseRecord;
using journal::VolumeActivity;
using journal::index::FrameRow;
using journal::index::HistoryReader;
using journal::index::Snapshot;
using journal::index::TimeIndex;
using Step = PulseRecord::Step;

// A sum that was not recorded ended at most so many seconds before the newest pulse of a second.
constexpr std::int64_t kSumsBehind = 60;
// So many steps are rather looked at in vain than passed over.
constexpr std::int64_t kStepsBetween = 8;

// The last one that it is shown.
class NewestSecond final : public journal::RecordVisitor {
 public:
  void on_pulse(const PulseRecord& record) override {
    if (record.step == Step::kSecond) begin = record.begin;
  }
  std::optional<std::int64_t> begin;
};

using Sums = std::map<std::pair<VolumeId, std::int64_t>, PulseSum>;

// Adds up the pulses of `step` in a stretch, by the steps of `length` in which they begin.
class AddingUp final : public journal::RecordVisitor {
 public:
  AddingUp(Step step, std::int64_t length, Lsn after, Sums& sums)
      : step_(step), length_(length), after_(after), sums_(sums) {}
  Task<Status> add(TimeIndex& index, Stretch when) {
    when_ = when;
    co_return co_await index.visit_pulses(
        step_, time_of(when.from), time_of(when.until + journal::kPulseRecordedWithin), *this);
  }
  void on_pulse(const PulseRecord& pulse) override {
    if (pulse.stamp.lsn > after_ && pulse.begin >= when_.from && pulse.begin < when_.until)
      sums_[{pulse.volume, rounded_down(pulse.begin, length_)}].add(pulse);
  }

 private:
  const Step step_;
  const std::int64_t length_;
  const Lsn after_;
  Sums& sums_;
  Stretch when_{};
};

// The steps in which the seconds lie; those that lie close together as one.
std::vector<Stretch> stretches_of(const std::vector<std::int64_t>& seconds, std::int64_t length) {
  std::vector<Stretch> stretches;
  for (const std::int64_t second : seconds) {
    const std::int64_t from = rounded_down(second, length);
    if (!stretches.empty() && from <= stretches.back().until + kStepsBetween * length)
      stretches.back().until = from + length;
    else
      stretches.push_back({from, from + length});
  }
  return stretches;
}

// One record, and it is none of a change.
bool has_no_change(const FrameRow& row) { return row.first_lsn == row.last_lsn && row.flags != 0; }

std::uint64_t more(std::uint64_t all, std::uint64_t told) { return all > told ? all - told : 0; }

// The changes that no pulse counts come after this; `newest` is the second of the newest pulse.
Task<Result<Lsn>> begin_of_missing(const Snapshot& snapshot, HistoryReader& reader, Lsn upto,
                                   std::optional<std::int64_t>& newest) {
  const journal::index::WantedFrame with_seconds{.flags = FrameRow::pulse_flag(Step::kSecond)};
  auto told = co_await snapshot.last_frame(journal::LsnInterval{{}, upto}, with_seconds);
  if (!told.ok()) co_return told.error();
  if (!told->has_value()) co_return Lsn{};
  NewestSecond visitor;
  std::vector<FrameRow> rows(1, **told);
  Status read =
      co_await reader.visit_frames(std::move(rows), journal::LsnInterval{{}, upto}, visitor);
  if (!read.ok()) co_return read.error();
  newest = visitor.begin;
  if (!newest) co_return Lsn{};
  const journal::index::WantedFrame before_it{.before = time_of(*newest)};
  auto before =
      co_await snapshot.last_frame(journal::LsnInterval{{}, (*told)->last_lsn}, before_it);
  if (!before.ok()) co_return before.error();
  co_return before->has_value() ? (*before)->last_lsn : Lsn{};
}

// Leaves what `counts` (an activity, or a pulse) tells of changes and `told` does not.
template <typename Counts>
void take_off(Counts& counts, const PulseRecord& told) {
  counts.writes = more(counts.writes, told.writes);
  counts.written_blocks = more(counts.written_blocks, told.written_blocks);
  counts.zeroed_blocks = more(counts.zeroed_blocks, told.zeroed_blocks);
  counts.trimmed_blocks = more(counts.trimmed_blocks, told.trimmed_blocks);
  counts.stored_blocks = more(counts.stored_blocks, told.stored_blocks);
  counts.stored_bytes = more(counts.stored_bytes, told.stored_bytes);
}

bool is_nothing(const PulseRecord& pulse) {
  return (pulse.writes | pulse.flushes | pulse.written_blocks | pulse.zeroed_blocks |
          pulse.trimmed_blocks | pulse.stored_blocks | pulse.stored_bytes) == 0;
}

}  // namespace

Task<Result<MissingSeconds>> find_missing_seconds(TimeIndex& index, Lsn upto) {
  MissingSeconds missing;
  if (upto == Lsn{}) co_return missing;
  auto snapshot = co_await index.snapshot(upto);
  if (!snapshot.ok()) co_return snapshot.error();
  HistoryReader reader(index.segments(), index.vault(), *snapshot);
  std::optional<std::int64_t> newest;
  const Result<Lsn> after = co_await begin_of_missing(**snapshot, reader, upto, newest);
  if (!after.ok()) co_return after.error();

  Result<std::vector<FrameRow>> rows =
      co_await (*snapshot)->frames_in(journal::LsnInterval{*after, upto});
  if (!rows.ok()) co_return rows.error();
  std::erase_if(*rows, has_no_change);
  if (rows->size() > kMissingFramesMax) {
    missing.frames_passed_over = rows->size() - kMissingFramesMax;
    rows->erase(rows->begin(), rows->end() - kMissingFramesMax);
  }
  journal::RecordedActivity recorded;
  Status read = co_await reader.visit_all(*std::move(rows), recorded);
  if (!read.ok()) co_return read.error();
  missing.activities = recorded.take();

  std::set<std::int64_t> seconds;
  for (const VolumeActivity& activity : missing.activities) seconds.insert(activity.second);
  Sums told;
  AddingUp pulses(Step::kSecond, 1, *after, told);
  const std::vector<std::int64_t> counted(seconds.begin(), seconds.end());
  for (const Stretch& stretch : stretches_of(counted, 1)) {
    Status added = co_await pulses.add(index, stretch);
    if (!added.ok()) co_return added.error();
  }
  for (VolumeActivity& activity : missing.activities) {
    const auto of = told.find({activity.volume, activity.second});
    if (of == told.end()) continue;
    take_off(activity, of->second.total());
    if (activity.written_blocks == 0) activity.sample_count = 0;
  }
  std::erase_if(missing.activities, [](const VolumeActivity& activity) {
    return is_nothing(journal::pulse_of(activity));
  });
  if (newest) seconds.insert({*newest - kSumsBehind, *newest});
  missing.around.assign(seconds.begin(), seconds.end());
  co_return missing;
}

Task<Result<std::vector<PulseRecord>>> find_missing_sums(TimeIndex& index,
                                                         std::vector<std::int64_t> around,
                                                         std::vector<PulseRecord> seconds) {
  std::vector<PulseRecord> missing;
  std::vector<PulseRecord> shorter = std::move(seconds);
  for (const Step step : {Step::kMinute, Step::kHour, Step::kDay}) {
    const std::int64_t length = seconds_of(step);
    Sums all;
    Sums told;
    AddingUp of_shorter(static_cast<Step>(static_cast<int>(step) - 1), length, {}, all);
    AddingUp of_step(step, length, {}, told);
    for (const Stretch& stretch : stretches_of(around, length)) {
      Status added = co_await of_shorter.add(index, stretch);
      if (added.ok()) added = co_await of_step.add(index, stretch);
      if (!added.ok()) co_return added.error();
    }
    for (const PulseRecord& pulse : shorter)
      all[{pulse.volume, rounded_down(pulse.begin, length)}].add(pulse);
    shorter.clear();
    for (const auto& [of, sum] : all) {
      PulseRecord pulse = sum.total();
      const PulseRecord of_step_told = told[of].total();
      take_off(pulse, of_step_told);
      pulse.flushes = more(pulse.flushes, of_step_told.flushes);
      if (is_nothing(pulse)) continue;
      pulse.volume = of.first;
      pulse.step = step;
      pulse.begin = of.second;
      shorter.push_back(pulse);
    }
    missing.insert(missing.begin(), shorter.begin(), shorter.end());
  }
  co_return missing;
}

}  // namespace restore
