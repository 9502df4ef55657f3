// SPDX-License-Identifier: Apache-2.0
#include "restore/point_map.h"

#include <algorithm>

#include "cdp/base/check.h"

namespace restore {
namespace {

// Inside a chunk, a place without stored bytes is no place: it stands for a state.
constexpr journal::BlockPlace marker(BlockState state) {
  journal::BlockPlace place{};
  place.run_offset = static_cast<std::uint32_t>(state);
  return place;
}

BlockState state_of_place(const journal::BlockPlace& place) {
  if (place.run_bytes != 0) return BlockState::kData;
  return static_cast<BlockState>(place.run_offset);
}

}  // namespace

PointMap::PointMap(std::uint64_t first_block, std::size_t budget_bytes)
    : first_block_(first_block), budget_bytes_(std::max(budget_bytes, kChunkBytes)) {
  CHECK(first_block % kChunkBlocks == 0 && first_block < kVolumeBlocksMax);
}

void PointMap::put(std::uint64_t block, const journal::BlockPlace& place) {
  CHECK(place.run_bytes != 0);
  if (block < first_block_ || block >= end_block_) return;
  if (Places* places = places_for_change(block)) (*places)[block % kChunkBlocks] = place;
}

void PointMap::zero(std::uint64_t first_block, std::uint64_t block_count) {
  std::uint64_t block = std::max(first_block, first_block_);
  const std::uint64_t last = block_count > end_block_ || first_block > end_block_ - block_count
                                 ? end_block_
                                 : first_block + block_count;
  while (block < std::min(last, end_block_)) {
    if (block % kNodeBlocks == 0 && last - block >= kNodeBlocks) {
      set_uniform(block, BlockState::kZero, true);
      block += kNodeBlocks;
      continue;
    }
    if (block % kChunkBlocks == 0 && last - block >= kChunkBlocks) {
      set_uniform(block, BlockState::kZero, false);
      block += kChunkBlocks;
      continue;
    }
    const std::uint64_t end = std::min(last, (block / kChunkBlocks + 1) * kChunkBlocks);
    const Extent now = uniform_extent(block);
    if (now.block_count == 0 || now.state != BlockState::kZero) {
      if (Places* places = places_for_change(block)) {
        const auto from = places->begin() + static_cast<std::ptrdiff_t>(block % kChunkBlocks);
        std::fill(from, from + static_cast<std::ptrdiff_t>(end - block), marker(BlockState::kZero));
      }
    }
    block = end;
  }
}

PointMap::Node& PointMap::node_of(std::uint64_t block) {
  const std::size_t index = block / kNodeBlocks;
  if (index >= nodes_.size()) nodes_.resize(index + 1);
  return nodes_[index];
}

// The chunk of `block`; its node has chunks afterwards.
PointMap::Chunk& PointMap::chunk_of(std::uint64_t block) {
  Node& node = node_of(block);
  if (node.chunks == nullptr) {
    node.chunks = std::make_unique<std::array<Chunk, kNodeChunks>>();
    for (Chunk& chunk : *node.chunks) chunk.uniform = node.uniform;
    node_bytes_ += kNodeBytes;
  }
  return (*node.chunks)[block / kChunkBlocks % kNodeChunks];
}

// The places of the chunk of `block`, made if need be; null when the budget put the block outside.
PointMap::Places* PointMap::places_for_change(std::uint64_t block) {
  if (uniform_extent(block).block_count != 0 && !make_room(block)) return nullptr;
  Chunk& chunk = chunk_of(block);
  if (chunk.places == nullptr) {
    chunk.places = std::make_unique<Places>();
    chunk.places->fill(marker(chunk.uniform));
    chunk_bytes_ += kChunkBytes;
  }
  return chunk.places.get();
}

// Cuts the covered range from its end until another chunk, at `block`, fits into the budget. False
// when that cuts off `block` itself.
bool PointMap::make_room(std::uint64_t block) {
  const std::uint64_t own_start = block / kChunkBlocks * kChunkBlocks;
  while (chunk_bytes_ + kChunkBytes > budget_bytes_) {
    const std::uint64_t start = last_stored_chunk();
    if (own_start > start) {
      end_block_ = own_start;
      return false;
    }
    node_of(start).chunks->at(start / kChunkBlocks % kNodeChunks).places.reset();
    chunk_bytes_ -= kChunkBytes;
    end_block_ = start;
  }
  return true;
}

// The first block of the last chunk that keeps places; there must be one.
std::uint64_t PointMap::last_stored_chunk() const {
  for (std::size_t node = nodes_.size(); node-- > 0;) {
    if (nodes_[node].chunks == nullptr) continue;
    for (std::size_t chunk = kNodeChunks; chunk-- > 0;) {
      if ((*nodes_[node].chunks)[chunk].places != nullptr) {
        return node * kNodeBlocks + chunk * kChunkBlocks;
      }
    }
  }
  CHECK(false);
}

void PointMap::set_uniform(std::uint64_t block, BlockState state, bool whole_node) {
  Node& node = node_of(block);
  if (whole_node) {
    if (node.chunks != nullptr) {
      for (const Chunk& chunk : *node.chunks) {
        if (chunk.places != nullptr) chunk_bytes_ -= kChunkBytes;
      }
      node_bytes_ -= kNodeBytes;
      node.chunks.reset();
    }
    node.uniform = state;
    return;
  }
  if (node.chunks == nullptr && node.uniform == state) return;
  Chunk& chunk = chunk_of(block);
  if (chunk.places != nullptr) {
    chunk.places.reset();
    chunk_bytes_ -= kChunkBytes;
  }
  chunk.uniform = state;
}

// The rest, from `block` on, of the node or chunk that is all in one state; block_count 0 where
// states are kept by block.
PointMap::Extent PointMap::uniform_extent(std::uint64_t block) const {
  const std::size_t index = block / kNodeBlocks;
  if (index >= nodes_.size()) return {block, kVolumeBlocksMax - block, BlockState::kUntouched};
  const Node& node = nodes_[index];
  if (node.chunks == nullptr) {
    return {block, kNodeBlocks - block % kNodeBlocks, node.uniform};
  }
  const Chunk& chunk = (*node.chunks)[block / kChunkBlocks % kNodeChunks];
  if (chunk.places == nullptr) {
    return {block, kChunkBlocks - block % kChunkBlocks, chunk.uniform};
  }
  return {block, 0, BlockState::kUntouched};
}

BlockState PointMap::state_of(std::uint64_t block) const {
  const Extent uniform = uniform_extent(block);
  return uniform.block_count != 0 ? uniform.state : state_of_place(place_of(block));
}

const journal::BlockPlace& PointMap::place_of(std::uint64_t block) const {
  const Node& node = nodes_[block / kNodeBlocks];
  return (*(*node.chunks)[block / kChunkBlocks % kNodeChunks].places)[block % kChunkBlocks];
}

PointMap::Extent PointMap::extent_at(std::uint64_t block, std::uint64_t limit) const {
  CHECK(first_block_ <= block && block < limit && limit <= end_block_);
  Extent extent{block, 0, state_of(block)};
  std::uint64_t next = block;
  while (next < limit) {
    const Extent uniform = uniform_extent(next);
    if (uniform.block_count != 0) {
      if (uniform.state != extent.state) break;
      next += uniform.block_count;
      continue;
    }
    const Node& node = nodes_[next / kNodeBlocks];
    const Places& places = *(*node.chunks)[next / kChunkBlocks % kNodeChunks].places;
    const std::uint64_t end = std::min(limit, (next / kChunkBlocks + 1) * kChunkBlocks);
    while (next < end && state_of_place(places[next % kChunkBlocks]) == extent.state) ++next;
    if (next < end) break;
  }
  extent.block_count = std::min(next, limit) - block;
  return extent;
}

}  // namespace restore
