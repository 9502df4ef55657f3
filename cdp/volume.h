// SPDX-License-Identifier: Apache-2.0
//
// Volume: a live protected volume. Changes go to the Recorder and into the dirty map in one step
// that does not suspend (rule 4), are answered, and reach the backing store later, when they are
// durable in the journal (promise 1: journal first). Reads see answered changes at once.
//
// A write: wait for room in the dirty budget -> admission by the Recorder -> where a sub-block edge
// needs the old block, or somebody else's does here, the range lock -> LSN, link, record -> reply.
//
// Write-back runs in passes, one at a time: flush the journal, write what is dirty up to a
// boundary, an LSN, sync, record a checkpoint. One runs when a good part of the dirty budget has
// changed since the boundary before (then a boundary is drawn ahead, and the journal flushed up to
// it while the pass before still writes), when pages for payloads run short, a while after a
// change, and when asked. An idle volume writes nothing (rule 3). A block that changed again behind
// the boundary is left out: its newer version is recorded before the checkpoint is, so a replay
// from the checkpoint brings it back.
//
// A failure of the backing store under write-back, or of the Recorder, fences this volume: it
// answers EIO, holds no memory, and says why. What was answered as flushed is in the journal, and
// the next start replays it.
//
// The backing store is the volume's size rounded up to 4096 bytes (`backing_bytes`), and equals the
// journal's newest state when the Volume is constructed: recovery replays first. Of the last block
// the bytes behind the volume's end are zeroes. All functions are for the scheduler's thread; the
// parts must outlive the volume, and `close` must have returned before it is destroyed.
//
// Hydration (rule 11). After a rollback, and for a volume created from a point, the backing store
// lacks content. What it lacks is read from a HydrationSource, and brought to it behind
// (hydrator.h) by steps that take turns with write-back; the checkpoints carry the cursor. A start
// while it was under way replays, after the checkpoint, the blocks before the cursor alone; all
// others come from a source that shows the newest state, whatever the backing store has there.
//
// A rollback: begin_replacement() on each of the volumes; with all held, the ROLLBACK is recorded
// and made durable; then finish_replacement() with a source of the state after it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cdp/block_device.h"
#include "cdp/dirty_map.h"
#include "cdp/hydrator.h"
#include "cdp/io/disk.h"
#include "cdp/io/signal.h"
#include "cdp/range_lock.h"
#include "cdp/recorder.h"
#include "cdp/write_back.h"

namespace cdp {

struct VolumeParts {
  Scheduler& scheduler;
  Sequencer& sequencer;
  Recorder& recorder;
  Disk& backing;
  PagePool& write_pages;  // payloads; the dirty map and the journal hold on to them
  PagePool& read_pages;   // what reads bring from the backing store
};

struct VolumeOptions {
  VolumeId id = {};
  std::string name = {};  // for messages
  std::uint64_t size_bytes = 0;
  bool read_only = false;
  // The volume's share of memory for changes that the backing store does not have yet. Requests
  // wait when it is used up; one request may exceed it.
  std::size_t dirty_budget_bytes = std::size_t{128} << 20;
  // How long after a change a pass of write-back begins at the latest.
  Nanos checkpoint_interval = seconds(1);
  HydratorOptions hydration = {};
};

// What the backing store of a new Volume lacks: the blocks from `first_block` on are as `source`
// says. It shows the state at `upto`, the newest that is durable, and the blocks before have that
// in the backing store.
struct VolumeHydration {
  std::shared_ptr<HydrationSource> source = {};  // null: it lacks nothing
  std::uint64_t first_block = 0;
  Lsn upto;
};

struct VolumeStatistics {
  std::uint64_t answered_changes = 0;  // writes, zeroes and trims
  std::uint64_t answered_write_bytes = 0;
  std::uint64_t dirty_bytes = 0;
  std::uint64_t dirty_extents = 0;
  std::uint64_t written_back_bytes = 0;
  std::uint64_t passes = 0;
  Lsn last;        // of the newest change
  Lsn checkpoint;  // replay starts after it
  bool hydrating = false;
  std::uint64_t hydration_cursor = 0;            // the first block not hydrated
  std::uint64_t hydration_remaining_blocks = 0;  // at most; some may need no copying
  std::uint64_t hydrated_bytes = 0;              // copied to the backing store
};

class Volume final : public BlockDevice {
 public:
  // Checkpoints that only say how far hydration has come are the rarer the longer it takes: their
  // distance doubles from checkpoint_interval to this. So they stay few whatever the volume, and a
  // crash has no more copied again than half of what was.
  static constexpr Nanos kCursorIntervalMax = seconds(600);

  Volume(VolumeParts parts, VolumeOptions options, VolumeHydration hydration = {});
  ~Volume() override;
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  // What the backing store of a volume of this size must hold.
  static std::uint64_t backing_bytes(std::uint64_t size_bytes) {
    return round_up(size_bytes, kBlockBytes);
  }

  std::uint64_t size_bytes() const override { return size_bytes_; }
  bool read_only() const override { return options_.read_only || changes_refused_; }
  Task<Result<PageList>> read(std::uint64_t offset, std::uint32_t bytes) override;
  Task<Result<PageList>> pages_for_write(std::uint64_t offset, std::uint32_t bytes) override;
  Task<Status> write(std::uint64_t offset, std::uint32_t bytes, PageList pages) override;
  Task<Status> flush() override;
  // Zeroing is fast at any length, so `only_if_fast` is never refused.
  Task<Status> zero(std::uint64_t offset, std::uint64_t bytes, ZeroOptions options) override;
  Task<Status> trim(std::uint64_t offset, std::uint64_t bytes) override;
  Task<Status> cache(std::uint64_t offset, std::uint64_t bytes) override;
  // What is dirty is known; the rest is reported as data.
  Task<Result<std::vector<AllocationExtent>>> allocation(std::uint64_t offset, std::uint64_t bytes,
                                                         std::size_t max_extents) override;

  // Brings everything answered before the call to the backing store and records a checkpoint.
  Task<Status> checkpoint();
  // Changes the size. What is cut off, or comes anew, is trimmed first, and reads as zeroes if it
  // is seen again (rule 17). The backing store must be as long as the longer of the two sizes
  // needs; the caller records the new size once this has succeeded.
  Task<Status> resize(std::uint64_t size_bytes);
  // Refuses all changes with EPERM, and says to unmount first (rule 10); or takes them again.
  void refuse_changes(bool refuse) { changes_refused_ = refuse; }

  // Holds the volume: when it returns without an error, no change is under way, no pass runs, and
  // all requests that come wait, until one of the two below. Pages of requests that wait are held;
  // nothing that other volumes wait for here needs any. Not while it is held, or being closed.
  Task<Status> begin_replacement();
  // From now on the volume has this size, and is as `source` says; the caller has made the record
  // of it durable, at LSN `at`. The backing store must be long enough. What was dirty is dropped.
  void finish_replacement(std::shared_ptr<HydrationSource> source, std::uint64_t size_bytes,
                          Lsn at);
  // Nothing has happened.
  void abandon_replacement();

  // Bytes copied per second for hydration, at most; 0: no limit.
  void set_hydration_rate(std::uint64_t bytes_per_second);
  // Why hydration does not go on for now; none while it does, and while there is none.
  const std::optional<Error>& hydration_problem() const { return hydrator_.problem(); }

  // Refuses what comes from now on (ESHUTDOWN), waits for what is under way, brings everything to
  // the backing store and makes the last checkpoint durable. Says why where that was not possible;
  // the volume is closed in any case. To be called once.
  Task<Status> close();

  VolumeId id() const { return options_.id; }
  const std::string& name() const { return options_.name; }
  // Why the volume answers EIO; none while it is well.
  const std::optional<Error>& fence_reason() const { return fence_; }
  VolumeStatistics statistics() const;

 private:
  // Counts what is under way.
  class Operation {
   public:
    explicit Operation(Volume& volume) : volume_(volume) { ++volume_.operations_; }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    ~Operation() {
      if (--volume_.operations_ == 0) volume_.idle_.notify_all();
    }

   private:
    Volume& volume_;
  };
  // Counts the changes that are past the gate: begin_replacement waits for their end.
  class Change {
   public:
    explicit Change(Volume& volume) : volume_(volume) { ++volume_.changes_; }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    ~Change() {
      if (--volume_.changes_ == 0 && volume_.held_) volume_.wake_.notify_all();
    }

   private:
    Volume& volume_;
  };
  // Holds room in the dirty budget until the change is linked.
  class Reservation {
   public:
    Reservation(Volume& volume, std::size_t nodes) : volume_(volume), nodes_(nodes) {
      volume_.reserved_ += nodes_;
    }
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    ~Reservation() {
      volume_.reserved_ -= nodes_;
      if (volume_.has_room()) volume_.room_.notify_all();
    }

   private:
    Volume& volume_;
    const std::size_t nodes_;
  };

  // Why a request cannot be taken now, if so.
  Status refusal() const;
  Status change_refusal() const;
  // EIO where a request, which may have waited, ends behind a nearer end.
  Status range_refusal(std::uint64_t offset, std::uint64_t bytes) const;
  // Waits while the volume is held for a replacement.
  Task<void> pass_gate();

  Task<Status> wait_for_room();
  bool has_room() const { return dirty_.size() + reserved_ < budget_nodes_; }
  Task<Status> admit(std::uint32_t blocks);
  // `cutting`: the range lies behind a nearer end that a resize has just set.
  Task<Status> write_blocks(std::uint64_t offset, std::uint32_t bytes, PageList pages,
                            bool cutting);
  // Zeroes in one block, for which `pages` has a page.
  Task<Status> write_zero_bytes(std::uint64_t offset, std::uint32_t bytes, PageList& pages,
                                bool cutting);
  Task<Status> zero_blocks(ZeroKind kind, std::uint64_t first, std::uint64_t count,
                           bool may_deallocate);
  Task<Status> fill_edges(std::uint64_t offset, std::uint32_t bytes, PageList& pages,
                          bool tail_is_end);
  Task<Status> read_block(std::uint64_t block, PageRef& page);
  Task<Status> read_missing(std::uint64_t first, PageList& pages);
  struct Span;
  std::uint64_t backing_blocks() const;
  void start_hydration(VolumeHydration hydration);
  void find_missing(std::uint64_t first, const PageList& pages,
                    boost::container::small_vector<Span, 4>& spans) const;
  // `nodes`: how many of the map hold what no boundary covers, more than before.
  void changed(Lsn lsn, std::size_t nodes);

  // Write-back, in volume_write_back.cc.
  Task<void> write_back_loop();
  Task<void> watch_shortage();
  enum class Work { kWriteBack, kHydration, kBoth };
  Task<Status> pass(Work work);
  Task<Status> hydrate();
  void want_pass();
  // What has changed so far is before it.
  void draw_boundary();
  void draw_boundary_ahead();
  Task<void> flush_ahead(Lsn upto);
  // Some change, or where hydration ended, is not covered by a checkpoint.
  bool behind() const {
    return !fence_.has_value() && (last_lsn_ != checkpoint_lsn_ || hydration_ended_unrecorded());
  }
  bool hydration_ended_unrecorded() const {
    return !hydrator_.active() && recorded_cursor_.has_value();
  }
  bool cursor_is_due() const;
  // Hydration begins, and the newest checkpoint or rollback has this cursor.
  void expect_cursor(std::uint64_t recorded);
  void fence(const Error& cause);

  const VolumeOptions options_;
  Scheduler& scheduler_;
  Sequencer& sequencer_;
  Recorder& recorder_;
  Disk& backing_;
  PagePool& write_pages_;
  PagePool& read_pages_;
  PagePool
      edge_pages_;  // old blocks under sub-block writes: never waits for clients to take replies
  const std::size_t budget_nodes_;
  const std::size_t boundary_distance_;  // nodes behind one that make the next one due

  std::uint64_t size_bytes_;
  DirtyMap dirty_;
  RangeLock locks_;
  std::size_t reserved_ = 0;  // nodes that admitted changes may still add
  Lsn last_lsn_;
  std::optional<Error> fence_;
  bool closing_ = false;
  bool changes_refused_ = false;
  bool held_ = false;           // for a replacement: the gate is shut
  std::uint64_t replaced_ = 0;  // times; a read that began before one begins anew
  std::size_t operations_ = 0;
  std::size_t changes_ = 0;
  Signal idle_;  // operations_ came to 0
  Signal room_;  // the map has shrunk, or will not any more
  Signal gate_;  // the volume is not held any more
  std::uint64_t answered_changes_ = 0;
  std::uint64_t answered_write_bytes_ = 0;

  Hydrator hydrator_;
  std::optional<std::uint64_t> recorded_cursor_;  // as the newest checkpoint or rollback has it
  Nanos cursor_due_;                              // for a checkpoint that says nothing else
  Nanos cursor_interval_;                         // until the one after it; doubles
  WriteBack write_back_;
  Nanos write_back_due_;  // of what is dirty
  Lsn replaced_lsn_;      // checkpoints of hydration alone follow one that covers this
  Lsn checkpoint_lsn_;
  Lsn checkpoint_record_;  // the LSN that the newest checkpoint record has itself
  bool pass_wanted_ = false;
  bool passing_ = false;
  bool stopping_ = false;
  // The newest: changes up to here are covered by one checkpoint or by several, but none covers a
  // part of what comes behind it before there is a newer boundary. A version before it that a pass
  // leaves out, since the block changed again, is never replayed. So the change that replaces it
  // must not be recorded as "the same as before", and does not get it as its previous content.
  Lsn boundary_;
  bool boundary_is_ahead_ = false;  // no pass has begun to write up to it
  std::size_t nodes_behind_boundary_ = 0;
  Lsn must_cover_;  // the next pass, at least
  std::uint64_t passes_begun_ = 0;
  std::uint64_t passes_ended_ = 0;
  Status last_pass_;
  Signal wake_;        // for the loop
  Signal pass_ended_;  // for who waits for a checkpoint
  Signal quiet_;       // for begin_replacement: no change and no pass
  TaskGroup background_;
};

}  // namespace cdp
