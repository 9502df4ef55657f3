// SPDX-License-Identifier: Apache-2.0
#include "journal/index/history_reader.h"

#include <algorithm>
#include <utility>

#include "cdp/io/signal.h"
#include "journal/segment_reader.h"
#include "journal/visit_records.h"

namespace journal::index {
namespace {

// Holds the records of most frames.
constexpr std::uint64_t kWindowBytes = 64u << 10;
constexpr std::size_t kReadsAtOnce = 64;

FrameInfo info_of(const FrameRow& row) {
  FrameInfo info;
  info.segment = row.segment;
  info.offset = row.offset;
  info.total_bytes = row.total_bytes;
  info.record_count = 1;  // at least
  info.first_lsn = row.first_lsn;
  info.last_lsn = row.last_lsn;
  info.min_time = row.min_time;
  info.max_time = row.max_time;
  return info;
}

Task<void> put(Task<Status> task, Status& result) { result = co_await std::move(task); }

}  // namespace

Damage damage_of(const FrameRow& row) {
  return {.segment = row.segment,
          .from_offset = row.offset,
          .to_offset = std::uint64_t{row.offset} + row.total_bytes,
          .after = {row.first_lsn.value - 1},
          .before = {row.last_lsn.value + 1},
          .what = fmt::format("{} could not be read from byte {} on for {} bytes",
                              segment_name(row.segment), row.offset, row.total_bytes)};
}

Task<Result<cdp::Disk*>> HistoryReader::disk_of(std::uint32_t segment) {
  if (disk_ == nullptr || open_segment_ != segment) {
    Result<std::unique_ptr<cdp::Disk>> disk =
        co_await segments_.open(segment_name(segment), cdp::OpenMode::kReadOnly);
    if (!disk.ok()) co_return disk.error();
    disk_ = *std::move(disk);
    open_segment_ = segment;
  }
  co_return disk_.get();
}

Task<Result<JournalState>> HistoryReader::opening_state_before(FrameRow frame) {
  for (std::size_t tried = 1;; ++tried) {
    Result<cdp::Disk*> disk = co_await disk_of(frame.segment);
    if (!disk.ok()) co_return disk.error();
    Result<LoadedSegmentHeader> header =
        co_await read_segment_header(**disk, vault_, frame.segment);
    if (!header.ok()) co_return header.error();
    // The state lies before every frame of records.
    SegmentReader reader(**disk, vault_, *header, std::uint64_t{frame.offset} + frame.total_bytes);
    Result<JournalState> state = co_await read_opening_state(reader, vault_);
    if (state.ok() || state.error().code != EIO || tried == kOpeningStatesTried) co_return state;
    Result<std::optional<FrameRow>> earlier = co_await snapshot_->frame_at(header->header.base_lsn);
    if (!earlier.ok()) co_return earlier.error();
    if (!earlier->has_value() || (*earlier)->segment >= frame.segment) co_return state;
    frame = **earlier;
  }
}

Task<Result<JournalState>> HistoryReader::state_at(Lsn lsn) {
  CHECK(lsn <= snapshot_->upto());
  Result<std::optional<FrameRow>> at = co_await snapshot_->frame_at(lsn);
  if (!at.ok()) co_return at.error();
  if (!at->has_value()) co_return make_error(ERANGE, "nothing has been recorded yet");
  FrameRow frame = **at;
  Result<JournalState> opening = co_await opening_state_before(frame);
  if (!opening.ok()) co_return opening.error();
  JournalState state = std::move(opening).value();
  if (state.lsn > lsn)
    co_return make_error(ERANGE, "nothing was recorded at or before LSN {}", lsn.value);
  const LsnInterval since{state.lsn, lsn};
  if (frame.first_lsn > lsn) {
    Result<FrameRow> before = co_await frame_before(frame, state.lsn, lsn);
    if (!before.ok()) co_return before.error();
    frame = *before;
  }
  Result<std::vector<FrameRow>> frames = co_await state_frames(since, frame);
  if (!frames.ok()) co_return frames.error();
  StateBuilder builder(state);
  Status visited = co_await visit_frames(*std::move(frames), since, builder);
  if (!visited.ok()) co_return visited.error();
  co_return state;
}

Task<Result<std::vector<FrameRow>>> HistoryReader::state_frames(LsnInterval since, FrameRow last) {
  Result<std::vector<FrameRow>> frames = co_await snapshot_->control_frames(since);
  if (!frames.ok()) co_return frames;
  Result<std::optional<FrameRow>> clock = co_await snapshot_->last_clock_frame(since);
  if (!clock.ok()) co_return clock.error();
  const auto add = [&](const FrameRow& frame) {
    if (std::find(frames->begin(), frames->end(), frame) == frames->end()) frames->push_back(frame);
  };
  if (clock->has_value()) add(**clock);
  if (last.first_lsn <= since.upto) add(last);
  // In LSN order.
  std::stable_sort(frames->begin(), frames->end(), [](const FrameRow& a, const FrameRow& b) {
    return std::pair(a.segment, a.offset) < std::pair(b.segment, b.offset);
  });
  co_return frames;
}

Task<Result<FrameRow>> HistoryReader::frame_before(FrameRow next, Lsn known, Lsn lsn) {
  // From the end of the frame before it on, every LSN leads to `next`.
  FrameRow before = next;
  while (lsn.value - known.value > 1) {
    const Lsn middle{known.value + (lsn.value - known.value) / 2};
    Result<std::optional<FrameRow>> at = co_await snapshot_->frame_at(middle);
    if (!at.ok()) co_return at.error();
    CHECK(at->has_value());
    if ((*at)->first_lsn == next.first_lsn) {
      lsn = middle;
    } else {
      known = middle;
      before = **at;
    }
  }
  co_return before;
}

Task<Status> HistoryReader::visit_deciding(Nanos time, RecordVisitor& visitor) {
  Result<std::vector<FrameRow>> frames = co_await snapshot_->deciding_frames(time);
  if (!frames.ok()) co_return frames.error();
  co_return co_await visit_frames(*std::move(frames), {{}, snapshot_->upto()}, visitor);
}

Task<Status> HistoryReader::visit_control(LsnInterval interval, RecordVisitor& visitor) {
  Result<std::vector<FrameRow>> frames = co_await snapshot_->control_frames(interval);
  if (!frames.ok()) co_return frames.error();
  co_return co_await visit_frames(*std::move(frames), interval, visitor);
}

Task<Status> HistoryReader::visit_frames(std::vector<FrameRow> frames, LsnInterval interval,
                                         RecordVisitor& visitor) {
  for (const FrameRow& frame : frames) {
    Status visited = co_await visit_frame(frame, interval, visitor);
    if (!visited.ok()) co_return visited;
    if (visitor.done()) break;
  }
  co_return Status();
}

Task<Status> HistoryReader::visit_frame(FrameRow row, LsnInterval interval,
                                        RecordVisitor& visitor) {
  if ((row.flags & FrameRow::kDamaged) != 0) {
    visitor.on_damage(damage_of(row));
    co_return Status();
  }
  if (!visitor.on_frame(info_of(row))) co_return Status();
  Result<cdp::Disk*> disk = co_await disk_of(row.segment);
  if (!disk.ok()) co_return disk.error();
  Status read = co_await read_window(**disk, row, window_);
  if (!read.ok()) co_return read;
  co_return visit_window(window_, interval, visitor);
}

Task<Status> HistoryReader::visit_all(std::vector<FrameRow> frames, RecordVisitor& visitor) {
  Status all;
  std::vector<Window> windows(std::min(frames.size(), kReadsAtOnce));
  std::vector<Status> results(windows.size());
  for (std::size_t from = 0; from < frames.size();) {
    const std::uint32_t segment = frames[from].segment;
    const Result<cdp::Disk*> disk = co_await disk_of(segment);
    std::size_t count = 0;
    cdp::TaskGroup reads(snapshot_->scheduler());
    for (; count < windows.size() && from + count < frames.size(); ++count) {
      const FrameRow& row = frames[from + count];
      if (row.segment != segment) break;
      results[count] = disk.ok() ? Status() : Status(disk.error());
      if (!disk.ok() || (row.flags & FrameRow::kDamaged) != 0) continue;
      reads.spawn(put(read_window(**disk, row, windows[count]), results[count]));
    }
    co_await reads.join();
    for (std::size_t i = 0; i < count; ++i) {
      const FrameRow& row = frames[from + i];
      const bool is_damaged = (row.flags & FrameRow::kDamaged) != 0;
      const bool is_read = !is_damaged && results[i].ok();
      visitor.on_frame(is_read ? windows[i].header.info() : info_of(row));
      if (is_read) results[i] = visit_window(windows[i], {{}, row.last_lsn}, visitor);
      if (is_read && results[i].ok()) continue;
      Damage damage = damage_of(row);
      if (!results[i].ok()) damage.what = results[i].error().message;
      if (all.ok()) all = results[i];
      visitor.on_damage(damage);
    }
    from += count;
  }
  co_return all;
}

Task<Status> HistoryReader::read_window(cdp::Disk& disk, FrameRow row, Window& window) {
  std::uint64_t bytes = std::min<std::uint64_t>(row.total_bytes, kWindowBytes);
  std::span<std::byte> memory = window.buffer.reserve(bytes);
  Status read = co_await disk.read(row.offset, memory);
  if (!read.ok()) co_return read;
  Result<FrameHeader> header = decode_frame_header(
      vault_, row.segment, row.offset,
      std::span<const std::byte, kFrameHeaderBytes>(memory.data(), kFrameHeaderBytes));
  if (!header.ok()) co_return header.error();
  if (header->last_lsn != row.last_lsn || header->total_bytes != row.total_bytes)
    co_return make_error(EIO, "the time index and {} disagree about the frame at byte {}",
                         segment_name(row.segment), row.offset);
  window.header = *header;
  if (header->metadata_end() > bytes) {
    bytes = cdp::round_up(header->metadata_end(), kAppendUnit);
    memory = window.buffer.reserve(bytes);
    co_return co_await disk.read(row.offset, memory);
  }
  co_return Status();
}

Status HistoryReader::visit_window(const Window& window, LsnInterval interval,
                                   RecordVisitor& visitor) {
  const FrameHeader& header = window.header;
  const std::span<const std::byte> metadata{window.buffer.data() + kFrameHeaderBytes,
                                            header.metadata_end() - kFrameHeaderBytes};
  Lsn delivered = interval.after;
  return visit_records(header, vault_, metadata, interval.upto, delivered, visitor);
}

}  // namespace journal::index
