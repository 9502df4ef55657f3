// SPDX-License-Identifier: Apache-2.0
//
// ReadAhead: finds sequential readers among the reads of a device and says what they will want
// next. Several streams may be interleaved, and a stream's reads may come a little out of order, as
// clients keep many in flight. A stream's window begins small and doubles while the stream goes on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace restore {

class ReadAhead {
 public:
  struct Window {
    std::uint64_t first_block = 0;
    std::uint64_t end_block = 0;
    bool operator==(const Window&) const = default;
  };

  static constexpr std::size_t kStreams = 16;
  static constexpr std::uint64_t kWindowBlocksMin = 128;   // 512 KiB
  static constexpr std::uint64_t kWindowBlocksMax = 1024;  // 4 MiB

  // A read of [first_block, end_block) has come. Gives what should be brought next, if anything;
  // the end is not limited by the device's.
  std::optional<Window> note(std::uint64_t first_block, std::uint64_t end_block);

 private:
  // So far from where it is expected, a read still belongs to the stream.
  static constexpr std::uint64_t kSlackBlocks = 512;
  // So many reads that go on make a stream.
  static constexpr unsigned kReadsMin = 3;

  struct Stream {
    std::uint64_t next = 0;   // behind the farthest read
    std::uint64_t ahead = 0;  // behind what was asked to be brought
    std::uint64_t window = kWindowBlocksMin;
    unsigned reads = 0;
    std::uint64_t used = 0;  // when, in reads of the device; 0: never
  };

  std::array<Stream, kStreams> streams_{};
  std::uint64_t reads_ = 0;
};

}  // namespace restore
