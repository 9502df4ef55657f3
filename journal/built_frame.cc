// SPDX-License-Identifier: Apache-2.0
#include "journal/built_frame.h"

#include <cstring>

#include "journal/state_codec.h"

namespace journal {
void seal_frame(BuiltFrame& frame, const FramePlace& place, const Vault& vault) {
  FrameHeader& header = frame.header;
  std::byte* const bytes = frame.buffer.data();
  CHECK(header.total_bytes <= frame.buffer.capacity());
  CHECK(place.offset % kAppendUnit == 0 && place.offset + header.total_bytes <= kSegmentBytesMax);
  header.segment = place.segment;
  header.epoch = place.epoch;
  header.sequence = place.sequence;
  header.offset = static_cast<std::uint32_t>(place.offset);
  header.previous_digest = place.previous_digest;

  std::uint64_t at = header.metadata_end();
  const std::uint64_t table_at = kFrameHeaderBytes + header.record_bytes;
  for (std::size_t i = 0; i < frame.runs.size(); ++i) {
    RunEntry& entry = frame.runs[i];
    if (entry.offset != at) std::memmove(bytes + at, bytes + entry.offset, entry.stored_bytes);
    entry.offset = static_cast<std::uint32_t>(at);
    encode_run_header({.codec = frame.codecs[i],
                       .block_count = entry.block_count,
                       .stored_bytes = entry.stored_bytes,
                       .segment = place.segment,
                       .offset = header.offset + entry.offset},
                      vault, {bytes + at, entry.stored_bytes});
    encode_run_entry(entry, std::span<std::byte, kRunEntryBytes>(
                                bytes + table_at + i * kRunEntryBytes, kRunEntryBytes));
    at += entry.stored_bytes;
  }
  CHECK(at == header.used_bytes());
  std::memset(bytes + at, 0, header.total_bytes - at);

  const std::span<const std::byte> all = frame.bytes();
  header.metadata_checksum = checksum(
      vault.secret, all.subspan(kFrameHeaderBytes, header.metadata_end() - kFrameHeaderBytes));
  header.body_digest = body_digest(header.body_digest_of, all);
  const std::span<std::byte, kFrameHeaderBytes> into(bytes, kFrameHeaderBytes);
  encode_frame_header(header, vault, into);
  frame.digest = digest_of(into);
}

BuiltFrame frame_of_records(FrameKind kind, const RecordEncoder& records, Stamp newest,
                            const FramePlace& place, const Vault& vault) {
  BuiltFrame frame;
  frame.header.kind = kind;
  frame.header.record_count = records.count();
  frame.header.record_bytes = static_cast<std::uint32_t>(records.bytes().size());
  frame.header.first_lsn = frame.header.last_lsn = newest.lsn;
  frame.header.min_time = frame.header.max_time = newest.time;
  frame.header.total_bytes =
      static_cast<std::uint32_t>(cdp::round_up(frame.header.used_bytes(), kAppendUnit));
  frame.buffer.reserve(frame.header.total_bytes);
  std::memcpy(frame.buffer.data() + kFrameHeaderBytes, records.bytes().data(),
              records.bytes().size());
  seal_frame(frame, place, vault);
  return frame;
}

SegmentOpening build_opening(const SegmentHeader& header, const JournalState& state,
                             const Vault& vault) {
  SegmentOpening opening;
  opening.buffer.reserve(opening_bytes_bound(state));
  const std::span<std::byte, kSegmentHeaderBytes> head(opening.buffer.data(), kSegmentHeaderBytes);
  encode_segment_header(header, vault, head);
  opening.next = {.segment = header.segment,
                  .epoch = header.epoch,
                  .sequence = header.first_sequence,
                  .offset = kSegmentHeaderBytes,
                  .previous_digest = digest_of(head)};
  for (const RecordEncoder& records : encode_state(state, kStateFrameRecordBytes)) {
    const BuiltFrame frame =
        frame_of_records(FrameKind::kState, records, {state.lsn, state.time}, opening.next, vault);
    CHECK(opening.next.offset + frame.header.total_bytes <= opening.buffer.capacity());
    std::memcpy(opening.buffer.data() + opening.next.offset, frame.buffer.data(),
                frame.header.total_bytes);
    opening.next.offset += frame.header.total_bytes;
    opening.next.sequence += 1;
    opening.next.previous_digest = frame.digest;
  }
  opening.bytes = opening.next.offset;
  return opening;
}

std::uint64_t opening_bytes_bound(const JournalState& state) {
  constexpr std::uint64_t fixed = 160;  // more than any of these records without its texts
  std::uint64_t records = 2 * fixed + state.crashes.size() * fixed;
  for (const auto& [id, volume] : state.volumes) {
    records += fixed + volume.name.size() + volume.backing.size();
    for (const VolumeState::Rollback& rollback : volume.rollbacks)
      records += fixed + rollback.author.size();
    for (const VolumeState::Gap& gap : volume.gaps) records += 2 * fixed + gap.cause.size();
  }
  for (const auto& [label, mark] : state.marks)
    records += fixed + label.size() + mark.author.size();
  // So that a change of a password needs no more.
  for (const auto& [name, user] : state.users) records += fixed + name.size() + kVerifierBytesMax;
  for (const auto& [digest, token] : state.tokens)
    records += fixed + token.user.size() + token.label.size();
  const std::uint64_t frames = 1 + records / kStateFrameRecordBytes;
  return cdp::round_up(kSegmentHeaderBytes + records, kAppendUnit) +
         frames * (kFrameHeaderBytes + kAppendUnit);
}

}  // namespace journal
