// SPDX-License-Identifier: Apache-2.0
//
// Bugs that are planted on purpose, to see that the simulator finds them. Programs that are shipped
// do not contain them: only a test that compiles these sources once more, with
// HINDSIGHT_PLANTED_BUGS defined, can switch one on (tests/sim/planted_bugs_test.cc).
#pragma once

namespace cdp {

enum class PlantedBug {
  kNone,
  kJournalSyncIsSkipped,      // frames are not durable when they are said to be
  kFingerprintsAreTrusted,    // equal fingerprints are shared without comparing the bytes
  kCheckpointIsTooEarly,      // it covers what came while it was being made
  kOverlapsAreNotOrdered,     // writes below the block do not wait for each other
  kSecondBackingWrite,        // of a block whose write is in flight
  kRollbackOfNewerLsnsOnly,   // what a rollback changes is taken to be what is newer (rule 8)
  kAppendAfterTheCut,         // recovery writes to the segment that it found (rule 2)
};

#ifdef HINDSIGHT_PLANTED_BUGS
inline namespace with_planted_bugs {
inline PlantedBug planted_bug = PlantedBug::kNone;
inline bool planted(PlantedBug bug) { return planted_bug == bug; }
}  // namespace with_planted_bugs
#else
inline namespace without_planted_bugs {
constexpr bool planted(PlantedBug) { return false; }
}  // namespace without_planted_bugs
#endif

}  // namespace cdp
