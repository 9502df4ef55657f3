// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "cdp/base/endian.h"
#include "journal/record_codec.h"

namespace journal {

void RecordEncoder::clear(Stamp least) {
  least_ = least;
  bytes_.clear();
  count_ = 0;
}

template <typename T>
void RecordEncoder::put(T value) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + sizeof value);
  cdp::store_le(bytes_.data() + at, value);
}

void RecordEncoder::put_bytes(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

// Two lengths, then the two texts, zero padded together.
void RecordEncoder::put_texts(std::string_view first, std::string_view second) {
  CHECK(first.size() <= kTextBytesMax && second.size() <= kTextBytesMax);
  put(static_cast<std::uint16_t>(first.size()));
  put(static_cast<std::uint16_t>(second.size()));
  put(std::uint32_t{0});
  put_bytes(std::as_bytes(std::span(first)));
  put_bytes(std::as_bytes(std::span(second)));
  pad();
}

void RecordEncoder::pad() {
  bytes_.resize(record_at_ + cdp::round_up(bytes_.size() - record_at_, kRecordUnit));
}

// 7 bits a byte, the lowest first; the highest bit says that more follow.
void RecordEncoder::put_number(std::uint64_t value) {
  std::array<std::byte, number_bytes(UINT64_MAX)> bytes;
  std::size_t count = 0;
  for (; value >= 0x80; value >>= 7) bytes[count++] = static_cast<std::byte>(value | 0x80);
  bytes[count++] = static_cast<std::byte>(value);
  put_bytes(std::span(bytes).first(count));
}

void RecordEncoder::begin(const Header& header) {
  ++count_;
  record_at_ = bytes_.size();
  put(static_cast<std::uint8_t>(header.type));
  put(header.flags);
  put(std::uint16_t{0});
  put(header.volume.value);
  put(header.stamp.lsn.value);
  put(header.stamp.time.value);
  put(header.first_block);
}

void RecordEncoder::write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                          std::span<const StoredPiece> pieces) {
  CHECK(!pieces.empty() && pieces.size() <= UINT16_MAX);
  CHECK(stamp.lsn >= least_.lsn && stamp.time >= least_.time);
  ++count_;
  put(static_cast<std::uint8_t>(RecordType::kWrite));
  put_number(pieces.size());
  put_number(volume.value);
  put_number(stamp.lsn.value - least_.lsn.value);
  put_number(static_cast<std::uint64_t>(stamp.time.value) -
             static_cast<std::uint64_t>(least_.time.value));
  put_number(first_block);
  for (const StoredPiece& piece : pieces) {
    CHECK(piece.count > 0);
    put(static_cast<std::uint8_t>(piece.kind));
    put_number(piece.count);
    if (piece.kind == PieceKind::kNew || piece.kind == PieceKind::kRepeat)
      put_number(piece.first_new);
    if (piece.kind == PieceKind::kReference) {
      CHECK(piece.place.index + piece.count <= kRunBlocksMax);
      put_number(piece.place.segment);
      put_number(piece.place.run_offset);
      put_number(piece.place.run_bytes);
      put_number(piece.place.index);
    }
    if (piece.kind == PieceKind::kReference || piece.kind == PieceKind::kNew) {
      CHECK(piece.fingerprints.size() == piece.count);
      for (const Fingerprint& fingerprint : piece.fingerprints) {
        put(fingerprint.low);
        put(fingerprint.high);
      }
    }
  }
}

void RecordEncoder::add(const ZeroRecord& record) {
  begin({.type = RecordType::kZero,
         .flags = record.kind == ZeroKind::kTrim ? kTrimFlag : std::uint8_t{0},
         .volume = record.volume,
         .stamp = record.stamp,
         .first_block = record.first_block});
  put(record.block_count);
}

void RecordEncoder::add(const VolumeCreated& record) {
  begin({.type = RecordType::kVolumeCreated, .volume = record.volume, .stamp = record.stamp});
  put_bytes(record.uuid.bytes);
  put(record.size_bytes);
  put_texts(record.name, record.backing);
}

void RecordEncoder::add(const VolumeCreatedFrom& record) {
  begin({.type = RecordType::kVolumeCreatedFrom, .volume = record.volume, .stamp = record.stamp});
  put_bytes(record.uuid.bytes);
  put(record.size_bytes);
  put(record.origin.value);
  put(std::uint32_t{0});
  put(record.point.value);
  put_texts(record.name, record.backing);
}

void RecordEncoder::add(const RollbackRecord& record) {
  CHECK(!record.volumes.empty() && record.volumes.size() <= kRollbackVolumesMax);
  begin({.type = RecordType::kRollback,
         .flags = record.refuse_writers ? kRefuseWritersFlag : std::uint8_t{0},
         .stamp = record.stamp});
  put(record.point.value);
  put(static_cast<std::uint32_t>(record.volumes.size()));
  put(std::uint32_t{0});
  for (const RollbackRecord::Volume& volume : record.volumes) {
    put(volume.volume.value);
    put(std::uint32_t{0});
    put(volume.size_bytes);
  }
  put_texts(record.author, {});
}

void RecordEncoder::add(const GapRecord& record) {
  begin({.type = RecordType::kGap,
         .flags = record.is_over ? kGapOverFlag : std::uint8_t{0},
         .volume = record.volume,
         .stamp = record.stamp});
  put_texts(record.cause, {});
}

void RecordEncoder::add(const VolumeResumed& record) {
  begin({.type = RecordType::kVolumeResumed, .volume = record.volume, .stamp = record.stamp});
}

void RecordEncoder::add(const UserRecord& record) {
  begin({.type = RecordType::kUser,
         .flags = record.is_removed ? kUserRemovedFlag : std::uint8_t{0},
         .stamp = record.stamp});
  put(record.rights);
  put(std::uint32_t{0});
  put_texts(record.name, record.verifier);
}

void RecordEncoder::add(const TokenRecord& record) {
  begin({.type = RecordType::kToken,
         .flags = record.is_revoked ? kTokenRevokedFlag : std::uint8_t{0},
         .stamp = record.stamp});
  put_bytes(record.digest);
  put(record.expires.value);
  put(record.rights);
  put(std::uint32_t{0});
  put_texts(record.user, record.label);
}

void RecordEncoder::add(const AuditRecord& record) {
  begin({.type = RecordType::kAudit, .stamp = record.stamp});
  put(record.status);
  put(std::uint32_t{0});
  put_texts(record.actor, record.origin);
  put_texts(record.act, record.detail);
}

namespace {

// The counts in the order in which they are stored, and the bytes that one of a second has at most.
struct PulseCount {
  std::uint64_t PulseRecord::* count;
  unsigned bytes;
};
constexpr PulseCount kPulseCounts[] = {
    {&PulseRecord::writes, 3},         {&PulseRecord::flushes, 3},
    {&PulseRecord::written_blocks, 4}, {&PulseRecord::zeroed_blocks, 5},
    {&PulseRecord::trimmed_blocks, 5}, {&PulseRecord::stored_blocks, 4},
    {&PulseRecord::stored_bytes, 5}};

}  // namespace

PulseRecord bounded_pulse(PulseRecord record) {
  for (const PulseCount& of : kPulseCounts) {
    const std::uint64_t most = record.step == PulseRecord::Step::kSecond
                                   ? (std::uint64_t{1} << (7 * of.bytes)) - 1
                                   : kPulseCountMax;
    record.*of.count = std::min(record.*of.count, most);
  }
  return record;
}

void RecordEncoder::add(const PulseRecord& record) {
  begin({.type = RecordType::kPulse,
         .flags = static_cast<std::uint8_t>(record.step),
         .volume = record.volume,
         .stamp = record.stamp,
         .first_block = static_cast<std::uint64_t>(record.begin)});
  put(record.overwritten);
  put(record.entropy);
  put(record.p99);
  for (const PulseCount& of : kPulseCounts) put_number(record.*of.count);
  pad();
}

void RecordEncoder::add(const VolumeResized& record) {
  begin({.type = RecordType::kVolumeResized, .volume = record.volume, .stamp = record.stamp});
  put(record.size_bytes);
}

void RecordEncoder::add(const VolumeRenamed& record) {
  begin({.type = RecordType::kVolumeRenamed, .volume = record.volume, .stamp = record.stamp});
  put_texts(record.name, {});
}

void RecordEncoder::add(const VolumeRemoved& record) {
  begin({.type = RecordType::kVolumeRemoved, .volume = record.volume, .stamp = record.stamp});
}

void RecordEncoder::add(const MarkRecord& record) {
  begin({.type = RecordType::kMark, .volume = record.volume, .stamp = record.stamp});
  put_texts(record.label, record.author);
}

void RecordEncoder::add(const CheckpointRecord& record) {
  begin({.type = RecordType::kCheckpoint,
         .flags = record.hydration.has_value() ? kHydrationFlag : std::uint8_t{0},
         .volume = record.volume,
         .stamp = record.stamp});
  put(record.covered.value);
  if (!record.hydration.has_value()) return;
  put(record.hydration->cursor);
  put(record.hydration->base.value);
}

void RecordEncoder::add(const CrashRecord& record) {
  begin({.type = RecordType::kCrash, .stamp = record.stamp});
  put(record.segment);
  put(record.epoch);
  put(record.cut_bytes);
  put(record.last_lsn.value);
  put(record.remembered_lsn.value);
  put(record.flags);
  put(std::uint32_t{0});
}

void RecordEncoder::add(const ClockRecord& record) {
  begin({.type = RecordType::kClock,
         .flags = static_cast<std::uint8_t>(record.reason),
         .stamp = record.stamp});
  put(record.realtime.value);
  put(record.boottime.value);
  put(record.step.value);
}

void RecordEncoder::add(const FooterRecord& record) {
  begin({.type = RecordType::kFooter,
         .flags = static_cast<std::uint8_t>(record.reason),
         .stamp = record.stamp});
  put(record.frame_count);
  put(record.data_bytes);
}

void RecordEncoder::add(const StateVaultRecord& record) {
  begin({.type = RecordType::kStateVault, .stamp = record.stamp});
  put(record.next_volume_id);
  put(std::uint32_t{0});
}

void RecordEncoder::add(const StateVolumeRecord& record) {
  const VolumeState& volume = record.volume;
  const int flags = (volume.removed.has_value() ? kRemovedFlag : 0) |
                    (volume.hydration.has_value() ? kHydratingFlag : 0) |
                    (volume.origin.has_value() ? kOriginFlag : 0) |
                    (volume.writers_refused ? kWritersRefusedFlag : 0);
  begin({.type = RecordType::kStateVolume,
         .flags = static_cast<std::uint8_t>(flags),
         .volume = volume.id,
         .stamp = volume.created});
  const Stamp removed = volume.removed.value_or(Stamp{});
  put_bytes(volume.uuid.bytes);
  put(volume.size_bytes);
  put(volume.checkpoint.value);
  put(removed.lsn.value);
  put(removed.time.value);
  if (volume.hydration.has_value()) {
    put(volume.hydration->cursor);
    put(volume.hydration->base.value);
  }
  if (volume.origin.has_value()) {
    put(volume.origin->volume.value);
    put(std::uint32_t{0});
    put(volume.origin->point.value);
  }
  put_texts(volume.name, volume.backing);
}

}  // namespace journal
