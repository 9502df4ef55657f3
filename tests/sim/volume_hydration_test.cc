// SPDX-License-Identifier: Apache-2.0
//
// A volume that is rolled back and hydrates while clients read and change it, on machines that
// crash at every I/O and start again, several times over: its content is always what the log says
// by plain replay, no answer is one that a device of bytes could not give, and in the end the
// backing store has it all. The same search must find what is broken on purpose.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/effort.h"
#include "tests/sim/volume_world.h"

namespace sim {
namespace {

using cdp::kBlockBytes;
using cdp::Lsn;
using cdp::Status;
using cdp::Task;

struct Scenario {
  std::size_t clients = 3;
  std::size_t operations = 14;  // of each client
  std::size_t rollbacks = 3;
  bool resizes = false;
  WorldOptions world = {};
  Mix mix = {.writes = 34,
             .repeats = 8,
             .flushes = 8,
             .zeroes = 7,
             .trims = 7,
             .checkpoints = 4,
             .allocations = 3,
             .max_blocks = 8,
             .hot_blocks = 10};
};

// Everything small, so that few operations meet many cases.
WorldOptions small_world() {
  WorldOptions options;
  options.size_bytes = 60 * kBlockBytes + 1234;
  options.dirty_budget_blocks = 20;
  options.checkpoint_interval = cdp::milliseconds(3);
  options.hydration.zone_blocks = 16;
  options.hydration.step_bytes = 16 * kBlockBytes;
  options.hydration.intervals_max = 3;
  return options;
}

Scenario resizing() {
  Scenario scenario;
  scenario.resizes = true;
  scenario.world = small_world();
  scenario.world.size_bytes = 60 * kBlockBytes;
  scenario.world.size_bytes_max = 80 * kBlockBytes;
  return scenario;
}

// The operator: rolls back to any point, undoes it, and resizes, with pauses.
Task<void> operate(VolumeWorld& world, Clients& clients, const Scenario& scenario,
                   std::uint64_t seed) {
  Random random(seed);
  for (std::size_t i = 0; i < scenario.rollbacks; ++i) {
    co_await cdp::sleep_for(world.scheduler(), random.nanos({0}, cdp::milliseconds(12)));
    if (world.volume().fence_reason()) co_return;
    const SimLog& log = world.recorder().log();
    if (log.empty()) continue;
    if (scenario.resizes && random.coin()) {
      const std::uint64_t size = random.between(40, 80) * kBlockBytes;
      const Status resized = co_await world.resize(size, clients);
      if (!resized.ok()) co_return;
    }
    const Lsn point = log[random.below(log.size())].lsn;
    const Status rolled = co_await world.roll_back(point, clients);
    if (!rolled.ok()) co_return;
  }
}

std::size_t first_difference(const std::vector<std::byte>& one,
                             const std::vector<std::byte>& other) {
  if (one.size() != other.size()) return std::min(one.size(), other.size());
  return static_cast<std::size_t>(std::mismatch(one.begin(), one.end(), other.begin()).first -
                                  one.begin());
}

class Lives {
 public:
  Lives(const Scenario& scenario, std::uint64_t seed)
      : scenario_(scenario), seed_(seed), log_(std::make_shared<SimLog>()) {}

  // One life of the machine, which ends at I/O `crash_at`, or well where that is 0.
  void live(std::uint64_t crash_at) {
    const std::uint64_t seed = seed_ * 1000 + life_++;
    SimScheduler scheduler(seed);
    if (store_ && !store_->crashed()) store_->crash_now();
    store_ = store_ ? store_->reboot(scheduler, seed) : SimStore::make(scheduler, seed);
    store_->crash_at(crash_at);
    VolumeWorld world(seed, store_, scheduler, log_, scenario_.world);
    const SimLog before = *log_;
    if (!world.start()) {
      *log_ = before;  // how much of it is durable may not have been read
      if (!store_->crashed()) find("the volume does not start");
      return;
    }
    for (const std::string& finding : world.findings()) find(finding);
    // What the start has brought back.
    const std::vector<std::byte> logged = world.replayed(Lsn{UINT64_MAX});
    if (crash_at == 0) judge(world.read_all(), logged, "after a start");
    if (before_) {
      if (const auto lost = before_->check(0, logged, flushed_))
        find(fmt::format("promise 2: after a crash, {}", *lost));
    }
    hydrated_lives += world.volume().statistics().hydrating ? 1 : 0;
    auto model = std::make_shared<ByteModel>(content_at(*log_, world.origin(), Lsn{UINT64_MAX}));
    Clients clients(*model);
    cdp::TaskGroup group(scheduler);
    for (std::size_t i = 0; i < scenario_.clients; ++i)
      group.spawn(
          client(world.volume(), clients, seed * 100 + i, scenario_.operations, scenario_.mix));
    group.spawn(operate(world, clients, scenario_, seed * 100 + 99));
    const bool ended = scheduler.run_until(
        [&] { return store_->crashed() || group.running() == 0; }, cdp::seconds(600));
    if (!ended) find("the clients do not end");
    clients.errors_expected = true;
    scheduler.run(group.join());
    if (crash_at == 0) {
      judge(world.read_all(), world.replayed(Lsn{UINT64_MAX}), "after the clients");
    }
    if (!store_->crashed()) {
      const bool hydrated = scheduler.run_until(
          [&] { return store_->crashed() || !world.volume().statistics().hydrating; },
          cdp::seconds(600));
      if (!hydrated) find("hydration does not end");
      if (crash_at == 0)
        judge(world.read_all(), world.replayed(Lsn{UINT64_MAX}), "after hydration");
    }
    hydrated_bytes += world.volume().statistics().hydrated_bytes;
    const bool closed = world.stop().ok();
    if (!store_->crashed()) {
      if (!closed) find("the volume could not be closed");
      const std::vector<std::byte> wanted = world.replayed(Lsn{UINT64_MAX});
      judge(store_->content(kBackingPath, 0, wanted.size()), wanted, "on the backing store");
      if (state_of(*log_, world.origin()).hydration) find("the last checkpoint says it hydrates");
    }
    for (const std::string& finding : clients.findings) find(finding);
    if (store_->overlapping_writes() != 0) find("rule 5: overlapping writes");
    before_ = model;
    flushed_ = clients.flushed;
  }

  bool crashed() const { return store_->crashed(); }
  std::uint64_t ios() const { return store_->ios(); }
  std::vector<std::string> findings;
  std::uint64_t hydrated_bytes = 0;
  std::uint64_t hydrated_lives = 0;  // that began with a volume that hydrates

 private:
  void find(const std::string& what) {
    findings.push_back(fmt::format("seed {}, life {}: {}", seed_, life_, what));
  }
  void judge(const std::vector<std::byte>& found, const std::vector<std::byte>& wanted,
             const char* when) {
    if (found == wanted) return;
    const std::size_t at = first_difference(found, wanted);
    find(fmt::format("promise 5: {}, byte {} (block {}) is not the log's", when, at,
                     at / kBlockBytes));
  }

  const Scenario& scenario_;
  const std::uint64_t seed_;
  std::uint64_t life_ = 0;
  std::shared_ptr<SimStore> store_;
  const std::shared_ptr<SimLog> log_;
  std::shared_ptr<ByteModel> before_;
  std::uint64_t flushed_ = 0;
};

// A life that ends well; then, for every `every`-th I/O of it, one that crashes there, one that
// crashes somewhere, and one that ends well.
std::vector<std::string> search(const Scenario& scenario, std::uint64_t seed, std::uint64_t every,
                                std::uint64_t& hydrated_lives) {
  Lives whole(scenario, seed);
  whole.live(0);
  if (!whole.findings.empty()) return whole.findings;
  Random random(seed);
  for (std::uint64_t io = 1 + seed % every; io <= whole.ios(); io += every) {
    Lives lives(scenario, seed);
    lives.live(io);
    for (int i = 0; i < 2 && lives.findings.empty(); ++i) {
      lives.live(random.between(1, whole.ios()));
      if (!lives.crashed()) break;
    }
    if (lives.findings.empty()) lives.live(0);
    hydrated_lives += lives.hydrated_lives;
    if (lives.findings.empty()) continue;
    lives.findings.front() += fmt::format(" (crash at I/O {} of {})", io, whole.ios());
    return lives.findings;
  }
  return {};
}

void expect_right(const Scenario& scenario, std::uint64_t seeds, std::uint64_t every) {
  std::uint64_t hydrated_lives = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const std::vector<std::string> findings =
        search(scenario, seed, every * stride(), hydrated_lives);
    ASSERT_TRUE(findings.empty()) << findings.front();
  }
  EXPECT_GT(hydrated_lives * stride(), 10u);
}

TEST(Rule11, ARolledBackVolumeAnswersAsThePointWhileItHydrates) {
  std::uint64_t hydrated = 0;
  const std::uint64_t seeds = rounds(60);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Scenario scenario{.operations = 50, .rollbacks = 6, .world = small_world()};
    Lives lives(scenario, seed);
    lives.live(0);
    hydrated += lives.hydrated_bytes;
    ASSERT_TRUE(lives.findings.empty()) << lives.findings.front();
  }
  EXPECT_GT(hydrated, seeds * kBlockBytes);
}

TEST(Rule11, ACrashAtAnyIoForgetsOnlyWhatIsCopiedAgain) {
  Scenario scenario{.world = small_world()};
  expect_right(scenario, 6, 3);
}

TEST(Rule11, AVolumeCreatedFromAPointHydratesFromNothing) {
  Scenario scenario{.rollbacks = 1, .world = small_world()};
  std::vector<std::byte> content(60 * kBlockBytes);
  Random random(5);
  for (std::size_t at = 0; at < content.size(); ++at)
    if (at / kBlockBytes % 5 != 3) content[at] = static_cast<std::byte>(random.next());
  scenario.world.created_from = content;
  expect_right(scenario, 4, 4);
}

TEST(Rule11, RollbacksAndResizesAndCrashes) { expect_right(resizing(), 6, 4); }

// Rule 5, hydration included: writers that never let go of a few blocks, steps all the time.
TEST(Rule5, HydrationNeverWritesABlockThatWriteBackIsWriting) {
  for (std::uint64_t seed = 1; seed <= rounds(40); ++seed) {
    Scenario scenario{.clients = 6, .operations = 40, .rollbacks = 8, .world = small_world()};
    scenario.world.checkpoint_interval = {500'000};
    scenario.mix.hot_blocks = 4;
    Lives lives(scenario, seed);
    lives.live(0);
    ASSERT_TRUE(lives.findings.empty()) << lives.findings.front();
  }
}

// Rule 8: undo has no end; whatever was rolled back stays a point.
TEST(Rule8, UndoOfAnUndoBringsEverythingBack) {
  SimScheduler scheduler(3);
  auto store = SimStore::make(scheduler, 3);
  auto log = std::make_shared<SimLog>();
  VolumeWorld world(3, store, scheduler, log, small_world());
  ASSERT_TRUE(world.start());
  ByteModel model;
  Clients clients(model);
  std::vector<std::pair<Lsn, std::vector<std::byte>>> points;
  Random random(3);
  for (std::uint64_t i = 0; i < 12; ++i) {
    ASSERT_TRUE(scheduler.run(client_write(world.volume(), clients, i * 20'000 % 200'000, 9000)));
    if (random.coin()) scheduler.run_for(cdp::milliseconds(20));
    points.emplace_back(log->back().lsn, world.read_all());
    const auto& [point, content] = points[random.below(points.size())];
    ASSERT_TRUE(scheduler.run(world.roll_back(point, clients)).ok());
    ASSERT_EQ(world.read_all(), content) << "at once";
    if (random.coin()) scheduler.run_for(cdp::seconds(1));
    ASSERT_EQ(world.read_all(), content) << "behind";
    points.emplace_back(log->back().lsn, content);
  }
  EXPECT_TRUE(clients.findings.empty());
  EXPECT_TRUE(world.stop().ok());
}

// The search finds what is broken on purpose.
void expect_found(const Scenario& scenario) {
  std::uint64_t hydrated_lives = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    if (!search(scenario, seed, 3, hydrated_lives).empty()) return;
  FAIL() << "nothing found";
}

TEST(VolumeHydration, ACopyThatIgnoresWhatIsHydratedAheadIsFound) {
  Scenario scenario{.world = small_world()};
  scenario.world.hydration.ignores_what_is_ahead = true;
  expect_found(scenario);
}

TEST(VolumeHydration, CursorsThatRunAheadAreFound) {
  Scenario scenario{.world = small_world()};
  scenario.world.recorder.cursors_run_ahead = 8;
  expect_found(scenario);
}

TEST(VolumeHydration, ACursorAheadOfTheSyncIsFound) {
  Scenario scenario{.world = small_world()};
  scenario.world.sync_lies = true;
  expect_found(scenario);
}

}  // namespace
}  // namespace sim
