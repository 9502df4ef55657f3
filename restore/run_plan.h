// SPDX-License-Identifier: Apache-2.0
//
// RunPlan: in which order blocks of a volume are best read from the journal. Neighbours in a volume
// lie there where they were written, so the blocks are sorted by place, those of one run taken
// together, and runs that are close to each other in a segment joined into stretches that one read
// of the disk brings (BlockReader::runs). Any thread, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "journal/block_reader.h"
#include "journal/records.h"

namespace restore {

struct WantedBlock {
  std::uint64_t block = 0;
  journal::BlockPlace place{};
};

class RunPlan {
 public:
  // blocks()[begin, end) lie in one run; the last of them has the highest index.
  struct Run {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  // runs()[begin, end) are read at once.
  struct Stretch {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  void clear();
  void add(std::uint64_t block, const journal::BlockPlace& place) {
    blocks_.push_back({block, place});
  }
  // To be called after the last `add`, before the following.
  void make();

  const std::vector<WantedBlock>& blocks() const { return blocks_; }
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<Stretch>& stretches() const { return stretches_; }
  // What to ask BlockReader::runs for.
  std::vector<journal::BlockPlace> places_of(const Stretch& stretch) const;

 private:
  // Reading across this much that nobody wants is cheaper than another read.
  static constexpr std::uint64_t kGapBytesMax = 64u << 10;

  std::vector<WantedBlock> blocks_;
  std::vector<Run> runs_;
  std::vector<Stretch> stretches_;
};

}  // namespace restore
