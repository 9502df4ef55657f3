// SPDX-License-Identifier: Apache-2.0
//
// The state of the journal to the records of the state frames with which a segment opens, and back
// (FORMAT.md, "Segment"); and on by the records of history.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "journal/record_codec.h"
#include "journal/state.h"

namespace journal {

// The records of state frames that together hold `state`, each at most `frame_record_bytes` (and
// one record) long.
std::vector<RecordEncoder> encode_state(const JournalState& state, std::size_t frame_record_bytes);
// Adds one record of a state frame to `state`; EIO for one that does not belong there.
Status add_to_state(JournalState& state, const AnyRecord& record);
// Adds all records of a state frame.
Status add_state_frame(JournalState& state, const FrameHeader& frame, const Vault& vault,
                       std::span<const std::byte> metadata);
// Moves `state` on by a record of history.
void apply_record(JournalState& state, const AnyRecord& record);

}  // namespace journal
