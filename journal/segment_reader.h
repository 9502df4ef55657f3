// SPDX-License-Identifier: Apache-2.0
//
// SegmentReader: walks the frames of one segment, in order, and says where they end. It knows the
// rules by which a reader tells a frame that is being written, or was torn, from one that is
// damaged (FORMAT.md, "The end of a segment"):
//
//  - the next frame continues the chain: epoch, sequence and the digest of the one before it;
//  - in a segment that has a successor, frames end where the successor says;
//  - in the newest, a frame is complete when the next one follows it, or else when its whole body
//    is there; what comes after the last complete frame is a tail, unless a valid later frame of
//    the same epoch lies in it: then what is between is damage.
//
// One scheduler's thread; one call at a time. Spans point into its buffer, until the next call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "cdp/io/disk.h"
#include "journal/aligned_buffer.h"
#include "journal/format.h"
#include "journal/record_codec.h"
#include "journal/vault.h"
#include "journal/vault_reader.h"

namespace journal {

struct LoadedSegmentHeader {
  SegmentHeader header;
  Digest digest{};
};

// Reads and checks the header of segment `number`.
Task<Result<LoadedSegmentHeader>> read_segment_header(cdp::Disk& disk, const Vault& vault,
                                                      std::uint32_t number);

class SegmentReader {
 public:
  // `end` is the used length where a successor says it; else the segment is taken as the newest.
  // `disk` and `vault` must outlive the reader.
  SegmentReader(cdp::Disk& disk, const Vault& vault, const LoadedSegmentHeader& header,
                std::optional<std::uint64_t> end);

  // Goes to the next frame; false when there is none. An error when the disk cannot be read.
  Task<Result<bool>> next();
  std::uint32_t segment() const { return segment_.segment; }
  const FrameHeader& frame() const { return frame_; }
  const Digest& digest() const { return digest_; }
  // What could not be read between the frame before and this one (or the end), if anything.
  const std::optional<Damage>& damage() const { return damage_; }
  // Where the last frame that was found ends.
  std::uint64_t position() const { return next_offset_; }

  // Of the present frame: its records and run table, and all of it.
  Task<Result<std::span<const std::byte>>> metadata();
  Task<Result<std::span<const std::byte>>> whole();

 private:
  struct Found {
    FrameHeader header;
    Digest digest{};
  };
  Task<Result<std::span<const std::byte>>> bytes(std::uint64_t offset, std::uint64_t size,
                                                 std::uint64_t window);
  // A valid header at `offset`, of a frame that may come after what was found so far.
  Task<Result<std::optional<Found>>> header_at(std::uint64_t offset, std::uint64_t window);
  // The frame that continues the chain, if it is there and complete.
  Task<Result<std::optional<Found>>> find_next();
  Task<Result<bool>> complete(Found found);
  Task<Result<std::optional<Found>>> find_later();
  void accept(const Found& found);
  Lsn oldest_after_damage(const FrameHeader& next) const;
  Damage damage_upto(std::uint64_t offset, Lsn before, std::string what) const;

  cdp::Disk& disk_;
  const Vault& vault_;
  const SegmentHeader segment_;
  const bool newest_;
  std::uint64_t limit_;
  FrameHeader frame_;
  Digest digest_;
  Lsn last_lsn_;
  std::uint64_t next_sequence_;
  std::uint64_t next_offset_ = kSegmentHeaderBytes;
  std::optional<Damage> damage_;
  AlignedBuffer buffer_;
  std::uint64_t window_offset_ = 0;
  std::uint64_t window_bytes_ = 0;
};

// Whether another state frame may follow this one: what is damaged behind it may be one.
bool state_may_go_on(const FrameHeader& state_frame);

// What a segment opens with is what the one before it ended with: where that cannot be read, those
// before it are tried, so many in all; a disk of which none can be read has failed.
inline constexpr std::size_t kOpeningStatesTried = 8;

// The state that a segment opens with; `reader` stands at its beginning, and behind the state
// frames afterwards (its frame() is then the one after them, if there is one). EIO where it cannot
// be read.
Task<Result<JournalState>> read_opening_state(SegmentReader& reader, const Vault& vault);

}  // namespace journal
