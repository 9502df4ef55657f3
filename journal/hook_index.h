// SPDX-License-Identifier: Apache-2.0
//
// HookIndex: in which frames old blocks lie, from one block in 64 of them. A *hook* is a block
// whose fingerprint says so (six bits of it are zero). Duplicates come in runs, so a run of any
// length that is worth finding has a hook in it, and who finds the hook reads the fingerprints of
// the frame around it ("Sparse Indexing", FAST '09; "Avoiding the Disk Bottleneck in the Data
// Domain Deduplication File System", FAST '08). See SparseIndex for that.
//
// What it answers is a hint. What it has forgotten, or got wrong, costs space or a read.
//
// A hook is 8 bytes: 24 bits of the fingerprint, segment and offset of the frame. They lie in open
// hash tables, shards, which other bits of the fingerprint choose among; each is between 3/4 and
// 17/20 full, so that 1 TiB of stored blocks, 4 million hooks, takes 40 MiB. A shard that is full
// and may not grow any more keeps every second hook from then on (one in 128, in 256, ...) by one
// more bit of the fingerprint: all of history stays covered, more thinly.
//
// No step takes longer than copying a shard, of some 100 KiB. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "journal/hash.h"

namespace journal {

// Where a frame begins.
struct FramePosition {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
  auto operator<=>(const FramePosition&) const = default;
};

class HookIndex {
 public:
  // At most about `bytes` of memory, but no less than some 24 KiB; 0 keeps nothing.
  explicit HookIndex(std::size_t bytes);

  static bool is_hook(const Fingerprint& fingerprint) { return (fingerprint.high & 63) == 0; }

  // Where the block with this fingerprint was inserted last, if it is a hook and known.
  std::optional<FramePosition> find(const Fingerprint& fingerprint) const;
  // Takes hooks only, and passes over other blocks; and over those in segments beyond 4 million.
  void insert(const Fingerprint& fingerprint, FramePosition frame);

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const;

 private:
  struct Shard {
    std::vector<std::uint64_t> slots{};  // 0: empty
    std::size_t used = 0;
    unsigned thinned = 0;  // so many more bits of a hook are zero
  };
  static constexpr std::size_t kShards = 256;

  static std::optional<std::size_t> slot_with(const Shard& shard, std::uint64_t tag);
  // Of a tag that is not there; some slot is empty.
  static void put(Shard& shard, std::uint64_t slot);
  // Room for one more; false where none can be made.
  bool make_room(Shard& shard);
  // Into a table of `capacity`, and without those that are hooks no more.
  void rebuild(Shard& shard, std::size_t capacity);

  const std::size_t slots_max_;  // of a shard
  std::array<Shard, kShards> shards_;
  std::size_t size_ = 0;
};

}  // namespace journal
