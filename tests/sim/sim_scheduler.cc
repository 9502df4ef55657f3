// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace sim {

using cdp::Nanos;

SimScheduler::SimScheduler(std::uint64_t seed)
    : seed_(seed), random_(seed ^ 0x5c4ed01e5u), in_order_(random_.chance(25)) {}

void SimScheduler::offload(std::function<void()> work, std::coroutine_handle<> then) {
  const Nanos end = now_ + random_.nanos({0}, cdp::milliseconds(1));
  if (random_.coin()) {
    work();
    at(end, [this, then] { post(then); });
  } else {
    at(end, [this, then, work = std::move(work)] {
      work();
      post(then);
    });
  }
}

void SimScheduler::at(Nanos when, std::function<void()> event) {
  events_.emplace(when, std::move(event));
}

void SimScheduler::fire_due() {
  while (!events_.empty() && events_.begin()->first <= now_) {
    const std::function<void()> event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
  }
  timers_.fire_due(now_);
}

void SimScheduler::resume_one(std::vector<std::coroutine_handle<>>& from) {
  const std::size_t index = in_order_ ? 0 : random_.below(from.size());
  const std::coroutine_handle<> next = from[index];
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(index));
  now_ = now_ + random_.nanos({0}, {2000});
  next.resume();
}

bool SimScheduler::step() {
  ++steps_;
  if (!ready_.empty() || !turn_end_.empty()) {
    // Completions may come in the middle of a turn as well as between two.
    if (random_.chance(25)) fire_due();
    resume_one(ready_.empty() ? turn_end_ : ready_);
    return true;
  }
  if (events_.empty() && timers_.empty()) return false;
  Nanos next{INT64_MAX};
  if (!events_.empty()) next = std::min(next, events_.begin()->first);
  if (!timers_.empty()) next = std::min(next, timers_.next_deadline());
  now_ = std::max(now_, next);
  fire_due();
  return true;
}

bool SimScheduler::run_until(const std::function<bool()>& done, Nanos limit) {
  const Nanos until = now_ + limit;
  while (!done()) {
    if (now_ > until || !step()) return false;
  }
  return true;
}

void SimScheduler::run_for(Nanos duration) {
  const Nanos until = now_ + duration;
  at(until, [] {});
  static_cast<void>(run_until([this, until] { return now_ >= until; }));
}

cdp::Task<void> SimScheduler::mark(cdp::Task<void> task, bool& done) {
  co_await std::move(task);
  done = true;
}

void SimScheduler::run(cdp::Task<void> task) {
  bool done = false;
  spawn(mark(std::move(task), done));
  if (!run_until([&done] { return done; })) give_up();
}

void SimScheduler::give_up() const {
  std::fprintf(stderr,
               "simulation with seed %llu: the task does not end (%s, after %llu steps, %zu events "
               "pending)\n",
               static_cast<unsigned long long>(seed_),
               events_.empty() && timers_.empty() ? "deadlock" : "no end within the time limit",
               static_cast<unsigned long long>(steps_), events_.size());
  std::abort();
}

void bury(std::shared_ptr<void> world) {
  static std::vector<std::shared_ptr<void>>& graveyard = *new std::vector<std::shared_ptr<void>>;
  graveyard.push_back(std::move(world));
}

}  // namespace sim
