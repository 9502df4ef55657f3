// SPDX-License-Identifier: Apache-2.0
//
// SparseIndex: finds old blocks again, which the table of recent ones (DedupTable) has forgotten or
// has not known since the last start. A HookIndex knows one block in 64. Where a block of the frame
// in work is such a hook, its *list*, the fingerprints of all blocks of the frame that stored it,
// is read and kept for a while, and the blocks around the hook, before and after it, are found
// there. All answers are hints: bytes are compared before a block is shared (rule 15).
//
// It learns frames when they are durable and never before, so that it has no place that a failed
// append makes void (rule 13). The hooks of a segment are saved when it has ended, and loaded
// behind the start; those of segments that have no file are read from the segments once, slowly.
// What is not loaded yet costs space.
//
// One scheduler's thread, but for `find` and `remember`, which workers may call for the frame in
// work: look-ups side by side, remembering alone. `segments`, `files`, vault and reader must
// outlive it; stop() must have returned before it is destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "journal/block_reader.h"
#include "journal/dedup_table.h"
#include "journal/hook_file.h"
#include "journal/hook_index.h"

namespace journal {

class SparseIndex {
 public:
  struct ListedBlock {
    Fingerprint fingerprint{};
    BlockPlace place{};
  };
  using List = std::vector<ListedBlock>;

  // At most about `bytes` of memory; 0 keeps nothing. Without `files`, no hooks are saved, nor any
  // loaded but those that `start` is given.
  SparseIndex(cdp::Scheduler& scheduler, cdp::Directory& segments, cdp::Directory* files,
              const Vault& vault, BlockReader& reader, std::size_t bytes);

  // Where the block is, by the lists that were remembered lately.
  std::optional<BlockPlace> find(const Fingerprint& fingerprint) const {
    return lists_.find(fingerprint);
  }
  // Whose list is worth reading, if the block is a hook and known.
  std::optional<FramePosition> frame_of(const Fingerprint& fingerprint) const {
    return hooks_.find(fingerprint);
  }
  // The lists of the frames, each for about one read of the disk; of those that can be read.
  Task<std::vector<List>> read(std::vector<FramePosition> frames);
  void remember(const List& list);

  // A frame that has become durable, with the fingerprints of its new blocks; in order.
  void learn(const FrameHeader& frame, std::span<const Fingerprint> new_blocks);

  // `newest` is the last segment that there is at the start (0: none), `hooks` are all of it.
  void start(std::uint32_t newest, std::vector<Hook> hooks);
  Task<void> stop();

  std::size_t memory_bytes() const { return hooks_.memory_bytes() + lists_.memory_bytes(); }
  std::size_t hooks() const { return hooks_.size(); }

 private:
  Task<void> read_one(FramePosition frame, List* list);
  Task<void> load(std::uint32_t newest);
  Task<void> load_segment(std::uint32_t segment);
  // How the segment ended, from the header of the next one.
  Task<Result<SegmentHooks>> ended(std::uint32_t segment);
  // All hooks of a segment, from its records.
  Task<Status> collect(SegmentHooks& of);
  Task<void> save(SegmentHooks hooks);
  void insert(const SegmentHooks& hooks);

  cdp::Scheduler& scheduler_;
  cdp::Directory& segments_;
  cdp::Directory* const files_;
  const Vault& vault_;
  BlockReader& reader_;
  HookIndex hooks_;
  DedupTable lists_;
  SegmentHooks newest_;  // of the segment of the newest durable frame
  bool stopping_ = false;
  cdp::TaskGroup tasks_;
};

}  // namespace journal
