// SPDX-License-Identifier: Apache-2.0
//
// The state with which a segment opens: some frames of it (how many: 1; of each: records, a chunk),
// and then history that moves it on. Whatever state comes of that, the next segment can open with
// it, and it is read back the same.
#include "journal/state_codec.h"

#include "tests/fuzz/journal_input.h"

namespace {

using namespace journal;

fuzz::Bytes written(const JournalState& state) {
  fuzz::Bytes all;
  for (const RecordEncoder& frame : encode_state(state, 1u << 20))
    all.insert(all.end(), frame.bytes().begin(), frame.bytes().end());
  return all;
}

std::span<const std::byte> metadata_of(const FrameHeader& header, const std::byte* frame) {
  return {frame + kFrameHeaderBytes, header.metadata_end() - kFrameHeaderBytes};
}

JournalState read_opening(const SegmentOpening& opening) {
  JournalState state;
  for (std::uint64_t at = kSegmentHeaderBytes; at < opening.bytes;) {
    const std::byte* const from = opening.buffer.data() + at;
    const auto header = decode_frame_header(
        fuzz::vault(), 2, at, std::span<const std::byte, kFrameHeaderBytes>(from, kFrameHeaderBytes));
    CHECK(header.ok());
    const auto added = add_state_frame(state, *header, fuzz::vault(), metadata_of(*header, from));
    CHECK(added.ok());
    at += header->total_bytes;
  }
  return state;
}

}  // namespace

FUZZ_TARGET(state) {
  fuzz::Input in(input);
  FramePlace place{.segment = 1, .epoch = 1, .sequence = 1, .offset = 4096, .previous_digest = {}};
  JournalState state;
  for (int frames = in.u8() % 4 + 1; frames > 0; --frames) {
    const BuiltFrame frame = fuzz::frame_from(in, FrameKind::kState, place, {});
    if (!add_state_frame(state, frame.header, fuzz::vault(),
                         metadata_of(frame.header, frame.buffer.data()))
             .ok())
      return;
  }
  const BuiltFrame history = fuzz::frame_from(in, FrameKind::kRecords, place, {{100}, {100}});
  auto records = RecordDecoder::open(history.header, fuzz::vault(),
                                     metadata_of(history.header, history.buffer.data()));
  while (records.ok() && !records->at_end()) {
    const auto record = records->next();
    if (!record.ok()) break;
    apply_record(state, *record);
  }

  const SegmentHeader header{.segment = 2,
                             .epoch = 1,
                             .first_sequence = 5,
                             .base_lsn = state.lsn,
                             .created = state.time,
                             .previous_end = PreviousEnd::kCut,
                             .previous_length = 8192,
                             .previous_digest = {},
                             .capacity_bytes = 1u << 20};
  const SegmentOpening opening = build_opening(header, state, fuzz::vault());
  CHECK(opening.bytes <= opening_bytes_bound(state));
  CHECK(written(read_opening(opening)) == written(state));
}
