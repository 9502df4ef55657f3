// SPDX-License-Identifier: Apache-2.0
//
// Records to bytes and back (FORMAT.md, "Records"). Decoding checks every field of every record
// and refuses types that it does not know: skipping one would make history silently wrong.
//
// record_encoder.cc and record_decoder.cc. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "journal/format.h"
#include "journal/records.h"
#include "journal/state.h"

namespace journal {

enum class RecordType : std::uint8_t {
  kWriteOfVersion1 = 1,
  kZero = 2,
  kVolumeCreated = 3,
  kVolumeResized = 4,
  kVolumeRenamed = 5,
  kVolumeRemoved = 6,
  kMark = 7,
  kCheckpoint = 8,
  kCrash = 9,
  kClock = 10,
  kFooter = 11,
  kWrite = 12,
  kRollback = 16,
  kGap = 17,
  kPulse = 18,
  // 19 and 21 to 23 are reserved: POLICY, LOCK, RELOCATE and EXPIRE.
  kAudit = 20,
  kVolumeCreatedFrom = 24,
  kVolumeResumed = 25,
  kUser = 26,
  kToken = 27,
  kStateVault = 64,
  kStateVolume = 65,
};

inline constexpr std::size_t kFingerprintBytes = 16;
inline constexpr std::size_t kTextBytesMax = 4096;  // names, labels, authors, paths
// Of every record but a WRITE, which is made of numbers.
inline constexpr std::size_t kRecordHeaderBytes = 32;
inline constexpr std::size_t kRecordUnit = 8;  // bytes that it is a multiple of

// Flags of record headers.
inline constexpr std::uint8_t kTrimFlag = 1;           // of ZERO
inline constexpr std::uint8_t kHydrationFlag = 1;      // of CHECKPOINT
inline constexpr std::uint8_t kRefuseWritersFlag = 1;  // of ROLLBACK
inline constexpr std::uint8_t kGapOverFlag = 1;        // of GAP
inline constexpr std::uint8_t kUserRemovedFlag = 1;    // of USER
inline constexpr std::uint8_t kTokenRevokedFlag = 1;   // of TOKEN
inline constexpr std::uint8_t kRemovedFlag = 1;        // of STATE volume, as those below
inline constexpr std::uint8_t kHydratingFlag = 2;
inline constexpr std::uint8_t kOriginFlag = 4;
inline constexpr std::uint8_t kWritersRefusedFlag = 8;

// Bytes that it takes as a number of 7 bits a byte.
constexpr std::size_t number_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

// The most bytes that the record of a write of `blocks` blocks can take.
constexpr std::uint64_t write_record_bound(std::uint64_t blocks) {
  constexpr std::size_t header = 1 + number_bytes(UINT16_MAX) + number_bytes(UINT32_MAX) +
                                 2 * number_bytes(UINT64_MAX) + number_bytes(kVolumeBlocksMax);
  constexpr std::size_t place = 3 * number_bytes(UINT32_MAX) + number_bytes(kRunBlocksMax);
  constexpr std::size_t piece = 1 + number_bytes(UINT16_MAX) + place + kFingerprintBytes;
  return header + blocks * piece;
}
// The most that any other record can.
inline constexpr std::uint64_t kControlRecordBound = 512 + 2 * kTextBytesMax;

// Of one record. A thing of operators: together with its author it stays within the bound above.
inline constexpr std::size_t kRollbackVolumesMax = 256;
inline constexpr std::size_t kRollbackVolumeBytes = 16;
static_assert(kRecordHeaderBytes + 24 + kRollbackVolumesMax * kRollbackVolumeBytes +
                  kTextBytesMax <=
              kControlRecordBound);
static_assert(kRecordHeaderBytes + 64 + 2 * kAuditActorBytesMax + kAuditActBytesMax +
                  kAuditDetailBytesMax <=
              kControlRecordBound);

// The counts of a pulse are numbers of 7 bits a byte, lowest first. Those of a second are bounded,
// so that its record has 64 bytes at most.
inline constexpr std::size_t kPulseBytesMax = 64;
inline constexpr std::uint64_t kPulseCountMax = (std::uint64_t{1} << 56) - 1;
// What cannot be said of a second, is said as the most that can.
PulseRecord bounded_pulse(PulseRecord record);

// A piece as it is stored: of new and repeated blocks the number among the frame's new blocks.
struct StoredPiece {
  PieceKind kind = PieceKind::kZero;
  std::uint16_t count = 0;
  std::uint32_t first_new = 0;                  // kNew, kRepeat
  BlockPlace place{};                           // kReference
  std::span<const Fingerprint> fingerprints{};  // kNew, kReference: `count` of them
};

struct FooterRecord {
  enum class Reason : std::uint8_t { kRolled = 1, kClosed = 2 };
  Stamp stamp{};  // of the newest record before it
  Reason reason = Reason::kRolled;
  std::uint64_t frame_count = 0;  // of the segment, without the footer
  std::uint64_t data_bytes = 0;   // of the segment
};

struct StateVaultRecord {
  Stamp stamp{};  // the state's LSN and time
  std::uint32_t next_volume_id = 0;
};

struct StateVolumeRecord {
  VolumeState volume{};
};

// Appends records to `bytes`; counts them. WRITEs are told by what their LSNs and times are above
// `least`: the first LSN and the earliest time of their frame.
class RecordEncoder {
 public:
  explicit RecordEncoder(Stamp least = {}) : least_(least) {}

  void write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
             std::span<const StoredPiece> pieces);
  void add(const ZeroRecord& record);
  void add(const VolumeCreated& record);
  void add(const VolumeCreatedFrom& record);
  void add(const VolumeResized& record);
  void add(const VolumeRenamed& record);
  void add(const VolumeRemoved& record);
  void add(const MarkRecord& record);
  void add(const RollbackRecord& record);
  void add(const GapRecord& record);
  void add(const VolumeResumed& record);
  void add(const UserRecord& record);
  void add(const TokenRecord& record);
  void add(const AuditRecord& record);
  void add(const PulseRecord& record);
  void add(const CheckpointRecord& record);
  void add(const CrashRecord& record);
  void add(const ClockRecord& record);
  void add(const FooterRecord& record);
  void add(const StateVaultRecord& record);
  void add(const StateVolumeRecord& record);

  std::span<const std::byte> bytes() const { return bytes_; }
  std::uint32_t count() const { return count_; }
  void clear(Stamp least);

 private:
  struct Header {
    RecordType type;
    std::uint8_t flags = 0;
    VolumeId volume{};
    Stamp stamp{};
    std::uint64_t first_block = 0;
  };
  void begin(const Header& header);
  template <typename T>
  void put(T value);
  void put_bytes(std::span<const std::byte> bytes);
  void put_number(std::uint64_t value);
  void put_texts(std::string_view first, std::string_view second);
  void pad();

  Stamp least_;
  std::vector<std::byte> bytes_;
  std::size_t record_at_ = 0;  // where the newest one begins
  std::uint32_t count_ = 0;
};

using AnyRecord = std::variant<WriteRecord, ZeroRecord, VolumeCreated, VolumeResized, VolumeRenamed,
                               VolumeRemoved, MarkRecord, CheckpointRecord, CrashRecord,
                               ClockRecord, FooterRecord, RollbackRecord, GapRecord,
                               VolumeCreatedFrom, VolumeResumed, UserRecord, TokenRecord,
                               AuditRecord, PulseRecord, StateVaultRecord, StateVolumeRecord>;

// Walks the records of one frame. `metadata` is what lies between the frame's header and its runs,
// and must outlive the decoder; its checksum is checked by `open`.
class RecordDecoder {
 public:
  static Result<RecordDecoder> open(const FrameHeader& header, const Vault& vault,
                                    std::span<const std::byte> metadata);

  bool at_end() const { return left_ == 0; }
  // The next record; not after at_end(). Its spans are valid until the following call.
  Result<AnyRecord> next();
  const std::vector<RunEntry>& runs() const { return runs_; }

 private:
  RecordDecoder(const FrameHeader& header, std::span<const std::byte> records,
                std::vector<RunEntry> runs)
      : header_(header), records_(records), runs_(std::move(runs)), left_(header.record_count) {}

  struct Cursor;
  // What a record begins with.
  struct Header {
    RecordType type{};
    std::uint8_t flags = 0;
    std::uint16_t pieces = 0;  // of a WRITE
    VolumeId volume{};
    Stamp stamp{};
    std::uint64_t first_block = 0;
  };
  Header decode_header(Cursor& cursor) const;
  Result<WriteRecord> decode_write(Cursor& cursor, const Header& header);
  Status decode_piece(Cursor& cursor, RecordType type, std::uint64_t first_block,
                      std::uint32_t& count);
  Status place_new_blocks(PieceKind kind, std::uint64_t first_block, std::uint32_t first_new,
                          std::uint32_t count, std::size_t fingerprints_at);
  Error damaged(std::string_view what) const;

  FrameHeader header_;
  std::span<const std::byte> records_;
  std::vector<RunEntry> runs_;
  std::size_t at_ = 0;
  std::uint32_t left_;
  Lsn newest_;
  std::vector<WritePiece> pieces_;
  std::vector<std::size_t> fingerprints_at_;  // by piece, an index into fingerprints_
  std::vector<Fingerprint> fingerprints_;
};

}  // namespace journal
