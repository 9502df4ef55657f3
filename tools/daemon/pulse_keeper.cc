// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/pulse_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "restore/missing_pulses.h"
#include "restore/overwritten.h"

namespace tools {
namespace {

using cdp::Task;
using journal::PulseRecord;
using journal::VolumeActivity;
using Step = PulseRecord::Step;

// After the end of a second, for its last changes to become durable.
constexpr cdp::Nanos kDelay = cdp::milliseconds(250);
constexpr cdp::Nanos kSecond = cdp::seconds(1);
// The index tries as often to read what it needs.
constexpr cdp::Nanos kCatchUpInterval = cdp::seconds(5);
constexpr int kCatchUpAttempts = 12;
// Pulses that wait for room in the vault; the oldest go first.
constexpr std::size_t kPendingMax = 1u << 16;

constexpr std::int64_t kForEver = INT64_MAX;

constexpr Step step_of_sum(std::size_t sum) { return static_cast<Step>(sum + 2); }

}  // namespace

PulseKeeper::PulseKeeper(Parts parts)
    : parts_(std::move(parts)), stop_(parts_.scheduler), running_(parts_.scheduler) {}

Task<void> PulseKeeper::run() {
  co_await catch_up();
  while (!stopping_) {
    const std::int64_t since = parts_.clock.realtime().value % kSecond.value;
    const std::int64_t wait = (kDelay.value - since + kSecond.value) % kSecond.value;
    co_await sleep_for(cdp::Nanos{wait == 0 ? kSecond.value : wait});
    if (stopping_) co_return;
    co_await look(journal::second_of(parts_.clock.realtime()));
  }
}

// Unless it is stopped.
Task<void> PulseKeeper::sleep_for(cdp::Nanos length) {
  const cdp::Nanos until = parts_.scheduler.now() + length;
  while (!stopping_ && parts_.scheduler.now() < until) (void)co_await stop_.wait_until(until);
}

// Once newer pulses are recorded, nobody looks for older ones: so these come first.
Task<void> PulseKeeper::catch_up() {
  for (int attempt = 1; !stopping_; ++attempt) {
    const cdp::Status recorded = co_await record_missing();
    if (recorded) break;
    const bool is_last = attempt == kCatchUpAttempts;
    spdlog::warn("activity: what happened just before the last end cannot be told{}: {}",
                 is_last ? "" : " yet", recorded.error().message);
    if (is_last) break;
    co_await sleep_for(kCatchUpInterval);
    if (stopping_) co_return;
  }
  is_catching_up_ = false;
}

// The longest first: who is ended in between finds the seconds missing, and all that goes with
// them.
Task<cdp::Status> PulseKeeper::record_missing() {
  auto missing =
      co_await restore::find_missing_seconds(parts_.index, parts_.journal.opened_after());
  if (!missing) co_return std::move(missing).error();
  if (missing->frames_passed_over > 0)
    spdlog::warn(
        "activity: {} frames of changes without a pulse are left out, as they are too many",
        missing->frames_passed_over);
  const std::vector<std::uint8_t> overwritten =
      co_await restore::find_overwritten(parts_.index, missing->activities);
  std::vector<PulseRecord> seconds;
  for (std::size_t i = 0; i < overwritten.size(); ++i) {
    seconds.push_back(journal::pulse_of(missing->activities[i]));
    seconds.back().overwritten = overwritten[i];
  }
  auto sums =
      co_await restore::find_missing_sums(parts_.index, std::move(missing->around), seconds);
  if (!sums) co_return std::move(sums).error();
  pending_.insert(pending_.end(), sums->begin(), sums->end());
  pending_.insert(pending_.end(), seconds.begin(), seconds.end());
  if (!pending_.empty())
    spdlog::info("activity: {} pulses that were missing are recorded", pending_.size());
  record_pending();
  // Until who asks is told of them, he is told of the changes.
  (void)co_await parts_.journal.flush(parts_.sequencer.last());
  co_return cdp::Status{};
}

Task<void> PulseKeeper::stop() {
  stopping_ = true;
  stop_.notify_all();
  co_await running_.join();
  if (is_catching_up_) co_return;  // the next start does, and finds what this one has not recorded
  (void)co_await parts_.journal.flush(parts_.sequencer.last());
  co_await look(kForEver);
}

Task<void> PulseKeeper::look(std::int64_t before) {
  const std::vector<VolumeActivity> activities = parts_.journal.take_activity(before);
  const std::vector<std::uint8_t> overwritten =
      co_await restore::find_overwritten(parts_.index, activities);
  for (std::size_t i = 0; i < activities.size(); ++i) {
    PulseRecord pulse = journal::pulse_of(activities[i]);
    pulse.overwritten = overwritten[i];
    Known& known = known_[pulse.volume];
    add_asked(pulse, known);  // of several seconds, the first one gets all
    add_up(pulse, known);
    pending_.push_back(pulse);
  }
  know_served();
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

// From when it is opened on, so that its first change gets what was asked for lately, not since.
void PulseKeeper::know_served() {
  for (const auto& [id, volume] : parts_.journal.state().volumes)
    if (parts_.statistics_of(id) != nullptr) known_.try_emplace(id);
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
    // One that is to begin yet is over as well: the clock was set back.
    const bool is_open = sum.begin <= before && before - seconds_of(step_of_sum(i)) < sum.begin;
    if (sum.sum.empty() || is_open) continue;
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
