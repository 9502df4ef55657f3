// SPDX-License-Identifier: Apache-2.0
//
// Crash at every I/O of a few canonical workloads, with unsynced writes dropped, torn and
// reordered, and at I/Os of the recovery itself: promises 1 (journal first), 2 (flush means flush)
// and 5 (the log is the truth) hold at every point. The same search must find each of three lies.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "tests/sim/effort.h"
#include "tests/sim/tally.h"
#include "tests/sim/same_bytes.h"
#include "tests/sim/volume_world.h"

namespace sim {
namespace {

using cdp::kBlockBytes;
using cdp::Lsn;
using cdp::Task;

struct Workload {
  std::size_t clients = 1;
  std::function<Task<void>(cdp::Volume&, Clients&, std::uint64_t seed)> run;
  WorldOptions world = {};
};

Task<void> sequential(cdp::Volume& volume, Clients& clients, std::uint64_t) {
  ++clients.running;
  bool well = true;
  for (std::uint64_t i = 0; i < 24 && well; ++i) {
    well = co_await client_write(volume, clients, i * 4 * kBlockBytes, 4 * kBlockBytes);
    if (well && i % 3 == 2) well = co_await client_flush(volume, clients);
  }
  --clients.running;
}

Task<void> zeroes_over_data(cdp::Volume& volume, Clients& clients, std::uint64_t seed) {
  ++clients.running;
  Random random(seed);
  bool well = true;
  for (int round = 0; round < 5 && well; ++round) {
    well =
        co_await client_write(volume, clients, random.below(20) * kBlockBytes, 8 * kBlockBytes) &&
        well;
    if (well) well = co_await client_zero(volume, clients, random.below(80'000), 30'000);
    if (well) {
      const std::uint64_t offset = random.below(100'000);
      well = co_await client_trim(volume, clients, offset, volume.size_bytes() - offset);
    }
    if (well) well = co_await client_write(volume, clients, random.below(90'000), 5000);
    if (well && random.coin()) well = co_await client_flush(volume, clients);
  }
  --clients.running;
}

Task<void> mixed(cdp::Volume& volume, Clients& clients, std::uint64_t seed) {
  const Mix mix{.writes = 40,
                .repeats = 15,
                .flushes = 15,
                .zeroes = 6,
                .trims = 6,
                .checkpoints = 4,
                .allocations = 0,
                .max_blocks = 6,
                .hot_blocks = 6};
  return client(volume, clients, seed, 14, mix);
}

// Promise 1, at the moment when a write to the backing store is issued: every block of it is a
// version that is durable in the log.
class JournalFirst {
 public:
  JournalFirst(SimStore& store, const SimLog& log, std::vector<std::string>& findings)
      : log_(log), findings_(findings) {
    store.set_observer([this](const IoEvent& event) { look(event); });
  }
  // None while the log is replayed: what is replayed is durable.
  void watch(const SimRecorder* recorder) { recorder_ = recorder; }

 private:
  void look(const IoEvent& event) {
    const bool changes = event.kind == IoKind::kWrite || event.kind == IoKind::kZeroRange ||
                         event.kind == IoKind::kWriteDurably;
    if (recorder_ == nullptr || event.path != kBackingPath || !changes) return;
    for (std::uint64_t at = 0; at < event.bytes; at += kBlockBytes) {
      const std::byte* data = event.data.empty() ? nullptr : event.data.data() + at;
      const std::uint64_t block = (event.offset + at) / kBlockBytes;
      if (durable_version(block, data)) continue;
      findings_.push_back(
          fmt::format("promise 1: block {} goes to the backing store and is not "
                      "durable in the log (durable up to {})",
                      block, recorder_->truly_durable().value));
    }
  }
  bool durable_version(std::uint64_t block, const std::byte* data) const {
    return std::any_of(log_.rbegin(), log_.rend(), [&](const LogRecord& record) {
      if (record.lsn > recorder_->truly_durable() || block < record.first_block ||
          block >= record.first_block + record.blocks) {
        return false;
      }
      if (record.kind != LogRecord::Kind::kWrite) return data == nullptr;
      return data != nullptr &&
             std::memcmp(record.data.data() + (block - record.first_block) * kBlockBytes, data,
                         kBlockBytes) == 0;
    });
  }

  const SimLog& log_;
  std::vector<std::string>& findings_;
  const SimRecorder* recorder_ = nullptr;
};

struct CrashRun {
  bool crashed = false;
  std::uint64_t ios = 0;
  std::vector<std::string> findings;
};

// What is wrong with the volume that comes back, if anything.
void judge(VolumeWorld& world, const Clients& clients, std::vector<std::string>& findings) {
  const std::vector<std::byte> found = world.read_all();
  const std::vector<std::byte> history = world.replayed(Lsn{UINT64_MAX});
  if (!same_bytes(found, history)) {
    const auto at = std::mismatch(found.begin(), found.end(), history.begin()).first;
    findings.push_back(fmt::format("promise 5: byte {} of the recovered volume is not the log's",
                                   at - found.begin()));
  }
  if (const auto lost = clients.model.check(0, found, clients.flushed)) {
    findings.push_back(fmt::format("promise 2: after a crash, {}", *lost));
  }
}

// Recovers from the crash, by the fate that `seed` gives to what was not durable.
void recover(const SimStore& crashed, const SimLog& log, const WorldOptions& options,
             std::uint64_t seed, const Clients& clients, std::vector<std::string>& findings) {
  SimScheduler scheduler(seed);
  std::shared_ptr<SimStore> store = crashed.reboot(scheduler, seed);
  // Every third recovery is itself cut short, and tried again.
  if (seed % 3 == 0) {
    store->crash_at(Random(seed).between(1, 6));
    VolumeWorld first(seed, store, scheduler, std::make_shared<SimLog>(log), options);
    first.start();
    first.stop().ok();
    if (!store->crashed()) store->crash_now();
    store = store->reboot(scheduler, seed + 1);
  }
  VolumeWorld world(seed, store, scheduler, std::make_shared<SimLog>(log), options);
  if (!world.start()) {
    findings.push_back("recovery failed");
    return;
  }
  judge(world, clients, findings);
  if (!world.stop().ok()) findings.push_back("the recovered volume could not be closed");
}

// `crash_at` 0: no crash.
CrashRun crash_run(const Workload& workload, std::uint64_t seed, std::uint64_t crash_at) {
  CrashRun run;
  SimScheduler scheduler(seed);
  auto store = SimStore::make(scheduler, seed);
  auto log = std::make_shared<SimLog>();
  JournalFirst journal_first(*store, *log, run.findings);
  ByteModel model;
  Clients clients(model);
  VolumeWorld world(seed, store, scheduler, log, workload.world);
  store->crash_at(crash_at);
  if (world.start()) {
    journal_first.watch(&world.recorder());
    cdp::TaskGroup group(scheduler);
    for (std::size_t i = 0; i < workload.clients; ++i) {
      group.spawn(workload.run(world.volume(), clients, seed * 100 + i));
    }
    const bool ended = scheduler.run_until([&] { return store->crashed() || group.running() == 0; },
                                           cdp::seconds(600));
    if (!ended) run.findings.push_back("the clients do not end");
    // What comes now is the crashed world unwinding: everything fails, nothing hangs.
    clients.errors_expected = true;
    scheduler.run(group.join());
    const bool closed = world.stop().ok();
    if (!closed && !store->crashed()) run.findings.push_back("the volume could not be closed");
  }
  run.crashed = store->crashed();
  run.ios = store->ios();
  run.findings.insert(run.findings.end(), clients.findings.begin(), clients.findings.end());
  if (store->overlapping_writes() != 0) run.findings.push_back("rule 5: overlapping writes");
  if (!run.crashed) return run;
  for (std::uint64_t fate = 0; fate < 3; ++fate) {
    recover(*store, *log, workload.world, crash_at * 3 + fate, clients, run.findings);
  }
  return run;
}

// Crashes at every I/O; the findings of the first run that has any, or none.
std::vector<std::string> crash_everywhere(const Workload& workload, std::uint64_t seed,
                                          std::uint64_t& points) {
  const CrashRun whole = crash_run(workload, seed, 0);
  if (!whole.findings.empty()) return whole.findings;
  for (std::uint64_t io = 1; io <= whole.ios; ++io, ++points) {
    CrashRun run = crash_run(workload, seed, io);
    CHECK(run.crashed);
    if (run.findings.empty()) continue;
    run.findings.front() = fmt::format("seed {}, crash at I/O {} of {}: {}", seed, io, whole.ios,
                                       run.findings.front());
    return run.findings;
  }
  return {};
}

void expect_crash_safe(const Workload& workload, std::uint64_t seeds) {
  std::uint64_t points = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + rounds(seeds); ++seed) {
    const std::vector<std::string> findings = crash_everywhere(workload, seed, points);
    ASSERT_TRUE(findings.empty()) << findings.front();
  }
  EXPECT_GT(points, 10 * rounds(seeds));
}

TEST(VolumeCrash, SequentialWritesWithFlushes) { expect_crash_safe({1, sequential}, 20); }

TEST(VolumeCrash, MixedChangesByFourClients) { expect_crash_safe({4, mixed}, 20); }

TEST(VolumeCrash, ZeroesAndTrimsOverDirtyData) { expect_crash_safe({2, zeroes_over_data}, 20); }

// Rule 5: checkpoint C only when everything up to C completed before the sync that covers it was
// issued. Passes all the time, few blocks, so that many change again while they are written.
TEST(Rule5, CheckpointsCoverOnlyWhatIsDurable) {
  const WorldOptions options{.dirty_budget_blocks = 6, .checkpoint_interval = {500'000}};
  expect_crash_safe({4, mixed, options}, 10);
}

// Rule 13: whichever I/O fails, the volume goes on or is fenced; what was flushed is there at the
// next start, which finds the machine as a crash left it.
TEST(Rule13, AFailedIoLosesNothingThatWasFlushed) {
  const Workload workload{4, mixed};
  std::uint64_t fenced = 0;
  const std::uint64_t seeds = rounds(500);
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds; ++seed) {
    const std::uint64_t ios = crash_run(workload, seed, 0).ios;
    for (std::uint64_t io = 1; io <= ios; ++io) {
      SCOPED_TRACE(fmt::format("seed {}, failure at I/O {} of {}", seed, io, ios));
      SimScheduler scheduler(seed);
      auto store = SimStore::make(scheduler, seed);
      auto log = std::make_shared<SimLog>();
      store->inject({.skip = io - 1, .sticky = io % 2 == 0});
      tally("sweep injections");
      ByteModel model;
      Clients clients(model);
      clients.errors_expected = true;
      VolumeWorld world(seed, store, scheduler, log, workload.world);
      if (world.start()) {
        cdp::TaskGroup group(scheduler);
        for (std::size_t i = 0; i < workload.clients; ++i) {
          group.spawn(workload.run(world.volume(), clients, seed * 100 + i));
        }
        scheduler.run(group.join());
        fenced += world.volume().fence_reason() ? 1 : 0;
        world.stop().ok();
      }
      store->clear_faults();
      store->crash_now();
      std::vector<std::string> findings = clients.findings;
      recover(*store, *log, workload.world, io, clients, findings);
      ASSERT_TRUE(findings.empty()) << findings.front();
    }
  }
  EXPECT_GT(fenced, 10 * seeds);
}

// The search is able to find what it is for.
void expect_found(const Workload& workload, const std::string& promise) {
  std::uint64_t points = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const std::uint64_t ios = crash_run(workload, seed, 0).ios;
    for (std::uint64_t io = 1; io <= ios; ++io, ++points) {
      for (const std::string& finding : crash_run(workload, seed, io).findings) {
        if (finding.find(promise) != std::string::npos) return;
      }
    }
  }
  FAIL() << "nothing found in " << points << " crashes";
}

TEST(VolumeCrash, ARecorderThatAcknowledgesEarlyIsFoundByItsLostFlushes) {
  WorldOptions options{.checkpoint_interval = cdp::seconds(100)};  // no pass comes first
  options.dirty_budget_blocks = 10'000;
  options.write_pages = 1000;
  options.recorder.acknowledges_early = true;
  options.recorder.memory_blocks = 10'000;
  expect_found({1, sequential, options}, "promise 2");
}

TEST(VolumeCrash, ARecorderThatAcknowledgesEarlyIsFoundByTheBackingStore) {
  WorldOptions options;
  options.recorder.acknowledges_early = true;
  expect_found({4, mixed, options}, "promise 1");
}

TEST(VolumeCrash, CheckpointsThatCoverTooMuchAreFound) {
  WorldOptions options;
  options.recorder.checkpoints_cover_all = true;
  expect_found({4, mixed, options}, "promise 5");
}

TEST(VolumeCrash, ASyncThatDoesNothingIsFound) {
  WorldOptions options;
  options.sync_lies = true;
  expect_found({4, mixed, options}, "promise 5");
}

}  // namespace
}  // namespace sim
