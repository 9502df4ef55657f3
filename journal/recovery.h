// SPDX-License-Identifier: Apache-2.0
//
// Recovery: what a vault's newest segment says about where history ends and what is true there
// (rules 1, 2, 3 and 7). It changes nothing; the journal then begins a new segment, and gives back
// the space that the old one has not used.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/disk.h"
#include "journal/dedup_table.h"
#include "journal/format.h"
#include "journal/hook_file.h"
#include "journal/state.h"
#include "journal/vault.h"

namespace journal {

struct Recovered {
  JournalState state;
  // What the header of the segment to begin says of the one before it; the rest is the journal's.
  SegmentHeader next;
  // What may have been lost; nothing after a clean close. Its stamp is the journal's.
  std::optional<CrashRecord> crash;
  std::vector<Hook> hooks;  // of the newest segment

  // Segments to seal: everything behind the length is zeroes, and nothing is appended any more.
  struct Seal {
    std::uint32_t segment;
    std::uint64_t bytes;
  };
  std::vector<Seal> seals;
};

// `remembered` is the state directory's note. The blocks of the newest segment go into `table`.
Task<Result<Recovered>> recover(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
                                std::optional<Stamp> remembered, DedupTable& table);

}  // namespace journal
