// SPDX-License-Identifier: Apache-2.0
//
// A frame: its header, records, run table, runs and padding, as they lie in a segment; with the
// first byte odd, uuid, place and checksums are put right. What is accepted of a header is exactly
// what would be written; what check_frame_body has accepted, every reader can read.
#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(frame) {
  using namespace journal;
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  const std::uint32_t segment = 1 + (how >> 1) % 4;
  const std::uint64_t offset = 8192 + (how >> 3) * kAppendUnit;
  fuzz::Bytes bytes = in.copy_of_rest();
  if ((how & 1) != 0)
    fuzz::seal_raw_frame(bytes, segment, offset);
  else if (bytes.size() < kFrameHeaderBytes)
    bytes.resize(kFrameHeaderBytes);

  const std::span<const std::byte, kFrameHeaderBytes> raw(bytes.data(), kFrameHeaderBytes);
  const auto header = decode_frame_header(fuzz::vault(), segment, offset, raw);
  if (!header.ok()) return;
  CHECK(begins_like_a_frame(raw));
  fuzz::Bytes again(kFrameHeaderBytes);
  encode_frame_header(*header, fuzz::vault(),
                      std::span<std::byte, kFrameHeaderBytes>(again.data(), again.size()));
  CHECK(std::ranges::equal(again, raw));
  CHECK(header->used_bytes() <= header->total_bytes && header->total_bytes <= kFrameBytesMax);
  if (bytes.size() < header->total_bytes) return;

  const std::span<const std::byte> whole(bytes.data(), header->total_bytes);
  const bool good = check_frame_body(*header, fuzz::vault(), whole, true).ok();
  const auto metadata =
      whole.subspan(kFrameHeaderBytes, header->metadata_end() - kFrameHeaderBytes);
  fuzz::check_round_trip(*header, metadata);
  const auto records = RecordDecoder::open(*header, fuzz::vault(), metadata);
  if (good) CHECK(records.ok());
  if (!records.ok()) return;
  for (const RunEntry& run : records->runs()) {
    const auto stored = whole.subspan(run.offset, run.stored_bytes);
    const std::uint64_t at = offset + run.offset;
    const auto said = decode_run_header(fuzz::vault(), segment, at, stored);
    if (good) CHECK(said.ok() && said->block_count == run.block_count);
    const auto blocks = decode_run(fuzz::vault(), segment, at, stored);
    if (blocks.ok()) CHECK(blocks->size() == said->block_count * cdp::kBlockBytes);
  }
}
