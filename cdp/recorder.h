// SPDX-License-Identifier: Apache-2.0
//
// Recorder: what the engine asks of a journal, and all that it knows of one. `journal/` implements
// it; NullRecorder (null_recorder.h) is the engine's own yardstick.
//
// The record functions are called in LSN order and do not suspend; what they take is in the open
// frame when they return, and durable once durable_lsn() has passed its LSN. Admission comes first:
// a change is recorded only under an Admission that covers it, so that an accepted change never
// meets a full journal (rule 14).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "cdp/io/pages.h"
#include "cdp/io/task.h"
#include "cdp/sequencer.h"

namespace cdp {

enum class ZeroKind : std::uint8_t { kTrim, kZero };

class Recorder {
 public:
  virtual ~Recorder() = default;

  // Waits until the journal has memory and allocated space for a write of `blocks` blocks (0 for
  // a change without payload), and sets that much aside until the matching record call or
  // `cancel_admission`. Fails with ENOSPC when the vault can take no more, EIO when it is fenced.
  virtual Task<Status> admit(std::uint32_t blocks) = 0;
  virtual void cancel_admission(std::uint32_t blocks) = 0;

  // `pages[i]` is the new content of block `first_block + i`. `previous[i]`, where it is not null,
  // is the content that the block had just before (it was still dirty), from a change that every
  // checkpoint recorded later leaves to replay if it leaves this one: a block that is the same may
  // be recorded as such. Both are shared, not copied.
  virtual void record_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                            const PageList& pages, const PageList& previous) = 0;
  // Blocks [first_block, first_block + count) read as zeroes from now on.
  virtual void record_zero(VolumeId volume, Stamp stamp, ZeroKind kind, std::uint64_t first_block,
                           std::uint64_t count) = 0;
  // Every change of `volume` up to `covered` is durable on its backing store, or superseded by a
  // change recorded before this call: replay may start after `covered`. Admitted as 0 blocks.
  // While the volume hydrates, that holds of the blocks before `hydrated_upto` alone, and of the
  // others nothing is said; without it the backing store lacks nothing.
  virtual void record_checkpoint(VolumeId volume, Stamp stamp, Lsn covered,
                                 std::optional<std::uint64_t> hydrated_upto) = 0;

  // Returns when everything recorded up to `lsn` is durable; an error when that cannot be.
  virtual Task<Status> flush(Lsn lsn) = 0;
  // Everything up to here is durable. Never goes back.
  virtual Lsn durable_lsn() const = 0;
  // Notified each time durable_lsn() grows, and when the journal fails.
  virtual Signal& progress() = 0;
};

}  // namespace cdp
