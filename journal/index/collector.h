// SPDX-License-Identifier: Apache-2.0
//
// Collector: turns records into the entries of the time index, and frames into rows of its frame
// table. It is shown whole frames, in LSN order.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "journal/index/entry.h"
#include "journal/index/manifest.h"
#include "journal/index/run_file.h"
#include "journal/vault_reader.h"

namespace journal::index {

class Collector : public RecordVisitor {
 public:
  bool on_frame(const FrameInfo& frame) override;
  void on_write(const WriteRecord& record) override;
  void on_zero(const ZeroRecord& record) override;
  void on_volume_resized(const VolumeResized& record) override;
  void on_volume_created(const VolumeCreated&) override { has_control(); }
  void on_volume_created_from(const VolumeCreatedFrom&) override { has_control(); }
  void on_volume_renamed(const VolumeRenamed&) override { has_control(); }
  void on_volume_removed(const VolumeRemoved&) override { has_control(); }
  void on_volume_resumed(const VolumeResumed&) override { has_control(); }
  void on_rollback(const RollbackRecord&) override { has_control(); }
  void on_gap(const GapRecord&) override { has_control(); }
  void on_user(const UserRecord&) override { has_control(); }
  void on_token(const TokenRecord&) override { has_control(); }
  void on_mark(const MarkRecord&) override { has_control(); }
  void on_crash(const CrashRecord&) override { has_control(); }
  // An idle journal has many of them: no control records.
  void on_clock(const ClockRecord&) override { frames_.back().flags |= FrameRow::kClock; }
  void on_audit(const AuditRecord&) override { frames_.back().flags |= FrameRow::kAudit; }
  void on_pulse(const PulseRecord& record) override;
  void on_damage(const Damage& damage) override;

  // Everything that was shown since the beginning, or since it was cleared.
  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<FrameRow>& frames() const { return frames_; }
  bool empty() const { return frames_.empty(); }
  // Of the newest frame.
  Lsn upto() const { return upto_; }
  void clear();

 private:
  void add_zeroes(VolumeId volume, Lsn lsn, std::uint64_t first, std::uint64_t count);
  void has_control() { frames_.back().flags |= FrameRow::kControl; }

  std::vector<Entry> entries_;
  std::vector<FrameRow> frames_;
  Lsn upto_;
};

// Ends the visit before the frame with which it would have more than so many entries and those of
// one frame.
class BoundedCollector : public Collector {
 public:
  explicit BoundedCollector(std::size_t entries_max) : entries_max_(entries_max) {}
  bool on_frame(const FrameInfo& frame) override;
  bool done() const override { return is_full_; }

  // The newest frame; none where none came.
  const std::optional<FrameMark>& mark() const { return mark_; }

 private:
  const std::size_t entries_max_;
  bool is_full_ = false;
  std::optional<FrameMark> mark_;
};

}  // namespace journal::index
