// SPDX-License-Identifier: Apache-2.0
//
// Records alone: what kind of frame they are in (1), how many runs it has (1) and how many blocks
// each (1), then their bytes. The frame's header says of them what is true.
#include <limits>

#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(records) {
  using namespace journal;
  fuzz::Input in(input);
  const auto kind = static_cast<FrameKind>(1 + in.u8() % 3);
  FrameHeader header{.segment = 7, .epoch = 1, .sequence = 9, .offset = 65536, .kind = kind};
  header.run_count = kind == FrameKind::kRecords ? in.u8() % 32 : in.u8() * 0u;
  const auto blocks = static_cast<std::uint16_t>(in.u8() % kRunBlocksMax + 1);
  header.first_lsn = {0};
  header.last_lsn = {UINT64_MAX};
  header.min_time = {std::numeric_limits<std::int64_t>::min()};
  header.max_time = {std::numeric_limits<std::int64_t>::max()};
  fuzz::Bytes metadata = in.copy_of_rest();
  header.record_bytes = static_cast<std::uint32_t>(metadata.size());
  header.data_bytes = header.run_count * 100;
  metadata.resize(metadata.size() + header.run_count * kRunEntryBytes);
  for (std::uint32_t i = 0; i < header.run_count; ++i)
    encode_run_entry({.offset = static_cast<std::uint32_t>(header.metadata_end()) + i * 100,
                      .stored_bytes = 100,
                      .first_block = i * blocks,
                      .block_count = blocks},
                     std::span<std::byte, kRunEntryBytes>(
                         metadata.data() + header.record_bytes + i * kRunEntryBytes,
                         kRunEntryBytes));
  header.metadata_checksum = checksum(fuzz::vault().secret, metadata);
  header.record_count = UINT32_MAX;
  header.record_count = std::max(fuzz::check_round_trip(header, metadata), 1u);
  fuzz::check_round_trip(header, metadata);
}
