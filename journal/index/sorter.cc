// SPDX-License-Identifier: Apache-2.0
#include "journal/index/sorter.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace journal::index {
namespace {

// Calls each(i, entry) for all entries, those of one key newest first.
template <typename Each>
void newest_first(std::span<const Entry> entries, bool reversed, Each each) {
  const std::size_t count = entries.size();
  if (reversed) {
    for (std::size_t i = count; i-- > 0;) each(i, entries[i]);
  } else {
    for (std::size_t i = 0; i < count; ++i) each(i, entries[i]);
  }
}

}  // namespace

Sorter::Varying Sorter::varying_of(std::span<const Entry> entries) {
  Varying varying;
  for (const Entry& entry : entries) {
    varying.tree |= entry.tree ^ entries.front().tree;
    varying.node |= entry.node ^ entries.front().node;
  }
  return varying;
}

Sorter::Starts Sorter::split(const Range& range, const Varying& varying, unsigned buffer) {
  CHECK(range.entries.size() < UINT32_MAX);
  buffers_[buffer].reserve(total_);
  const bool by_tree = varying.tree != 0;
  const auto end = static_cast<unsigned>(std::bit_width(by_tree ? varying.tree : varying.node));
  const unsigned shift = end > kDigitBits ? end - kDigitBits : 0;
  const auto digit = [&](const Entry& entry) {
    return (by_tree ? entry.tree : entry.node) >> shift & (kDigits - 1);
  };
  Starts starts{};
  for (const Entry& entry : range.entries) ++starts[digit(entry) + 1];
  for (std::size_t i = 1; i <= kDigits; ++i) starts[i] += starts[i - 1];
  Starts next = starts;
  Entry* const to = buffers_[buffer].data() + range.first;
  newest_first(range.entries, range.order == Order::kOldestFirst,
               [&](std::size_t, const Entry& entry) { to[next[digit(entry)]++] = entry; });
  return starts;
}

std::span<const Sorter::Item> Sorter::sorted(const Range& range, const Varying& varying) {
  const std::size_t count = range.entries.size();
  items_.reserve(kPartMax);
  other_.reserve(kPartMax);
  Item* to = items_.data();
  newest_first(range.entries, range.order == Order::kOldestFirst,
               [&](std::size_t i, const Entry& entry) {
                 *to++ = {entry.node, entry.tree << kPartBits | i};
               });
  sort_items(
      count, [](const Item& item) { return item.node; }, varying.node);
  sort_items(
      count, [](const Item& item) { return item.tree_and_entry >> kPartBits; }, varying.tree);
  return {items_.data(), count};
}

// One pass for each digit of the bits that are not the same in all keys.
template <typename Key>
void Sorter::sort_items(std::size_t count, Key key, std::uint64_t varying) {
  if (varying == 0) return;
  auto shift = static_cast<unsigned>(std::countr_zero(varying));
  const auto end = static_cast<unsigned>(std::bit_width(varying));
  constexpr unsigned kBits = 10;
  const unsigned passes = (end - shift + kBits - 1) / kBits;
  const unsigned bits = (end - shift + passes - 1) / passes;
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  for (; shift < end; shift += bits) {
    if ((varying >> shift & mask) == 0) continue;
    std::array<std::uint32_t, std::size_t{1} << kBits> next{};
    const std::span<const Item> items{items_.data(), count};
    Item* const to = other_.data();
    for (const Item& item : items) ++next[key(item) >> shift & mask];
    std::uint32_t sum = 0;
    for (std::uint32_t& of_digit : next) sum += std::exchange(of_digit, sum);
    for (const Item& item : items) to[next[key(item) >> shift & mask]++] = item;
    std::swap(items_, other_);
  }
}

}  // namespace journal::index
