// SPDX-License-Identifier: Apache-2.0
//
// Journal: the write-once store behind the engine's Recorder. It gathers records into a frame,
// prepares the frame (zero, same-as-previous and duplicate blocks are found, the rest compressed),
// appends it durably, and then answers who waits. FORMAT.md describes what it writes.
//
// Invariants: one frame is being appended at a time, and the next is appended only when it is
// durable (rule 1). Records come in LSN order. What an Admission covers fits into space that is
// already allocated (rule 14). After a failed append nothing is written to that segment any more;
// the unanswered frames go to a fresh one, once, and if that fails too the journal is fenced:
// every call fails with the cause, for ever (rule 13).
//
// Runs on one scheduler's thread; hashing and compression go to its workers. Everything passed to
// `open` by reference must outlive the journal, and close() must have returned before it is
// destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/recorder.h"
#include "cdp/sequencer.h"
#include "journal/activity.h"
#include "journal/frame_listener.h"
#include "journal/hash.h"
#include "journal/state.h"
#include "journal/vault.h"

namespace journal {

struct JournalOptions {
  std::uint64_t segment_bytes = 256u << 20;  // multiple of 4096; at least minimum_segment_bytes()
  std::uint32_t frame_blocks = 1024;         // payload that fills a frame; at least 256 (1 MiB)
  std::uint32_t queue_blocks = 8192;         // payload recorded but not durable, in blocks
  Nanos commit_interval = cdp::milliseconds(200);
  // A clock record follows the last change after this, so that the second it fell into is closed;
  // while nothing changes, one more after each heartbeat_interval: history is known up to there.
  Nanos close_second_after = cdp::seconds(1);
  Nanos heartbeat_interval = cdp::seconds(60);
  Nanos remember_interval = cdp::seconds(1);  // how often STATE/durable is written at most
  Nanos space_retry_interval = cdp::seconds(1);
  // Most memory of what finds duplicates: three quarters for recent blocks, the rest for old ones.
  std::size_t dedup_bytes = 256u << 20;
  std::uint32_t dedup_reads = 64;          // for deduplication, in a frame
  std::uint32_t dedup_reads_flush = 4;     // in one that a flush waits for and that is small
  std::uint32_t run_blocks = 16;           // new blocks compressed together; at most 64
  std::uint32_t inline_blocks = 16;        // frames up to this are prepared on the reactor
  std::optional<int> compression_level{};  // fixed level; unset: adapts to the queue
  // Keeps what happened in each second until take_activity() is called, which somebody must do
  // then.
  bool meters_activity = false;
  bool zero_ahead = true;  // write zeroes ahead of the appends when idle
  FingerprintFunction fingerprint = journal::fingerprint;

  std::uint64_t minimum_segment_bytes() const;
};

// Since the journal was opened.
struct JournalStatistics {
  std::uint64_t client_bytes = 0;   // payload of recorded writes
  std::uint64_t unique_bytes = 0;   // of it, stored: neither zero, same, nor a duplicate
  std::uint64_t stored_bytes = 0;   // runs after compression, with their headers
  std::uint64_t journal_bytes = 0;  // everything appended: headers, state, padding and footers too
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  std::uint64_t syncs = 0;     // durable writes
  std::uint64_t segments = 0;  // begun
  std::uint64_t zero_blocks = 0;
  std::uint64_t same_blocks = 0;
  std::uint64_t duplicate_blocks = 0;  // references and repeats
  std::uint64_t dedup_reads = 0;       // of runs for comparison, and of lists of fingerprints
  std::uint64_t dedup_mismatches = 0;  // equal fingerprint, other bytes
  std::uint64_t resends = 0;           // times that rule 13 found a fresh segment
};

// The newest durable frame: it stands for all of history before it.
struct ChainHead {
  std::uint32_t segment = 0;
  std::uint64_t sequence = 0;
  Digest digest{};
  Stamp newest{};  // change up to there
};

// What is true right now, for status.
struct JournalHealth {
  std::optional<Error> fenced{};       // the cause, once fenced
  std::optional<Error> last_resend{};  // the failed append after which a fresh segment was begun
  std::optional<Error> no_space{};     // why the next segment could not be had
  std::uint32_t segment = 0;           // being written
  std::uint64_t segment_used_bytes = 0;
  std::uint64_t queued_blocks = 0;
  Lsn recorded{};  // newest LSN recorded; recorded - durable is what a crash loses
  Lsn durable{};
  Nanos oldest_undurable{};            // wall-clock time of the oldest record not durable; 0: none
  std::size_t dedup_memory_bytes = 0;  // of what finds duplicates
  ChainHead head{};
};

class Journal : public cdp::Recorder {
 public:
  // Opens the vault's journal for writing, recovering it where needed, and begins a new segment.
  // `sequencer` is moved past everything that was ever recorded. `state_directory` may be null:
  // then the loss of an acknowledged tail (rule 3) cannot be noticed. In `index_directory` it keeps
  // what finds old duplicates again; it may be null: then only those of the newest segment are.
  static Task<Result<std::unique_ptr<Journal>>> open(
      cdp::Scheduler& scheduler, const cdp::Clock& clock, cdp::Sequencer& sequencer,
      cdp::Directory& segments, cdp::Directory* state_directory, Vault vault,
      JournalOptions options, cdp::Directory* index_directory = nullptr);

  // What is true after everything recorded so far, durable or not.
  virtual const JournalState& state() const = 0;
  virtual const JournalStatistics& statistics() const = 0;
  virtual JournalHealth health() const = 0;
  // What is true after everything that is durable.
  virtual const JournalState& durable_state() const = 0;
  // From now on `listener` (null: nobody) is told of every frame of records; it must outlive that.
  virtual void set_listener(FrameListener* listener) = 0;
  virtual const Vault& vault() const = 0;

  // Control records. They are validated (EINVAL, EEXIST, ENOENT), take no admission, fail with
  // ENOSPC or EIO like one, and are durable once flush() of their LSN returns. The stamp is taken
  // from the sequencer in the same step, by the caller. After a failure nothing is recorded.
  // `record_volume_created` gives the new volume's number.
  virtual Result<VolumeId> record_volume_created(Stamp stamp, Uuid uuid, std::string name,
                                                 std::uint64_t size_bytes, std::string backing) = 0;
  // With the content of `origin` at `point`; the new backing store must be blank. Both volumes must
  // be in this vault, the origin at the point; it may have been removed since.
  virtual Result<VolumeId> record_volume_created_from(Stamp stamp, Uuid uuid, std::string name,
                                                      std::uint64_t size_bytes, std::string backing,
                                                      VolumeId origin, Lsn point) = 0;
  // From here on the volumes (1 to 256, distinct) are as they were at `point`, where all of them
  // must have been, with the sizes of then. `author` is for the audit. Where writers are refused,
  // they are until record_volume_resumed. Nothing of the volumes may be recorded between what the
  // caller takes for their end and this.
  virtual Status record_rollback(Stamp stamp, Lsn point,
                                 std::vector<RollbackRecord::Volume> volumes, std::string author,
                                 bool refuse_writers) = 0;
  virtual Status record_volume_resumed(VolumeId volume, Stamp stamp) = 0;
  // From here on writes to the volume bypass the journal, for the `cause`, a sentence; and here it
  // is over: what the backing store holds otherwise than history says has been recorded as writes.
  // The first must be durable before such a write (rule 12).
  virtual Status record_gap(VolumeId volume, Stamp stamp, std::string cause) = 0;
  virtual Status record_gap_over(VolumeId volume, Stamp stamp) = 0;
  virtual Status record_volume_resized(VolumeId volume, Stamp stamp, std::uint64_t size_bytes) = 0;
  virtual Status record_volume_renamed(VolumeId volume, Stamp stamp, std::string name) = 0;
  virtual Status record_volume_removed(VolumeId volume, Stamp stamp) = 0;
  // `volume` 0: a mark of every volume.
  virtual Status record_mark(VolumeId volume, Stamp stamp, std::string label,
                             std::string author) = 0;

  // A user as it is from here on; `record.stamp` is from the sequencer, in the same step. EEXIST:
  // of that name is one who was removed; ENOENT: whom to remove is not there. ENOSPC: there are
  // kUsersMax, those who were removed among them.
  virtual Status record_user(UserRecord record) = 0;
  // ENOENT: no such user (or removed), or the token to be revoked is not there. EEXIST: it is
  // another user's. EINVAL: it has expired. ENOSPC: there are kTokensMax.
  virtual Status record_token(TokenRecord record) = 0;
  // Leaves the space that the journal keeps for what it must record. Texts are checked (EINVAL, see
  // check_audit), not made fit.
  virtual Status record_audit(AuditRecord record) = 0;

  // What happened in the seconds before `before` of which all is durable; each is told once. Before
  // the wall clock's second, that is all of them that are over; where the clock was set back since,
  // also what it has still to come to, and what began before that. By their first changes, so that
  // what is still to be told never began before what has been.
  virtual std::vector<VolumeActivity> take_activity(std::int64_t before) = 0;
  // Something has happened that take_activity() has not told yet.
  virtual bool has_activity() const = 0;
  // What was recorded up to here was so before this journal was opened: take_activity() tells
  // nothing of it.
  virtual Lsn opened_after() const = 0;
  // Leaves space, as record_audit. ENOENT: the vault has had no such volume.
  virtual Status record_pulse(PulseRecord record) = 0;

  // Makes everything recorded durable, writes the footer and seals the segment. Nothing may be
  // recorded after this. Also ends the background work of a fenced journal (and then fails).
  virtual Task<Status> close() = 0;
};

}  // namespace journal
