// SPDX-License-Identifier: Apache-2.0
//
// The records of history as a reader sees them (FORMAT.md, "Records"): what changed, when, and
// where the bytes lie. Encoding is in record_codec.h.
//
// Spans inside a record point into its reader's memory and are valid during the call that hands
// the record over.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/base/types.h"
#include "cdp/recorder.h"
#include "cdp/sequencer.h"
#include "journal/hash.h"
#include "journal/uuid.h"

namespace journal {

using cdp::Error;
using cdp::Lsn;
using cdp::make_error;
using cdp::Nanos;
using cdp::Result;
using cdp::Stamp;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;
using cdp::ZeroKind;

// Larger volumes are refused where they are created, and no record reaches beyond.
inline constexpr std::uint64_t kVolumeBlocksMax = 1ull << 38;  // 1 PiB

// Where a block lies: block `index` of the run at byte `run_offset` of a segment. One read of
// `run_bytes` bytes there, and nothing else, is needed to have it.
struct BlockPlace {
  std::uint32_t segment = 0;
  std::uint32_t run_offset = 0;
  std::uint32_t run_bytes = 0;
  std::uint16_t index = 0;
  auto operator<=>(const BlockPlace&) const = default;
};

enum class PieceKind : std::uint8_t {
  kNew = 1,        // stored in this frame
  kReference = 2,  // equal to a block stored earlier
  kRepeat = 3,     // equal to a block stored in this frame
  kZero = 4,       // zeroes
  kSame = 5,       // equal to what the block held just before: the map of the volume is unchanged
};

// `count` consecutive blocks of a write. For kNew, kReference and kRepeat block i of the piece is
// at `place` with index + i (a decoded piece never crosses a run), and fingerprints[i] is its
// fingerprint (kNew and kReference; empty otherwise).
struct WritePiece {
  PieceKind kind = PieceKind::kZero;
  std::uint32_t count = 0;
  std::uint64_t first_block = 0;
  BlockPlace place{};
  std::span<const Fingerprint> fingerprints{};

  bool has_place() const { return kind <= PieceKind::kRepeat; }
};

struct WriteRecord {
  VolumeId volume{};
  Stamp stamp{};
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
  std::span<const WritePiece> pieces{};  // in order, without gaps
};

struct ZeroRecord {
  VolumeId volume{};
  Stamp stamp{};
  ZeroKind kind = ZeroKind::kZero;
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
};

struct VolumeCreated {
  VolumeId volume{};
  Stamp stamp{};
  Uuid uuid{};
  std::uint64_t size_bytes = 0;
  std::string name{};
  std::string backing{};  // path of the backing store, as the operator gave it; empty: the default
};

// A smaller size also means that everything beyond it is trimmed at this LSN (rule 17).
struct VolumeResized {
  VolumeId volume{};
  Stamp stamp{};
  std::uint64_t size_bytes = 0;
};

// Like VolumeCreated, with the content that volume `origin` had at `point`.
struct VolumeCreatedFrom {
  VolumeId volume{};
  Stamp stamp{};
  Uuid uuid{};
  std::uint64_t size_bytes = 0;
  VolumeId origin{};
  Lsn point{};
  std::string name{};
  std::string backing{};
};

struct VolumeRenamed {
  VolumeId volume{};
  Stamp stamp{};
  std::string name{};
};

struct VolumeRemoved {
  VolumeId volume{};
  Stamp stamp{};
};

// The point is the record's own LSN.
struct MarkRecord {
  VolumeId volume{};  // 0: of every volume
  Stamp stamp{};
  std::string label{};
  std::string author{};
};

// From this LSN on, the volumes are as they were at `point`.
struct RollbackRecord {
  struct Volume {
    VolumeId volume{};
    std::uint64_t size_bytes = 0;  // from now on: that at the point
    bool operator==(const Volume&) const = default;
  };
  Stamp stamp{};
  Lsn point{};
  std::vector<Volume> volumes{};  // distinct
  std::string author{};
  bool refuse_writers = false;  // until the volume is resumed
};

// Begins a gap, or ends it: in between, writes to the volume bypassed the journal.
struct GapRecord {
  VolumeId volume{};
  Stamp stamp{};
  std::string cause{};   // a sentence; empty where the gap is over
  bool is_over = false;  // what it left different was recorded before
};

// Lifts the refusal of writers.
struct VolumeResumed {
  VolumeId volume{};
  Stamp stamp{};
};

// A user of the appliance, as it is from here on: the newest record of a name holds.
struct UserRecord {
  Stamp stamp{};
  std::string name{};        // see check_user_name
  std::string verifier{};    // of the password, as crypto_pwhash_str writes it; empty: none
  std::uint32_t rights = 0;  // bits; what they mean is not the journal's affair
  bool is_removed = false;   // the name stays taken
  bool operator==(const UserRecord&) const = default;
};

// A token that stands for a user, as it is from here on.
struct TokenRecord {
  Stamp stamp{};
  Digest digest{};  // SHA-256 of the token, which names it
  std::string user{};
  std::string label{};
  std::uint32_t rights = 0;  // of the user's, those that it stands for
  Nanos expires{};           // wall-clock time
  bool is_revoked = false;
  bool operator==(const TokenRecord&) const = default;
};

// Somebody did something, or tried to. History alone: no state holds it.
struct AuditRecord {
  Stamp stamp{};
  std::uint32_t status = 0;  // as the HTTP status of the answer
  std::string actor{};       // who: a user's name, or "root (uid 0)"
  std::string origin{};      // from where: an address, or the kind of socket
  std::string act{};         // what: "rollBack"
  std::string detail{};      // on what, and how
  bool operator==(const AuditRecord&) const = default;
};

// What happened to a volume in a stretch of time. Of one stretch there may be several, which add
// up. History alone: no state holds it.
struct PulseRecord {
  enum class Step : std::uint8_t { kSecond = 1, kMinute = 2, kHour = 3, kDay = 4 };
  static constexpr std::uint8_t kUnknown = 255;
  static constexpr std::uint8_t kEntropyMax = 200;

  VolumeId volume{};
  Stamp stamp{};
  Step step = Step::kSecond;
  std::int64_t begin = 0;  // seconds since 1970, a multiple of the step's length
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t written_blocks = 0;
  std::uint64_t zeroed_blocks = 0;
  std::uint64_t trimmed_blocks = 0;
  std::uint64_t stored_blocks =
      0;                           // of those written: neither zeroes, nor the same, nor duplicates
  std::uint64_t stored_bytes = 0;  // of those, compressed
  std::uint8_t overwritten = kUnknown;  // percent of the written blocks that held data before
  std::uint8_t entropy = kUnknown;      // of stored blocks, in 25ths of a bit per byte
  std::uint8_t p99 = kUnknown;  // of writes: the bound in cdp::IoStatistics; one behind: more

  bool operator==(const PulseRecord&) const = default;
};
constexpr std::int64_t seconds_of(PulseRecord::Step step) {
  constexpr std::int64_t kSeconds[] = {1, 60, 3600, 86400};
  return kSeconds[static_cast<std::size_t>(step) - 1];
}
// Seconds after the end of what it is about, until which a pulse has been recorded; but where the
// clock was set, the vault was full or the daemon was ended before.
inline constexpr std::int64_t kPulseRecordedWithin = 15;

// The most bytes of their texts: UTF-8 without control characters.
inline constexpr std::size_t kUserNameBytesMax = 64;
inline constexpr std::size_t kVerifierBytesMax = 128;
inline constexpr std::size_t kTokenLabelBytesMax = 128;
inline constexpr std::size_t kAuditActorBytesMax = 256;  // and of the origin
inline constexpr std::size_t kAuditActBytesMax = 64;
inline constexpr std::size_t kAuditDetailBytesMax = 2048;
// Every segment opens with them. Removed users count, and tokens until they expire.
inline constexpr std::size_t kUsersMax = 4096;
inline constexpr std::size_t kTokensMax = 16384;

// How far a backing store is that lacks content of the journal (FORMAT.md, "Hydration").
struct Hydration {
  std::uint64_t cursor = 0;  // the blocks before this one are hydrated
  Lsn base{};                // up to here the backing store was right before it began to lack
  bool operator==(const Hydration&) const = default;
};

struct CheckpointRecord {
  VolumeId volume{};
  Stamp stamp{};
  Lsn covered{};
  std::optional<Hydration> hydration{};  // none: the backing store lacks nothing
};

// The journal was cut: what was recorded after `last_lsn` and before this record is lost.
struct CrashRecord {
  enum Flag : std::uint32_t {
    kTailLost = 1,  // something answered as durable is among it (rule 3)
    kCorrupt = 2,   // a frame in the middle of the segment could not be read (rule 1)
  };
  Stamp stamp{};
  std::uint32_t segment = 0;    // the segment that was cut
  std::uint32_t epoch = 0;      // its epoch
  std::uint64_t cut_bytes = 0;  // its length up to the end of its last valid frame
  Lsn last_lsn{};               // the last LSN that was found
  Lsn remembered_lsn{};         // the newest LSN known to have been answered as durable
  std::uint32_t flags = 0;

  bool tail_lost() const { return (flags & kTailLost) != 0; }
  bool corrupt() const { return (flags & kCorrupt) != 0; }
};

struct ClockRecord {
  enum class Reason : std::uint8_t { kStep = 1, kHeartbeat = 2 };
  Stamp stamp{};
  Reason reason = Reason::kHeartbeat;
  Nanos realtime{};
  Nanos boottime{};
  Nanos
      step{};  // how far the wall clock moved against the boot clock since the last record; 0: not
};

}  // namespace journal
