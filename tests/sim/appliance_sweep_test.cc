// SPDX-License-Identifier: Apache-2.0
//
// Sweeps over whole appliances: each I/O of a dozen canonical lives, those of starts and recoveries
// included, fails once, or it and all after it fail, or it is the last one of the machine. Whatever
// that does, the appliance starts again on a store that has come to itself, and has lost nothing
// that was flushed and no point.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <fmt/ranges.h>

#include "tests/sim/appliance_life.h"
#include "tests/sim/effort.h"
#include "tests/sim/tally.h"

namespace sim {
namespace {

enum class Strike { kFailsOnce, kFailsFromThereOn, kKills };

class ApplianceSweep : public testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }

  static void expect_safe(std::uint64_t seed, std::vector<Act> script) {
    seed += first_seed() - 1;
    LifeOptions options{.script = std::move(script)};
    // The I/Os of a life that is well are those that are struck, one by one.
    ApplianceLife whole(seed, options);
    whole.run();
    ASSERT_TRUE(whole.findings().empty()) << told(whole);
    std::uint64_t strikes = 0;
    for (const Strike strike : {Strike::kFailsOnce, Strike::kFailsFromThereOn, Strike::kKills}) {
      const std::uint64_t every = stride();
      for (std::uint64_t io = 1 + seed % every; io <= whole.script_ios(); io += every, ++strikes) {
        LifeOptions swept = options;
        swept.sticky = strike == Strike::kFailsFromThereOn;
        (strike == Strike::kKills ? swept.killing_io : swept.failing_io) = io;
        ApplianceLife life(seed, swept);
        life.run();
        EXPECT_TRUE(strike == Strike::kKills || life.counts().faults > 0) << "I/O " << io;
        ASSERT_TRUE(life.findings().empty())
            << "strike " << static_cast<int>(strike) << " at I/O " << io << " of " << whole.script_ios()
            << ": " << told(life);
      }
    }
    tally("sweep injections", strikes);
    EXPECT_GT(strikes * stride(), 50u);
  }

  static std::string told(const ApplianceLife& life) {
    return fmt::format("{}\n{}", life.findings().front(), fmt::join(life.story(), "\n"));
  }
};

TEST_F(ApplianceSweep, Work) { expect_safe(1, {Act::kWork}); }
TEST_F(ApplianceSweep, WorkAndAStop) { expect_safe(2, {Act::kWork, Act::kRestart}); }
TEST_F(ApplianceSweep, WorkAndACrash) { expect_safe(3, {Act::kWork, Act::kCrash}); }
TEST_F(ApplianceSweep, ManyCrashes) {
  expect_safe(4, {Act::kWork, Act::kCrash, Act::kCrash, Act::kCrash});
}
TEST_F(ApplianceSweep, ARollback) { expect_safe(5, {Act::kWork, Act::kRollBack}); }
TEST_F(ApplianceSweep, ARollbackAndItsUndo) {
  expect_safe(6, {Act::kWork, Act::kTakePoint, Act::kRollBack, Act::kRollBack});
}
TEST_F(ApplianceSweep, ARecoveryAndACrash) {
  expect_safe(7, {Act::kWork, Act::kTakePoint, Act::kRecoverAsNew, Act::kCrash});
}
TEST_F(ApplianceSweep, AResizeAndAStop) { expect_safe(8, {Act::kResize, Act::kRestart}); }
TEST_F(ApplianceSweep, AVolumeComesAndGoes) {
  expect_safe(9, {Act::kCreate, Act::kRename, Act::kRemove});
}
TEST_F(ApplianceSweep, AClone) { expect_safe(10, {Act::kTakePoint, Act::kClone}); }
TEST_F(ApplianceSweep, TheClockSteps) {
  expect_safe(11, {Act::kStepClock, Act::kWork, Act::kStepClock, Act::kCrash});
}
TEST_F(ApplianceSweep, PointsAreLookedAt) {
  expect_safe(12, {Act::kWork, Act::kTakePoint, Act::kCheckPoints, Act::kVerify});
}

// What soaking found.
class KeptStrike : public ApplianceSweep {
 protected:
  static void run(std::uint64_t seed, std::uint64_t failing_io, bool sticky) {
    LifeOptions options{.script = {Act::kWork, Act::kTakePoint, Act::kRollBack, Act::kRollBack}};
    options.failing_io = failing_io;
    options.sticky = sticky;
    ApplianceLife life(seed, options);
    life.run();
    EXPECT_GT(life.counts().faults, 0u);
    EXPECT_TRUE(life.findings().empty()) << told(life);
  }
};

TEST_F(KeptStrike, AVolumeOfARollbackCannotBeReadAndIsToBeRolledBackAgain) {
  run(1795447646, 233, false);
}

TEST_F(KeptStrike, OfTwoRollbacksTheFirstHappened) { run(1795467144, 143, true); }

}  // namespace
}  // namespace sim
