// SPDX-License-Identifier: Apache-2.0
//
// FrameBuilder: from recorded changes to the bytes of a frame. It finds the blocks that need no
// storing (zero, same as before, duplicates: rule 15, bytes are compared before they are shared),
// packs the others into runs, compresses those, and lays everything out as FORMAT.md says.
//
// `build` does all that does not depend on where the frame will lie; `finish` the rest, once its
// size is known and its place chosen. One frame at a time; small ones on the scheduler's thread,
// all that is done for each block or change of a large one on its workers, the table's look-ups and
// insertions too. References to pages stay on the scheduler's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "cdp/io/pages.h"
#include "cdp/io/scheduler.h"
#include "journal/block_reader.h"
#include "journal/built_frame.h"
#include "journal/dedup_table.h"
#include "journal/format.h"
#include "journal/record_codec.h"
#include "journal/sparse_index.h"

namespace journal {

struct WriteOp {
  VolumeId volume{};
  Stamp stamp{};
  std::uint64_t first_block = 0;
  cdp::PageList pages{};
  cdp::PageList previous{};  // given back once compared
};

using Op = std::variant<WriteOp, ZeroRecord, VolumeCreated, VolumeResized, VolumeRenamed,
                        VolumeRemoved, MarkRecord, CheckpointRecord, CrashRecord, ClockRecord,
                        RollbackRecord, GapRecord, VolumeCreatedFrom, VolumeResumed, UserRecord,
                        TokenRecord, AuditRecord, PulseRecord>;
Stamp stamp_of(const Op& op);

// What a frame gathers before it is prepared, kept until it is durable.
struct OpenFrame {
  std::vector<Op> ops{};
  std::uint32_t blocks = 0;        // of payload
  std::uint64_t record_bytes = 0;  // bound
  std::uint64_t bytes_bound = 0;   // of admissions spent
  Nanos opened{};                  // scheduler's time
  Nanos min_time{};
  Nanos max_time{};

  bool empty() const { return ops.empty(); }
  Lsn first_lsn() const { return stamp_of(ops.front()).lsn; }
  Lsn last_lsn() const { return stamp_of(ops.back()).lsn; }
  void add(Op op, std::uint32_t op_blocks, std::uint64_t op_record_bytes, std::uint64_t bound,
           Nanos now);
};

// What the frame changes in the state.
void apply_ops(JournalState& state, const OpenFrame& frame);

// The most bytes that a frame can take which holds one write of `blocks` blocks, or one other
// change (0). Any frame takes at most the sum over what it holds.
std::uint64_t frame_bytes_bound(std::uint64_t blocks);

struct FrameBuilderOptions {
  std::uint32_t run_blocks = 16;
  std::uint32_t inline_blocks = 16;
  FingerprintFunction fingerprint = journal::fingerprint;
};

// Decided anew for each frame.
struct FrameEffort {
  std::optional<int> level;       // of zstd; nothing: store raw
  std::uint32_t dedup_reads = 0;  // that deduplication may take
};

class FrameBuilder {
 public:
  // Everything must outlive the builder.
  FrameBuilder(cdp::Scheduler& scheduler, const Vault& vault, DedupTable& table,
               SparseIndex& old_blocks, BlockReader& reader, FrameBuilderOptions options);

  // `in_flight` is a frame whose blocks may be referred to although they cannot be read yet, or
  // null. Afterwards the previous pages of `frame` are gone; `frame` must stay while this runs.
  Task<BuiltFrame> build(OpenFrame& frame, FrameEffort effort, AlignedBuffer buffer,
                         std::shared_ptr<const BuiltFrame> in_flight);
  // Also teaches the table the new blocks.
  Task<void> finish(BuiltFrame& built, FramePlace place);

 private:
  enum class Fate : std::uint8_t { kZero, kSame, kNew, kCandidate, kReference, kRepeat };
  struct Block {
    const std::byte* data = nullptr;
    const std::byte* previous = nullptr;
    Fate fate = Fate::kNew;
    std::uint32_t number = 0;  // kNew, kRepeat: among the new blocks
    BlockPlace place{};        // kCandidate, kReference
  };
  // Blocks that may equal blocks of these runs, which lie side by side.
  struct Candidates {
    std::vector<BlockPlace> runs;
    std::vector<std::uint32_t> blocks;
  };

  void flatten(const OpenFrame& frame);
  void classify(std::size_t from, std::size_t to);
  Task<void> find_by_hooks(std::uint32_t reads, FrameCounts& counts);
  Task<void> find_duplicates(std::uint32_t reads, const BuiltFrame* in_flight, FrameCounts& counts);
  Task<void> compare(const Candidates* candidates, const BuiltFrame* in_flight,
                     FrameCounts* counts);
  void lay_out(const OpenFrame& frame, BuiltFrame& built);
  void number_new_blocks(FrameCounts& counts);
  void encode_records(const OpenFrame& frame, BuiltFrame& built);
  void encode_write(const WriteOp& op, std::size_t first);
  Task<void> store_runs(BuiltFrame& built, std::optional<int> level);
  void store_run(BuiltFrame& built, std::size_t run, std::optional<int> level) const;
  // Calls part(from, to) for [0, count): in parts on workers, or at once in a small frame.
  template <typename Part>
  Task<void> in_parts(std::size_t count, std::size_t part_size, Part part);
  Task<void> run(std::function<void()> work);

  cdp::Scheduler& scheduler_;
  const Vault& vault_;
  DedupTable& table_;
  SparseIndex& old_blocks_;
  BlockReader& reader_;
  const FrameBuilderOptions options_;

  // Of the frame in work. Workers and the scheduler's thread have it in turn.
  bool is_small_ = true;
  std::vector<Block> blocks_;
  std::vector<Fingerprint> fingerprints_;  // by block
  std::vector<const std::byte*> new_blocks_;
  RecordEncoder records_;
  std::vector<StoredPiece> pieces_;
  std::uint64_t runs_stored_ = 0;  // in the frames before
  bool sparse_ = false;            // the last frames would not compress: try few runs only
};

// One run's payload: `blocks` compressed at `level`, or as they are. Gives the whole run's bytes;
// `into` has room for the header and the blocks.
std::size_t encode_run_payload(std::span<const std::byte* const> blocks, std::optional<int> level,
                               std::span<std::byte> into, Codec& codec);

}  // namespace journal
