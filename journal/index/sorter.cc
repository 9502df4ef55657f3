// SPDX-License-Identifier: Apache-2.0
#include "journal/index/sorter.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace journal::index {
namespace {

constexpr unsigned kEntryBits = 26;
constexpr unsigned kDigitBitsMax = 10;  // 1024 places written at once stay in the first caches
static_assert(std::size_t{1} << kEntryBits == Sorter::kEntriesMax);

}  // namespace

// One pass for each digit of the bits that are not the same in all keys.
template <typename Key>
void Sorter::sort_by(Key key, std::uint64_t varying) {
  if (varying == 0) return;
  auto shift = static_cast<unsigned>(std::countr_zero(varying));
  const auto end = static_cast<unsigned>(std::bit_width(varying));
  const unsigned passes = (end - shift + kDigitBitsMax - 1) / kDigitBitsMax;
  const unsigned digit_bits = (end - shift + passes - 1) / passes;
  const std::uint64_t mask = (std::uint64_t{1} << digit_bits) - 1;
  for (; shift < end; shift += digit_bits) {
    if ((varying >> shift & mask) == 0) continue;
    std::array<std::uint32_t, std::size_t{1} << kDigitBitsMax> next{};
    for (const Item& item : items_) ++next[key(item) >> shift & mask];
    std::uint32_t sum = 0;
    for (std::uint32_t& count : next) sum += std::exchange(count, sum);
    Item* const to = other_.data();
    for (const Item& item : items_) to[next[key(item) >> shift & mask]++] = item;
    items_.swap(other_);
  }
}

std::span<const std::uint32_t> Sorter::order(std::span<const Entry> entries) {
  CHECK(entries.size() <= kEntriesMax);
  const std::size_t count = entries.size();
  items_.resize(count);
  other_.resize(count);
  order_.resize(count);
  std::uint64_t node_varying = 0;
  std::uint64_t tree_varying = 0;
  // Backwards: equal keys keep the order that they have here, newest first.
  for (std::size_t i = 0; i < count; ++i) {
    const Entry& entry = entries[count - 1 - i];
    items_[i] = {entry.node, entry.tree << kEntryBits | (count - 1 - i)};
    node_varying |= entry.node ^ entries.front().node;
    tree_varying |= entry.tree ^ entries.front().tree;
  }
  sort_by([](const Item& item) { return item.node; }, node_varying);
  sort_by([](const Item& item) { return item.tree_and_entry >> kEntryBits; }, tree_varying);
  for (std::size_t i = 0; i < count; ++i)
    order_[i] = static_cast<std::uint32_t>(items_[i].tree_and_entry & (kEntriesMax - 1));
  return order_;
}

}  // namespace journal::index
