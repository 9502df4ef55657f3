// SPDX-License-Identifier: Apache-2.0
#include "cdp/block_set.h"

#include <algorithm>
#include <iterator>

namespace cdp {

void BlockSet::add(std::uint64_t first, std::uint64_t end) {
  if (first >= end) return;
  auto at = intervals_.upper_bound(first);
  if (at != intervals_.begin() && std::prev(at)->second >= first) --at;
  // Everything that overlaps or touches becomes one.
  while (at != intervals_.end() && at->first <= end) {
    first = std::min(first, at->first);
    end = std::max(end, at->second);
    blocks_ -= at->second - at->first;
    at = intervals_.erase(at);
  }
  intervals_.emplace_hint(at, first, end);
  blocks_ += end - first;
}

void BlockSet::remove_before(std::uint64_t block) {
  auto at = intervals_.begin();
  while (at != intervals_.end() && at->first < block) {
    const std::uint64_t end = at->second;
    blocks_ -= std::min(end, block) - at->first;
    at = intervals_.erase(at);
    if (end > block) intervals_.emplace_hint(at, block, end);
  }
}

void BlockSet::clear() {
  intervals_.clear();
  blocks_ = 0;
}

std::uint64_t BlockSet::end_of(std::uint64_t block) const {
  const auto behind = intervals_.upper_bound(block);
  if (behind == intervals_.begin()) return block;
  return std::max(block, std::prev(behind)->second);
}

BlockSet::Stretch BlockSet::stretch_at(std::uint64_t block, std::uint64_t limit) const {
  const auto behind = intervals_.upper_bound(block);
  if (behind != intervals_.begin() && std::prev(behind)->second > block)
    return {true, std::min(limit, std::prev(behind)->second - block)};
  return {false, behind == intervals_.end() ? limit : std::min(limit, behind->first - block)};
}

std::optional<std::uint64_t> BlockSet::most_crowded(std::uint64_t zone_blocks) const {
  std::optional<std::uint64_t> best;
  std::size_t most = 1;
  std::uint64_t zone = 0;
  std::size_t count = 0;
  for (const auto& [first, end] : intervals_) {
    count = first / zone_blocks == zone ? count + 1 : 1;
    zone = first / zone_blocks;
    if (count <= most) continue;
    most = count;
    best = zone;
  }
  return best;
}

}  // namespace cdp
