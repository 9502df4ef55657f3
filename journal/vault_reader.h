// SPDX-License-Identifier: Apache-2.0
//
// VaultReader: history as it lies in a vault's segments, read without a daemon or beside one.
// It reads metadata only (headers and records); the bytes of blocks come from BlockReader.
//
// What it gives is always whole: it stops at the last frame that is completely there, which is
// where a growing newest segment ends for now. A frame that cannot be read although a later one
// can is damage: it is reported, and history goes on after it (rule 1).
//
// One scheduler's thread. One visit at a time; `segments` and the scheduler must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "journal/records.h"
#include "journal/state.h"
#include "journal/vault.h"

namespace journal {

enum class FrameKind : std::uint16_t { kState = 1, kRecords = 2, kFooter = 3 };

struct FrameInfo {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;  // bytes from the start of the segment
  std::uint32_t total_bytes = 0;
  std::uint32_t data_bytes = 0;  // of it, runs
  std::uint32_t record_count = 0;
  FrameKind kind = FrameKind::kRecords;
  std::uint64_t sequence = 0;
  Lsn first_lsn{};
  Lsn last_lsn{};
  Nanos min_time{};
  Nanos max_time{};
  Digest digest{};
};

// From a segment's header, and its successor's.
struct SegmentInfo {
  enum class End : std::uint8_t {
    kOpen,    // the newest: it may be growing
    kSealed,  // it ends with a footer
    kCut,     // it was cut after a crash or a failed append
  };
  std::uint32_t number = 0;
  std::uint32_t epoch = 0;
  Lsn base_lsn{};  // every record in it is newer; the state it opens with is the state at this LSN
  Nanos created{};
  std::uint64_t length_bytes = 0;  // used bytes; for kOpen, the size of the file
  End end = End::kOpen;
};

// A stretch of a segment in which nothing can be read.
struct Damage {
  std::uint32_t segment = 0;
  std::uint64_t from_offset = 0;
  std::uint64_t to_offset = 0;
  Lsn after{};         // records newer than this,
  Lsn before{};        // and older than this, are lost
  std::string what{};  // a sentence
};

// Receives records in LSN order. Override what you need.
class RecordVisitor {
 public:
  virtual ~RecordVisitor() = default;
  // Before the records of a frame; false passes over them, or ends the visit where done() is true.
  virtual bool on_frame(const FrameInfo&) { return true; }
  virtual void on_write(const WriteRecord&) {}
  virtual void on_zero(const ZeroRecord&) {}
  virtual void on_volume_created(const VolumeCreated&) {}
  virtual void on_volume_created_from(const VolumeCreatedFrom&) {}
  virtual void on_volume_resized(const VolumeResized&) {}
  virtual void on_volume_renamed(const VolumeRenamed&) {}
  virtual void on_volume_removed(const VolumeRemoved&) {}
  virtual void on_mark(const MarkRecord&) {}
  virtual void on_rollback(const RollbackRecord&) {}
  virtual void on_gap(const GapRecord&) {}
  virtual void on_volume_resumed(const VolumeResumed&) {}
  virtual void on_user(const UserRecord&) {}
  virtual void on_token(const TokenRecord&) {}
  virtual void on_audit(const AuditRecord&) {}
  virtual void on_pulse(const PulseRecord&) {}
  virtual void on_checkpoint(const CheckpointRecord&) {}
  virtual void on_crash(const CrashRecord&) {}
  virtual void on_clock(const ClockRecord&) {}
  virtual void on_damage(const Damage&) {}
  // Asked after each record; true ends the visit (with success).
  virtual bool done() const { return false; }
};

class VaultReader {
 public:
  // Reads the headers of the segments with numbers `from` to `upto`; others are as if they were not
  // there. Errors: a segment is missing between two others, is of another vault or format version,
  // or its header is damaged.
  static Task<Result<std::unique_ptr<VaultReader>>> open(cdp::Scheduler& scheduler,
                                                         cdp::Directory& segments, Vault vault,
                                                         std::uint32_t from = 1,
                                                         std::uint32_t upto = UINT32_MAX);
  ~VaultReader();

  // Oldest first. Empty: nothing has been recorded yet.
  const std::vector<SegmentInfo>& segments() const;
  const Vault& vault() const;
  // Looks for segments that were begun since.
  Task<Status> refresh();

  // Hands over the records with after < LSN <= upto, in LSN order. Frames whose LSNs lie outside
  // cost the reading of their header only.
  Task<Status> visit(Lsn after, Lsn upto, RecordVisitor& visitor);

  // The state at `lsn`: that of the last segment that opens at or before it with one that can be
  // read, and the records from there on. ERANGE for an LSN before the oldest segment. What of those
  // cannot be read, the state lacks: it is told in `lost`, and EIO where that is null.
  Task<Result<JournalState>> state_at(Lsn lsn, std::vector<Damage>* lost = nullptr);

 private:
  struct Impl;
  explicit VaultReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The state at the end of history; reads the newest segment alone, unless the state that this opens
// with cannot be read. ERANGE where there is none yet.
// `lost` is as above.
Task<Result<JournalState>> newest_state(cdp::Scheduler& scheduler, cdp::Directory& segments,
                                        Vault vault, std::vector<Damage>* lost = nullptr);

}  // namespace journal
