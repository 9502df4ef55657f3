// SPDX-License-Identifier: Apache-2.0
//
// BlockReader: from a place to the bytes. It reads the run there, checks that it is that run and
// whole (its header says where it belongs, under a keyed checksum), and decompresses it. Runs that
// were used last stay in memory, since neighbours in a run are mostly neighbours in use.
//
// A place's run_bytes may be more than the run has: the run's own header says how long it is.
//
// One scheduler's thread; any number of reads side by side (large runs are decoded on workers).
// Those that want the same run at the same time share one read of the disk. `segments` and the
// scheduler must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "cdp/io/disk.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "journal/aligned_buffer.h"
#include "journal/format.h"
#include "journal/records.h"
#include "journal/vault.h"

namespace journal {

// The blocks of a run, decompressed.
class Run {
 public:
  explicit Run(std::vector<std::byte> blocks) : blocks_(std::move(blocks)) {}
  std::size_t size_bytes() const { return blocks_.size(); }
  std::size_t block_count() const { return blocks_.size() / cdp::kBlockBytes; }
  std::span<const std::byte, cdp::kBlockBytes> block(std::size_t index) const {
    CHECK(index < block_count());
    return std::span<const std::byte, cdp::kBlockBytes>{blocks_.data() + index * cdp::kBlockBytes,
                                                        cdp::kBlockBytes};
  }

 private:
  std::vector<std::byte> blocks_;
};
using RunRef = std::shared_ptr<const Run>;

// What a frame says of itself, without its runs.
struct FrameMetadata {
  FrameHeader header{};
  AlignedBuffer buffer{};
  // Records and run table.
  std::span<const std::byte> metadata() const {
    return {buffer.data() + kFrameHeaderBytes, header.metadata_end() - kFrameHeaderBytes};
  }
};

struct BlockReaderOptions {
  std::size_t cache_bytes = 64u << 20;  // of decompressed runs
  std::size_t open_segments = 32;
};

class BlockReader {
 public:
  // What `runs` should be asked for at once: the stretch of the segment is read as a whole.
  static constexpr std::uint64_t kStretchBytesMax = 1u << 20;
  static constexpr std::size_t kStretchRunsMax = 32;

  BlockReader(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
              BlockReaderOptions options = {});
  ~BlockReader();
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  // The block at `place`. Where `expected` is given, its fingerprint must be that (rule 15).
  // EIO when what lies there is not that run, or is damaged.
  Task<Status> read(BlockPlace place, const Fingerprint* expected,
                    std::span<std::byte, cdp::kBlockBytes> into);
  // The whole run that holds `place`; its block_count() exceeds place.index.
  Task<Result<RunRef>> run(BlockPlace place);
  // The runs that hold the places, which are of one segment, in order of their offsets and close
  // together: what is not in memory is brought by one read of the disk.
  Task<Result<std::vector<RunRef>>> runs(std::vector<BlockPlace> places);
  // Header and metadata of the frame that begins at the byte of the segment, a multiple of 4096.
  // EIO when there is none; the metadata is not checked. One read, unless it is very long.
  Task<Result<FrameMetadata>> metadata(std::uint32_t segment, std::uint32_t offset);
  // The run if it is in memory already, else null.
  RunRef cached(const BlockPlace& place);
  // Forgets everything that it holds (after a cut, places may get another meaning).
  void clear();

 private:
  struct Key {
    std::uint32_t segment;
    std::uint32_t offset;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return ((std::uint64_t{key.segment} << 32) | key.offset) * 0x9E3779B97F4A7C15u;
    }
  };
  using Lru = std::list<std::pair<Key, RunRef>>;
  struct OpenSegment {
    std::uint32_t number;
    std::shared_ptr<cdp::Disk> disk;
  };

  // A run that is being read. Who wants it meanwhile waits for it.
  struct Load {
    Load(cdp::Scheduler& scheduler, const BlockPlace& of) : place(of), done(scheduler) {}
    const BlockPlace place;
    cdp::Signal done;
    std::optional<Result<RunRef>> outcome{};
  };
  using LoadRef = std::shared_ptr<Load>;

  static Key key_of(const BlockPlace& place) { return {place.segment, place.run_offset}; }
  Task<Result<std::shared_ptr<cdp::Disk>>> disk_of(std::uint32_t segment);
  void forget_disk(std::uint32_t segment);
  Task<void> load(std::vector<LoadRef> loads);
  Task<Status> load_stretch(std::span<const LoadRef> loads);
  Task<Result<std::span<const std::byte>>> read_stretch(std::uint32_t segment, std::uint64_t from,
                                                        std::uint64_t end, AlignedBuffer& buffer);
  Result<RunRef> decode(const BlockPlace& place, std::span<const std::byte> bytes) const;
  void remember(Key key, RunRef run);

  cdp::Scheduler& scheduler_;
  cdp::Directory& segments_;
  const Vault vault_;
  const BlockReaderOptions options_;
  Lru runs_;  // newest first
  std::unordered_map<Key, Lru::iterator, KeyHash> by_key_;
  std::size_t cached_bytes_ = 0;
  std::unordered_map<Key, LoadRef, KeyHash> loading_;
  std::uint64_t generation_ = 0;             // what was begun in an earlier one is not remembered
  std::vector<AlignedBuffer> idle_buffers_;  // of reads, for reuse
  std::list<OpenSegment> disks_;             // newest first
};

}  // namespace journal
