// SPDX-License-Identifier: Apache-2.0
//
// Sweep: a scan of a Snapshot. For each layer, run and level it has a cursor, and all of them move
// through the blocks together, so that each row is visited once. README.md, "Sweeps".
//
// One scheduler's thread; what is passed in must outlive it.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "journal/index/level_cursor.h"
#include "journal/index/snapshot.h"

namespace journal::index {

class Sweep final : public Scan {
 public:
  Sweep(const Snapshot& map, Visibility visible, std::uint64_t first_block,
        std::uint64_t end_block);

  Task<Result<std::vector<Extent>>> next() override;

 private:
  // Blocks are taken together in windows of a node of this level: nodes of lower levels are put
  // into an array, higher ones are the same for the whole window.
  static constexpr unsigned kWindowLevel = 3;
  static constexpr std::uint64_t kWindowBlocks = std::uint64_t{1} << (kLevelBits * kWindowLevel);

  struct Cursor {
    LevelCursor at;
    std::uint32_t layer;
    unsigned level;
    std::uint64_t first_block() const { return first_block_of(at.node(), level); }
    std::uint64_t end_block() const { return first_block_of(at.node() + 1, level); }
  };
  struct Candidate {
    std::uint32_t layer = ~std::uint32_t{0};
    Lsn lsn{};
    BlockPlace place{};  // run_bytes 0: zeroes
    bool exists() const { return layer != ~std::uint32_t{0}; }
    // A block is as the newest change in the first layer that has one.
    bool yields_to(std::uint32_t other_layer, Lsn other_lsn) const {
      return other_layer < layer || (other_layer == layer && other_lsn > lsn);
    }
  };

  // Cursors from at_ on.
  void start();
  // The same in other runs, where some of them were damaged.
  Task<Status> restart(Error failure);
  Task<Status> settle();
  bool step();
  bool pass_higher();
  Candidate best_higher() const;
  void put_stretch(std::uint64_t low_next);
  bool paint(std::uint64_t window_end);
  void put_window(std::uint64_t window_end);
  void append(const Candidate& found, std::uint64_t first, std::uint64_t count);

  const Snapshot& map_;
  RunList runs_;
  PageReader pages_;
  const Visibility visible_;
  std::uint64_t at_;  // blocks below it are done
  const std::uint64_t end_;
  std::vector<Cursor> lower_;
  std::vector<Cursor> higher_;
  std::array<Candidate, kWindowBlocks> window_;
  bool painting_ = false;  // the window is half done
  std::vector<Extent> out_;
};

}  // namespace journal::index
