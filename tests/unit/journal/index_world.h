// SPDX-License-Identifier: Apache-2.0
//
// IndexWorld: runs of the time index on a simulated disk, and the naive model that they are held
// to: every version of every block that was ever touched, and zeroed ranges as they were given.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "journal/index/merge.h"
#include "journal/index/run_writer.h"
#include "journal/index/snapshot.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_store.h"

namespace journal::index {

// One change of a volume: one block with bytes, or a range of zeroes.
struct IndexChange {
  Lsn lsn{};
  VolumeId volume{};
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 1;
  BlockPlace place{};  // run_bytes 0: zeroes
};

class IndexWorld {
 public:
  explicit IndexWorld(std::uint64_t seed, std::size_t cache_bytes = PageCache::kDefaultBytes);

  // Newer than everything before.
  Lsn write(VolumeId volume, std::uint64_t block);
  Lsn zero(VolumeId volume, std::uint64_t first_block, std::uint64_t count);
  // A place that rounds up to itself, so that what is found equals what was put.
  BlockPlace random_place();
  // What came since the last cut becomes a run, with one frame for each `changes_in_frame`.
  void cut(std::size_t changes_in_frame = 10);
  // Runs [from, from + count) become one.
  void merge(std::size_t from, std::size_t count);
  // Opens a run's file again, past no cache.
  Result<RunPtr> open(std::uint32_t number);
  Snapshot snapshot();
  std::string path_of(std::uint32_t run) const { return "vault/index/" + run_name(run); }

  // What the model says.
  BlockVersion version(const Visibility& visible, std::uint64_t block) const;
  // Random intervals up to the newest LSN, in one to three layers.
  Visibility random_visibility(const std::vector<VolumeId>& volumes);

  std::vector<BlockVersion> lookup(const Visibility& visible, std::uint64_t first_block,
                                   std::size_t count);
  std::vector<Extent> scan(const Visibility& visible, std::uint64_t first_block,
                           std::uint64_t end_block);
  // Compares lookups and scans of blocks below `blocks` with the model.
  void check(const Visibility& visible, std::uint64_t blocks);

  std::uint64_t seed;
  sim::SimScheduler scheduler;
  sim::Random random;
  std::shared_ptr<sim::SimStore> store;
  std::unique_ptr<cdp::Directory> directory;
  Vault vault;
  PageCache cache;

  Lsn last{};
  std::vector<IndexChange> changes;
  std::vector<FrameRow> frames;
  std::vector<RunPtr> runs;

 private:
  std::size_t cut_changes_ = 0;
  Lsn cut_lsn_{};
  std::uint32_t next_run_ = 1;
};

}  // namespace journal::index
