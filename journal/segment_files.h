// SPDX-License-Identifier: Apache-2.0
//
// SegmentFiles: the files of the segments that are being written: the next one, allocated ahead so
// that accepted changes never meet a full disk (rule 14), the birth of a segment, and sealing.
//
// One scheduler's thread. The directory must outlive it; close() must have returned before it is
// destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "journal/built_frame.h"
#include "journal/records.h"

namespace journal {

// A file for a segment that is not born yet.
struct PreparedFile {
  std::shared_ptr<cdp::Disk> disk;
  std::string name;
};

// A segment that is appended to.
struct Segment {
  std::shared_ptr<cdp::Disk> disk;
  std::string prepared_name;  // its file's, until it is born
  std::uint32_t number = 0;
  std::uint64_t capacity = 0;
};

class SegmentFiles {
 public:
  SegmentFiles(cdp::Scheduler& scheduler, cdp::Directory& directory, std::uint64_t segment_bytes,
               Nanos retry_interval);

  // The next segment's space is there.
  bool ready() const { return next_.has_value(); }
  bool preparing() const { return preparing_; }
  // Why it could not be had, the last time that was tried.
  const std::optional<Error>& failure() const { return failure_; }
  // Begins to prepare it, unless it is there, on its way, or could not be had just now.
  void want_next();
  // Notified when a preparation has ended.
  cdp::Signal& changed() { return changed_; }
  // The prepared file; ready() must hold.
  PreparedFile take_next();
  // A fresh file, after all that were prepared and not born have been removed. On a full disk, where
  // `may_be_short`, one of what the reserve gives back: enough to start, to say why nothing more is
  // taken, and to stop.
  Task<Result<PreparedFile>> make_fresh(bool may_be_short);
  // Sets aside what a start on a full disk needs, unless it is there already or there is no room.
  Task<void> keep_reserve();

  // Writes what the segment opens with, and gives it its name, durably. Before this, a crash finds
  // no such segment; after it, a complete one.
  Task<Status> give_birth(const Segment& segment, const SegmentOpening& opening);
  // Cuts a finished segment to its length and makes it read-only, in the background.
  void seal(std::uint32_t number, std::uint64_t bytes);
  // Returns when no sealing is under way.
  Task<void> sealed() { return sealing_.join(); }

  // Ends the background work and gives back what was prepared.
  Task<void> close();

 private:
  Task<void> prepare();
  Task<Status> remove_prepared();
  Task<Result<PreparedFile>> make_short();
  std::string new_name();
  Task<void> run_seal(std::uint32_t number, std::uint64_t bytes);

  cdp::Scheduler& scheduler_;
  cdp::Directory& directory_;
  const std::uint64_t segment_bytes_;
  const Nanos retry_interval_;
  std::optional<PreparedFile> next_;
  // Those that were taken keep their names until they are born, while the next is being prepared.
  std::uint64_t prepared_ = 0;
  bool preparing_ = false;
  std::optional<Error> failure_;
  Nanos failed_at_;
  cdp::Signal changed_;
  cdp::TaskGroup background_;
  cdp::TaskGroup sealing_;
};

}  // namespace journal
