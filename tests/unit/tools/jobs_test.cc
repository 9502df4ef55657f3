// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/jobs/jobs.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <set>
#include <string>

#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_store.h"

namespace tools {
namespace {

namespace json = boost::json;
using Kind = Job::Kind;
using State = Job::State;

class JobsWorld {
 public:
  JobsWorld() : store(sim::SimStore::make(scheduler, 1)) { start(); }
  ~JobsWorld() {
    if (jobs) stop();
  }
  void start() {
    directory = store->directory("state");
    jobs = std::make_unique<Jobs>(scheduler, clock, *directory);
    scheduler.run(jobs->load());
  }
  void stop() {
    scheduler.run(jobs->stop());
    jobs.reset();
  }
  // As after a power cut.
  void kill() {
    store->crash_now();
    stop();
    directory.reset();
    store = store->reboot(scheduler, 1);
    start();
  }
  std::uint64_t begin(Kind kind, const std::string& volume = "") {
    Job job{.kind = kind, .volume = volume, .volume_id = volume};
    job.by = "ops";
    return jobs->begin(std::move(job));
  }
  void end(std::uint64_t id, State state, json::object result = {}, std::string problem = "") {
    scheduler.run(jobs->end(id, state, std::move(result), std::move(problem)));
  }
  void replace_file(const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text));
    ASSERT_TRUE(scheduler.run(directory->write_small("jobs", {bytes.begin(), bytes.end()})).ok());
  }
  std::string file() {
    const auto bytes = cdp::value_or_throw(scheduler.run(directory->read_small("jobs")));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  sim::SimScheduler scheduler{1};
  sim::SimClock clock{scheduler};
  std::shared_ptr<sim::SimStore> store;
  std::unique_ptr<cdp::Directory> directory;
  std::unique_ptr<Jobs> jobs;
};

TEST(Jobs, WhatTheyCameToSurvivesAPowerCut) {
  JobsWorld world;
  const std::uint64_t done = world.begin(Kind::kVerify);
  const std::uint64_t failed = world.begin(Kind::kRestore, "shop");
  const std::uint64_t running = world.begin(Kind::kRestore, "shop");
  const std::uint64_t hydration = world.begin(Kind::kHydration, "shop");
  world.jobs->progress(done, 10, 100);
  world.end(done, State::kDone, {{"ok", true}});
  world.end(failed, State::kFailed, {}, "the disk is full");
  world.kill();
  ASSERT_NE(world.jobs->find(done), nullptr);
  EXPECT_EQ(world.jobs->find(done)->state, State::kDone);
  EXPECT_EQ(world.jobs->find(done)->result, (json::object{{"ok", true}}));
  EXPECT_EQ(world.jobs->find(done)->done_bytes, 100u);
  EXPECT_EQ(world.jobs->find(failed)->problem, "the disk is full");
  EXPECT_EQ(world.jobs->find(running)->state, State::kInterrupted);
  EXPECT_FALSE(world.jobs->find(running)->problem.empty());
  EXPECT_TRUE(world.jobs->find(hydration)->is_running()) << "it goes on by itself";
  EXPECT_GT(world.begin(Kind::kVerify), hydration) << "a number is never given twice";
}

TEST(Jobs, ANumberThatWasToldIsNotGivenAgain) {
  JobsWorld world;
  const std::uint64_t told = world.begin(Kind::kVerify);
  world.kill();  // before anything of it was written
  const std::uint64_t next = world.begin(Kind::kVerify);
  EXPECT_GT(next, told);
  world.end(next, State::kDone);
  world.stop();
  world.start();
  EXPECT_EQ(world.begin(Kind::kVerify), next + 1) << "a clean stop leaves no gap";
}

TEST(Jobs, TheRateIsThatOfWhatMovesNow) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  JobsWorld world;
  const std::uint64_t id = world.begin(Kind::kHydration, "shop");
  world.scheduler.run_for(cdp::seconds(100));
  world.jobs->progress(id, 100 * kGiB, 200 * kGiB);
  world.stop();
  world.start();
  world.scheduler.run_for(cdp::seconds(1));
  world.jobs->progress(id, 100 * kGiB + (1u << 20), 200 * kGiB);
  EXPECT_LT(world.jobs->find(id)->bytes_per_second, 2e6) << "100 GiB were not of this start";
  ASSERT_TRUE(world.jobs->find(id)->time_left().has_value());
  for (int i = 0; i < 60; ++i) {
    world.scheduler.run_for(cdp::seconds(1));
    world.jobs->progress(id, 100 * kGiB + (1u << 20), 200 * kGiB);
  }
  EXPECT_FALSE(world.jobs->find(id)->time_left().has_value()) << "it stands still";
}

TEST(Jobs, AreNotDoneBeforeTheyAreKept) {
  JobsWorld world;
  const std::uint64_t id = world.begin(Kind::kVerify);
  cdp::TaskGroup group(world.scheduler);
  group.spawn(world.jobs->end(id, State::kDone, {}, ""));
  ASSERT_TRUE(world.scheduler.run_until([&] { return !world.jobs->find(id)->is_running(); }));
  EXPECT_NE(world.file().find("\"done\""), std::string::npos);
  world.scheduler.run(group.join());
}

TEST(Jobs, ThatHaveEndedAreBounded) {
  JobsWorld world;
  const std::uint64_t kept = world.begin(Kind::kHydration, "shop");
  for (std::size_t i = 0; i < Jobs::kEndedMax + 20; ++i)
    world.end(world.begin(Kind::kVerify), State::kDone);
  EXPECT_EQ(world.jobs->all().size(), Jobs::kEndedMax + 1);
  EXPECT_NE(world.jobs->find(kept), nullptr) << "what runs is never forgotten";
  EXPECT_EQ(world.jobs->find(kept + 1), nullptr) << "the oldest went";
  json::array much;
  for (int i = 0; i < 10'000; ++i) much.push_back("a sentence that is some bytes long");
  const std::uint64_t large = world.begin(Kind::kVerify);
  world.end(large, State::kDone, {{"problems", std::move(much)}});
  EXPECT_LT(json::serialize(world.jobs->find(large)->result).size(), 1000u);
}

TEST(Jobs, ADamagedFileCostsTheListAlone) {
  JobsWorld world;
  const std::uint64_t before = world.begin(Kind::kVerify);
  world.end(before, State::kDone);
  const std::string good = world.file();
  std::set<std::string> bad = {"",
                               "{",
                               "7",
                               "[]",
                               R"({"version":1})",
                               R"({"version":2,"next_id":9,"jobs":[]})",
                               std::string(100'000, '['),
                               R"({"version":1,"next_id":1,"jobs":[{"id":7}]})"};
  for (std::size_t i = 0; i < good.size(); i += 3) bad.insert(good.substr(0, i));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    bad.insert(flipped);
  }
  for (const std::string& text : bad) {
    world.stop();
    world.replace_file(text);
    world.start();
    const std::uint64_t id = world.begin(Kind::kVerify);
    const auto taken = text.find("\"next_id\":") == std::string::npos ? before : 0;
    EXPECT_GT(id, taken) << text;
    world.end(id, State::kDone);
  }
}

TEST(Jobs, TellHowLongTheRestTakes) {
  JobsWorld world;
  const std::uint64_t id = world.begin(Kind::kVerify);
  EXPECT_FALSE(world.jobs->find(id)->time_left().has_value()) << "nothing is known yet";
  for (std::uint64_t second = 1; second <= 20; ++second) {
    world.scheduler.run_for(cdp::seconds(1));
    world.jobs->progress(id, second << 20, 120u << 20);
  }
  const auto left = world.jobs->find(id)->time_left();
  ASSERT_TRUE(left.has_value());
  EXPECT_GT(*left, cdp::seconds(90));
  EXPECT_LT(*left, cdp::seconds(110));
  world.end(id, State::kDone);
  EXPECT_FALSE(world.jobs->find(id)->time_left().has_value());
}

TEST(Jobs, AreCancelledOnlyWhereTheyCanBe) {
  JobsWorld world;
  EXPECT_EQ(world.jobs->cancel(7).error().code, ENOENT);
  const std::uint64_t hydration = world.begin(Kind::kHydration, "shop");
  EXPECT_EQ(world.jobs->cancel(hydration).error().code, EBUSY);
  EXPECT_FALSE(world.jobs->is_cancel_wanted(hydration));
  const std::uint64_t verify = world.begin(Kind::kVerify);
  EXPECT_TRUE(world.jobs->cancel(verify).ok());
  EXPECT_TRUE(world.jobs->is_cancel_wanted(verify));
  EXPECT_EQ(world.jobs->running(Kind::kVerify, "")->id, verify);
  world.end(verify, State::kCancelled, {}, "it was cancelled");
  EXPECT_EQ(world.jobs->cancel(verify).error().code, EBUSY) << "it has ended";
  world.end(verify, State::kDone);
  EXPECT_EQ(world.jobs->find(verify)->state, State::kCancelled) << "what has ended stays so";
  EXPECT_EQ(world.jobs->running(Kind::kVerify, ""), nullptr);
}

// The work does not stop for a list that cannot be kept.
TEST(Jobs, EndWhereTheDiskFails) {
  JobsWorld world;
  const std::uint64_t id = world.begin(Kind::kVerify);
  world.store->inject({.path_contains = "jobs", .sticky = true, .code = ENOSPC});
  world.end(id, State::kDone);
  EXPECT_EQ(world.jobs->find(id)->state, State::kDone);
  EXPECT_GT(world.store->faults_struck(), 0u);
  world.store->clear_faults();
}

}  // namespace
}  // namespace tools
