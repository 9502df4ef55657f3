// SPDX-License-Identifier: Apache-2.0
//
// Sorter: hands over entries that were collected in LSN order in the order of a run, by tree, node
// and LSN descending. A radix sort, stable, so that the LSN needs no pass of its own, and passing
// over what all entries have in common. It parts the entries by their first digits until a part
// fits the processor's caches and sorts each part there, where whoever visits them finds them too.
//
// One thread at a time. Keeps its memory from call to call, 40 bytes an entry, at most twice that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "journal/index/entry.h"
#include "journal/index/huge_array.h"

namespace journal::index {

class Sorter {
 public:
  // Calls visit(entry) for each of them.
  template <typename Visit>
  void sort(std::span<const Entry> in_lsn_order, Visit visit) {
    total_ = in_lsn_order.size();
    sort_range({in_lsn_order, 0, Order::kOldestFirst}, 0, visit);
  }

 private:
  static constexpr unsigned kPartBits = 15;
  static constexpr std::size_t kPartMax = std::size_t{1} << kPartBits;
  static constexpr unsigned kDigitBits = 6;
  static constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;

  enum class Order { kOldestFirst, kNewestFirst };  // of entries with one key
  struct Range {
    std::span<const Entry> entries;
    std::size_t first;  // in the buffers, where the range has its room
    Order order;
  };
  // The bits in which keys of a range differ.
  struct Varying {
    std::uint64_t tree = 0;
    std::uint64_t node = 0;
  };
  struct Item {
    std::uint64_t node;
    std::uint64_t tree_and_entry;  // number of the entry in its range
  };
  static const Entry& entry_of(const Range& range, const Item& item) {
    return range.entries[item.tree_and_entry & (kPartMax - 1)];
  }
  using Starts = std::array<std::uint32_t, kDigits + 1>;

  template <typename Visit>
  void sort_range(const Range& range, unsigned buffer, Visit& visit) {
    const Varying varying = varying_of(range.entries);
    if (varying.tree == 0 && varying.node == 0) {
      if (range.order == Order::kNewestFirst) {
        for (const Entry& entry : range.entries) visit(entry);
      } else {
        for (std::size_t i = range.entries.size(); i-- > 0;) visit(range.entries[i]);
      }
    } else if (range.entries.size() <= kPartMax) {
      constexpr std::size_t kAhead = 12;
      const std::span<const Item> items = sorted(range, varying);
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i + kAhead < items.size()) __builtin_prefetch(&entry_of(range, items[i + kAhead]));
        visit(entry_of(range, items[i]));
      }
    } else {
      const Starts starts = split(range, varying, buffer);
      const Entry* const parts = buffers_[buffer].data();
      for (std::size_t digit = 0; digit < kDigits; ++digit) {
        const std::size_t first = range.first + starts[digit];
        const std::size_t count = starts[digit + 1] - starts[digit];
        if (count != 0)
          sort_range({{parts + first, count}, first, Order::kNewestFirst}, 1 - buffer, visit);
      }
    }
  }

  static Varying varying_of(std::span<const Entry> entries);
  // Parts the range into buffers_[buffer], by the first digit that varies.
  Starts split(const Range& range, const Varying& varying, unsigned buffer);
  // At most kPartMax.
  std::span<const Item> sorted(const Range& range, const Varying& varying);
  template <typename Key>
  void sort_items(std::size_t count, Key key, std::uint64_t varying);

  std::size_t total_ = 0;
  std::array<HugeArray<Entry>, 2> buffers_;
  HugeArray<Item> items_;
  HugeArray<Item> other_;
};

}  // namespace journal::index
