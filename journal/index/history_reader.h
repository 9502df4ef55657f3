// SPDX-License-Identifier: Apache-2.0
//
// HistoryReader: from the frame tables of a snapshot to the records themselves. It finds what time
// an LSN was, which LSN a time means and what was true there by reading a few frames, however long
// history is.
//
// One scheduler's thread; one call at a time. `segments` must outlive it.
#pragma once

#include <cstdint>
#include <memory>

#include "cdp/io/disk.h"
#include "journal/aligned_buffer.h"
#include "journal/format.h"
#include "journal/index/snapshot.h"
#include "journal/vault_reader.h"

namespace journal::index {

// That the frame cannot be read.
Damage damage_of(const FrameRow& row);

class HistoryReader {
 public:
  HistoryReader(cdp::Directory& segments, Vault vault, std::shared_ptr<const Snapshot> snapshot)
      : segments_(segments), vault_(std::move(vault)), snapshot_(std::move(snapshot)) {}

  // The state at `lsn`, which the snapshot covers. Of what it says, checkpoints and hydration may
  // be those at the beginning of the segment. ERANGE where nothing was recorded up to there.
  Task<Result<JournalState>> state_at(Lsn lsn);

  // Shows the frames that decide which records are stamped at or before `time`, as
  // Snapshot::deciding_frames gives them.
  Task<Status> visit_deciding(Nanos time, RecordVisitor& visitor);
  // Shows the frames in the interval that have control records, and damage, until done().
  Task<Status> visit_control(LsnInterval interval, RecordVisitor& visitor);
  // Shows what of the frames lies in the interval, until done().
  Task<Status> visit_frames(std::vector<FrameRow> frames, LsnInterval interval,
                            RecordVisitor& visitor);
  // Shows all of the frames, and reads many of them at once: of each on_frame(), and where not all of
  // it can be read on_damage() behind that. No answer of on_frame() is heeded, and done() ends
  // nothing. Fails, after all, with the first of what could not be read and was not known to be
  // damaged.
  Task<Status> visit_all(std::vector<FrameRow> frames, RecordVisitor& visitor);

 private:
  // The beginning of a frame, as far as its records go.
  struct Window {
    AlignedBuffer buffer{};
    FrameHeader header{};
  };

  // Those that decide the state at the end of the interval, which `last` has, or does not reach.
  Task<Result<std::vector<FrameRow>>> state_frames(LsnInterval since, FrameRow last);
  // Of the segment in which the frame lies, or of the last one before it of which it can be read.
  Task<Result<JournalState>> opening_state_before(FrameRow frame);
  // Of the frames with an LSN in (known, lsn] the last one, or `next` where there is none; `next`
  // is the first one after `lsn`.
  Task<Result<FrameRow>> frame_before(FrameRow next, Lsn known, Lsn lsn);
  Task<Status> visit_frame(FrameRow row, LsnInterval interval, RecordVisitor& visitor);
  Task<Status> read_window(cdp::Disk& disk, FrameRow row, Window& window);
  Status visit_window(const Window& window, LsnInterval interval, RecordVisitor& visitor);
  Task<Result<cdp::Disk*>> disk_of(std::uint32_t segment);

  cdp::Directory& segments_;
  const Vault vault_;
  const std::shared_ptr<const Snapshot> snapshot_;
  std::uint32_t open_segment_ = 0;
  std::unique_ptr<cdp::Disk> disk_;  // of open_segment_
  Window window_;
};

}  // namespace journal::index
