// SPDX-License-Identifier: Apache-2.0
#include "cdp/dirty_map.h"

#include <algorithm>
#include <utility>

namespace cdp {

void DirtyMap::link_write(std::uint64_t first, const PageList& pages, Lsn lsn, Lsn after,
                          PageList& previous) {
  CHECK(previous.size() == pages.size());
  auto next = blocks_.lower_bound(first);
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const std::uint64_t block = first + i;
    if (next != blocks_.end() && next->block == block) {
      CHECK(next->lsn < lsn);
      PageRef replaced = std::exchange(next->page, pages[i]);
      if (next->lsn > after) previous[i] = std::move(replaced);
      next->lsn = lsn;
      ++next;
      continue;
    }
    Block& node = block_nodes_.take();
    node.block = block;
    node.lsn = lsn;
    node.page = pages[i];
    blocks_.insert_before(next, node);
  }
}

void DirtyMap::link_zeroes(std::uint64_t first, std::uint64_t count, Lsn lsn, bool may_deallocate) {
  CHECK(count > 0);
  const std::uint64_t end = first + count;
  drop_blocks(first, end);
  carve(first, end);

  Extent added;
  added.first = first;
  added.end = end;
  added.lsn = lsn;
  added.generation = generation_;
  added.may_deallocate = may_deallocate;
  const auto right = extents_.lower_bound(end);
  if (right != extents_.end() && right->first == end && right->merges_with(added)) {
    added.end = right->end;
    extents_.erase_and_dispose(right, [this](Extent* node) { extent_nodes_.give_back(*node); });
  }
  const auto behind = extents_.lower_bound(first);
  if (behind != extents_.begin()) {
    Extent& left = *std::prev(behind);
    if (left.end == first && left.merges_with(added)) {
      left.end = added.end;
      left.lsn = lsn;
      return;
    }
  }
  add_extent(added);
}

void DirtyMap::find(std::uint64_t first, std::span<PageRef> into) const {
  const std::uint64_t end = first + into.size();
  for (auto node = blocks_.lower_bound(first); node != blocks_.end() && node->block < end; ++node) {
    into[node->block - first] = node->page;
  }
  for (auto extent = extent_behind(first); extent != extents_.end() && extent->first < end;
       ++extent) {
    const std::uint64_t to = std::min(extent->end, end);
    for (std::uint64_t block = std::max(extent->first, first); block < to; ++block) {
      if (!into[block - first]) into[block - first] = zero_page();
    }
  }
}

DirtyMap::Stretch DirtyMap::stretch_at(std::uint64_t block, std::uint64_t limit) const {
  CHECK(limit > 0);
  std::uint64_t end = block + limit;
  auto node = blocks_.lower_bound(block);
  if (node != blocks_.end() && node->block == block) {
    std::uint64_t next = block;
    while (next < end && node != blocks_.end() && node->block == next) ++node, ++next;
    return {State::kData, next - block};
  }
  if (node != blocks_.end()) end = std::min(end, node->block);
  const auto extent = extent_behind(block);
  if (extent != extents_.end() && extent->first <= block) {
    const State state = extent->may_deallocate ? State::kHole : State::kZeroes;
    return {state, std::min(end, extent->end) - block};
  }
  if (extent != extents_.end()) end = std::min(end, extent->first);
  return {State::kUnknown, end - block};
}

bool DirtyMap::next_zeroes(std::uint64_t from, Lsn upto, ZeroRun& run) const {
  for (auto extent = extents_.lower_bound(from); extent != extents_.end(); ++extent) {
    if (extent->lsn > upto) continue;
    run = {extent->first, extent->end - extent->first, extent->may_deallocate};
    return true;
  }
  return false;
}

bool DirtyMap::next_blocks(std::uint64_t from, Lsn upto, std::size_t max_blocks,
                           BlockRun& run) const {
  auto node = blocks_.lower_bound(from);
  while (node != blocks_.end() && node->lsn > upto) ++node;
  if (node == blocks_.end()) return false;
  run.first = node->block;
  run.pages.clear();
  run.lsns.clear();
  while (node != blocks_.end() && node->lsn <= upto && run.pages.size() < max_blocks &&
         node->block == run.first + run.pages.size()) {
    run.pages.push_back(node->page);
    run.lsns.push_back(node->lsn);
    ++node;
  }
  return true;
}

void DirtyMap::zeroes_written(const ZeroRun& run, Lsn upto) {
  // Newer extents may have taken parts of it, and left others.
  const std::uint64_t end = run.first + run.count;
  auto extent = extents_.lower_bound(run.first);
  while (extent != extents_.end() && extent->first < end) {
    if (extent->lsn > upto) {
      ++extent;
      continue;
    }
    CHECK(extent->end <= end);
    extent = extents_.erase_and_dispose(extent,
                                        [this](Extent* node) { extent_nodes_.give_back(*node); });
  }
}

void DirtyMap::blocks_written(const BlockRun& run) {
  auto node = blocks_.lower_bound(run.first);
  for (std::size_t i = 0; i < run.lsns.size(); ++i) {
    const std::uint64_t block = run.first + i;
    while (node != blocks_.end() && node->block < block) ++node;
    if (node == blocks_.end()) return;
    if (node->block != block || node->lsn != run.lsns[i]) continue;
    Block& written = *node;
    node = blocks_.erase(node);
    forget(written);
  }
}

void DirtyMap::clear() {
  blocks_.clear_and_dispose([this](Block* node) { forget(*node); });
  extents_.clear_and_dispose([this](Extent* node) { extent_nodes_.give_back(*node); });
}

void DirtyMap::forget(Block& node) {
  node.page.reset();
  block_nodes_.give_back(node);
}

void DirtyMap::drop_blocks(std::uint64_t first, std::uint64_t end) {
  blocks_.erase_and_dispose(blocks_.lower_bound(first), blocks_.lower_bound(end),
                            [this](Block* node) { forget(*node); });
}

void DirtyMap::carve(std::uint64_t first, std::uint64_t end) {
  auto extent = extent_behind(first);
  while (extent != extents_.end() && extent->first < end) {
    if (extent->first < first) {
      if (extent->end > end) {
        Extent rest;
        rest.first = end;
        rest.end = extent->end;
        rest.lsn = extent->lsn;
        rest.generation = extent->generation;
        rest.may_deallocate = extent->may_deallocate;
        extent->end = first;
        add_extent(rest);
        return;
      }
      extent->end = first;
      ++extent;
    } else if (extent->end <= end) {
      extent = extents_.erase_and_dispose(extent,
                                          [this](Extent* node) { extent_nodes_.give_back(*node); });
    } else {
      extent->first = end;  // the order of the tree stays as it was
      return;
    }
  }
}

void DirtyMap::add_extent(const Extent& like) {
  Extent& node = extent_nodes_.take();
  node.first = like.first;
  node.end = like.end;
  node.lsn = like.lsn;
  node.generation = like.generation;
  node.may_deallocate = like.may_deallocate;
  const bool fresh = extents_.insert(node).second;
  CHECK(fresh);
}

DirtyMap::Extents::iterator DirtyMap::extent_behind(std::uint64_t block) {
  auto extent = extents_.upper_bound(block);
  if (extent != extents_.begin() && std::prev(extent)->end > block) --extent;
  return extent;
}

DirtyMap::Extents::const_iterator DirtyMap::extent_behind(std::uint64_t block) const {
  auto extent = extents_.upper_bound(block);
  if (extent != extents_.begin() && std::prev(extent)->end > block) --extent;
  return extent;
}

}  // namespace cdp
