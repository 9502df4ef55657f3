// SPDX-License-Identifier: Apache-2.0
//
// TimeSearch: the place in the sequence that a time means. A time T is the state after every record
// stamped at or before T, so it names a place only where those records are a beginning of the
// sequence. They are, unless the wall clock stepped back: then the records up to T are several
// stretches with later ones between them, and the end of each stretch is a candidate (rule 16).
//
// It is shown all frames in order and looks into those alone whose times lie on both sides of T.
// What is shown again, since a growing segment was read again, counts once.
#pragma once

#include <cstddef>
#include <vector>

#include "journal/vault_reader.h"

namespace restore {

class TimeSearch final : public journal::RecordVisitor {
 public:
  static constexpr std::size_t kCandidatesMax = 8;

  explicit TimeSearch(journal::Nanos asked) : asked_(asked) {}

  bool on_frame(const journal::FrameInfo& frame) override;
  void on_write(const journal::WriteRecord& r) override { on_stamp(r.stamp); }
  void on_zero(const journal::ZeroRecord& r) override { on_stamp(r.stamp); }
  void on_volume_created(const journal::VolumeCreated& r) override { on_stamp(r.stamp); }
  void on_volume_created_from(const journal::VolumeCreatedFrom& r) override { on_stamp(r.stamp); }
  void on_volume_resized(const journal::VolumeResized& r) override { on_stamp(r.stamp); }
  void on_volume_renamed(const journal::VolumeRenamed& r) override { on_stamp(r.stamp); }
  void on_volume_removed(const journal::VolumeRemoved& r) override { on_stamp(r.stamp); }
  void on_mark(const journal::MarkRecord& r) override { on_stamp(r.stamp); }
  void on_rollback(const journal::RollbackRecord& r) override { on_stamp(r.stamp); }
  void on_gap(const journal::GapRecord& r) override { on_stamp(r.stamp); }
  void on_volume_resumed(const journal::VolumeResumed& r) override { on_stamp(r.stamp); }
  void on_user(const journal::UserRecord& r) override { on_stamp(r.stamp); }
  void on_token(const journal::TokenRecord& r) override { on_stamp(r.stamp); }
  void on_audit(const journal::AuditRecord& r) override { on_stamp(r.stamp); }
  void on_pulse(const journal::PulseRecord& r) override { on_stamp(r.stamp); }
  void on_checkpoint(const journal::CheckpointRecord& r) override { on_stamp(r.stamp); }
  void on_crash(const journal::CrashRecord& r) override { on_stamp(r.stamp); }
  void on_clock(const journal::ClockRecord& r) override { on_stamp(r.stamp); }

  // Once everything has been shown:

  // Some record up to the time comes after a later one.
  bool is_ambiguous() const { return ambiguous_; }
  // The ends of the stretches up to the time, in order, the first kCandidatesMax of them. One, and
  // not ambiguous: that is the answer. None: every record is later.
  const std::vector<journal::Lsn>& stretch_ends() const { return ends_; }
  // No record is later than the time.
  bool is_after_all() const { return !seen_later_; }

 private:
  void on_stamp(journal::Stamp stamp) { take(stamp.lsn, stamp.time <= asked_); }
  void take(journal::Lsn last_lsn, bool up_to_asked);

  journal::Nanos asked_;
  journal::Lsn last_taken_;
  std::vector<journal::Lsn> ends_;
  bool in_stretch_ = false;
  bool full_ = false;  // a stretch beyond the first kCandidatesMax is being passed
  bool seen_later_ = false;
  bool ambiguous_ = false;
};

}  // namespace restore
