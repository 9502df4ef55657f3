// SPDX-License-Identifier: Apache-2.0
//
// How the time index replaces a run of which a page is bad. README.md, "Damage".
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "journal/index/run_history.h"
#include "journal/index/time_index.h"

namespace journal::index {

// One that has failed already is tried again when somebody needs it.
RunPtr TimeIndex::next_repair() const {
  for (const KnownRun& known : runs_)
    if (known.run->is_damaged() && (known.repairs_failed == 0 || known.is_repair_wanted))
      return known.run;
  return nullptr;
}

std::size_t TimeIndex::place_of(const Run& run) const {
  std::size_t place = 0;
  while (runs_.at(place).run.get() != &run) ++place;
  return place;
}

std::optional<Error> TimeIndex::lasting_damage() const {
  for (const KnownRun& known : runs_)
    if (known.repairs_failed != 0) return known.repair_failure;
  return std::nullopt;
}

Task<Status> TimeIndex::repair(RunPtr damaged) {
  const LsnInterval covers = damaged->covers();
  const FrameMark mark = runs_[place_of(*damaged)].mark;
  std::vector<KnownRun> made;
  Status status = co_await make_anew(damaged, mark, made);
  if (!status.ok()) {
    for (const KnownRun& known : made)
      if (known.is_stored())
        static_cast<void>(co_await directory_.remove(run_name(known.run->number())));
    KnownRun& failed = runs_[place_of(*damaged)];
    failed.is_repair_wanted = false;
    ++failed.repairs_failed;
    failed.repair_failure =
        make_error(status.error().code,
                   "the time index is damaged between LSN {} and {} (run {}), and cannot be made "
                   "anew there: {}",
                   covers.after.value, covers.upto.value, damaged->number(), status.error().message);
    changed_.notify_all();
    if (failed.repairs_failed == 1) report(failed.repair_failure->message);
    co_return *failed.repair_failure;
  }
  const std::size_t place = place_of(*damaged);
  if (runs_[place].is_stored()) {
    merged_away_.push_back(damaged->number());
    for (KnownRun& known : made) known.replaces_stored = true;
  }
  replace({place, 1}, std::move(made));
  ++repairs_;
  report(fmt::format("run {} was damaged: history between LSN {} and {} was read once more",
                     damaged->number(), covers.after.value, covers.upto.value));
  co_return Status();
}

// In memory, so that no question waits for a disk. What is too much for that is stored at once.
Task<Status> TimeIndex::make_anew(RunPtr damaged, FrameMark mark, std::vector<KnownRun>& made) {
  Result<std::unique_ptr<RunHistory>> opened =
      co_await RunHistory::open(scheduler_, segments_, vault_, *damaged);
  if (!opened.ok()) co_return opened.error();
  RunHistory& history = **opened;
  std::size_t stored = 0;  // of those that were made
  while (!history.is_at_end()) {
    if (unstored_runs() + made.size() - stored >= kUnstoredRunsMax) {
      Status kept;
      if (stored < made.size())
        kept = co_await store_made(made, stored);
      else
        kept = co_await store();
      if (!kept.ok()) co_return kept;
      stored = made.size();
      continue;
    }
    const Lsn after = history.upto();
    Result<Collector> part = co_await history.next(kRunsAtOnce * options_.run_entries);
    if (!part.ok()) co_return part.error();
    KnownRun known = co_await build({after, history.upto()}, *std::move(part), mark);
    made.push_back(std::move(known));
    if (wants_run() && unstored_runs() + made.size() - stored < kUnstoredRunsMax)
      co_await make_run();  // of what the journal tells meanwhile
  }
  co_return Status();
}

// Those from number `first` on become one.
Task<Status> TimeIndex::store_made(std::vector<KnownRun>& made, std::size_t first) {
  std::vector<RunPtr> parts;
  for (std::size_t i = first; i < made.size(); ++i) parts.push_back(made[i].run);
  Result<RunPtr> run = co_await store_merged(std::move(parts));
  if (!run.ok()) co_return run.error();
  const FrameMark mark = made.back().mark;
  made.resize(first);
  made.push_back({.run = *run, .mark = mark});
  co_return Status();
}

Task<Result<std::vector<RunPtr>>> TimeIndex::replace_damaged(RunList runs) {
  const Question question(*this);
  struct Awaited {
    const Run* run;
    std::uint64_t failed;  // before
  };
  std::vector<Awaited> awaited;
  for (KnownRun& known : runs_) {
    if (!known.run->is_damaged() || std::find(runs->begin(), runs->end(), known.run) == runs->end())
      continue;
    known.is_repair_wanted = true;
    awaited.push_back({known.run.get(), known.repairs_failed});
  }
  // Who asks may need one of them only. It asks again as soon as there is a chance.
  for (bool is_replaced = awaited.empty(); !is_replaced;) {
    wake_.notify_all();
    co_await changed_.wait();
    std::size_t failed = 0;
    std::optional<Error> failure;
    for (const Awaited& of : awaited) {
      const auto known = std::find_if(runs_.begin(), runs_.end(), [&](const KnownRun& candidate) {
        return candidate.run.get() == of.run;
      });
      if (known == runs_.end()) {
        is_replaced = true;
      } else if (known->repairs_failed > of.failed) {
        ++failed;
        failure = known->repair_failure;
      }
    }
    if (!is_replaced && failed == awaited.size()) co_return *failure;
  }
  co_return all_runs();
}

}  // namespace journal::index
