// SPDX-License-Identifier: Apache-2.0
//
// The journal's front: admission, and records into the open frame.
#include <algorithm>
#include <set>

#include "journal/journal_impl.h"

namespace journal {
namespace {

constexpr std::uint64_t kFooterBytes = kAppendUnit;
// Kept free for records that take no admission: clock and control records.
constexpr std::uint64_t kReserveBytes = 64u << 10;
// A frame closes at this many bytes of records, however little payload it has.
std::uint64_t frame_record_bytes(const JournalOptions& options) {
  return std::max<std::uint64_t>(64u << 10, options.frame_blocks * write_record_bound(1));
}
constexpr std::uint64_t kQueueOps = 1u << 16;
constexpr Nanos kClockTolerance = cdp::milliseconds(500);
constexpr std::size_t kBackingBytesMax = kTextBytesMax;
// Of a rollback of one volume, without its author, in the state.
constexpr std::uint64_t kRollbackStateBytes = 160;
constexpr std::uint64_t kGapStateBytes = 320;  // its beginning and its end
// Of one of them, without texts.
constexpr std::uint64_t kUserStateBytes = 160;
constexpr std::uint64_t kTokenStateBytes = 160;

// Records of fixed size and a few words.
constexpr std::uint64_t kSmallRecordBytes = 96;

std::uint64_t small_bound() {
  return cdp::round_up(kFrameHeaderBytes + kSmallRecordBytes, kAppendUnit);
}
std::uint64_t admission_bytes(std::uint32_t blocks) {
  return blocks == 0 ? small_bound() : frame_bytes_bound(blocks);
}

}  // namespace

std::uint64_t frame_bytes_max(const JournalOptions& options) {
  const std::uint64_t blocks =
      std::max(options.frame_blocks, std::min(options.queue_blocks, cdp::kMaxPieceBlocks));
  return cdp::round_up(kFrameHeaderBytes + frame_record_bytes(options) + kControlRecordBound +
                           blocks * (cdp::kBlockBytes + kRunHeaderBytes + kRunEntryBytes),
                       kAppendUnit);
}

std::uint64_t JournalOptions::minimum_segment_bytes() const {
  return 3 * frame_bytes_max(*this) + 2 * kReserveBytes;
}

// ---------------------------------------------------------------- admission

bool JournalImpl::memory_for(std::uint32_t blocks) const {
  return queued_blocks_ + admitted_blocks_ + blocks <= options_.queue_blocks &&
         queued_ops_ < kQueueOps;
}

// Whether `bytes` more fit behind everything that is admitted or recorded and has no place yet, in
// space that is allocated. Going over to the next segment wastes at most one frame's length here.
bool JournalImpl::space_for(std::uint64_t bytes) const {
  const std::uint64_t wanted = admitted_bytes_ + queued_bytes_ + bytes;
  const std::uint64_t used = plan_.next.offset + kFooterBytes;
  const std::uint64_t here = plan_.segment->capacity - std::min(plan_.segment->capacity, used);
  if (wanted <= here) return true;
  if (!files_.ready()) return false;
  const std::uint64_t next = options_.segment_bytes - opening_bound_ - kFooterBytes;
  return wanted <= here - std::min(here, frame_bytes_max_) + next;
}

// On a full disk the segment at hand is a short one, for the journal's own records: were it filled,
// the next start would have nothing left to begin with.
bool JournalImpl::started_short() const {
  return plan_.segment->capacity < options_.segment_bytes && !files_.ready();
}

bool JournalImpl::leaves_reserve(std::uint64_t bytes) const {
  const std::uint64_t kept = started_short() ? plan_.segment->capacity / 2 : kReserveBytes;
  return space_for(bytes + kept);
}

Error JournalImpl::no_space_error() const {
  return make_error(ENOSPC, "the change is refused: {}",
                    files_.failure().has_value() ? files_.failure()->message
                                                 : "the vault has no allocated space left");
}

Task<Status> JournalImpl::admit(std::uint32_t blocks) {
  CHECK(blocks <= options_.queue_blocks);
  const std::uint64_t bytes = admission_bytes(blocks);
  const std::uint64_t turn = admit_tail_++;
  while (turn != admit_head_) co_await room_.wait();
  std::optional<Error> refused;
  for (;;) {
    if (fenced_.has_value())
      refused = *fenced_;
    else if (closing_)
      refused = make_error(ESHUTDOWN, "the journal is being closed");
    if (refused.has_value()) break;
    if (memory_for(blocks)) {
      if (space_for(bytes + kReserveBytes) && !started_short()) break;
      files_.want_next();
      if (files_.preparing()) {
        co_await files_.changed().wait();
        continue;
      }
      if (!files_.ready()) {
        refused = no_space_error();
        break;
      }
    }
    co_await room_.wait();
  }
  ++admit_head_;
  room_.notify_all();
  if (refused.has_value()) co_return *refused;
  admitted_blocks_ += blocks;
  admitted_bytes_ += bytes;
  co_return Status();
}

void JournalImpl::cancel_admission(std::uint32_t blocks) {
  CHECK(admitted_blocks_ >= blocks && admitted_bytes_ >= admission_bytes(blocks));
  admitted_blocks_ -= blocks;
  admitted_bytes_ -= admission_bytes(blocks);
  room_.notify_all();
}

// ---------------------------------------------------------------- records

void JournalImpl::add(Op op, std::uint32_t blocks, std::uint64_t record_bytes,
                      std::uint64_t bound) {
  const Stamp stamp = stamp_of(op);
  CHECK(stamp.lsn > recorded_);  // one order (rule 4)
  CHECK(!closing_);
  recorded_ = stamp.lsn;
  if (!open_.empty() && (open_.blocks + blocks > options_.frame_blocks ||
                         open_.record_bytes + record_bytes > frame_record_bytes(options_))) {
    full_.push_back(std::move(open_));
    open_ = {};
  }
  const bool first = open_.empty();
  open_.add(std::move(op), blocks, record_bytes, bound, scheduler_.now());
  queued_blocks_ += blocks;
  queued_bytes_ += bound;
  ++queued_ops_;
  ++statistics_.records;
  if (first || !full_.empty() || open_.blocks >= options_.frame_blocks) work_.notify_all();
}

void JournalImpl::record_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                               const cdp::PageList& pages, const cdp::PageList& previous) {
  CHECK(!pages.empty() && (previous.empty() || previous.size() == pages.size()));
  const auto blocks = static_cast<std::uint32_t>(pages.size());
  cancel_admission(blocks);  // from here on it is counted as queued
  if (fenced_.has_value()) return;
  next_heartbeat_ = scheduler_.now() + options_.close_second_after;
  statistics_.client_bytes += pages.size() * cdp::kBlockBytes;
  state_.advance(stamp);
  add(WriteOp{.volume = volume,
              .stamp = stamp,
              .first_block = first_block,
              .pages = pages,
              .previous = previous},
      blocks, write_record_bound(blocks), admission_bytes(blocks));
}

void JournalImpl::record_zero(VolumeId volume, Stamp stamp, ZeroKind kind,
                              std::uint64_t first_block, std::uint64_t count) {
  cancel_admission(0);
  if (fenced_.has_value()) return;
  next_heartbeat_ = scheduler_.now() + options_.close_second_after;
  state_.advance(stamp);
  add(ZeroRecord{.volume = volume,
                 .stamp = stamp,
                 .kind = kind,
                 .first_block = first_block,
                 .block_count = count},
      0, kSmallRecordBytes, small_bound());
}

void JournalImpl::record_checkpoint(VolumeId volume, Stamp stamp, Lsn covered,
                                    std::optional<std::uint64_t> hydrated_upto) {
  cancel_admission(0);
  if (fenced_.has_value()) return;
  CheckpointRecord record{.volume = volume, .stamp = stamp, .covered = covered};
  if (hydrated_upto.has_value()) {
    const VolumeState* of = state_.find(volume);
    CHECK(of != nullptr && of->hydration.has_value());
    record.hydration = Hydration{.cursor = *hydrated_upto, .base = of->hydration->base};
  }
  state_.apply(record);
  add(record, 0, kSmallRecordBytes, small_bound());
}

Status JournalImpl::check_control(std::uint64_t state_bytes) const {
  if (fenced_.has_value()) return *fenced_;
  if (closing_) return make_error(ESHUTDOWN, "the journal is being closed");
  if (!space_for(frame_bytes_bound(0))) return no_space_error();
  // Every segment repeats the state: it may not crowd out history.
  if (state_bytes > 0 && opening_bound_ + state_bytes > options_.segment_bytes / 4)
    return make_error(
        ENOSPC,
        "the vault holds as many marks, volumes, rollbacks, gaps, users and tokens as segments of "
        "{} MiB can carry",
        options_.segment_bytes >> 20);
  return {};
}

template <typename Record>
void JournalImpl::add_control(const Record& record) {
  next_heartbeat_ = scheduler_.now() + options_.close_second_after;
  state_.apply(record);
  if constexpr (!std::is_same_v<Record, AuditRecord>) opening_bound_ = opening_bytes_bound(state_);
  add(record, 0, kControlRecordBound, frame_bytes_bound(0));
}
template void JournalImpl::add_control(const CrashRecord& record);  // for journal.cc

Status JournalImpl::check_new_volume(const Uuid& uuid, const std::string& name,
                                     const std::string& backing) const {
  if (Status name_ok = check_volume_name(name); !name_ok.ok()) return name_ok;
  if (backing.size() > kBackingBytesMax)
    return make_error(EINVAL, "the path of the backing store is longer than {} bytes",
                      kBackingBytesMax);
  if (const VolumeState* other = state_.find(name))
    return make_error(EEXIST, "the name {} belongs to {} volume {}", name,
                      other->removed.has_value() ? "the removed" : "the", other->uuid.to_string());
  if (state_.find(uuid) != nullptr)
    return make_error(EEXIST, "there is a volume {} already", uuid.to_string());
  return check_control();
}

Result<VolumeId> JournalImpl::record_volume_created(Stamp stamp, Uuid uuid, std::string name,
                                                    std::uint64_t size_bytes, std::string backing) {
  if (Status possible = check_new_volume(uuid, name, backing); !possible.ok())
    return possible.error();
  const VolumeId id{state_.next_volume_id};
  add_control(VolumeCreated{.volume = id,
                            .stamp = stamp,
                            .uuid = uuid,
                            .size_bytes = size_bytes,
                            .name = std::move(name),
                            .backing = std::move(backing)});
  return id;
}

namespace {

Result<const VolumeState*> live_volume(const JournalState& state, VolumeId id) {
  const VolumeState* volume = state.find(id);
  if (volume == nullptr) return make_error(ENOENT, "there is no volume number {}", id.value);
  if (volume->removed.has_value())
    return make_error(ENOENT, "volume {} has been removed", volume->name);
  return volume;
}

// Whether the volume, live or removed, was there at `point`, an LSN of the past.
Status was_there(const VolumeState& volume, Lsn point, Lsn now) {
  if (point >= now)
    return make_error(EINVAL, "LSN {} lies in the future: the newest is {}", point.value,
                      now.value - 1);
  if (volume.created.lsn > point)
    return make_error(EINVAL, "volume {} was not there at LSN {}: it was created at {}",
                      volume.name, point.value, volume.created.lsn.value);
  if (volume.removed.has_value() && volume.removed->lsn <= point)
    return make_error(EINVAL, "volume {} was not there any more at LSN {}: it was removed at {}",
                      volume.name, point.value, volume.removed->lsn.value);
  return {};
}

Status check_author(const std::string& author) {
  if (author.size() > kTextBytesMax)
    return make_error(EINVAL, "the author's name is longer than {} bytes", kTextBytesMax);
  return {};
}

}  // namespace

Result<VolumeId> JournalImpl::record_volume_created_from(Stamp stamp, Uuid uuid, std::string name,
                                                         std::uint64_t size_bytes,
                                                         std::string backing, VolumeId origin,
                                                         Lsn point) {
  const VolumeState* from = state_.find(origin);
  if (from == nullptr) return make_error(ENOENT, "there is no volume number {}", origin.value);
  if (Status there = was_there(*from, point, stamp.lsn); !there.ok()) return there.error();
  if (Status possible = check_new_volume(uuid, name, backing); !possible.ok())
    return possible.error();
  const VolumeId id{state_.next_volume_id};
  add_control(VolumeCreatedFrom{.volume = id,
                                .stamp = stamp,
                                .uuid = uuid,
                                .size_bytes = size_bytes,
                                .origin = origin,
                                .point = point,
                                .name = std::move(name),
                                .backing = std::move(backing)});
  return id;
}

Status JournalImpl::record_rollback(Stamp stamp, Lsn point,
                                    std::vector<RollbackRecord::Volume> volumes, std::string author,
                                    bool refuse_writers) {
  if (volumes.empty() || volumes.size() > kRollbackVolumesMax)
    return make_error(EINVAL, "1 to {} volumes can be rolled back at once, not {}",
                      kRollbackVolumesMax, volumes.size());
  std::set<VolumeId> distinct;
  for (const RollbackRecord::Volume& rolled : volumes) {
    Result<const VolumeState*> live = live_volume(state_, rolled.volume);
    if (!live.ok()) return live.error();
    if (Status there = was_there(**live, point, stamp.lsn); !there.ok()) return there;
    if (rolled.size_bytes == 0)
      return make_error(EINVAL, "volume {} cannot be rolled back to 0 bytes", (*live)->name);
    if (!distinct.insert(rolled.volume).second)
      return make_error(EINVAL, "volume {} is named twice", (*live)->name);
  }
  if (Status author_ok = check_author(author); !author_ok.ok()) return author_ok;
  if (Status control = check_control(volumes.size() * (kRollbackStateBytes + author.size()));
      !control.ok())
    return control;
  add_control(RollbackRecord{.stamp = stamp,
                             .point = point,
                             .volumes = std::move(volumes),
                             .author = std::move(author),
                             .refuse_writers = refuse_writers});
  return {};
}

Status JournalImpl::record_volume_resumed(VolumeId volume, Stamp stamp) {
  Result<const VolumeState*> live = live_volume(state_, volume);
  if (!live.ok()) return live.error();
  if (!(*live)->writers_refused)
    return make_error(EINVAL, "volume {} takes writes already", (*live)->name);
  if (Status control = check_control(); !control.ok()) return control;
  add_control(VolumeResumed{.volume = volume, .stamp = stamp});
  return {};
}

Status JournalImpl::record_gap(VolumeId volume, Stamp stamp, std::string cause) {
  Result<const VolumeState*> live = live_volume(state_, volume);
  if (!live.ok()) return live.error();
  if ((*live)->is_in_gap())
    return make_error(EINVAL, "writes to volume {} bypass the journal already", (*live)->name);
  if (cause.empty() || cause.size() > kTextBytesMax)
    return make_error(EINVAL, "the cause of a gap has 1 to {} bytes", kTextBytesMax);
  if (Status control = check_control(kGapStateBytes + cause.size()); !control.ok()) return control;
  add_control(GapRecord{.volume = volume, .stamp = stamp, .cause = std::move(cause)});
  return {};
}

Status JournalImpl::record_gap_over(VolumeId volume, Stamp stamp) {
  Result<const VolumeState*> live = live_volume(state_, volume);
  if (!live.ok()) return live.error();
  if (!(*live)->is_in_gap()) return make_error(EINVAL, "volume {} is in no gap", (*live)->name);
  if (Status control = check_control(); !control.ok()) return control;
  add_control(GapRecord{.volume = volume, .stamp = stamp, .is_over = true});
  return {};
}

Status JournalImpl::record_volume_resized(VolumeId volume, Stamp stamp, std::uint64_t size_bytes) {
  if (auto live = live_volume(state_, volume); !live.ok()) return live.error();
  if (Status control = check_control(); !control.ok()) return control;
  add_control(VolumeResized{.volume = volume, .stamp = stamp, .size_bytes = size_bytes});
  return {};
}

Status JournalImpl::record_volume_renamed(VolumeId volume, Stamp stamp, std::string name) {
  if (auto live = live_volume(state_, volume); !live.ok()) return live.error();
  if (Status name_ok = check_volume_name(name); !name_ok.ok()) return name_ok;
  if (const VolumeState* other = state_.find(name); other != nullptr && other->id != volume)
    return make_error(EEXIST, "the name {} belongs to {} volume {}", name,
                      other->removed.has_value() ? "the removed" : "the", other->uuid.to_string());
  if (Status control = check_control(); !control.ok()) return control;
  add_control(VolumeRenamed{.volume = volume, .stamp = stamp, .name = std::move(name)});
  return {};
}

Status JournalImpl::record_volume_removed(VolumeId volume, Stamp stamp) {
  if (auto live = live_volume(state_, volume); !live.ok()) return live.error();
  if (Status control = check_control(); !control.ok()) return control;
  add_control(VolumeRemoved{.volume = volume, .stamp = stamp});
  return {};
}

Status JournalImpl::record_mark(VolumeId volume, Stamp stamp, std::string label,
                                std::string author) {
  if (volume.value != 0) {
    if (auto live = live_volume(state_, volume); !live.ok()) return live.error();
  }
  if (Status label_ok = check_mark_label(label); !label_ok.ok()) return label_ok;
  if (Status author_ok = check_author(author); !author_ok.ok()) return author_ok;
  if (state_.marks.contains(label))
    return make_error(EEXIST, "there is a mark '{}' already, at LSN {}", label,
                      state_.marks.find(label)->second.stamp.lsn.value);
  if (Status control = check_control(); !control.ok()) return control;
  add_control(MarkRecord{
      .volume = volume, .stamp = stamp, .label = std::move(label), .author = std::move(author)});
  return {};
}

Status JournalImpl::record_user(UserRecord record) {
  if (Status name_ok = check_user_name(record.name); !name_ok.ok()) return name_ok;
  if (Status fine = check_verifier(record.verifier); !fine.ok()) return fine;
  const auto at = state_.users.find(record.name);
  const UserRecord* const now = at == state_.users.end() ? nullptr : &at->second;
  if (record.is_removed && (now == nullptr || now->is_removed))
    return make_error(ENOENT, "there is no user {}", record.name);
  if (now != nullptr && now->is_removed)
    return make_error(EEXIST, "the name {} belongs to a user who was removed", record.name);
  if (now == nullptr && state_.users.size() >= kUsersMax)
    return make_error(ENOSPC, "there are {} users, removed ones among them: a vault has no more",
                      kUsersMax);
  // A password must be changed, and a user removed, however full the state is.
  const std::uint64_t more =
      now != nullptr ? 0 : kUserStateBytes + record.name.size() + kVerifierBytesMax;
  if (Status control = check_control(more); !control.ok()) return control;
  add_control(record);
  return {};
}

Status JournalImpl::record_token(TokenRecord record) {
  if (Status name_ok = check_user_name(record.user); !name_ok.ok()) return name_ok;
  if (Status label_ok = check_token_label(record.label); !label_ok.ok()) return label_ok;
  if (state_.find_user(record.user) == nullptr)
    return make_error(ENOENT, "there is no user {}", record.user);
  const auto at = state_.tokens.find(record.digest);
  const TokenRecord* const now = at == state_.tokens.end() ? nullptr : &at->second;
  if (record.is_revoked && (now == nullptr || now->user != record.user))
    return make_error(ENOENT, "user {} has no such token", record.user);
  if (now != nullptr && now->user != record.user)
    return make_error(EEXIST, "the token is another user's");
  if (!record.is_revoked && record.expires <= record.stamp.time)
    return make_error(EINVAL, "the token '{}' would have expired before it is made", record.label);
  const auto lives = [&](const auto& of) { return of.second.expires > record.stamp.time; };
  if (now == nullptr && state_.tokens.size() >= kTokensMax &&
      std::count_if(state_.tokens.begin(), state_.tokens.end(), lives) >=
          static_cast<std::ptrdiff_t>(kTokensMax))
    return make_error(ENOSPC, "there are {} tokens: a vault has no more; revoke some", kTokensMax);
  const std::uint64_t more =
      record.is_revoked ? 0 : kTokenStateBytes + record.user.size() + record.label.size();
  if (Status control = check_control(more); !control.ok()) return control;
  add_control(record);
  return {};
}

// Whoever can make audits must not be able to fill what is kept for gaps and for the next start.
Status JournalImpl::record_audit(AuditRecord record) {
  if (Status audit_ok = check_audit(record); !audit_ok.ok()) return audit_ok;
  if (Status control = check_control(0); !control.ok()) return control;
  if (!leaves_reserve(frame_bytes_bound(0))) return no_space_error();
  add_control(record);
  return {};
}

Status JournalImpl::record_pulse(PulseRecord record) {
  if (state_.find(record.volume) == nullptr)
    return make_error(ENOENT, "there is no volume number {}", record.volume.value);
  if (Status control = check_control(0); !control.ok()) return control;
  if (!leaves_reserve(small_bound())) return no_space_error();
  // Where nothing has changed since the last CLOCK, it says that history is known up to here.
  const Nanos now = scheduler_.now();
  if (next_heartbeat_ - now > options_.close_second_after)
    next_heartbeat_ = now + options_.heartbeat_interval;
  record = bounded_pulse(record);
  state_.apply(record);
  add(record, 0, kSmallRecordBytes, small_bound());
  return {};
}

std::vector<VolumeActivity> JournalImpl::take_activity(std::int64_t before) {
  if (queued_ops_ > 0) before = std::min(before, second_of(durable_state_.time));
  // The clock may have been set back.
  return activity_.take(before, second_of(clock_.realtime()));
}

// ---------------------------------------------------------------- time

void JournalImpl::add_clock(ClockRecord::Reason reason, Nanos step) {
  if (fenced_.has_value() || closing_ || !space_for(small_bound())) return;
  const Stamp stamp = sequencer_.next();
  const ClockRecord record{.stamp = stamp,
                           .reason = reason,
                           .realtime = clock_.realtime(),
                           .boottime = clock_.boottime(),
                           .step = step};
  state_.apply(record);
  add(record, 0, kSmallRecordBytes, small_bound());
}

// Rule 16: a step of the wall clock is recorded, so that what was stamped before and after it can
// be told apart.
void JournalImpl::check_clock() {
  const Nanos offset = clock_.realtime() - clock_.boottime();
  const Nanos step = offset - clock_offset_;
  if (step <= kClockTolerance && step >= Nanos{-kClockTolerance.value}) return;
  clock_offset_ = offset;
  add_clock(ClockRecord::Reason::kStep, step);
}

JournalHealth JournalImpl::health() const {
  JournalHealth health;
  health.fenced = fenced_;
  health.last_resend = last_resend_;
  health.no_space = files_.failure();
  health.segment = plan_.next.segment;
  health.segment_used_bytes = plan_.next.offset;
  health.queued_blocks = queued_blocks_;
  health.recorded = recorded_;
  health.durable = durable_;
  health.dedup_memory_bytes = dedup_memory_bytes_;
  health.head = {.segment = tail_.next.segment,
                 .sequence = tail_.next.sequence - 1,
                 .digest = tail_.next.previous_digest,
                 .newest = tail_.newest};
  const OpenFrame* oldest = nullptr;
  if (in_flight_.has_value())
    oldest = &in_flight_->frame;
  else if (!full_.empty())
    oldest = &full_.front();
  else if (!open_.empty())
    oldest = &open_;
  if (oldest != nullptr) health.oldest_undurable = oldest->min_time;
  return health;
}

}  // namespace journal
