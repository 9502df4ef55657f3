// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/jobs/hydration_watch.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tools {
namespace {

using cdp::Task;

constexpr cdp::Nanos kInterval = cdp::seconds(1);

// Who is to be thanked for it.
std::string author_of(const journal::VolumeState& volume) {
  return volume.rollbacks.empty() ? "hindsightd" : volume.rollbacks.back().author;
}

}  // namespace

HydrationWatch::HydrationWatch(cdp::Scheduler& scheduler, Appliance& appliance, Jobs& jobs)
    : scheduler_(scheduler),
      appliance_(appliance),
      jobs_(jobs),
      stop_(scheduler),
      running_(scheduler) {}

Task<void> HydrationWatch::stop() {
  stopping_ = true;
  stop_.notify_all();
  co_await running_.join();
}

Task<void> HydrationWatch::run() {
  while (!stopping_) {
    co_await look();
    const cdp::Nanos until = scheduler_.now() + kInterval;
    while (!stopping_ && scheduler_.now() < until) (void)co_await stop_.wait_until(until);
  }
}

Task<void> HydrationWatch::look() {
  for (const auto& [id, live] : appliance_.live_volumes()) {
    if (live.volume != nullptr && live.volume->statistics().hydrating)
      look_at(*appliance_.journal().state().find(id), *live.volume);
  }
  std::vector<std::pair<std::uint64_t, Job::State>> ended;
  for (const auto& [number, job] : jobs_.all()) {
    if (!job.is_running() || job.kind != Job::Kind::kHydration) continue;
    const auto uuid = journal::Uuid::parse(job.volume_id);
    const journal::VolumeState* const known =
        uuid ? appliance_.journal().state().find(*uuid) : nullptr;
    const auto live = known == nullptr ? appliance_.live_volumes().end()
                                       : appliance_.live_volumes().find(known->id);
    if (live == appliance_.live_volumes().end())
      ended.emplace_back(number, Job::State::kInterrupted);
    else if (live->second.volume != nullptr && !live->second.volume->statistics().hydrating)
      ended.emplace_back(number, Job::State::kDone);
  }
  for (const auto& [number, state] : ended) {
    std::string problem = state == Job::State::kDone ? "" : "the volume is not served any more";
    boost::json::object result;
    co_await jobs_.end(number, state, std::move(result), std::move(problem));
  }
}

void HydrationWatch::look_at(const journal::VolumeState& known, const cdp::Volume& volume) {
  const std::string uuid = known.uuid.to_string();
  const std::uint64_t remaining =
      std::min(volume.statistics().hydration_remaining_blocks * cdp::kBlockBytes, known.size_bytes);
  const Job* const job = jobs_.running(Job::Kind::kHydration, uuid);
  std::uint64_t id = 0;
  std::uint64_t total = remaining;
  if (job == nullptr) {
    Job begun{.kind = Job::Kind::kHydration, .volume = known.name, .volume_id = uuid};
    begun.by = author_of(known);
    id = jobs_.begin(std::move(begun));
  } else {
    id = job->id;
    // Another rollback may have made it more.
    total = std::max(job->total_bytes, remaining);
  }
  jobs_.progress(id, total - remaining, total);
}

}  // namespace tools
