// SPDX-License-Identifier: Apache-2.0
//
// What a SimLog says of its volume once rollbacks are in it: plain replay, from the beginning, each
// time. The rollback-aware counterpart of `replay` in sim_recorder.h, for one volume.
#pragma once

#include <optional>
#include <vector>

#include "tests/sim/sim_recorder.h"

namespace sim {

// How a volume began: its size, and, if it was created from a point, the content of that.
struct LogOrigin {
  std::uint64_t size_bytes = 0;
  std::uint64_t bytes_max = 0;  // the longest that it ever gets, a multiple of 4096
  std::vector<std::byte> content = {};
};

// All bytes_max bytes, zeroes behind the end.
std::vector<std::byte> content_at(const SimLog& log, const LogOrigin& origin, cdp::Lsn upto);
std::uint64_t size_at(const SimLog& log, const LogOrigin& origin, cdp::Lsn upto);

// What a start finds.
struct LoggedState {
  cdp::Lsn covered{};   // by the newest checkpoint
  cdp::Lsn replaced{};  // the newest rollback
  struct Hydration {
    std::uint64_t cursor = 0;
    cdp::Lsn base{};
  };
  std::optional<Hydration> hydration{};
};
LoggedState state_of(const SimLog& log, const LogOrigin& origin);

// By block: whether it was written since `base`, or a rollback since has changed its content. A
// write of what was there already counts: the checkpoint that covers the base may have left the
// older one out because of it.
std::vector<bool> differing_since(const SimLog& log, const LogOrigin& origin, cdp::Lsn base);

}  // namespace sim
