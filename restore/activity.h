// SPDX-License-Identifier: Apache-2.0
//
// What happened to a volume, and when: its pulses (journal/FORMAT.md) in equal steps of time.
//
// A step is made of the longest pulses that it is a multiple of. Those of minutes, hours and days
// are there once they are over, and what a daemon that was ended by force had not recorded, the
// next one records at its start. Around such an end, and the end of history, the shorter ones are
// read nonetheless; of seconds each is recorded by itself, and where nobody records, the changes
// themselves are read. So the answer is the same whatever it is made of, and a year of days is some
// hundred frames to be read.
//
// One scheduler's thread; what is given must outlive the task.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/task.h"
#include "journal/index/time_index.h"
#include "journal/records.h"
#include "journal/state.h"

namespace restore {

struct ActivityQuery {
  cdp::VolumeId volume{};
  std::int64_t from = 0;   // seconds since 1970; both are made multiples of the step, outwards
  std::int64_t until = 0;  // behind the last one
  std::int64_t step = 1;   // seconds
  // No daemon has recorded, or is about to, what the newest changes were.
  bool nobody_records = false;
};

struct ActivityStep {
  std::int64_t begin = 0;      // seconds since 1970, a multiple of the query's step
  journal::PulseRecord sum{};  // without volume, stamp, step and begin
};

inline constexpr std::int64_t kActivityStepsMax = 10'000;

struct Activity {
  std::vector<ActivityStep> steps{};  // those in which something happened, in order
  // Ends by force around which no shorter pulses were read, as there are too many: the oldest ones.
  std::size_t ends_passed_over = 0;
};

// EINVAL: there would be too many steps, or too many pulses to make them of; a sentence says what
// can be asked instead. `newest` is the state at the end of history; the index covers it.
cdp::Task<cdp::Result<Activity>> read_activity(journal::index::TimeIndex& index,
                                               const journal::JournalState& newest,
                                               ActivityQuery query);

}  // namespace restore
