// SPDX-License-Identifier: Apache-2.0
//
// Whether a request may be carried out, and how a long one is cut for the device. Pure functions:
// a request is judged once, here, before anything is allocated or awaited for it.
#pragma once

#include <cstdint>
#include <optional>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "cdp/nbd/protocol.h"

namespace cdp::nbd {

// What a judgement depends on besides the request.
struct Terms {
  std::uint64_t size_bytes = 0;
  bool read_only = false;
  bool structured_replies = false;
  bool allocation_context = false;  // base:allocation was selected for this export
};

// Null if the request may be carried out, else the error that the specification names for it
// (sections "Request types" and "Error values"). Not for kDisconnect, and the magic was checked.
std::optional<Error> objection(const Request& request, const Terms& terms);

// The first bytes of [offset, offset + bytes) that go to the device in one call: everything if it
// touches at most kMaxPieceBlocks blocks, else up to the next multiple of kMaxPieceBytes.
constexpr std::uint32_t piece_bytes(std::uint64_t offset, std::uint32_t bytes) {
  if (offset % kBlockBytes + bytes <= kMaxPieceBytes) return bytes;
  const auto to_boundary = static_cast<std::uint32_t>(kMaxPieceBytes - offset % kMaxPieceBytes);
  return bytes < to_boundary ? bytes : to_boundary;
}

// How many pieces that makes.
constexpr std::uint32_t piece_count(std::uint64_t offset, std::uint32_t bytes) {
  std::uint32_t count = 0;
  for (; bytes > 0; ++count) {
    const std::uint32_t piece = piece_bytes(offset, bytes);
    offset += piece;
    bytes -= piece;
  }
  return count;
}

}  // namespace cdp::nbd
