// SPDX-License-Identifier: Apache-2.0
//
// Questions about the frames of a run: which one has an LSN, which ones decide what a time means,
// which ones have records other than writes. Fences carry times and flags of what is below them,
// so that the work is logarithmic in the frames for each frame that is given.
//
// One scheduler's thread; the run and the reader must outlive the task. EIO for damaged pages.
#pragma once

#include <optional>
#include <vector>

#include "journal/index/run.h"

namespace journal::index {

// The first frame whose last LSN is not below `lsn`: it has the LSN, or no frame of the run does
// (where its first LSN is above). None: the run's frames end before it.
Task<Result<std::optional<FrameRow>>> frame_at(PageReader& pages, const Run& run, Lsn lsn);

// Appends the frames that decide which records are stamped at or before `time`: in LSN order, every
// frame with min_time <= time < max_time; of each stretch of frames with max_time <= time at least
// the last one; of each stretch with min_time > time at least the first one. Who is shown these
// alone finds the same ends of stretches as who is shown all. With a clock that never stepped back
// they are three at most, or few more.
Task<Status> deciding_frames(PageReader& pages, const Run& run, Nanos time,
                             std::vector<FrameRow>& into);

// Appends the frames that have control records, or are damaged, and an LSN in the interval; in
// LSN order.
Task<Status> control_frames(PageReader& pages, const Run& run, LsnInterval interval,
                            std::vector<FrameRow>& into);

// Appends those that are damaged.
Task<Status> damaged_frames(PageReader& pages, const Run& run, LsnInterval interval,
                            std::vector<FrameRow>& into);

// Appends the frames that have pulses of the step and were recorded at a time in [from, until], and
// those that have pulses of another time than their own (FrameRow::kPulseOfOtherTime); in LSN
// order.
Task<Status> pulse_frames(PageReader& pages, const Run& run, PulseRecord::Step step, Nanos from,
                          Nanos until, std::vector<FrameRow>& into);

// Appends all frames that have an LSN in the interval, in LSN order.
Task<Status> frames_in(PageReader& pages, const Run& run, LsnInterval interval,
                       std::vector<FrameRow>& into);

struct WantedFrame {
  std::uint16_t flags = 0;   // FrameRow::Flag, one of these; 0: any frame
  Nanos before{INT64_MAX};  // of which all is stamped before this
};
// The last such frame whose last LSN lies in the interval.
Task<Result<std::optional<FrameRow>>> last_frame(PageReader& pages, const Run& run,
                                                 LsnInterval interval, WantedFrame wanted);

}  // namespace journal::index
