// SPDX-License-Identifier: Apache-2.0
//
// The header of a segment; with the first byte odd its checksum and vault are put right. What is
// accepted is exactly what would be written, but for an older version of the format.
#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(segment_header) {
  using namespace journal;
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  fuzz::Bytes bytes = in.copy_of_rest();
  bytes.resize(kSegmentHeaderBytes);
  const std::span<std::byte, kSegmentHeaderBytes> header(bytes.data(), kSegmentHeaderBytes);
  if ((how & 1) != 0) {
    std::memcpy(bytes.data() + 16, fuzz::vault().uuid.bytes.data(), 16);
    fuzz::seal_checksum(bytes, kSegmentHeaderBytes - 8);
  }
  const std::uint32_t segment = (how & 2) != 0 ? 1 : cdp::load_le<std::uint32_t>(bytes.data() + 32);
  const auto decoded = decode_segment_header(fuzz::vault(), segment, header);
  if (!decoded.ok()) return;
  fuzz::Bytes again(kSegmentHeaderBytes);
  encode_segment_header(*decoded, fuzz::vault(),
                        std::span<std::byte, kSegmentHeaderBytes>(again.data(), again.size()));
  cdp::store_le(bytes.data() + 8, kFormatVersion);
  fuzz::seal_checksum(bytes, kSegmentHeaderBytes - 8);
  CHECK(again == bytes);
}
