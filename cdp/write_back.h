// SPDX-License-Identifier: Apache-2.0
//
// WriteBack: brings what a DirtyMap holds up to an LSN to the backing store of the volume, and
// makes it durable there. The caller has made sure that all of it is durable in the journal
// (promise 1), and never runs two passes at once (rule 5).
//
// Order within a pass: zero extents are complete before block writes are issued, since a block may
// be newer than the extent under it; the sync is issued when all is complete. Reads go on beside a
// pass: what is in flight stays in the map, and leaves it when the backing store has it, unless it
// was changed meanwhile.
#pragma once

#include "cdp/base/result.h"
#include "cdp/dirty_map.h"
#include "cdp/hydrator.h"
#include "cdp/in_flight_limit.h"
#include "cdp/io/disk.h"
#include "cdp/io/signal.h"

namespace cdp {

class WriteBack {
 public:
  // All must outlive it. `freed` is notified when nodes have left the map. What has been written
  // is hydrated.
  WriteBack(Scheduler& scheduler, Disk& backing, DirtyMap& dirty, Hydrator& hydrator, Signal& freed)
      : scheduler_(scheduler),
        backing_(backing),
        dirty_(dirty),
        hydrator_(hydrator),
        freed_(freed),
        group_(scheduler),
        slot_(scheduler) {}

  // A client waits for the journal as long as this lives. Meanwhile few writes are in flight: the
  // journal's own would wait behind the others.
  class FlushWait {
   public:
    explicit FlushWait(WriteBack& write_back) : write_back_(write_back) {
      ++write_back_.flushes_waiting_;
    }
    FlushWait(const FlushWait&) = delete;
    FlushWait& operator=(const FlushWait&) = delete;
    ~FlushWait() { --write_back_.flushes_waiting_; }

   private:
    WriteBack& write_back_;
  };

  // One pass. After an error, what reached the backing store is not known. `must_sync`: others have
  // written something that the sync is to cover.
  Task<Status> run(Lsn upto, bool must_sync);

  std::uint64_t written_bytes() const { return written_bytes_; }

 private:
  Task<void> zero_extents(Lsn upto);
  Task<void> write_blocks(Lsn upto);
  Task<void> zero_one(DirtyMap::ZeroRun run, Lsn upto);
  Task<void> write_one(DirtyMap::BlockRun run);
#ifdef HINDSIGHT_PLANTED_BUGS
  Task<void> write_only(DirtyMap::BlockRun run);
#endif
  Task<void> wait_for_slot();
  void note(const Status& status);

  Scheduler& scheduler_;
  Disk& backing_;
  DirtyMap& dirty_;
  Hydrator& hydrator_;
  Signal& freed_;
  TaskGroup group_;
  Signal slot_;
  std::size_t flushes_waiting_ = 0;
  InFlightLimit limit_;  // of writes and zeroings, each up to kMaxPieceBytes or one extent long
  std::uint64_t issued_ = 0;  // in this pass
  Status outcome_;            // of this pass: the first failure
  std::uint64_t written_bytes_ = 0;
};

}  // namespace cdp
