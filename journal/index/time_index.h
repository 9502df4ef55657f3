// SPDX-License-Identifier: Apache-2.0
//
// TimeIndex: where every block of every volume was at every LSN. It is derived from the journal and
// nothing depends on its being there: without it the journal's metadata is read once more.
// README.md says how a run is made; this class decides which runs exist.
//
// It learns a frame when the journal has made it durable (FrameListener). Entries gather in memory;
// when there are enough, or somebody asks for a point among them, they become a run, in memory at
// first. Behind that, runs are stored, and merged in tiers, adjacent ones only (rule 9). When the
// index cannot keep up, it forgets what it was given and reads it from the segments later: it never
// holds up the journal. While its disk fails, or is full, the newest runs stay in memory, as many
// as kUnstoredRunsMax allows; then questions about what came after them fail with the disk's error.
// A run of which a page turns out to be bad is made anew from the segments; questions that need it
// wait for that, and fail where the segments do not have its history any more.
//
// Invariants: runs are LSN-disjoint, adjacent, and begin at the beginning of history; what is
// gathered continues them, unless the index is behind. Those that are stored come before those that
// are not, but for what was made anew; the manifest names stored ones alone, and is not replaced
// while one that is not stored lies before one that is. A snapshot keeps the runs that it consists
// of, whatever is merged meanwhile.
//
// One scheduler's thread. What is passed to `open` by reference must outlive it; close() must have
// returned before it is destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/signal.h"
#include "journal/frame_listener.h"
#include "journal/index/collector.h"
#include "journal/index/manifest.h"
#include "journal/index/page_cache.h"
#include "journal/index/pulse_cache.h"
#include "journal/index/run.h"
#include "journal/index/run_writer.h"
#include "journal/index/snapshot.h"

namespace journal::index {

inline constexpr char kIndexDirectoryName[] = "index";

struct TimeIndexOptions {
  std::size_t run_entries = 64u << 10;  // gathered entries that become a run
  std::size_t fan_out = 8;              // runs of one tier that are merged into one of the next
  std::size_t cache_bytes = PageCache::kDefaultBytes;
  std::size_t pulse_cache_bytes = PulseCache::kDefaultBytes;
  // Told now and then how far reading history has come, where it must be read.
  std::function<void(Lsn)> progress{};
  // Told, in a sentence, what became of a run that was damaged.
  std::function<void(const std::string&)> report{};
};

struct TimeIndexStatistics {
  Lsn upto{};  // that the runs cover
  std::size_t runs = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;    // of the runs' files
  std::uint64_t merges = 0;   // since it was opened
  std::uint64_t repairs = 0;  // since it was opened: damaged runs that were made anew
  // Why it does not follow the journal, or cannot answer everything, if so.
  std::optional<Error> problem{};
};

class TimeIndex final : public FrameListener, private RunKeeper {
 public:
  // Reading history makes runs of so many times run_entries at once: they would be merged anyway.
  static constexpr std::size_t kRunsAtOnce = 16;
  // Of runs that the disk does not take, so many stay in memory and no history is read for more;
  // questions about what came since make smaller ones, until all have the entries of so many.
  static constexpr std::size_t kUnstoredRunsMax = 64;

  // A daemon's index, which is saved in `directory`. What lies there and does not belong to the
  // journal, or is damaged, is removed and made anew.
  static Task<Result<std::unique_ptr<TimeIndex>>> open(cdp::Scheduler& scheduler,
                                                       cdp::Directory& directory,
                                                       cdp::Directory& segments, Vault vault,
                                                       TimeIndexOptions options);
  // A reader's, beside a daemon or without one: takes what `saved` (which may be null) has of use,
  // changes nothing there, and makes what is missing in `scratch`.
  static Task<Result<std::unique_ptr<TimeIndex>>> open_beside(cdp::Scheduler& scheduler,
                                                              cdp::Directory* saved,
                                                              cdp::Directory& scratch,
                                                              cdp::Directory& segments, Vault vault,
                                                              TimeIndexOptions options);
  ~TimeIndex() override;

  // Learns what it does not know of history up to `head`, which is durable; where that is beyond
  // the end of the segments, up to their end. From then on the frames that it is told continue it.
  Task<Status> catch_up(Lsn head);

  void on_durable_frame(const FrameHeader& frame, const Digest& digest,
                        std::span<const std::byte> metadata) override;

  // A snapshot that covers `lsn`, which is durable, and maybe more. ERANGE where it cannot.
  Task<Result<std::shared_ptr<const Snapshot>>> snapshot(Lsn lsn);
  // One that decides what `time` means, of everything that is known to be durable.
  Task<Result<std::shared_ptr<const Snapshot>>> snapshot_for(Nanos time);
  // Shows the pulses of the step that were recorded at a time in [from, until] or are of another
  // time than their frame's, and others of the step in their frames, in the order of their LSNs.
  // What cannot be read is passed over where that is known. It goes by all that is learnt, and
  // makes no run for it.
  Task<Status> visit_pulses(PulseRecord::Step step, Nanos from, Nanos until,
                            RecordVisitor& visitor);

  struct Audits {
    std::vector<AuditRecord> records{};  // newest first
    // There are older ones: those before this.
    std::optional<Lsn> before{};
    // What could not be read of what this is about: audits may be missing there.
    std::vector<Damage> lost{};
  };
  // The newest audits before the LSN, so many at most. As visit_pulses.
  Task<Result<Audits>> audits_before(Lsn before, std::size_t limit);

  // The blocks that the changes touch, in order and joined, by the frames that have the changes.
  // Nothing where a scan of a snapshot costs less, or a frame cannot be read: it costs what the
  // changes are, and a scan costs what all is that ever changed.
  Task<Result<std::optional<std::vector<BlockRange>>>> touched_by_few(Visibility changes);

  struct BlockBefore {
    VolumeId volume{};
    std::uint64_t block = 0;
    Lsn lsn{};
  };
  // Of each block, whether the volume's newest change of it before the LSN left data there. It goes
  // by what is known by now, makes no run for it, and takes no notice of rollbacks: for estimates.
  Task<Result<std::vector<bool>>> held_data(std::vector<BlockBefore> blocks);

  // The end of what was learnt.
  Lsn learnt() const { return learnt_; }

  // Saves what is gathered and ends what it does by itself. Nobody may be waiting for an answer of
  // the index or of a snapshot of it, and nobody may ask any more (CHECKed): whoever serves views
  // ends them first. Fails where it could not be saved; the next start then reads it again.
  Task<Status> close();

  TimeIndexStatistics statistics() const;
  const Vault& vault() const { return vault_; }
  cdp::Directory& segments() const { return segments_; }

 private:
  TimeIndex(cdp::Scheduler& scheduler, cdp::Directory& directory, bool is_saved,
            cdp::Directory& segments, Vault vault, TimeIndexOptions options);

  // As long as somebody waits for an answer.
  class Question {
   public:
    explicit Question(TimeIndex& index) : index_(index) {
      CHECK(!index.closing_);
      ++index.questions_;
    }
    ~Question() { --index_.questions_; }
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;

   private:
    TimeIndex& index_;
  };

  struct Range {
    std::size_t first = 0;
    std::size_t count = 0;
    std::size_t end() const { return first + count; }
  };

  struct KnownRun {
    std::shared_ptr<const Run> run;
    FrameMark mark;                           // the newest frame in it
    std::shared_ptr<const RunImage> image{};  // of one that is not stored
    bool replaces_stored = false;             // it was made anew in place of one that was
    // Of a damaged one:
    std::uint64_t repairs_failed = 0;
    std::optional<Error> repair_failure{};  // the last time
    bool is_repair_wanted = false;          // a question waits for it
    bool is_stored() const { return image == nullptr; }
  };

  // All that is learnt is in runs_ or gathered_, when this returns.
  Task<Status> settle();

  Task<Status> load(cdp::Directory& from);
  Task<Status> check_journal_has(FrameMark mark);
  Task<void> remove_strays();
  Lsn runs_upto() const { return runs_.empty() ? Lsn{} : runs_.back().run->covers().upto; }
  FrameMark runs_mark() const { return runs_.empty() ? FrameMark{} : runs_.back().mark; }
  // Those before the first one that is not stored.
  std::size_t stored_runs() const;
  std::size_t unstored_runs() const;
  bool is_memory_full() const;
  std::vector<RunPtr> all_runs() const;
  // In place of `range`.
  void replace(Range range, std::vector<KnownRun> by);

  // Of what is gathered: it is read from the segments later.
  void let_go();
  Task<Status> learn_from_segments();
  // A run in memory.
  Task<KnownRun> build(LsnInterval covers, Collector from, FrameMark mark);
  Task<void> make_run();
  Task<void> maintain();
  bool wants_run() const;
  // The first runs that are not stored yet, up to one that is: they are stored as one.
  Range next_store() const;
  bool wants_store() const;
  Task<Status> store();
  Task<Status> save();

  std::optional<Range> next_merge() const;
  unsigned tier_of(const Run& run) const;
  Task<Status> merge(Range range);
  Task<Result<RunPtr>> store_merged(std::vector<RunPtr> inputs);
  // A run whose file is written, or not, as `written` says: then the file is removed.
  Task<Result<RunPtr>> open_written(std::uint32_t number, Status written);

  RunPtr next_repair() const;  // null: none
  std::optional<Error> lasting_damage() const;
  Task<Status> repair(RunPtr damaged);
  Task<Status> make_anew(RunPtr damaged, FrameMark mark, std::vector<KnownRun>& made);
  Task<Status> store_made(std::vector<KnownRun>& made, std::size_t first);
  std::size_t place_of(const Run& run) const;
  Task<Result<std::vector<RunPtr>>> replace_damaged(RunList runs) override;
  void report(const std::string& sentence) const {
    if (options_.report) options_.report(sentence);
  }

  cdp::Scheduler& scheduler_;
  cdp::Directory& directory_;
  const bool is_saved_;
  cdp::Directory& segments_;
  const Vault vault_;
  const TimeIndexOptions options_;
  PageCache cache_;
  PulseCache pulses_;

  std::vector<KnownRun> runs_;  // oldest first
  std::uint32_t next_number_ = 1;
  std::vector<std::uint32_t> merged_away_;  // removed once the manifest does not name them
  bool is_unsaved_ = false;                 // the stored runs are not what the manifest says

  Collector gathered_;  // continues runs_ and what is becoming one
  FrameMark gathered_mark_;
  Lsn learnt_;                   // runs and gathered: everything up to here
  Lsn head_;                     // the newest durable frame that is known of
  bool behind_ = true;           // frames after learnt_ were passed over
  bool wants_to_learn_ = false;  // somebody waits in catch_up
  std::uint64_t learn_attempts_ = 0;
  Status last_attempt_;
  std::size_t questions_ = 0;
  bool making_run_ = false;
  bool closing_ = false;
  std::uint64_t merges_ = 0;
  std::uint64_t repairs_ = 0;
  std::optional<Error> problem_;
  cdp::Signal wake_;     // for maintain
  cdp::Signal changed_;  // runs_, learn_attempts_ or making_run_ changed, or a repair failed
  cdp::TaskGroup tasks_;
};

}  // namespace journal::index
