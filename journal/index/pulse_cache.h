// SPDX-License-Identifier: Apache-2.0
//
// PulseCache: the pulses of the frames that were asked for lately, so that whoever looks each second
// at the last hour has only what is new of it read and decoded. Frames never change; nothing here
// has to be forgotten but for room.
//
// One thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "cdp/base/types.h"
#include "journal/records.h"

namespace journal::index {

class PulseCache {
 public:
  static constexpr std::size_t kDefaultBytes = 16u << 20;
  // In the order of their LSNs.
  using Pulses = std::shared_ptr<const std::vector<PulseRecord>>;

  explicit PulseCache(std::size_t bytes) : half_bytes_(bytes / 2) {}

  // Of the frame with this last LSN; null where it is not here.
  Pulses find(cdp::Lsn frame);
  void add(cdp::Lsn frame, Pulses pulses);
  // Bounded by what was given to the constructor.
  std::size_t bytes() const { return newer_.bytes + older_.bytes; }

 private:
  // What was asked for since the half was begun; the older one goes when the newer one is full.
  struct Half {
    boost::unordered_flat_map<std::uint64_t, Pulses> frames{};
    std::size_t bytes = 0;
  };
  static std::size_t size_of(const Pulses& pulses);

  const std::size_t half_bytes_;
  Half newer_;
  Half older_;
};

}  // namespace journal::index
