// SPDX-License-Identifier: Apache-2.0
//
// How much of what was written went over data, as an estimate from the samples of the activity.
//
// One scheduler's thread; the index must outlive the task.
#pragma once

#include <cstdint>
#include <vector>

#include "cdp/io/task.h"
#include "journal/activity.h"
#include "journal/index/time_index.h"

namespace restore {

// Of each, percent of the samples that held data before; PulseRecord::kUnknown where that cannot be
// told, or too much is asked for at once.
cdp::Task<std::vector<std::uint8_t>> find_overwritten(
    journal::index::TimeIndex& index, std::vector<journal::VolumeActivity> activities);

}  // namespace restore
