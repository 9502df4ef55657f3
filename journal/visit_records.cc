// SPDX-License-Identifier: Apache-2.0
#include "journal/visit_records.h"

#include "journal/record_codec.h"

namespace journal {
namespace {

void deliver(const AnyRecord& record, RecordVisitor& to) {
  std::visit(
      [&to](const auto& of) {
        using Type = std::decay_t<decltype(of)>;
        if constexpr (std::is_same_v<Type, WriteRecord>)
          to.on_write(of);
        else if constexpr (std::is_same_v<Type, ZeroRecord>)
          to.on_zero(of);
        else if constexpr (std::is_same_v<Type, VolumeCreated>)
          to.on_volume_created(of);
        else if constexpr (std::is_same_v<Type, VolumeCreatedFrom>)
          to.on_volume_created_from(of);
        else if constexpr (std::is_same_v<Type, VolumeResized>)
          to.on_volume_resized(of);
        else if constexpr (std::is_same_v<Type, VolumeRenamed>)
          to.on_volume_renamed(of);
        else if constexpr (std::is_same_v<Type, VolumeRemoved>)
          to.on_volume_removed(of);
        else if constexpr (std::is_same_v<Type, MarkRecord>)
          to.on_mark(of);
        else if constexpr (std::is_same_v<Type, RollbackRecord>)
          to.on_rollback(of);
        else if constexpr (std::is_same_v<Type, GapRecord>)
          to.on_gap(of);
        else if constexpr (std::is_same_v<Type, VolumeResumed>)
          to.on_volume_resumed(of);
        else if constexpr (std::is_same_v<Type, UserRecord>)
          to.on_user(of);
        else if constexpr (std::is_same_v<Type, TokenRecord>)
          to.on_token(of);
        else if constexpr (std::is_same_v<Type, AuditRecord>)
          to.on_audit(of);
        else if constexpr (std::is_same_v<Type, PulseRecord>)
          to.on_pulse(of);
        else if constexpr (std::is_same_v<Type, CheckpointRecord>)
          to.on_checkpoint(of);
        else if constexpr (std::is_same_v<Type, CrashRecord>)
          to.on_crash(of);
        else if constexpr (std::is_same_v<Type, ClockRecord>)
          to.on_clock(of);
      },
      record);
}

// Of records that have an LSN of their own in history.
Lsn lsn_of(const AnyRecord& record) {
  return std::visit(
      [](const auto& of) {
        if constexpr (requires { of.stamp.lsn; })
          return of.stamp.lsn;
        else
          return Lsn{};
      },
      record);
}

}  // namespace

Status visit_records(const FrameHeader& frame, const Vault& vault,
                     std::span<const std::byte> metadata, Lsn upto, Lsn& delivered,
                     RecordVisitor& visitor) {
  Result<RecordDecoder> records = RecordDecoder::open(frame, vault, metadata);
  if (!records.ok()) return records.error();
  while (!records->at_end()) {
    Result<AnyRecord> record = records->next();
    if (!record.ok()) return record.error();
    const Lsn lsn = lsn_of(*record);
    if (lsn <= delivered) continue;
    if (lsn > upto) return {};
    deliver(*record, visitor);
    delivered = lsn;
    if (visitor.done()) return {};
  }
  return {};
}

}  // namespace journal
