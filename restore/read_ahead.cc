// SPDX-License-Identifier: Apache-2.0
#include "restore/read_ahead.h"

#include <algorithm>

namespace restore {

std::optional<ReadAhead::Window> ReadAhead::note(std::uint64_t first_block,
                                                 std::uint64_t end_block) {
  ++reads_;
  Stream* stream = nullptr;
  for (Stream& one : streams_) {
    const bool near = one.used != 0 && first_block <= one.next + kSlackBlocks &&
                      one.next <= first_block + kSlackBlocks;
    if (near) {
      stream = &one;
      break;
    }
  }
  if (stream == nullptr) {
    stream = &*std::min_element(streams_.begin(), streams_.end(),
                                [](const Stream& a, const Stream& b) { return a.used < b.used; });
    *stream = Stream{.next = first_block};
  }
  stream->used = reads_;
  if (end_block <= stream->next) return std::nullopt;  // it does not go on
  stream->next = end_block;
  if (++stream->reads < kReadsMin) return std::nullopt;
  stream->ahead = std::max(stream->ahead, stream->next);
  if (stream->ahead - stream->next > stream->window / 2) return std::nullopt;
  const Window window{stream->ahead, stream->next + stream->window};
  stream->ahead = window.end_block;
  stream->window = std::min(stream->window * 2, kWindowBlocksMax);
  return window;
}

}  // namespace restore
