// SPDX-License-Identifier: Apache-2.0
//
// The simulator is worth what it finds: with each of the bugs of planted_bug.h in its sources, some
// life of an appliance must come to a finding, and soon. This program has those sources compiled
// once more, with the bugs in them.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "cdp/base/planted_bug.h"
#include "journal/hash.h"
#include "tests/sim/appliance_life.h"

namespace sim {
namespace {

using cdp::PlantedBug;

journal::Fingerprint three_bits(const journal::Secret& secret,
                                std::span<const std::byte, cdp::kBlockBytes> block) {
  return {.low = journal::fingerprint(secret, block).low & 7, .high = 0};
}

class PlantedBugs : public testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }
  ~PlantedBugs() override { cdp::planted_bug = PlantedBug::kNone; }

  static void expect_found(PlantedBug bug, LifeOptions options = {}) {
    constexpr std::uint64_t kSeedsMax = 200;
    cdp::planted_bug = bug;
    for (std::uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
      ApplianceLife life(seed, options);
      life.run();
      if (life.findings().empty()) continue;
      fmt::print("[ found    ] {}\n", life.findings().front());
      return;
    }
    FAIL() << "nothing found in " << kSeedsMax << " lives";
  }
};

TEST_F(PlantedBugs, NothingIsFoundWhereNoneIs) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    ApplianceLife life(seed, {});
    life.run();
    EXPECT_TRUE(life.findings().empty()) << life.findings().front();
  }
}

TEST_F(PlantedBugs, ASkippedJournalSync) { expect_found(PlantedBug::kJournalSyncIsSkipped); }

TEST_F(PlantedBugs, ADedupThatTrustsTruncatedFingerprints) {
  expect_found(PlantedBug::kFingerprintsAreTrusted, {.fingerprint = three_bits});
}

TEST_F(PlantedBugs, ACheckpointThatIsTooEarly) { expect_found(PlantedBug::kCheckpointIsTooEarly); }

TEST_F(PlantedBugs, OverlappingWritesInTheWrongOrder) {
  expect_found(PlantedBug::kOverlapsAreNotOrdered);
}

TEST_F(PlantedBugs, ASecondBackingWriteOfABlockInFlight) {
  expect_found(PlantedBug::kSecondBackingWrite);
}

TEST_F(PlantedBugs, ARollbackOfNewerLsnsOnly) {
  expect_found(PlantedBug::kRollbackOfNewerLsnsOnly);
}

TEST_F(PlantedBugs, AnAppendAfterTheCut) { expect_found(PlantedBug::kAppendAfterTheCut); }

}  // namespace
}  // namespace sim
