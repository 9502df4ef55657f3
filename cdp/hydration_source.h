// SPDX-License-Identifier: Apache-2.0
//
// HydrationSource: what a volume contains where its backing store does not have it yet. After a
// rollback, and for a volume created from a point, the content is in the journal from the first
// moment on, and reaches the backing store behind (Volume). It does not change: what is written
// later is the volume's own.
//
// One scheduler's thread; any number of calls side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/pages.h"
#include "cdp/io/task.h"

namespace cdp {

class HydrationSource {
 public:
  virtual ~HydrationSource() = default;

  // The blocks [first_block, first_block + count), at most kMaxPieceBlocks; the pages may be
  // shared. Blocks behind the volume's end are zeroes. Pages must come from a pool of the sources'
  // own: a request may wait for them while it holds pages for what it reads from elsewhere.
  virtual Task<Result<PageList>> read(std::uint64_t first_block, std::uint32_t count) = 0;

  struct Stretch {
    std::uint64_t first_block = 0;
    std::uint64_t block_count = 0;
    bool zeroes = false;  // reads as zeroes: nothing needs to be read
  };
  // The blocks in [first_block, end_block) in which the backing store may differ: stretches in
  // block order, at most some thousands. The volume asks about all of the backing store, which may
  // be longer than it: behind its end zeroes are wanted, wherever something else was once written.
  // When `next` comes back smaller than `end_block`, there may be more from there on.
  struct Differing {
    std::vector<Stretch> stretches;
    std::uint64_t next = 0;
  };
  virtual Task<Result<Differing>> differing(std::uint64_t first_block,
                                            std::uint64_t end_block) = 0;
};

}  // namespace cdp
