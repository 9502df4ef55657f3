// SPDX-License-Identifier: Apache-2.0
#include "journal/hook_index.h"

#include <algorithm>
#include <utility>

#include "cdp/base/check.h"
#include "journal/format.h"

namespace journal {
namespace {

// A slot is tag, segment, offset / kAppendUnit.
constexpr unsigned kOffsetBits = 18;
constexpr unsigned kSegmentBits = 22;
constexpr unsigned kTagBits = 24;
constexpr unsigned kTagShift = kOffsetBits + kSegmentBits;
static_assert(kTagBits + kTagShift == 64);
static_assert(kSegmentBytesMax / kAppendUnit <= std::uint64_t{1} << kOffsetBits);

constexpr unsigned kHookBits = 6;
constexpr unsigned kThinnedMax = 12;
constexpr std::size_t kSlotsMin = 8;

// Of the high half: the table of recent blocks goes by the low one.
std::uint64_t tag_of(const Fingerprint& fingerprint) {
  return (fingerprint.high >> kHookBits) & ((std::uint64_t{1} << kTagBits) - 1);
}
std::size_t shard_of(const Fingerprint& fingerprint) { return fingerprint.high >> 56; }

// Thinning takes the tag's lowest bits, and this goes by the highest.
std::size_t home_of(std::uint64_t tag, std::size_t capacity) {
  return static_cast<std::size_t>(tag * capacity >> kTagBits);
}
bool is_kept(std::uint64_t tag, unsigned thinned) {
  return (tag & ((std::uint64_t{1} << thinned) - 1)) == 0;
}
std::size_t after(std::size_t at, std::size_t capacity) { return at + 1 == capacity ? 0 : at + 1; }
bool is_full(std::size_t used, std::size_t capacity) { return (used + 1) * 20 > capacity * 17; }

}  // namespace

HookIndex::HookIndex(std::size_t bytes)
    : slots_max_(bytes == 0 ? 0 : std::max(kSlotsMin, bytes / sizeof(std::uint64_t) / kShards)) {}

std::size_t HookIndex::memory_bytes() const {
  std::size_t bytes = sizeof(shards_);
  for (const Shard& shard : shards_) bytes += shard.slots.capacity() * sizeof(std::uint64_t);
  return bytes;
}

std::optional<std::size_t> HookIndex::slot_with(const Shard& shard, std::uint64_t tag) {
  const std::size_t capacity = shard.slots.size();
  if (capacity == 0) return std::nullopt;
  for (std::size_t at = home_of(tag, capacity); shard.slots[at] != 0; at = after(at, capacity))
    if (shard.slots[at] >> kTagShift == tag) return at;
  return std::nullopt;
}

void HookIndex::put(Shard& shard, std::uint64_t slot) {
  const std::size_t capacity = shard.slots.size();
  std::size_t at = home_of(slot >> kTagShift, capacity);
  while (shard.slots[at] != 0) at = after(at, capacity);
  shard.slots[at] = slot;
  ++shard.used;
}

std::optional<FramePosition> HookIndex::find(const Fingerprint& fingerprint) const {
  if (!is_hook(fingerprint)) return std::nullopt;
  const Shard& shard = shards_[shard_of(fingerprint)];
  const std::optional<std::size_t> at = slot_with(shard, tag_of(fingerprint));
  if (!at.has_value()) return std::nullopt;
  const std::uint64_t slot = shard.slots[*at];
  const std::uint64_t offset = slot & ((std::uint64_t{1} << kOffsetBits) - 1);
  const std::uint64_t segment = slot >> kOffsetBits & ((std::uint64_t{1} << kSegmentBits) - 1);
  return FramePosition{static_cast<std::uint32_t>(segment),
                       static_cast<std::uint32_t>(offset * kAppendUnit)};
}

void HookIndex::insert(const Fingerprint& fingerprint, FramePosition frame) {
  CHECK(frame.segment > 0 && frame.offset < kSegmentBytesMax && frame.offset % kAppendUnit == 0);
  if (!is_hook(fingerprint) || slots_max_ == 0 || frame.segment >> kSegmentBits != 0) return;
  Shard& shard = shards_[shard_of(fingerprint)];
  const std::uint64_t tag = tag_of(fingerprint);
  const std::uint64_t slot =
      tag << kTagShift | std::uint64_t{frame.segment} << kOffsetBits | frame.offset / kAppendUnit;
  if (const std::optional<std::size_t> known = slot_with(shard, tag); known.has_value()) {
    shard.slots[*known] = slot;
    return;
  }
  if (is_full(shard.used, shard.slots.size()) && !make_room(shard)) return;
  if (!is_kept(tag, shard.thinned)) return;
  put(shard, slot);
  ++size_;
}

bool HookIndex::make_room(Shard& shard) {
  const std::size_t capacity = shard.slots.size();
  if (capacity < slots_max_) {
    rebuild(shard, std::min(slots_max_, std::max(kSlotsMin, capacity + capacity / 8 + 2)));
  } else {
    while (is_full(shard.used, capacity) && shard.thinned < kThinnedMax) {
      ++shard.thinned;
      rebuild(shard, capacity);
    }
  }
  return !is_full(shard.used, shard.slots.size());
}

void HookIndex::rebuild(Shard& shard, std::size_t capacity) {
  const std::vector<std::uint64_t> old =
      std::exchange(shard.slots, std::vector<std::uint64_t>(capacity));
  size_ -= std::exchange(shard.used, 0);
  for (const std::uint64_t slot : old) {
    if (slot == 0 || !is_kept(slot >> kTagShift, shard.thinned)) continue;
    put(shard, slot);
  }
  size_ += shard.used;
}

}  // namespace journal
