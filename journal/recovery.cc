// SPDX-License-Identifier: Apache-2.0
#include "journal/recovery.h"

#include <algorithm>

#include "journal/aligned_buffer.h"
#include "journal/record_codec.h"
#include "journal/segment_reader.h"
#include "journal/state_codec.h"
#include "journal/vault_reader.h"

namespace journal {
namespace {

constexpr std::uint64_t kTailWindowBytes = 1u << 20;

// What a walk through the newest segment found.
struct Walk {
  JournalState state;
  bool has_state = false;  // all of it
  bool damaged = false;
  std::optional<FooterRecord> footer;  // when it is the last frame
  std::vector<Hook> hooks;
};

Task<Result<std::vector<std::uint32_t>>> list_segments(cdp::Directory& segments) {
  Result<std::vector<std::string>> names = co_await segments.list();
  if (!names.ok()) co_return names.error();
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : *names)
    if (const auto number = segment_number(name)) numbers.push_back(*number);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto expected = static_cast<std::uint32_t>(i + 1);
    if (numbers[i] != expected)
      co_return make_error(EIO,
                           "segments {} to {} of the vault are missing: bring the files back from "
                           "a copy",
                           expected, numbers[i] - 1);
  }
  co_return numbers;
}

void remember_blocks(const WriteRecord& write, std::uint32_t frame_offset, BlockPlace& run,
                     DedupTable& table, std::vector<Hook>& hooks) {
  for (const WritePiece& piece : write.pieces) {
    if (piece.kind != PieceKind::kNew) continue;
    if (piece.place.segment != run.segment || piece.place.run_offset != run.run_offset) {
      run = piece.place;
      table.begin_run(run.segment, run.run_offset, run.run_bytes);
    }
    for (std::uint32_t i = 0; i < piece.count; ++i) {
      table.insert(piece.fingerprints[i], static_cast<std::uint16_t>(piece.place.index + i));
      if (HookIndex::is_hook(piece.fingerprints[i]))
        hooks.push_back({.fingerprint = piece.fingerprints[i], .frame_offset = frame_offset});
    }
  }
}

Status apply_records(Walk& walk, const FrameHeader& frame, const Vault& vault,
                     std::span<const std::byte> metadata, DedupTable& table) {
  Result<RecordDecoder> records = RecordDecoder::open(frame, vault, metadata);
  if (!records.ok()) return records.error();
  BlockPlace run;
  while (!records->at_end()) {
    Result<AnyRecord> record = records->next();
    if (!record.ok()) return record.error();
    if (const auto* footer = std::get_if<FooterRecord>(&*record)) walk.footer = *footer;
    if (const auto* write = std::get_if<WriteRecord>(&*record))
      remember_blocks(*write, frame.offset, run, table, walk.hooks);
    apply_record(walk.state, *record);
  }
  return {};
}

Task<Result<Walk>> walk_through(SegmentReader& reader, const Vault& vault, DedupTable& table) {
  Walk walk;
  bool may_go_on = true;  // the state
  bool state_is_damaged = false;
  for (;;) {
    Result<bool> there = co_await reader.next();
    if (!there.ok()) co_return there.error();
    if (reader.damage().has_value()) {
      walk.damaged = true;
      // What a state lacks, nobody could tell from what never was.
      if (may_go_on) state_is_damaged = true;
    }
    if (!*there) {
      walk.has_state = walk.has_state && !state_is_damaged;
      co_return walk;
    }
    walk.footer.reset();
    const FrameHeader frame = reader.frame();
    Result<std::span<const std::byte>> all = co_await reader.whole();
    if (!all.ok()) co_return all.error();
    if (!check_frame_body(frame, vault, *all, false).ok()) walk.damaged = true;
    const std::span<const std::byte> metadata =
        all->subspan(kFrameHeaderBytes, frame.metadata_end() - kFrameHeaderBytes);
    if (frame.kind == FrameKind::kState && state_is_damaged) continue;
    if (frame.kind == FrameKind::kState) {
      Status added = add_state_frame(walk.state, frame, vault, metadata);
      if (!added.ok()) co_return added.error();
      walk.has_state = true;
      may_go_on = state_may_go_on(frame);
      continue;
    }
    may_go_on = false;
    Status applied = apply_records(walk, frame, vault, metadata, table);
    if (!applied.ok() && applied.error().code == ENOTSUP) co_return applied.error();
    if (!applied.ok()) walk.damaged = true;
    // What the frame's header says holds even where its records cannot be read.
    if (frame.last_lsn > walk.state.lsn) walk.state.advance({frame.last_lsn, frame.max_time});
  }
}

// The end of the last block behind `from` that is not all zeroes; `from` where there is none.
Task<Result<std::uint64_t>> end_of_content(cdp::Disk& disk, std::uint64_t from) {
  AlignedBuffer buffer;
  std::uint64_t end = from;
  const std::uint64_t size = disk.size_bytes() / kAppendUnit * kAppendUnit;
  for (std::uint64_t at = from; at < size; at += kTailWindowBytes) {
    const std::span<std::byte> window = buffer.reserve(std::min(kTailWindowBytes, size - at));
    Status read = co_await disk.read(at, window);
    if (!read.ok()) co_return read.error();
    if (all_zero(window)) continue;
    for (std::uint64_t block = 0; block < window.size(); block += kAppendUnit)
      if (!all_zero(window.subspan(block, kAppendUnit))) end = at + block + kAppendUnit;
  }
  co_return end;
}

Task<Result<std::unique_ptr<cdp::Disk>>> open_segment(cdp::Directory& segments,
                                                      std::uint32_t number) {
  return segments.open(segment_name(number), cdp::OpenMode::kReadOnly);
}

}  // namespace

Task<Result<Recovered>> recover(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
                                std::optional<Stamp> remembered, DedupTable& table) {
  Result<std::vector<std::uint32_t>> numbers = co_await list_segments(segments);
  if (!numbers.ok()) co_return numbers.error();
  const Lsn remembered_lsn = remembered.value_or(Stamp{}).lsn;
  Recovered recovered;
  if (numbers->empty()) {
    recovered.next = {.segment = 1, .epoch = 1, .first_sequence = 1};
    if (remembered_lsn.value > 0)
      recovered.crash =
          CrashRecord{.remembered_lsn = remembered_lsn, .flags = CrashRecord::kTailLost};
    co_return recovered;
  }

  const std::uint32_t newest = numbers->back();
  Result<std::unique_ptr<cdp::Disk>> disk = co_await open_segment(segments, newest);
  if (!disk.ok()) co_return disk.error();
  Result<LoadedSegmentHeader> header = co_await read_segment_header(**disk, vault, newest);
  if (!header.ok()) co_return header.error();
  SegmentReader reader(**disk, vault, *header, std::nullopt);
  Result<Walk> walk = co_await walk_through(reader, vault, table);
  if (!walk.ok()) co_return walk.error();
  if (!walk->has_state) {
    Result<JournalState> state = co_await newest_state(scheduler, segments, vault);
    if (!state.ok())
      co_return make_error(EIO,
                           "the state that {} opens with cannot be read, nor be made from the "
                           "segments before it ({}): verify the vault, and bring the file back "
                           "from a copy",
                           segment_name(newest), state.error().message);
    walk->state = *std::move(state);
  }

  const std::uint64_t cut = reader.position();
  const bool closed = walk->footer.has_value();
  const bool clean = closed && walk->footer->reason == FooterRecord::Reason::kClosed;
  const bool tail_lost = remembered_lsn > walk->state.lsn;
  recovered.next = {.segment = newest + 1,
                    .epoch = header->header.epoch + 1,
                    .first_sequence = reader.frame().sequence + 1,
                    .previous_end = closed ? PreviousEnd::kSealed : PreviousEnd::kCut,
                    .previous_length = cut,
                    .previous_digest = reader.digest()};
  if (!clean || tail_lost || walk->damaged)
    recovered.crash = CrashRecord{.segment = newest,
                                  .epoch = header->header.epoch,
                                  .cut_bytes = cut,
                                  .last_lsn = walk->state.lsn,
                                  .remembered_lsn = remembered_lsn,
                                  .flags = (tail_lost ? CrashRecord::kTailLost : 0u) |
                                           (walk->damaged ? CrashRecord::kCorrupt : 0u)};
  recovered.state = std::move(walk->state);
  recovered.hooks = std::move(walk->hooks);

  Result<std::uint64_t> end = co_await end_of_content(**disk, cut);
  if (!end.ok()) co_return end.error();
  recovered.seals.push_back({newest, *end});
  // The one before may not have been sealed when the machine stopped.
  if (header->header.previous_end != PreviousEnd::kNone) {
    Result<std::unique_ptr<cdp::Disk>> before = co_await open_segment(segments, newest - 1);
    if (!before.ok()) co_return before.error();
    Result<std::uint64_t> before_end =
        co_await end_of_content(**before, header->header.previous_length);
    if (!before_end.ok()) co_return before_end.error();
    recovered.seals.push_back({newest - 1, *before_end});
  }
  co_return recovered;
}

}  // namespace journal
