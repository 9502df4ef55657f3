// SPDX-License-Identifier: Apache-2.0
//
// BlockMap: where the blocks of volumes lie in the journal, at any point that it covers. What a
// view, a restore and a rollback ask of the time index, and all that they know of it.
//
// One scheduler's thread; any number of calls side by side. The map is a snapshot: it does not
// change, and keeps what it needs for as long as it lives. Errors: EIO where the index is damaged
// and the journal cannot be read to make it anew.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "journal/records.h"
#include "journal/visibility.h"

namespace journal::index {

enum class BlockState : std::uint8_t {
  kUntouched,  // no change that is visible: zeroes, if everything since the beginning is
  kZero,
  kData,
};

struct BlockVersion {
  BlockState state = BlockState::kUntouched;
  Lsn lsn{};           // of the change; not of kUntouched
  BlockPlace place{};  // of kData; run_bytes is an upper bound
  bool operator==(const BlockVersion&) const = default;
};

// Consecutive blocks of one state. Of kData, block i lies at `place` with index + i.
struct Extent {
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
  BlockState state = BlockState::kUntouched;
  BlockPlace place{};
  bool operator==(const Extent&) const = default;
};

struct BlockRange {
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
  bool operator==(const BlockRange&) const = default;
};

class Scan {
 public:
  virtual ~Scan() = default;
  // The next extents in block order, none of them kUntouched, together at most some thousands;
  // none when there are no more. Neighbours of one state need not be joined.
  virtual Task<Result<std::vector<Extent>>> next() = 0;
};

class BlockMap {
 public:
  virtual ~BlockMap() = default;

  // Every change up to here is known.
  virtual Lsn upto() const = 0;

  // into[i] becomes the version of block first_block + i that is visible.
  virtual Task<Status> lookup(const Visibility& visible, std::uint64_t first_block,
                              std::span<BlockVersion> into) const = 0;

  // The visible versions of all blocks in [first_block, end_block) that have one. The map must
  // outlive the scan.
  virtual std::unique_ptr<Scan> scan(Visibility visible, std::uint64_t first_block,
                                     std::uint64_t end_block) const = 0;
};

}  // namespace journal::index
