// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/pulse_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace tools {
namespace {

using cdp::Task;
using journal::PulseRecord;
using journal::VolumeActivity;
using Step = PulseRecord::Step;

// After the end of a second, for its last changes to become durable.
constexpr cdp::Nanos kDelay = cdp::milliseconds(250);
constexpr cdp::Nanos kSecond = cdp::seconds(1);
// Blocks looked up in the time index, of all volumes together, each second.
constexpr std::size_t kLookupsMax = 256;
// Pulses that wait for room in the vault; the oldest go first.
constexpr std::size_t kPendingMax = 1u << 16;

constexpr std::int64_t kForEver = INT64_MAX;

PulseRecord pulse_of(const VolumeActivity& activity) {
  PulseRecord pulse{.volume = activity.volume, .begin = activity.second};
  pulse.writes = activity.writes;
  pulse.written_blocks = activity.written_blocks;
  pulse.zeroed_blocks = activity.zeroed_blocks;
  pulse.trimmed_blocks = activity.trimmed_blocks;
  pulse.stored_blocks = activity.stored_blocks;
  pulse.stored_bytes = activity.stored_bytes;
  if (activity.entropy_blocks > 0)
    pulse.entropy = static_cast<std::uint8_t>(activity.entropy_sum / activity.entropy_blocks);
  return pulse;
}

constexpr Step step_of_sum(std::size_t sum) { return static_cast<Step>(sum + 2); }

}  // namespace

PulseKeeper::PulseKeeper(Parts parts)
    : parts_(std::move(parts)), stop_(parts_.scheduler), running_(parts_.scheduler) {}

Task<void> PulseKeeper::run() {
  while (!stopping_) {
    const std::int64_t since = parts_.clock.realtime().value % kSecond.value;
    const std::int64_t wait = (kDelay.value - since + kSecond.value) % kSecond.value;
    const cdp::Nanos until = parts_.scheduler.now() + cdp::Nanos{wait == 0 ? kSecond.value : wait};
    while (!stopping_ && parts_.scheduler.now() < until) (void)co_await stop_.wait_until(until);
    if (stopping_) co_return;
    co_await look(journal::second_of(parts_.clock.realtime()));
  }
}

Task<void> PulseKeeper::stop() {
  stopping_ = true;
  stop_.notify_all();
  co_await running_.join();
  (void)co_await parts_.journal.flush(parts_.sequencer.last());
  co_await look(kForEver);
}

Task<void> PulseKeeper::look(std::int64_t before) {
  const std::vector<VolumeActivity> activities = parts_.journal.take_activity(before);
  const std::vector<std::uint8_t> overwritten = co_await find_overwritten(activities);
  for (std::size_t i = 0; i < activities.size(); ++i) {
    PulseRecord pulse = pulse_of(activities[i]);
    pulse.overwritten = overwritten[i];
    Known& known = known_[pulse.volume];
    add_asked(pulse, known);  // of several seconds, the first one gets all
    add_up(pulse, known);
    pending_.push_back(pulse);
  }
  for (auto& [volume, known] : known_) {
    known.told = std::exchange(known.seen, asked_of(volume));
    end_sums(volume, known, before);
  }
  std::erase_if(known_, [this](const auto& of) {
    return parts_.statistics_of(of.first) == nullptr && of.second.sums.front().sum.empty() &&
           of.second.sums.back().sum.empty();
  });
  record_pending();
}

Task<std::vector<std::uint8_t>> PulseKeeper::find_overwritten(
    const std::vector<VolumeActivity>& activities) {
  std::vector<std::uint8_t> percents(activities.size(), PulseRecord::kUnknown);
  if (activities.empty()) co_return percents;
  const std::size_t of_each = std::max<std::size_t>(1, kLookupsMax / activities.size());
  std::vector<journal::index::TimeIndex::BlockBefore> blocks;
  std::vector<std::size_t> counts;
  for (const VolumeActivity& activity : activities) {
    const bool has_room = blocks.size() < kLookupsMax;
    counts.push_back(has_room ? std::min(of_each, activity.sample_count) : 0);
    for (std::size_t i = 0; i < counts.back(); ++i)
      blocks.push_back({activity.volume, activity.samples[i], activity.first_lsn});
  }
  auto held = co_await parts_.index.held_data(std::move(blocks));
  if (!held) co_return percents;  // an estimate less; the index says itself what is wrong with it
  auto from = held->begin();
  for (std::size_t i = 0; i < activities.size(); ++i) {
    if (counts[i] == 0) continue;
    const auto to = from + static_cast<std::ptrdiff_t>(counts[i]);
    const auto overwritten = static_cast<std::size_t>(std::count(from, to, true));
    percents[i] = static_cast<std::uint8_t>(overwritten * 100 / counts[i]);
    from = to;
  }
  co_return percents;
}

PulseKeeper::Asked PulseKeeper::asked_of(cdp::VolumeId volume) const {
  const cdp::IoStatistics* const statistics = parts_.statistics_of(volume);
  if (statistics == nullptr) return {};
  return {.flushes = statistics->of(cdp::IoStatistics::Kind::kFlush).requests,
          .writes_by_latency = statistics->of(cdp::IoStatistics::Kind::kWrite).by_latency};
}

void PulseKeeper::add_asked(PulseRecord& pulse, Known& known) const {
  const Asked now = asked_of(pulse.volume);
  // A device that was opened anew counts anew.
  const auto since = [](std::uint64_t then, std::uint64_t counted) {
    return counted >= then ? counted - then : counted;
  };
  pulse.flushes = since(known.told.flushes, now.flushes);
  auto writes = now.writes_by_latency;
  for (std::size_t i = 0; i < writes.size(); ++i)
    writes[i] = since(known.told.writes_by_latency[i], writes[i]);
  const std::uint64_t all = std::accumulate(writes.begin(), writes.end(), std::uint64_t{0});
  std::uint64_t within = 0;
  for (std::size_t i = 0; all > 0 && i < writes.size(); ++i) {
    within += writes[i];
    if (within * 100 < all * 99) continue;
    pulse.p99 = static_cast<std::uint8_t>(i);
    break;
  }
  known.told = known.seen = now;
}

void PulseKeeper::add_up(const PulseRecord& pulse, Known& known) {
  for (std::size_t i = 0; i < kSums; ++i) {
    Sum& sum = known.sums[i];
    const std::int64_t length = seconds_of(step_of_sum(i));
    const std::int64_t begin = pulse.begin / length * length;
    // The clock may have stepped, or a look come late.
    if (!sum.sum.empty() && sum.begin != begin) end_sum(pulse.volume, known, i);
    sum.begin = begin;
    sum.sum.add(pulse);
  }
}

void PulseKeeper::end_sums(cdp::VolumeId volume, Known& known, std::int64_t before) {
  for (std::size_t i = 0; i < kSums; ++i) {
    const Sum& sum = known.sums[i];
    if (sum.sum.empty() || before - seconds_of(step_of_sum(i)) < sum.begin) continue;
    end_sum(volume, known, i);
  }
}

void PulseKeeper::end_sum(cdp::VolumeId volume, Known& known, std::size_t which) {
  Sum& sum = known.sums[which];
  PulseRecord pulse = sum.sum.total();
  pulse.volume = volume;
  pulse.step = step_of_sum(which);
  pulse.begin = sum.begin;
  pending_.push_back(pulse);
  sum = {};
}

void PulseKeeper::record_pending() {
  while (!pending_.empty()) {
    PulseRecord pulse = pending_.front();
    pulse.stamp = parts_.sequencer.next();
    const cdp::Status recorded = parts_.journal.record_pulse(pulse);
    if (!recorded && recorded.error().code != ENOENT) break;
    pending_.pop_front();
  }
  if (pending_.size() <= kPendingMax) return;
  spdlog::warn("activity: the pulses of {} seconds are given up, as they cannot be recorded",
               pending_.size() - kPendingMax);
  pending_.erase(pending_.begin(), pending_.end() - kPendingMax);
}

}  // namespace tools
