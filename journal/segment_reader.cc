// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_reader.h"

#include <algorithm>

#include "journal/state_codec.h"

namespace journal {
namespace {

// Read ahead of a header: holds the records of most frames, or several small frames.
constexpr std::uint64_t kWindowBytes = 64u << 10;
constexpr std::uint64_t kScanWindowBytes = 1u << 20;

}  // namespace

Task<Result<LoadedSegmentHeader>> read_segment_header(cdp::Disk& disk, const Vault& vault,
                                                      std::uint32_t number) {
  if (disk.size_bytes() < kSegmentHeaderBytes)
    co_return make_error(EIO, "{} is too short to be a segment", segment_name(number));
  AlignedBuffer buffer;
  const std::span<std::byte> bytes = buffer.reserve(kSegmentHeaderBytes);
  Status read = co_await disk.read(0, bytes);
  if (!read.ok()) co_return read.error();
  const std::span<const std::byte, kSegmentHeaderBytes> raw(bytes.data(), bytes.size());
  Result<SegmentHeader> header = decode_segment_header(vault, number, raw);
  if (!header.ok()) co_return header.error();
  co_return LoadedSegmentHeader{.header = *header, .digest = digest_of(raw)};
}

SegmentReader::SegmentReader(cdp::Disk& disk, const Vault& vault, const LoadedSegmentHeader& header,
                             std::optional<std::uint64_t> end)
    : disk_(disk),
      vault_(vault),
      segment_(header.header),
      newest_(!end.has_value()),
      limit_(std::min(end.value_or(kSegmentBytesMax), disk.size_bytes()) / kAppendUnit *
             kAppendUnit),
      digest_(header.digest),
      last_lsn_(header.header.base_lsn),
      next_sequence_(header.header.first_sequence) {}

Task<Result<std::span<const std::byte>>> SegmentReader::bytes(std::uint64_t offset,
                                                              std::uint64_t size,
                                                              std::uint64_t window) {
  CHECK(offset + size <= limit_);
  if (offset < window_offset_ || offset + size > window_offset_ + window_bytes_) {
    const std::uint64_t from = offset / kAppendUnit * kAppendUnit;
    const std::uint64_t upto =
        std::min(limit_, std::max(cdp::round_up(offset + size, kAppendUnit), from + window));
    window_bytes_ = 0;
    const std::span<std::byte> into = buffer_.reserve(upto - from);
    Status read = co_await disk_.read(from, into);
    if (!read.ok()) co_return read.error();
    window_offset_ = from;
    window_bytes_ = upto - from;
  }
  co_return std::span<const std::byte>(buffer_.data() + (offset - window_offset_), size);
}

Task<Result<std::optional<SegmentReader::Found>>> SegmentReader::header_at(std::uint64_t offset,
                                                                           std::uint64_t window) {
  if (offset + kAppendUnit > limit_) co_return std::optional<Found>();
  Result<std::span<const std::byte>> read = co_await bytes(offset, kFrameHeaderBytes, window);
  if (!read.ok()) co_return read.error();
  const std::span<const std::byte, kFrameHeaderBytes> raw(read->data(), kFrameHeaderBytes);
  if (!begins_like_a_frame(raw)) co_return std::optional<Found>();
  Result<FrameHeader> header = decode_frame_header(vault_, segment_.segment, offset, raw);
  if (!header.ok() || header->epoch != segment_.epoch || header->sequence < next_sequence_ ||
      header->first_lsn < last_lsn_ || offset + header->total_bytes > limit_)
    co_return std::optional<Found>();
  co_return std::optional<Found>(Found{.header = *header, .digest = digest_of(raw)});
}

Task<Result<std::optional<SegmentReader::Found>>> SegmentReader::find_next() {
  Result<std::optional<Found>> found = co_await header_at(next_offset_, kWindowBytes);
  if (!found.ok() || !found->has_value()) co_return found;
  if ((*found)->header.sequence != next_sequence_ || (*found)->header.previous_digest != digest_)
    co_return std::optional<Found>();
  Result<bool> is_complete = co_await complete(**found);
  if (!is_complete.ok()) co_return is_complete.error();
  if (!*is_complete) co_return std::optional<Found>();
  co_return found;
}

// Whether a frame whose header is good is all there.
Task<Result<bool>> SegmentReader::complete(Found found) {
  if (!newest_) co_return true;
  // Frame n + 1 is written only when n is durable (rule 1).
  const std::uint64_t after = std::uint64_t{found.header.offset} + found.header.total_bytes;
  Result<std::optional<Found>> next = co_await header_at(after, kWindowBytes);
  if (!next.ok()) co_return next.error();
  if (next->has_value() && (*next)->header.sequence == found.header.sequence + 1 &&
      (*next)->header.previous_digest == found.digest)
    co_return true;
  Result<std::span<const std::byte>> all =
      co_await bytes(found.header.offset, found.header.total_bytes, kWindowBytes);
  if (!all.ok()) co_return all.error();
  co_return check_frame_body(found.header, vault_, *all, false).ok();
}

// The first complete frame of this epoch beyond the place where the next one should be.
Task<Result<std::optional<SegmentReader::Found>>> SegmentReader::find_later() {
  for (std::uint64_t offset = next_offset_ + kAppendUnit; offset + kAppendUnit <= limit_;
       offset += kAppendUnit) {
    Result<std::optional<Found>> found = co_await header_at(offset, kScanWindowBytes);
    if (!found.ok()) co_return found;
    if (!found->has_value() || (*found)->header.sequence <= next_sequence_) continue;
    Result<std::span<const std::byte>> all =
        co_await bytes(offset, (*found)->header.total_bytes, kScanWindowBytes);
    if (!all.ok()) co_return all.error();
    if (check_frame_body((*found)->header, vault_, *all, false).ok()) co_return found;
  }
  co_return std::optional<Found>();
}

void SegmentReader::accept(const Found& found) {
  frame_ = found.header;
  digest_ = found.digest;
  last_lsn_ = found.header.last_lsn;
  next_sequence_ = found.header.sequence + 1;
  next_offset_ = std::uint64_t{found.header.offset} + found.header.total_bytes;
}

Damage SegmentReader::damage_upto(std::uint64_t offset, Lsn before, std::string what) const {
  return {.segment = segment_.segment,
          .from_offset = next_offset_,
          .to_offset = offset,
          .after = last_lsn_,
          .before = before,
          .what = fmt::format("{} from byte {} to byte {} of {} cannot be read", what, next_offset_,
                              offset, segment_name(segment_.segment))};
}

// No record is lost that is as old or older than what comes behind the damage.
Lsn SegmentReader::oldest_after_damage(const FrameHeader& next) const {
  // A segment's first frame is of its state; and only such lie before one of them.
  const bool only_state_is_damaged = next.kind == FrameKind::kState ||
                                     next.sequence == segment_.first_sequence + 1;
  if (only_state_is_damaged) return last_lsn_;
  // A footer has the LSN of the newest record before it, which may be among what is damaged.
  return {next.first_lsn.value + (next.kind == FrameKind::kRecords ? 0u : 1u)};
}

Task<Result<bool>> SegmentReader::next() {
  damage_.reset();
  if (next_offset_ + kAppendUnit > limit_) co_return false;
  Result<std::optional<Found>> found = co_await find_next();
  if (!found.ok()) co_return found.error();
  if (!found->has_value()) {
    Result<std::optional<Found>> later = co_await find_later();
    if (!later.ok()) co_return later.error();
    if (!later->has_value()) {
      if (!newest_) damage_ = damage_upto(limit_, {}, "the frames");
      co_return false;
    }
    // Something later is there. A second look tells damage from a frame that was just being
    // written during the first one.
    window_bytes_ = 0;
    found = co_await find_next();
    if (!found.ok()) co_return found.error();
    if (!found->has_value()) {
      const FrameHeader& header = (*later)->header;
      damage_ = damage_upto(header.offset, oldest_after_damage(header),
                            fmt::format("{} frame(s)", header.sequence - next_sequence_));
      found = later;
    }
  }
  accept(**found);
  co_return true;
}

Task<Result<std::span<const std::byte>>> SegmentReader::metadata() {
  return bytes(frame_.offset + kFrameHeaderBytes, frame_.metadata_end() - kFrameHeaderBytes,
               kWindowBytes);
}

Task<Result<std::span<const std::byte>>> SegmentReader::whole() {
  return bytes(frame_.offset, frame_.total_bytes, kWindowBytes);
}

bool state_may_go_on(const FrameHeader& state_frame) {
  return state_frame.record_bytes >= kStateFrameRecordBytes;
}

Task<Result<JournalState>> read_opening_state(SegmentReader& reader, const Vault& vault) {
  JournalState state;
  bool any = false;
  bool may_go_on = true;
  for (;;) {
    Result<bool> there = co_await reader.next();
    if (!there.ok()) co_return there.error();
    if (reader.damage().has_value()) {
      any = any && !may_go_on;
      break;
    }
    if (!*there || reader.frame().kind != FrameKind::kState) break;
    Result<std::span<const std::byte>> metadata = co_await reader.metadata();
    if (!metadata.ok()) co_return metadata.error();
    Status added = add_state_frame(state, reader.frame(), vault, *metadata);
    if (!added.ok()) co_return added.error();
    any = true;
    may_go_on = state_may_go_on(reader.frame());
  }
  if (!any)
    co_return make_error(EIO, "the state that {} opens with cannot be read",
                         segment_name(reader.segment()));
  co_return state;
}

}  // namespace journal
