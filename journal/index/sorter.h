// SPDX-License-Identifier: Apache-2.0
//
// Sorter: brings entries that were collected in LSN order into the order of a run, by tree, node
// and LSN descending. A radix sort: stable, so that the LSN needs no pass of its own, and passing
// over what all entries have in common.
//
// One thread at a time; keeps its memory from call to call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "journal/index/entry.h"

namespace journal::index {

class Sorter {
 public:
  static constexpr std::size_t kEntriesMax = std::size_t{1} << 26;

  // The numbers of the entries, in the order of a run; valid until the next call. `entries` are in
  // LSN order, at most kEntriesMax; volumes fit 32 bits, as they always do.
  std::span<const std::uint32_t> order(std::span<const Entry> entries);

 private:
  struct Item {
    std::uint64_t node;
    std::uint64_t tree_and_entry;
  };
  template <typename Key>
  void sort_by(Key key, std::uint64_t varying);

  std::vector<Item> items_;
  std::vector<Item> other_;
  std::vector<std::uint32_t> order_;
};

}  // namespace journal::index
