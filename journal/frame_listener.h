// SPDX-License-Identifier: Apache-2.0
//
// FrameListener: learns of every frame of records as soon as it is durable, in order. What follows
// the journal as it grows (the time index) is one.
#pragma once

#include <cstddef>
#include <span>

#include "journal/format.h"

namespace journal {

class FrameListener {
 public:
  virtual ~FrameListener() = default;
  // `metadata` is what lies between the frame's header and its runs, and is valid during the call;
  // `digest` is the frame's. Must not suspend, and must not call the journal.
  virtual void on_durable_frame(const FrameHeader& frame, const Digest& digest,
                                std::span<const std::byte> metadata) = 0;
};

}  // namespace journal
