// SPDX-License-Identifier: Apache-2.0
//
// The whole engine on simulated disks: two volumes on one real journal, crashed at every I/O of
// canonical workloads and of the recoveries. What comes back must be exactly a prefix of what was
// recorded, with everything that was flushed in it (promises 1, 2 and 5), at every past point of it
// and across both volumes (promise 3).
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/sim/effort.h"
#include "tests/sim/machine.h"
#include "tests/sim/same_bytes.h"
#include "tests/sim/volume_world.h"

namespace sim {
namespace {

// What the clients of both volumes know.
struct Everyone {
  ByteModel models[Machine::kVolumes];
  Clients clients[Machine::kVolumes] = {Clients(models[0]), Clients(models[1])};

  void expect_errors() {
    for (Clients& each : clients) each.errors_expected = true;
  }
  void gather(std::vector<std::string>& findings) const {
    for (const Clients& each : clients) {
      findings.insert(findings.end(), each.findings.begin(), each.findings.end());
    }
  }
};

struct Plan {
  Mix mix;
  std::size_t clients = 2;  // of each volume
  std::size_t operations = 12;
  bool flushes_lie = false;
};

void work(Machine& machine, SimScheduler& scheduler, const SimStore& store, Everyone& everyone,
          const Plan& plan, std::uint64_t seed) {
  cdp::TaskGroup group(scheduler);
  for (std::size_t v = 0; v < Machine::kVolumes; ++v) {
    for (std::size_t i = 0; i < plan.clients; ++i) {
      group.spawn(client(machine.volume(v), everyone.clients[v], seed * 100 + v * 10 + i,
                         plan.operations, plan.mix));
    }
  }
  const bool ended = scheduler.run_until([&] { return store.crashed() || group.running() == 0; },
                                         cdp::seconds(600));
  if (!ended) machine.findings().push_back("the clients do not end");
  if (store.crashed()) everyone.expect_errors();
  scheduler.run(group.join());
}

void judge(Machine& machine, const Everyone* everyone) {
  machine.check_history();
  for (std::size_t v = 0; v < Machine::kVolumes; ++v) {
    const std::vector<std::byte> live = machine.live(v);
    if (!same_bytes(live, machine.logged(v))) {
      machine.findings().push_back(fmt::format("volume {} is not what history says", v));
    }
    if (everyone == nullptr) continue;
    const Clients& clients = everyone->clients[v];
    if (const auto lost = clients.model.check(0, live, clients.flushed)) {
      machine.findings().push_back(fmt::format("volume {} after a crash: {}", v, *lost));
    }
  }
}

struct Outcome {
  bool crashed = false;
  std::uint64_t ios = 0;
  std::size_t segments = 0;
  std::set<std::uint64_t> turns;  // I/Os at which a segment was made, renamed or sealed, and beside
  std::vector<std::string> findings;
};

// Starts again from what the crash left, works a little, and stops in good order. Where `again` is
// not 0 the first start crashes at that I/O, and another one follows.
void recover(const SimStore& crashed, const SimLog& log, std::uint64_t seed, std::uint64_t again,
             const Everyone& everyone, std::vector<std::string>& findings) {
  SimScheduler scheduler(seed);
  std::shared_ptr<SimStore> store = crashed.reboot(scheduler, seed);
  if (again != 0) {
    store->crash_at(again);
    Machine first(scheduler, store, std::make_shared<SimLog>(log));
    first.start();
    first.stop().ok();
    const std::vector<std::string>& found = first.findings();
    findings.insert(findings.end(), found.begin(), found.end());
    if (!store->crashed()) store->crash_now();
    store = store->reboot(scheduler, seed + 1);
  }
  auto copy = std::make_shared<SimLog>(log);
  Machine machine(scheduler, store, copy);
  if (machine.start()) {
    judge(machine, &everyone);
    if (machine.findings().empty()) {
      Everyone fresh;
      for (std::size_t v = 0; v < Machine::kVolumes; ++v)
        fresh.models[v] = ByteModel(machine.live(v));
      work(machine, scheduler, *store, fresh, Plan{}, seed);
      judge(machine, nullptr);
      fresh.gather(machine.findings());
    }
  }
  const cdp::Status stopped = machine.stop();
  if (!stopped.ok()) machine.findings().push_back("stopping: " + stopped.error().message);
  const std::vector<std::string>& found = machine.findings();
  findings.insert(findings.end(), found.begin(), found.end());
}

Outcome crash_run(const Plan& plan, std::uint64_t seed, std::uint64_t crash_at) {
  Outcome outcome;
  SimScheduler scheduler(seed);
  auto store = SimStore::make(scheduler, seed);
  auto log = std::make_shared<SimLog>();
  Everyone everyone;
  Machine machine(scheduler, store, log, plan.flushes_lie);
  store->crash_at(crash_at);
  store->set_observer([&](const IoEvent& event) {
    const bool turn = event.kind == IoKind::kCreate || event.kind == IoKind::kRename ||
                      event.kind == IoKind::kSeal || event.kind == IoKind::kSyncNames;
    if (!turn || !event.path.starts_with("vault-segments/")) return;
    for (std::uint64_t io = store->ios() - 1; io <= store->ios() + 2; ++io) {
      outcome.turns.insert(io);
    }
  });
  if (machine.start()) {
    work(machine, scheduler, *store, everyone, plan, seed);
    if (crash_at == 0) judge(machine, &everyone);
  }
  const cdp::Status stopped = machine.stop();
  outcome.crashed = store->crashed();
  outcome.ios = store->ios();
  for (const std::string& path : store->paths()) outcome.segments += path.ends_with(".seg");
  if (!stopped.ok() && !outcome.crashed) {
    outcome.findings.push_back("stopping: " + stopped.error().message);
  }
  const std::vector<std::string>& found = machine.findings();
  outcome.findings.insert(outcome.findings.end(), found.begin(), found.end());
  everyone.gather(outcome.findings);
  if (store->overlapping_writes() != 0) outcome.findings.push_back("rule 5: overlapping writes");
  if (!outcome.crashed) return outcome;
  Random random(seed * 1000 + crash_at);
  recover(*store, *log, crash_at, 0, everyone, outcome.findings);
  recover(*store, *log, crash_at + 1, random.between(1, 40), everyone, outcome.findings);
  return outcome;
}

void expect_crash_safe(const Plan& plan, std::uint64_t first_seed, std::uint64_t seeds) {
  const std::uint64_t every = stride();
  std::uint64_t points = 0;
  for (std::uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    const Outcome whole = crash_run(plan, seed, 0);
    ASSERT_TRUE(whole.findings.empty()) << "seed " << seed << ": " << whole.findings.front();
    for (std::uint64_t io = 1 + seed % every; io <= whole.ios; io += every, ++points) {
      const Outcome outcome = crash_run(plan, seed, io);
      if (!outcome.crashed) break;  // the first run read history back, which this one does not
      ASSERT_TRUE(outcome.findings.empty()) << "seed " << seed << ", crash at I/O " << io << " of "
                                            << whole.ios << ": " << outcome.findings.front();
    }
  }
  EXPECT_GT(points * every, 40u);
}

TEST(MachineCrash, MixedChangesOfTwoVolumes) {
  expect_crash_safe({.mix = {.flushes = 12, .max_blocks = 6, .hot_blocks = 6}}, 1, 2);
}

TEST(MachineCrash, ManyFlushesByOneClient) {
  const Mix mix{.writes = 60,
                .repeats = 10,
                .flushes = 30,
                .zeroes = 0,
                .trims = 0,
                .checkpoints = 0,
                .allocations = 0,
                .max_blocks = 3};
  expect_crash_safe({.mix = mix, .clients = 1, .operations = 20}, 11, 2);
}

TEST(MachineCrash, ZeroesTrimsAndCheckpoints) {
  const Mix mix{.writes = 30,
                .repeats = 15,
                .flushes = 10,
                .zeroes = 15,
                .trims = 15,
                .checkpoints = 10,
                .max_blocks = 8,
                .hot_blocks = 8};
  expect_crash_safe({.mix = mix}, 21, 2);
}

// A segment after the other: crashes around every I/O that makes, names or seals one.
TEST(MachineCrash, SegmentsRollOver) {
  const Mix mix{.writes = 95,
                .repeats = 1,
                .flushes = 1,
                .zeroes = 1,
                .trims = 0,
                .checkpoints = 0,
                .allocations = 0,
                .aligned = 100,
                .max_blocks = 24};
  const Plan plan{.mix = mix, .clients = 2, .operations = 100};
  const Outcome whole = crash_run(plan, 31, 0);
  ASSERT_TRUE(whole.findings.empty()) << whole.findings.front();
  ASSERT_GE(whole.segments, 3u);
  std::uint64_t turn = 0;
  for (const std::uint64_t io : whole.turns) {
    if (turn++ % stride() != 0) continue;
    const Outcome outcome = crash_run(plan, 31, io);
    ASSERT_TRUE(outcome.findings.empty())
        << "crash at I/O " << io << " of " << whole.ios << ": " << outcome.findings.front();
  }
}

// The search is able to find what it is for.
TEST(MachineCrash, AFlushThatIsAnsweredTooEarlyIsFound) {
  const Mix mix{.writes = 60, .flushes = 30, .checkpoints = 0, .max_blocks = 3};
  const Plan plan{.mix = mix, .clients = 1, .flushes_lie = true};
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    for (std::uint64_t io = 1; io <= 60; ++io) {
      for (const std::string& finding : crash_run(plan, seed, io).findings) {
        if (finding.find("after a crash") != std::string::npos) return;
      }
    }
  }
  FAIL() << "nothing found";
}

}  // namespace
}  // namespace sim
