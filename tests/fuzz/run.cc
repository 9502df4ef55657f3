// SPDX-License-Identifier: Apache-2.0
//
// A run as one read of a place brings it; with the first byte odd its place and checksum are put
// right, so that its payload, which may be compressed, is reached.
#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(run) {
  using namespace journal;
  constexpr std::uint32_t kSegment = 3;
  constexpr std::uint32_t kOffset = 123456;
  fuzz::Input in(input);
  const bool seal = (in.u8() & 1) != 0;
  fuzz::Bytes bytes = in.copy_of_rest();
  if (seal && bytes.size() >= kRunHeaderBytes) {
    cdp::store_le(bytes.data() + 16, static_cast<std::uint32_t>(bytes.size()));
    cdp::store_le(bytes.data() + 20, kSegment);
    cdp::store_le(bytes.data() + 24, kOffset);
    cdp::store_le(bytes.data(), checksum(fuzz::vault().secret, std::span(bytes).subspan(8)));
  }
  const auto header = decode_run_header(fuzz::vault(), kSegment, kOffset, bytes);
  const auto blocks = decode_run(fuzz::vault(), kSegment, kOffset, bytes);
  if (!header.ok()) {
    CHECK(!blocks.ok());
    return;
  }
  fuzz::Bytes again = bytes;
  encode_run_header(*header, fuzz::vault(), again);
  CHECK(again == bytes);
  if (blocks.ok()) CHECK(blocks->size() == header->block_count * cdp::kBlockBytes);
  if (blocks.ok() && header->codec == Codec::kRaw)
    CHECK(std::ranges::equal(*blocks, std::span(bytes).subspan(kRunHeaderBytes)));
}
