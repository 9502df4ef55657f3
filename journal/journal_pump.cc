// SPDX-License-Identifier: Apache-2.0
//
// The journal's engine: frames are taken, built, placed, appended and made durable, one after the
// other; and what happens when that fails.
#include <algorithm>

#include "cdp/base/planted_bug.h"
#include "journal/durable_note.h"
#include "journal/journal_impl.h"

namespace journal {
namespace {

constexpr std::size_t kBuffersKept = 3;

// How hard a frame is compressed, from most to least. Measured on database pages, level 1 gives
// 2.9x at 320 MB/s, -1 2.5x at 390, -5 2.1x at 490; the last step stores raw.
constexpr std::optional<int> kLevels[] = {1, -1, -5, std::nullopt};
// With less than this part of the queue waiting behind a frame, there is time for the most.
constexpr unsigned kBusyPercent = 12;
// In a large frame that a flush waits for, there may be a read for so many blocks.
constexpr std::uint32_t kBlocksPerFlushRead = 16;

}  // namespace

// ---------------------------------------------------------------- the pump

Task<void> JournalImpl::pump() {
  for (;;) {
    co_await wait_for_work();
    if (fenced_.has_value()) break;
    if (append_error_.has_value()) {
      std::vector<OpenFrame> unanswered;
      unanswered.push_back(std::move(in_flight_->frame));
      Status sent = co_await resend(std::move(unanswered));
      if (!sent.ok()) fence(sent.error());
      continue;
    }
    if (full_.empty() && open_.empty()) break;  // closing, and all is durable
    Job job;
    job.frame = take_frame();
    Status prepared = co_await prepare(job);
    adapt_effort(job.frame, appending_);
    while (appending_) co_await work_.wait();  // one frame in flight (rule 1)
    if (append_error_.has_value()) {
      std::vector<OpenFrame> unanswered;
      unanswered.push_back(std::move(in_flight_->frame));
      unanswered.push_back(std::move(job.frame));
      prepared = co_await resend(std::move(unanswered));
      if (!prepared.ok()) fence(prepared.error());
      continue;
    }
    if (!prepared.ok()) {
      fence(prepared.error());
      continue;
    }
    in_flight_ = std::move(job);
    appending_ = true;
    zero_ahead_.set_idle(false);
    tasks_.spawn(append_in_flight());
  }
  while (appending_) co_await work_.wait();
  pumping_ = false;
  work_.notify_all();
}

// Whether the open frame is to go as it is. Not before the one in front of it is durable: what
// comes meanwhile travels with it, which is all the group commit there is.
bool JournalImpl::must_close_open_frame() const {
  if (appending_ || open_.empty()) return false;
  return closing_ || open_.blocks >= options_.frame_blocks || flush_wanted_ >= open_.first_lsn() ||
         scheduler_.now() >= open_.opened + options_.commit_interval;
}

Task<void> JournalImpl::wait_for_work() {
  for (;;) {
    if (fenced_.has_value() || append_error_.has_value() || !full_.empty()) co_return;
    check_clock_when_active();
    if (must_close_open_frame()) {
      // Everything that this turn brings still comes along.
      co_await cdp::turn_end(scheduler_);
      co_return;
    }
    if (closing_ && open_.empty() && !appending_) co_return;
    if (appending_ || open_.empty()) {
      co_await work_.wait();
    } else {
      co_await work_.wait_until(open_.opened + options_.commit_interval);
    }
  }
}

void JournalImpl::check_clock_when_active() {
  if (!open_.empty() && !closing_) check_clock();
}

OpenFrame JournalImpl::take_frame() {
  OpenFrame frame;
  if (!full_.empty()) {
    frame = std::move(full_.front());
    full_.pop_front();
  } else {
    frame = std::move(open_);
    open_ = {};
  }
  return frame;
}

bool JournalImpl::busy_behind(const OpenFrame& frame) const {
  const std::uint64_t waiting = queued_blocks_ - std::min(queued_blocks_, frame.blocks);
  return waiting * 100 > std::uint64_t{options_.queue_blocks} * kBusyPercent;
}

// While changes queue up, either the disk or the compression holds them back: a frame that was
// ready before the one in front of it was durable can be compressed harder, and one for which the
// disk had to wait less.
void JournalImpl::adapt_effort(const OpenFrame& frame, bool disk_is_behind) {
  if (!busy_behind(frame)) return;
  if (disk_is_behind && effort_step_ > 0) --effort_step_;
  if (!disk_is_behind && effort_step_ + 1 < std::size(kLevels)) ++effort_step_;
}

FrameEffort JournalImpl::effort_for(const OpenFrame& frame) {
  FrameEffort effort;
  const bool urgent = flush_wanted_ >= frame.first_lsn();
  effort.dedup_reads = options_.dedup_reads;
  // A flush waits no longer for the reads, which go side by side, than for what the frame stores.
  if (urgent)
    effort.dedup_reads =
        std::min(options_.dedup_reads,
                 std::max(options_.dedup_reads_flush, frame.blocks / kBlocksPerFlushRead));
  if (options_.compression_level.has_value()) {
    effort.level = options_.compression_level;
    return effort;
  }
  if (!busy_behind(frame)) effort_step_ = 0;
  effort.level = kLevels[effort_step_];
  return effort;
}

Task<Status> JournalImpl::prepare(Job& job) {
  AlignedBuffer buffer;
  if (!buffers_.empty()) {
    buffer = std::move(buffers_.back());
    buffers_.pop_back();
  }
  std::shared_ptr<const BuiltFrame> in_flight;
  if (in_flight_.has_value()) in_flight = in_flight_->built;
  BuiltFrame built = co_await builder_.build(job.frame, effort_for(job.frame), std::move(buffer),
                                             std::move(in_flight));
  // The buffer comes back when the last who looks at it is done: its memory is warm.
  job.built = std::shared_ptr<BuiltFrame>(new BuiltFrame(std::move(built)), [this](BuiltFrame* of) {
    if (buffers_.size() < kBuffersKept) buffers_.push_back(std::move(of->buffer));
    delete of;
  });
  Status planned = co_await plan(job);
  if (!planned.ok()) co_return planned;
  const FramePlace place = plan_.next;
  queued_bytes_ -= job.frame.bytes_bound;
  // The place is taken before the body is hashed: admission looks at it meanwhile.
  plan_.next.offset += job.built->header.total_bytes;
  co_await builder_.finish(*job.built, place);
  dedup_memory_bytes_ = table_.memory_bytes() + old_blocks_.memory_bytes();
  advance(plan_, job.built->header, job.built->digest);
  if (plan_.next.offset > plan_.segment->capacity / 2) files_.want_next();
  co_return Status();
}

// Rolls over to the next segment where the frame, and a footer behind it, do not fit.
Task<Status> JournalImpl::plan(Job& job) {
  const std::uint64_t end = plan_.next.offset + job.built->header.total_bytes + kAppendUnit;
  job.segment = plan_.segment;
  if (end <= plan_.segment->capacity) co_return Status();
  Status ready = co_await wait_for_next_segment();
  if (!ready.ok()) co_return ready;

  auto roll = std::make_unique<Roll>();
  roll->footer = build_footer(plan_, FooterRecord::Reason::kRolled);
  Position ended = plan_;
  advance(ended, roll->footer.header, roll->footer.digest);
  ended.end = PreviousEnd::kSealed;
  // The state at the end of this segment: what is durable, and what is on its way before us.
  JournalState state = durable_state_;
  if (in_flight_.has_value()) apply_ops(state, in_flight_->frame);
  roll->opening = build_opening(header_after(ended, plan_.next.epoch, state.lsn), state, vault_);
  auto segment = std::make_shared<Segment>();
  PreparedFile file = files_.take_next();
  segment->disk = std::move(file.disk);
  segment->prepared_name = std::move(file.name);
  segment->number = plan_.next.segment + 1;
  segment->capacity = options_.segment_bytes;
  roll->after = {.segment = segment, .next = roll->opening.next, .newest = plan_.newest};
  plan_ = roll->after;
  job.segment = segment;
  job.roll = std::move(roll);
  co_return Status();
}

// Admission has seen to it that there is one, or will be.
Task<Status> JournalImpl::wait_for_next_segment() {
  while (!files_.ready()) {
    files_.want_next();
    if (files_.preparing()) {
      co_await files_.changed().wait();
    } else {
      co_await cdp::sleep_for(scheduler_, options_.space_retry_interval);
    }
    if (closing_ && files_.failure().has_value() && !files_.preparing())
      co_return *files_.failure();
  }
  co_return Status();
}

SegmentHeader JournalImpl::header_after(const Position& end, std::uint32_t epoch, Lsn base) const {
  return {.segment = end.next.segment + 1,
          .epoch = epoch,
          .first_sequence = end.next.sequence,
          .base_lsn = base,
          .created = clock_.realtime(),
          .previous_end = end.end,
          .previous_length = end.next.offset,
          .previous_digest = end.next.previous_digest,
          .capacity_bytes = options_.segment_bytes};
}

BuiltFrame JournalImpl::build_footer(const Position& at, FooterRecord::Reason reason) const {
  RecordEncoder records;
  records.add(FooterRecord{
      .stamp = at.newest, .reason = reason, .frame_count = at.frames, .data_bytes = at.data_bytes});
  return frame_of_records(FrameKind::kFooter, records, at.newest, at.next, vault_);
}

void JournalImpl::advance(Position& position, const FrameHeader& header,
                          const Digest& digest) const {
  position.next.offset = std::uint64_t{header.offset} + header.total_bytes;
  position.next.sequence = header.sequence + 1;
  position.next.previous_digest = digest;
  position.newest = {.lsn = header.last_lsn, .time = header.max_time};
  position.frames += 1;
  position.data_bytes += header.data_bytes;
}

// ---------------------------------------------------------------- appending

Task<void> JournalImpl::append_in_flight() {
  Status appended = co_await append(*in_flight_);
  if (appended.ok()) {
    became_durable(*in_flight_);
    in_flight_.reset();
  } else {
    append_error_ = appended.error();
  }
  appending_ = false;
  zero_ahead_.set_idle(full_.empty());
  work_.notify_all();
}

Task<Status> JournalImpl::append(Job& job) {
  if (job.roll != nullptr) {
    Roll& roll = *job.roll;
    const std::shared_ptr<Segment> old = tail_.segment;
    Status ended = co_await write(*old, roll.footer);
    if (!ended.ok()) co_return ended;
    advance(tail_, roll.footer.header, roll.footer.digest);
    tail_.end = PreviousEnd::kSealed;
    const std::uint64_t length = tail_.next.offset;
    co_await files_.sealed();  // at most two segments are not sealed, and recovery knows both
    Status born = co_await files_.give_birth(*roll.after.segment, roll.opening);
    if (!born.ok()) co_return born;
    count_opening(roll.opening);
    tail_ = roll.after;
    co_await zero_ahead_.follow(roll.after.segment->disk, roll.after.next.offset);
    files_.seal(old->number, length);
  }
  co_return co_await write(*job.segment, *job.built);
}

void JournalImpl::count_opening(const SegmentOpening& opening) {
  ++statistics_.segments;
  ++statistics_.syncs;
  statistics_.journal_bytes += opening.bytes;
}

Task<Status> JournalImpl::write(const Segment& segment, const BuiltFrame& frame) {
  const std::uint64_t end = std::uint64_t{frame.header.offset} + frame.header.total_bytes;
  CHECK(segment.number == frame.header.segment && end <= segment.capacity);
  CHECK(tail_.segment.get() == &segment && tail_.next.offset == frame.header.offset &&
        tail_.next.sequence == frame.header.sequence);
  co_await zero_ahead_.keep_clear(end);
  Status written;
  if (cdp::planted(cdp::PlantedBug::kJournalSyncIsSkipped)) {
    written = co_await segment.disk->write(frame.header.offset, frame.bytes());
  } else {
    written = co_await segment.disk->write_durably(frame.header.offset, frame.bytes());
  }
  zero_ahead_.advance(end);
  ++statistics_.syncs;
  statistics_.journal_bytes += frame.header.total_bytes;
  co_return written;
}

void JournalImpl::became_durable(Job& job) {
  const BuiltFrame& built = *job.built;
  advance(tail_, built.header, built.digest);
  apply_ops(durable_state_, job.frame);
  durable_ = built.header.last_lsn;
  old_blocks_.learn(built.header, built.fingerprints);
  if (listener_ != nullptr) {
    const std::uint64_t metadata_bytes = built.header.metadata_end() - kFrameHeaderBytes;
    listener_->on_durable_frame(built.header, built.digest,
                                built.bytes().subspan(kFrameHeaderBytes, metadata_bytes));
  }
  if (options_.meters_activity) activity_.add(job.frame, built);
  ++statistics_.frames;
  statistics_.stored_bytes += built.header.data_bytes;
  statistics_.unique_bytes += built.counts.stored * cdp::kBlockBytes;
  statistics_.zero_blocks += built.counts.zero;
  statistics_.same_blocks += built.counts.same;
  statistics_.duplicate_blocks += built.counts.duplicate;
  statistics_.dedup_reads += built.counts.reads;
  statistics_.dedup_mismatches += built.counts.mismatches;
  queued_blocks_ -= job.frame.blocks;
  queued_ops_ -= job.frame.ops.size();
  job.frame.ops.clear();  // the pages go back
  room_.notify_all();
  progress_.notify_all();
  keeper_.notify_all();
}

// Rule 13: the segment is cut behind the last durable frame, and everything unanswered goes to a
// fresh one. Places that were given out behind the cut are void, so nothing may refer to them.
Task<Status> JournalImpl::resend(std::vector<OpenFrame> frames) {
  last_resend_ = append_error_;
  append_error_.reset();
  in_flight_.reset();
  ++statistics_.resends;
  table_.clear();
  reader_.clear();
  Result<PreparedFile> file = co_await files_.make_fresh(false);
  if (!file.ok()) co_return file.error();

  const std::shared_ptr<Segment> old = tail_.segment;
  const SegmentHeader header = header_after(tail_, tail_.next.epoch + 1, durable_state_.lsn);
  const SegmentOpening opening = build_opening(header, durable_state_, vault_);
  auto segment = std::make_shared<Segment>();
  segment->disk = std::move(file->disk);
  segment->prepared_name = std::move(file->name);
  segment->number = header.segment;
  segment->capacity = options_.segment_bytes;
  Status born = co_await files_.give_birth(*segment, opening);
  if (!born.ok()) co_return born;
  count_opening(opening);
  tail_ = {.segment = segment, .next = opening.next, .newest = tail_.newest};
  plan_ = tail_;
  co_await zero_ahead_.follow(segment->disk, opening.bytes);

  for (OpenFrame& frame : frames) {
    if (frame.empty()) continue;
    Job job;
    job.frame = std::move(frame);
    queued_bytes_ += job.frame.bytes_bound;
    Status prepared = co_await prepare(job);
    if (!prepared.ok()) co_return prepared;
    Status appended = co_await append(job);
    if (!appended.ok()) co_return appended;
    became_durable(job);
  }
  co_return Status();
}

void JournalImpl::fence(Error cause) {
  fenced_ = Error{.code = EIO,
                  .message = fmt::format("the journal is fenced, and takes no more changes until "
                                         "the appliance is started again: {}",
                                         cause.message)};
  append_error_.reset();
  in_flight_.reset();
  open_ = {};
  full_.clear();
  queued_blocks_ = 0;
  queued_ops_ = 0;
  queued_bytes_ = 0;
  work_.notify_all();
  room_.notify_all();
  progress_.notify_all();
  keeper_.notify_all();
}

Task<Status> JournalImpl::flush(Lsn lsn) {
  const Lsn target = std::min(lsn, recorded_);
  while (durable_ < target) {
    if (fenced_.has_value()) co_return *fenced_;
    if (flush_wanted_ < target) {
      flush_wanted_ = target;
      work_.notify_all();
    }
    co_await progress_.wait();
  }
  if (fenced_.has_value() && lsn > durable_) co_return *fenced_;
  co_return Status();
}

// ---------------------------------------------------------------- housekeeping

// Writes the state directory's note, and the heartbeats: what was not written cannot be told from
// what a reader of the vault does not know yet, unless a later time is on record.
Task<void> JournalImpl::housekeeping() {
  while (!closing_ && !fenced_.has_value()) {
    const Nanos now = scheduler_.now();
    const bool note_due = state_directory_ != nullptr && durable_ > remembered_.lsn;
    const Nanos note_at = remembered_at_ + options_.remember_interval;
    if (note_due && now >= note_at) {
      co_await remember();
      continue;
    }
    if (now >= next_heartbeat_) {
      add_clock(ClockRecord::Reason::kHeartbeat, {});
      next_heartbeat_ = now + options_.heartbeat_interval;
      continue;
    }
    co_await keeper_.wait_until(note_due ? std::min(note_at, next_heartbeat_) : next_heartbeat_);
  }
}

Task<void> JournalImpl::remember() {
  const Stamp newest{.lsn = durable_, .time = durable_state_.time};
  remembered_at_ = scheduler_.now();
  std::string name = kDurableNoteName;
  Status written =
      co_await state_directory_->write_small(std::move(name), encode_durable_note(newest, vault_));
  if (written.ok()) remembered_ = newest;  // else again after the interval
}

Task<Status> JournalImpl::close() {
  CHECK(started_ && !closing_);
  add_clock(ClockRecord::Reason::kHeartbeat, {});  // history reaches up to the stop
  closing_ = true;
  work_.notify_all();
  room_.notify_all();
  keeper_.notify_all();
  while (pumping_) co_await work_.wait();
  Status ended;
  if (!fenced_.has_value())
    ended = co_await write_footer();
  else
    ended = *fenced_;
  co_await tasks_.join();
  co_await old_blocks_.stop();
  co_await zero_ahead_.stop();
  if (ended.ok()) files_.seal(tail_.segment->number, tail_.next.offset);
  co_await files_.close();
  if (ended.ok()) co_await files_.keep_reserve();
  if (ended.ok() && state_directory_ != nullptr) co_await remember();
  started_ = false;
  co_return ended;
}

Task<void> JournalImpl::abandon() {
  if (!fenced_.has_value()) fence(make_error(EIO, "it did not start"));
  while (pumping_) co_await work_.wait();
  co_await tasks_.join();
  co_await old_blocks_.stop();
  co_await zero_ahead_.stop();
  co_await files_.close();
  started_ = false;
}

Task<Status> JournalImpl::write_footer() {
  const BuiltFrame footer = build_footer(plan_, FooterRecord::Reason::kClosed);
  Status written = co_await write(*plan_.segment, footer);
  if (!written.ok()) co_return written;
  advance(tail_, footer.header, footer.digest);
  co_return Status();
}

}  // namespace journal
