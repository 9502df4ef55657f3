// SPDX-License-Identifier: Apache-2.0
//
// Lives of whole simulated appliances (appliance_life.h has the fault model and the oracles).
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "tests/sim/appliance_life.h"
#include "tests/sim/effort.h"
#include "tests/sim/tally.h"

namespace sim {
namespace {

class ApplianceLives : public testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }

  static void expect_well(std::uint64_t seed, LifeOptions options, LifeCounts& counts) {
    ApplianceLife life(seed, options);
    life.run();
    counts.add(life.counts());
    ASSERT_TRUE(life.findings().empty())
        << life.findings().front() << '\n' << fmt::format("{}", fmt::join(life.story(), "\n"));
  }

  static void expect_all_well(std::uint64_t seeds, LifeOptions options) {
    LifeCounts counts;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + rounds(seeds); ++seed)
      ASSERT_NO_FATAL_FAILURE(expect_well(seed, options, counts));
    tally("simulated starts", counts.starts);
    tally("simulated I/Os", counts.ios);
    tally("contents at past points compared", counts.points_checked);
    tally("simulated rollbacks", counts.rollbacks);
    tally("simulated recoveries as new volumes", counts.recoveries);
    tally("steps of the counter in the pair", counts.pair_counts);
    EXPECT_GT(counts.points_checked, counts.lives);
    EXPECT_GT(counts.pair_counts, counts.lives);
  }
};

TEST_F(ApplianceLives, WithoutFaultsEverythingIsRight) {
  expect_all_well(100, {.crashes = false});
}

TEST_F(ApplianceLives, CrashesLoseNothingThatWasFlushed) { expect_all_well(300, {}); }

TEST_F(ApplianceLives, FaultsWhereASecondCopyExistsAreNotNoticed) {
  expect_all_well(300, {.faults = FaultMode::kSecondCopy});
}

TEST_F(ApplianceLives, FaultsAnywhereMayStopItButNeverMakeItLie) {
  expect_all_well(300, {.faults = FaultMode::kAnywhere});
}

TEST_F(ApplianceLives, SeedsThatOnceFoundSomething) {
  LifeCounts counts;
  // A segment that was not born yet was taken for a vault without room.
  expect_well(1527, {.faults = FaultMode::kSecondCopy}, counts);
  // An index that was made anew passed over a frame with rot, and a view showed what was before it.
  expect_well(11, {.faults = FaultMode::kAnywhere}, counts);
  // The check of the check itself: rot behind the end of a segment that was cut.
  expect_well(81, {.faults = FaultMode::kAnywhere}, counts);
}

TEST_F(ApplianceLives, OneSeedIsOneRun) {
  for (std::uint64_t seed = 1; seed <= rounds(10); ++seed) {
    std::uint64_t traces[2];
    for (std::uint64_t& trace : traces) {
      ApplianceLife life(seed, {.faults = FaultMode::kAnywhere});
      life.run();
      trace = life.trace();
    }
    ASSERT_EQ(traces[0], traces[1]) << "seed " << seed;
  }
}

}  // namespace
}  // namespace sim
