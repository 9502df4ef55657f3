// SPDX-License-Identifier: Apache-2.0
//
// Hydrator: brings the content of a HydrationSource to the backing store of a volume, in bounded
// steps that the volume's write-back runs between its own writes, never beside them (rule 5).
//
// Hydrated are the blocks before the cursor, and a set of intervals ahead of it: what clients wrote
// and write-back has brought there, and zones around what clients read. The invariant is: a block
// that is hydrated, and not in the dirty map, is right in the backing store; one that is neither is
// as the source says. So a step passes over dirty blocks, and still calls them hydrated: they leave
// the map only when the backing store has them. Only the cursor is ever recorded; what is ahead of
// it may be forgotten in a crash, since the source of the next start is newer than all of it.
//
// A full disk or a source that cannot be read pauses hydration for a while; any other failure of
// the backing store is the volume's to handle. One scheduler's thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/block_set.h"
#include "cdp/dirty_map.h"
#include "cdp/hydration_source.h"
#include "cdp/io/disk.h"
#include "cdp/io/signal.h"

namespace cdp {

struct HydratorOptions {
  std::uint64_t zone_blocks = 4096;        // 16 MiB; completed together
  std::uint64_t step_bytes = 16ull << 20;  // copied in one step, at most
  std::size_t intervals_max = 65536;       // more ahead of the cursor: crowded zones come first
  Nanos retry_after = seconds(5);          // of a full disk, or a source that cannot be read
  std::uint64_t bytes_per_second = 0;      // copied; 0: no limit
  bool ignores_what_is_ahead = false;      // wrong: shows that the tests notice
};

class Hydrator {
 public:
  static constexpr std::size_t kMaxInFlight = 32;

  // All must outlive it.
  Hydrator(Scheduler& scheduler, Disk& backing, const DirtyMap& dirty, HydratorOptions options)
      : scheduler_(scheduler),
        backing_(backing),
        dirty_(dirty),
        options_(options),
        group_(scheduler),
        slot_(scheduler) {}

  // The blocks [first_block, end_block) are as `source` says. No step may be under way.
  void begin(std::shared_ptr<HydrationSource> source, std::uint64_t first_block,
             std::uint64_t end_block);
  // Null while nothing is to be hydrated.
  const std::shared_ptr<HydrationSource>& source() const { return source_; }
  bool active() const { return source_ != nullptr; }

  // Whether `block` is hydrated, and for how many blocks (at most `limit`) that holds.
  BlockSet::Stretch stretch_at(std::uint64_t block, std::uint64_t limit) const;
  bool hydrated(std::uint64_t block) const { return stretch_at(block, 1).in; }
  // Write-back has brought [first, end) to the backing store.
  void written(std::uint64_t first, std::uint64_t end);
  // A client had to read this from the source: its zone comes first.
  void touched(std::uint64_t block);

  // When the next step should run, in the scheduler's time.
  Nanos ready_at() const { return ready_at_; }
  // Copies some. An error means that what the backing store holds is not known any more; problems
  // that pass are kept in problem() instead.
  Task<Status> step();
  // More intervals than there should be, and something can be done about it.
  bool crowded() const;
  // Something was written that no sync has covered.
  bool needs_sync() const { return needs_sync_; }
  // A sync of all that was written has succeeded: moves the cursor on, and ends hydration where it
  // comes to the end.
  void synced();

  // What a checkpoint has to say: none once everything is hydrated.
  std::optional<std::uint64_t> cursor() const;
  std::uint64_t end_block() const { return end_; }
  std::uint64_t remaining_blocks() const;
  std::uint64_t hydrated_bytes() const { return hydrated_bytes_; }
  // Why it does not go on; none while it does.
  const std::optional<Error>& problem() const { return problem_; }
  void set_rate(std::uint64_t bytes_per_second);

 private:
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
  };
  struct Piece {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    bool zeroes = false;
    bool from_source = false;  // the failure is the source's
    bool skipped = false;      // since another one failed
    Status outcome;
  };
  struct Plan {
    std::uint64_t from = 0;
    HydrationSource::Differing differing;  // of [from, differing.next)
  };

  std::uint64_t budget_blocks() const;
  Range next_range();
  Task<Result<std::uint64_t>> plan_pieces(Range range, std::vector<Piece>& pieces);
  // Adds what is to be copied of [from, to); false when the step is full, at `from`.
  bool add_pieces(std::uint64_t& from, std::uint64_t to, bool zeroes, std::vector<Piece>& pieces);
  Task<void> copy(std::shared_ptr<HydrationSource> source, Piece& piece);
  void pause(const Error& why);

  Scheduler& scheduler_;
  Disk& backing_;
  const DirtyMap& dirty_;
  HydratorOptions options_;

  std::shared_ptr<HydrationSource> source_;
  std::uint64_t cursor_ = 0;
  std::uint64_t end_ = 0;
  BlockSet ahead_;                    // of what lies between cursor and end
  std::deque<std::uint64_t> wanted_;  // zones that clients read
  Plan plan_;                         // what the source said last
  std::uint64_t copied_blocks_ = 0;   // chosen in this step
  bool needs_sync_ = false;
  Nanos ready_at_;
  std::optional<Error> problem_;
  std::uint64_t hydrated_bytes_ = 0;
  bool failed_ = false;  // in this step: nothing more is issued
  TaskGroup group_;
  Signal slot_;
};

}  // namespace cdp
