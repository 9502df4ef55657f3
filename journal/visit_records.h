// SPDX-License-Identifier: Apache-2.0
//
// From the bytes of a frame's metadata to calls of a RecordVisitor: the one way from stored records
// to whoever follows history.
#pragma once

#include <cstddef>
#include <span>

#include "journal/format.h"
#include "journal/state.h"
#include "journal/vault_reader.h"

namespace journal {

// Hands over the records of a frame with delivered < LSN <= upto, and moves `delivered` with them.
// `metadata` is what lies between the frame's header and its runs. EIO where it is damaged, ENOTSUP
// where it has a record of a type that is not known.
Status visit_records(const FrameHeader& frame, const Vault& vault,
                     std::span<const std::byte> metadata, Lsn upto, Lsn& delivered,
                     RecordVisitor& visitor);

// Applies what history says to a state.
class StateBuilder : public RecordVisitor {
 public:
  explicit StateBuilder(JournalState& state) : state_(state) {}
  void on_write(const WriteRecord& record) override { state_.advance(record.stamp); }
  void on_zero(const ZeroRecord& record) override { state_.advance(record.stamp); }
  void on_volume_created(const VolumeCreated& record) override { state_.apply(record); }
  void on_volume_created_from(const VolumeCreatedFrom& record) override { state_.apply(record); }
  void on_volume_resized(const VolumeResized& record) override { state_.apply(record); }
  void on_volume_renamed(const VolumeRenamed& record) override { state_.apply(record); }
  void on_volume_removed(const VolumeRemoved& record) override { state_.apply(record); }
  void on_mark(const MarkRecord& record) override { state_.apply(record); }
  void on_rollback(const RollbackRecord& record) override { state_.apply(record); }
  void on_gap(const GapRecord& record) override { state_.apply(record); }
  void on_volume_resumed(const VolumeResumed& record) override { state_.apply(record); }
  void on_user(const UserRecord& record) override { state_.apply(record); }
  void on_token(const TokenRecord& record) override { state_.apply(record); }
  void on_audit(const AuditRecord& record) override { state_.apply(record); }
  void on_pulse(const PulseRecord& record) override { state_.apply(record); }
  void on_checkpoint(const CheckpointRecord& record) override { state_.apply(record); }
  void on_crash(const CrashRecord& record) override { state_.apply(record); }
  void on_clock(const ClockRecord& record) override { state_.apply(record); }

 private:
  JournalState& state_;
};

}  // namespace journal
