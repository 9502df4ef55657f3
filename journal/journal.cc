// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.h"

#include "cdp/base/planted_bug.h"
#include "journal/aligned_buffer.h"
#include "journal/durable_note.h"
#include "journal/journal_impl.h"

namespace journal {
namespace {

#ifdef HINDSIGHT_PLANTED_BUGS
// See planted_bug.h.
Task<void> append_after_the_cut(cdp::Directory& segments, const Recovered& recovered) {
  for (const Recovered::Seal& seal : recovered.seals) {
    Result<std::unique_ptr<cdp::Disk>> disk =
        co_await segments.open(segment_name(seal.segment), cdp::OpenMode::kReadWrite);
    if (!disk.ok()) continue;  // sealed already
    AlignedBuffer block;
    const std::span<const std::byte> bytes = block.reserve(cdp::kBlockBytes);
    const std::uint64_t at = cdp::round_up(seal.bytes, cdp::kBlockBytes);
    if (at + bytes.size() > (*disk)->size_bytes()) continue;
    (void)co_await (*disk)->write_durably(at, bytes);
  }
}
#endif

// LSNs that were given to changes which a crash lost are never given again: more than the queue
// can hold are passed over.
constexpr std::uint64_t kLsnSkip = std::uint64_t{1} << 20;
constexpr Lsn kLsnMax{(std::uint64_t{1} << 63) - 1};

Status check_options(const JournalOptions& options) {
  if (options.segment_bytes % kAppendUnit != 0 || options.segment_bytes > kSegmentBytesMax ||
      options.segment_bytes < options.minimum_segment_bytes())
    return make_error(EINVAL, "segments of {} bytes are not possible: choose {} to {} MiB",
                      options.segment_bytes, (options.minimum_segment_bytes() >> 20) + 1,
                      kSegmentBytesMax >> 20);
  if (options.frame_blocks == 0 || options.queue_blocks < options.frame_blocks ||
      options.run_blocks == 0 || options.run_blocks > kRunBlocksMax ||
      frame_bytes_max(options) > kFrameBytesMax)
    return make_error(EINVAL, "the journal's frame, queue or run sizes are not possible");
  return {};
}

}  // namespace

JournalImpl::JournalImpl(cdp::Scheduler& scheduler, const cdp::Clock& clock,
                         cdp::Sequencer& sequencer, cdp::Directory& segments,
                         cdp::Directory* state_directory, Vault vault, JournalOptions options,
                         cdp::Directory* index_directory)
    : scheduler_(scheduler),
      clock_(clock),
      sequencer_(sequencer),
      segments_(segments),
      state_directory_(state_directory),
      vault_(vault),
      options_(options),
      frame_bytes_max_(frame_bytes_max(options)),
      table_(options.dedup_bytes / 4 * 3),
      reader_(scheduler, segments, vault, {.cache_bytes = 2u << 20, .open_segments = 16}),
      old_blocks_(scheduler, segments, index_directory, vault_, reader_, options.dedup_bytes / 4),
      builder_(scheduler, vault_, table_, old_blocks_, reader_,
               {.run_blocks = options.run_blocks,
                .inline_blocks = options.inline_blocks,
                .fingerprint = options.fingerprint}),
      files_(scheduler, segments, options.segment_bytes, options.space_retry_interval),
      zero_ahead_(scheduler, options.zero_ahead),
      work_(scheduler),
      room_(scheduler),
      progress_(scheduler),
      keeper_(scheduler),
      tasks_(scheduler) {}

JournalImpl::~JournalImpl() { CHECK(!started_ && !pumping_ && !appending_); }

Task<Status> JournalImpl::start() {
  std::optional<Stamp> remembered;
  if (state_directory_ != nullptr) {
    Result<std::optional<Stamp>> note = co_await read_durable_note(*state_directory_, vault_);
    if (!note.ok()) co_return note.error();
    remembered = *note;
  }
  Result<Recovered> recovered = co_await recover(scheduler_, segments_, vault_, remembered, table_);
  if (!recovered.ok()) co_return recovered.error();
  state_ = recovered->state;
  durable_state_ = recovered->state;
  const Lsn newest = std::max(state_.lsn, remembered.value_or(Stamp{}).lsn);
  if (newest > kLsnMax)
    co_return make_error(
        EIO,
        "the newest LSN is said to be {}, which no journal ever comes to: the end of "
        "the newest segment, or the file durable in the state directory, is forged",
        newest.value);
  old_blocks_.start(recovered->next.segment - 1, std::move(recovered->hooks));
  opening_bound_ = opening_bytes_bound(state_);
  opened_after_ = recorded_ = durable_ = state_.lsn;
  if (opening_bound_ > options_.segment_bytes / 2)
    co_return make_error(EINVAL, "segments of {} MiB are too small for this vault's state",
                         options_.segment_bytes >> 20);

#ifdef HINDSIGHT_PLANTED_BUGS
  if (cdp::planted(cdp::PlantedBug::kAppendAfterTheCut)) {
    co_await append_after_the_cut(segments_, *recovered);
  }
#endif
  // Nothing is appended to these any more (rule 2); on a full disk, what they give back is needed.
  for (const Recovered::Seal& seal : recovered->seals) files_.seal(seal.segment, seal.bytes);
  co_await files_.sealed();
  Result<PreparedFile> file = co_await files_.make_fresh(true);
  if (!file.ok()) co_return file.error();
  SegmentHeader header = recovered->next;
  header.base_lsn = state_.lsn;
  header.created = clock_.realtime();
  header.capacity_bytes = file->disk->size_bytes();
  const SegmentOpening opening = build_opening(header, state_, vault_);
  auto segment = std::make_shared<Segment>();
  segment->disk = std::move(file->disk);
  segment->prepared_name = std::move(file->name);
  segment->number = header.segment;
  segment->capacity = header.capacity_bytes;
  Status born = co_await files_.give_birth(*segment, opening);
  if (!born.ok()) co_return born;
  count_opening(opening);
  tail_ = {
      .segment = segment, .next = opening.next, .newest = {.lsn = state_.lsn, .time = state_.time}};
  plan_ = tail_;
  co_await files_.keep_reserve();
  co_await zero_ahead_.follow(segment->disk, opening.bytes);

  remembered_ = remembered.value_or(Stamp{});
  clock_offset_ = clock_.realtime() - clock_.boottime();
  next_heartbeat_ = scheduler_.now() + options_.heartbeat_interval;
  started_ = pumping_ = true;
  tasks_.spawn(pump());
  tasks_.spawn(housekeeping());

  Lsn taken = state_.lsn;
  if (recovered->crash.has_value())
    taken = {std::max(taken, remembered_.lsn).value / kLsnSkip * kLsnSkip + 2 * kLsnSkip};
  sequencer_.skip_to(taken);
  if (recovered->crash.has_value()) {
    CrashRecord crash = *recovered->crash;
    crash.stamp = sequencer_.next();
    add_control(crash);
  }
  if (clock_.realtime() < state_.time)
    add_clock(ClockRecord::Reason::kStep, clock_.realtime() - state_.time);
  co_return co_await flush(recorded_);
}

Task<Result<std::unique_ptr<Journal>>> Journal::open(
    cdp::Scheduler& scheduler, const cdp::Clock& clock, cdp::Sequencer& sequencer,
    cdp::Directory& segments, cdp::Directory* state_directory, Vault vault, JournalOptions options,
    cdp::Directory* index_directory) {
  Status possible = check_options(options);
  if (!possible.ok()) co_return possible.error();
  auto journal = std::make_unique<JournalImpl>(scheduler, clock, sequencer, segments,
                                               state_directory, vault, options, index_directory);
  Status started = co_await journal->start();
  if (!started.ok()) {
    co_await journal->abandon();
    co_return started.error();
  }
  co_return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace journal
