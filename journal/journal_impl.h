// SPDX-License-Identifier: Apache-2.0
//
// The journal's working parts (journal.h is its contract). A change travels: admit -> record_* into
// the open frame -> the pump takes the frame (full, flushed, or old enough), builds it, chooses its
// place, rolling to the next segment where it does not fit -> append -> durable, waiters resumed.
//
// Three positions move through the segments, and never cross:
//   recorded  state_, recorded_           what was handed over (journal_records.cc)
//   planned   plan_                       where the next frame goes (journal_pump.cc)
//   durable   tail_, durable_state_, durable_   what a reader finds after a power cut
// While one frame is being appended, the next may be built. When an append fails, everything
// between durable and planned is built and sent again, into a fresh segment (rule 13).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/block_reader.h"
#include "journal/dedup_table.h"
#include "journal/frame_builder.h"
#include "journal/journal.h"
#include "journal/recovery.h"
#include "journal/segment_files.h"
#include "journal/sparse_index.h"
#include "journal/zero_ahead.h"

namespace journal {

// The most bytes that a frame takes.
std::uint64_t frame_bytes_max(const JournalOptions& options);

class JournalImpl final : public Journal {
 public:
  JournalImpl(cdp::Scheduler& scheduler, const cdp::Clock& clock, cdp::Sequencer& sequencer,
              cdp::Directory& segments, cdp::Directory* state_directory, Vault vault,
              JournalOptions options, cdp::Directory* index_directory);
  ~JournalImpl() override;

  Task<Status> start();
  // After a failed start: ends what had begun.
  Task<void> abandon();

  Task<Status> admit(std::uint32_t blocks) override;
  void cancel_admission(std::uint32_t blocks) override;
  void record_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                    const cdp::PageList& pages, const cdp::PageList& previous) override;
  void record_zero(VolumeId volume, Stamp stamp, ZeroKind kind, std::uint64_t first_block,
                   std::uint64_t count) override;
  void record_checkpoint(VolumeId volume, Stamp stamp, Lsn covered,
                         std::optional<std::uint64_t> hydrated_upto) override;
  Task<Status> flush(Lsn lsn) override;
  Lsn durable_lsn() const override { return durable_; }
  cdp::Signal& progress() override { return progress_; }

  const JournalState& state() const override { return state_; }
  const JournalStatistics& statistics() const override { return statistics_; }
  JournalHealth health() const override;
  const JournalState& durable_state() const override { return durable_state_; }
  void set_listener(FrameListener* listener) override { listener_ = listener; }
  const Vault& vault() const override { return vault_; }
  Result<VolumeId> record_volume_created(Stamp stamp, Uuid uuid, std::string name,
                                         std::uint64_t size_bytes, std::string backing) override;
  Result<VolumeId> record_volume_created_from(Stamp stamp, Uuid uuid, std::string name,
                                              std::uint64_t size_bytes, std::string backing,
                                              VolumeId origin, Lsn point) override;
  Status record_rollback(Stamp stamp, Lsn point, std::vector<RollbackRecord::Volume> volumes,
                         std::string author, bool refuse_writers) override;
  Status record_volume_resumed(VolumeId volume, Stamp stamp) override;
  Status record_gap(VolumeId volume, Stamp stamp, std::string cause) override;
  Status record_gap_over(VolumeId volume, Stamp stamp) override;
  Status record_volume_resized(VolumeId volume, Stamp stamp, std::uint64_t size_bytes) override;
  Status record_volume_renamed(VolumeId volume, Stamp stamp, std::string name) override;
  Status record_volume_removed(VolumeId volume, Stamp stamp) override;
  Status record_mark(VolumeId volume, Stamp stamp, std::string label, std::string author) override;
  Status record_user(UserRecord record) override;
  Status record_token(TokenRecord record) override;
  Status record_audit(AuditRecord record) override;
  std::vector<VolumeActivity> take_activity(std::int64_t before) override;
  bool has_activity() const override { return !activity_.empty(); }
  Lsn opened_after() const override { return opened_after_; }
  Status record_pulse(PulseRecord record) override;
  Task<Status> close() override;

 private:
  struct Position {
    std::shared_ptr<Segment> segment;
    FramePlace next;                      // where the next frame goes, and what it continues
    Stamp newest{};                       // the newest change before it
    std::uint64_t frames = 0;             // in the segment so far
    std::uint64_t data_bytes = 0;         // in it, of runs
    PreviousEnd end = PreviousEnd::kCut;  // how the segment ends if it ends here
  };
  // Going over to the next segment, before a frame is appended.
  struct Roll {
    BuiltFrame footer;
    SegmentOpening opening;
    Position after;
  };
  struct Job {
    OpenFrame frame;
    std::shared_ptr<BuiltFrame> built;
    std::unique_ptr<Roll> roll;
    std::shared_ptr<Segment> segment;
  };

  // journal_records.cc
  bool memory_for(std::uint32_t blocks) const;
  bool space_for(std::uint64_t bytes) const;
  bool started_short() const;
  // `state_bytes`: what the record adds to the state at most. 0: one that adds nothing is not
  // refused for what the state holds already.
  Status check_control(std::uint64_t state_bytes = kControlRecordBound) const;
  Status check_new_volume(const Uuid& uuid, const std::string& name,
                          const std::string& backing) const;
  Error no_space_error() const;
  // Whether `bytes` leave the space that is kept for gaps and for the next start.
  bool leaves_reserve(std::uint64_t bytes) const;
  void add(Op op, std::uint32_t blocks, std::uint64_t record_bytes, std::uint64_t bound);
  template <typename Record>
  void add_control(const Record& record);
  void add_clock(ClockRecord::Reason reason, Nanos step);
  void check_clock();

  // journal_pump.cc
  Task<void> pump();
  bool must_close_open_frame() const;
  Task<void> wait_for_work();
  void check_clock_when_active();
  OpenFrame take_frame();
  bool busy_behind(const OpenFrame& frame) const;
  void adapt_effort(const OpenFrame& frame, bool disk_is_behind);
  FrameEffort effort_for(const OpenFrame& frame);
  Task<Status> prepare(Job& job);
  Task<Status> plan(Job& job);
  Task<Status> wait_for_next_segment();
  SegmentHeader header_after(const Position& end, std::uint32_t epoch, Lsn base) const;
  BuiltFrame build_footer(const Position& at, FooterRecord::Reason reason) const;
  void advance(Position& position, const FrameHeader& header, const Digest& digest) const;
  Task<void> append_in_flight();
  Task<Status> append(Job& job);
  Task<Status> write(const Segment& segment, const BuiltFrame& frame);
  void count_opening(const SegmentOpening& opening);
  void became_durable(Job& job);
  Task<Status> resend(std::vector<OpenFrame> frames);
  void fence(Error cause);
  Task<void> housekeeping();
  Task<void> remember();
  Task<Status> write_footer();

  cdp::Scheduler& scheduler_;
  const cdp::Clock& clock_;
  cdp::Sequencer& sequencer_;
  cdp::Directory& segments_;
  cdp::Directory* const state_directory_;
  const Vault vault_;
  const JournalOptions options_;
  const std::uint64_t frame_bytes_max_;

  // Recorded.
  JournalState state_;
  std::uint64_t opening_bound_ = 0;  // of state_
  Lsn recorded_;
  OpenFrame open_;
  std::deque<OpenFrame> full_;
  std::uint32_t admitted_blocks_ = 0;
  std::uint64_t admitted_bytes_ = 0;
  std::uint32_t queued_blocks_ = 0;  // recorded, not durable
  std::uint64_t queued_ops_ = 0;
  std::uint64_t queued_bytes_ = 0;  // bounds of what is recorded and has no place yet
  std::uint64_t admit_tail_ = 0;    // callers of admit are served in turn
  std::uint64_t admit_head_ = 0;
  Nanos clock_offset_;    // realtime - boottime, when last looked at
  Nanos next_heartbeat_;  // scheduler's time

  // Planned.
  DedupTable table_;
  BlockReader reader_;
  SparseIndex old_blocks_;
  FrameBuilder builder_;
  SegmentFiles files_;
  ZeroAhead zero_ahead_;
  Position plan_;
  std::vector<AlignedBuffer> buffers_;
  std::size_t effort_step_ = 0;
  std::size_t dedup_memory_bytes_ = 0;  // of the two, when no frame was in work

  // Durable.
  Position tail_;
  JournalState durable_state_;
  Lsn durable_;
  Lsn flush_wanted_;
  ActivityMeter activity_;
  Lsn opened_after_;
  FrameListener* listener_ = nullptr;
  std::optional<Job> in_flight_;
  bool appending_ = false;
  std::optional<Error> append_error_;
  std::optional<Error> last_resend_;
  std::optional<Error> fenced_;
  Stamp remembered_{};
  Nanos remembered_at_;

  bool started_ = false;
  bool closing_ = false;
  bool pumping_ = false;
  JournalStatistics statistics_;
  cdp::Signal work_;      // for the pump
  cdp::Signal room_;      // for admit
  cdp::Signal progress_;  // for everybody
  cdp::Signal keeper_;    // for housekeeping
  cdp::TaskGroup tasks_;
};

}  // namespace journal
