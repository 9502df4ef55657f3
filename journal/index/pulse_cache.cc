// SPDX-License-Identifier: Apache-2.0
#include "journal/index/pulse_cache.h"

#include <utility>

namespace journal::index {

PulseCache::Pulses PulseCache::find(cdp::Lsn frame) {
  if (const auto at = newer_.frames.find(frame.value); at != newer_.frames.end()) return at->second;
  const auto at = older_.frames.find(frame.value);
  if (at == older_.frames.end()) return nullptr;
  Pulses pulses = std::move(at->second);
  older_.frames.erase(at);
  older_.bytes -= size_of(pulses);
  add(frame, pulses);
  return pulses;
}

void PulseCache::add(cdp::Lsn frame, Pulses pulses) {
  const std::size_t bytes = size_of(pulses);
  if (bytes > half_bytes_) return;
  if (newer_.bytes + bytes > half_bytes_) older_ = std::exchange(newer_, {});
  if (newer_.frames.emplace(frame.value, std::move(pulses)).second) newer_.bytes += bytes;
}

// With what the map and the allocator take beside it.
std::size_t PulseCache::size_of(const Pulses& pulses) {
  constexpr std::size_t kOfFrame = 128;
  return kOfFrame + pulses->capacity() * sizeof(PulseRecord);
}

}  // namespace journal::index
