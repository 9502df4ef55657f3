// SPDX-License-Identifier: Apache-2.0
//
// What the end of history holds and its pulses do not tell. A daemon records the pulse of a second
// when it is over, and those of minutes, hours and days when they are; so one that is ended by
// force, or cannot record, leaves changes without any. The records of the changes themselves are
// there, and these are counted as the journal counts them; what pulses tell of the same seconds is
// taken off. So it may be asked, and recorded, any number of times, and nothing is told twice.
//
// A daemon records the pulses of seconds in the order of their first changes, and what it finds to
// be missing at its start before any other; sums of that before the seconds. So all that is missing
// came no earlier than the second of the newest such pulse began, and no other part of history is
// looked at.
//
// One scheduler's thread; the index must outlive the tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/task.h"
#include "journal/activity.h"
#include "journal/index/time_index.h"
#include "journal/records.h"

namespace restore {

// Frames of changes that are looked at, the newest ones: more than any daemon leaves that works.
inline constexpr std::size_t kMissingFramesMax = 1u << 16;

struct MissingSeconds {
  std::vector<journal::VolumeActivity> activities{};  // by their first changes
  // Seconds, in order: the minutes, hours and days that may lack something have one of these.
  std::vector<std::int64_t> around{};
  std::size_t frames_passed_over = 0;  // as they were too many
};

// Up to `upto`, which the index knows of.
cdp::Task<cdp::Result<MissingSeconds>> find_missing_seconds(journal::index::TimeIndex& index,
                                                            cdp::Lsn upto);

// The pulses of minutes, hours and days around those seconds that lack something of what shorter
// ones tell, `seconds` among those; the longest first.
cdp::Task<cdp::Result<std::vector<journal::PulseRecord>>> find_missing_sums(
    journal::index::TimeIndex& index, std::vector<std::int64_t> around,
    std::vector<journal::PulseRecord> seconds);

}  // namespace restore
