// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <set>

#include "cdp/base/endian.h"
#include "cdp/io_statistics.h"
#include "journal/record_codec.h"

namespace journal {
namespace {

using cdp::load_le;

constexpr std::string_view kUnknownValues = "holds values that this format does not know";

// What a volume is created from was there before it; so chains of origins end.
bool is_older(const VolumeState::Origin& origin, VolumeId volume, Stamp created) {
  return origin.volume.value != 0 && origin.volume < volume && origin.point < created.lsn;
}

bool can_be_a_size(std::uint64_t bytes) { return bytes <= kVolumeBlocksMax * cdp::kBlockBytes; }

bool can_be_a_user(std::string_view name) {
  return !name.empty() && name.size() <= kUserNameBytesMax;
}

bool can_be_a_pulse(const PulseRecord& pulse, std::uint8_t step) {
  if (step < 1 || step > 4 || pulse.begin < 0 || pulse.begin % seconds_of(pulse.step) != 0)
    return false;
  const auto is_unknown_or = [](std::uint8_t value, std::size_t most) {
    return value <= most || value == PulseRecord::kUnknown;
  };
  return is_unknown_or(pulse.overwritten, 100) &&
         is_unknown_or(pulse.entropy, PulseRecord::kEntropyMax) &&
         is_unknown_or(pulse.p99, cdp::IoStatistics::kBounds.size()) &&
         bounded_pulse(pulse) == pulse;
}

bool are_distinct(const std::vector<RollbackRecord::Volume>& volumes) {
  std::set<VolumeId> seen;
  return std::all_of(volumes.begin(), volumes.end(),
                     [&](const auto& of) { return seen.insert(of.volume).second; });
}

}  // namespace

// Reads forward through the records; once it would pass the end it stays bad and gives zeroes.
struct RecordDecoder::Cursor {
  std::span<const std::byte> bytes;
  std::size_t record_at = 0;
  std::size_t at = record_at;
  bool good = true;
  bool sane = true;  // no number was beyond its bound

  std::span<const std::byte> take(std::size_t size) {
    if (!good || size > bytes.size() - at) {
      good = false;
      return {};
    }
    const auto taken = bytes.subspan(at, size);
    at += size;
    return taken;
  }
  template <typename T>
  T get() {
    const auto from = take(sizeof(T));
    return good ? load_le<T>(from.data()) : T{};
  }
  // As RecordEncoder::put_number writes it, in as few bytes as it needs.
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = get<std::uint8_t>();
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) sane = false;
        return value;
      }
    }
    sane = false;
    return 0;
  }
  template <typename T = std::uint64_t>
  T number_up_to(std::uint64_t most) {
    const std::uint64_t value = number();
    if (value <= most) return static_cast<T>(value);
    sane = false;
    return 0;
  }
  // Up to the unit of records.
  bool padding() {
    const std::size_t bytes_of_it = at - record_at;
    return zeroes(cdp::round_up(bytes_of_it, kRecordUnit) - bytes_of_it);
  }
  bool zeroes(std::size_t size) { return all_zero(take(size)) && good; }
  Uuid uuid() {
    Uuid uuid;
    const auto from = take(uuid.bytes.size());
    if (good) std::memcpy(uuid.bytes.data(), from.data(), from.size());
    return uuid;
  }
  Digest digest() {
    Digest digest{};
    const auto from = take(digest.size());
    if (good) std::memcpy(digest.data(), from.data(), from.size());
    return digest;
  }
  Hydration hydration() {
    Hydration hydration;
    hydration.cursor = get<std::uint64_t>();
    hydration.base = {get<std::uint64_t>()};
    return hydration;
  }
  // Nothing where a reserved byte is not zero.
  std::optional<VolumeState::Origin> origin() {
    VolumeState::Origin origin{.volume = {get<std::uint32_t>()}};
    const bool reserved_zero = get<std::uint32_t>() == 0;
    origin.point = {get<std::uint64_t>()};
    return reserved_zero ? std::optional(origin) : std::nullopt;
  }
  void texts(std::string& first, std::string& second) {
    const auto first_bytes = get<std::uint16_t>();
    const auto second_bytes = get<std::uint16_t>();
    if (get<std::uint32_t>() != 0 || first_bytes > kTextBytesMax || second_bytes > kTextBytesMax)
      good = false;
    const auto text = [&](std::size_t size) {
      const auto from = take(size);
      return std::string(reinterpret_cast<const char*>(from.data()), from.size());
    };
    first = text(first_bytes);
    second = text(second_bytes);
    if (!padding()) good = false;
  }
  StoredPiece piece() {
    StoredPiece piece{.kind = static_cast<PieceKind>(get<std::uint8_t>())};
    piece.count = number_up_to<std::uint16_t>(UINT16_MAX);
    if (piece.kind == PieceKind::kNew || piece.kind == PieceKind::kRepeat)
      piece.first_new = number_up_to<std::uint32_t>(UINT32_MAX);
    if (piece.kind == PieceKind::kReference) {
      piece.place.segment = number_up_to<std::uint32_t>(UINT32_MAX);
      piece.place.run_offset = number_up_to<std::uint32_t>(UINT32_MAX);
      piece.place.run_bytes = number_up_to<std::uint32_t>(UINT32_MAX);
      piece.place.index = number_up_to<std::uint16_t>(UINT16_MAX);
    }
    return piece;
  }
  StoredPiece piece_of_version_1() {
    StoredPiece piece{.kind = static_cast<PieceKind>(get<std::uint8_t>())};
    const auto flags = get<std::uint8_t>();
    piece.count = get<std::uint16_t>();
    piece.first_new = get<std::uint32_t>();
    const bool by_number = piece.kind == PieceKind::kNew || piece.kind == PieceKind::kRepeat;
    sane = sane && flags == 0 && (by_number || piece.first_new == 0);
    if (piece.kind == PieceKind::kReference) {
      piece.place.segment = get<std::uint32_t>();
      piece.place.run_offset = get<std::uint32_t>();
      piece.place.run_bytes = get<std::uint32_t>();
      piece.place.index = get<std::uint16_t>();
      sane = sane && get<std::uint16_t>() == 0;
    }
    return piece;
  }
};

Error RecordDecoder::damaged(std::string_view what) const {
  return make_error(EIO, "record {} of the frame at byte {} of {} {}",
                    header_.record_count - left_ + 1, header_.offset, segment_name(header_.segment),
                    what);
}

Result<RecordDecoder> RecordDecoder::open(const FrameHeader& header, const Vault& vault,
                                          std::span<const std::byte> metadata) {
  CHECK(metadata.size() == header.metadata_end() - kFrameHeaderBytes);
  if (checksum(vault.secret, metadata) != header.metadata_checksum)
    return make_error(EIO, "the records of the frame at byte {} of {} are damaged: {}",
                      header.offset, segment_name(header.segment), "their checksum does not match");
  Result<std::vector<RunEntry>> runs =
      decode_run_table(header, metadata.subspan(header.record_bytes));
  if (!runs.ok()) return runs.error();
  return RecordDecoder(header, metadata.first(header.record_bytes), *std::move(runs));
}

RecordDecoder::Header RecordDecoder::decode_header(Cursor& cursor) const {
  Header of{.type = static_cast<RecordType>(cursor.get<std::uint8_t>())};
  if (of.type == RecordType::kWrite) {
    const auto earliest = static_cast<std::uint64_t>(header_.min_time.value);
    const auto latest = static_cast<std::uint64_t>(header_.max_time.value);
    of.pieces = cursor.number_up_to<std::uint16_t>(UINT16_MAX);
    of.volume = {cursor.number_up_to<std::uint32_t>(UINT32_MAX)};
    of.stamp.lsn = {header_.first_lsn.value +
                    cursor.number_up_to(header_.last_lsn.value - header_.first_lsn.value)};
    of.stamp.time = {static_cast<std::int64_t>(earliest + cursor.number_up_to(latest - earliest))};
    of.first_block = cursor.number_up_to(kVolumeBlocksMax);
    return of;
  }
  of.flags = cursor.get<std::uint8_t>();
  of.pieces = cursor.get<std::uint16_t>();
  of.volume = {cursor.get<std::uint32_t>()};
  of.stamp.lsn = {cursor.get<std::uint64_t>()};
  of.stamp.time = {cursor.get<std::int64_t>()};
  of.first_block = cursor.get<std::uint64_t>();
  if (of.type == RecordType::kWriteOfVersion1)
    cursor.sane = of.stamp.time >= header_.min_time && of.stamp.time <= header_.max_time;
  return of;
}

Result<AnyRecord> RecordDecoder::next() {
  CHECK(left_ > 0);
  Cursor cursor{.bytes = records_, .record_at = at_};
  const Header header = decode_header(cursor);
  const auto [kind, flags, pieces, volume, stamp, first_block] = header;
  if (!cursor.good) return damaged("is cut off");
  if (!cursor.sane) return damaged(kUnknownValues);

  const bool is_state = header_.kind == FrameKind::kState;
  if (header_.kind == FrameKind::kRecords) {
    if (stamp.lsn < header_.first_lsn || stamp.lsn > header_.last_lsn || stamp.lsn <= newest_)
      return damaged("is out of order");
    newest_ = stamp.lsn;
  }
  const auto type = static_cast<std::uint8_t>(kind);
  const bool is_write = kind == RecordType::kWrite || kind == RecordType::kWriteOfVersion1;
  const bool known = (type >= 1 && type <= 12) || (type >= 16 && type <= 18) || type == 20 ||
                     (type >= 24 && type <= 27) || type == 64 || type == 65;
  const bool in_state = kind == RecordType::kStateVault || kind == RecordType::kStateVolume;
  const bool in_both = kind == RecordType::kMark || kind == RecordType::kCrash ||
                       kind == RecordType::kClock || kind == RecordType::kRollback ||
                       kind == RecordType::kGap || kind == RecordType::kUser ||
                       kind == RecordType::kToken;
  const bool in_footer = kind == RecordType::kFooter;
  if (!known) {
    return make_error(ENOTSUP,
                      "a record of type {} in {} is not known to this program: it was written by "
                      "a newer one, use that to read this vault",
                      type, segment_name(header_.segment));
  }
  if (is_state ? !(in_state || in_both)
               : in_state || in_footer != (header_.kind == FrameKind::kFooter))
    return damaged(fmt::format("is of type {}, which does not belong there", type));
  const bool has_flags = kind == RecordType::kZero || kind == RecordType::kClock ||
                         kind == RecordType::kFooter || kind == RecordType::kStateVolume ||
                         kind == RecordType::kCheckpoint || kind == RecordType::kRollback ||
                         kind == RecordType::kGap || kind == RecordType::kUser ||
                         kind == RecordType::kToken || kind == RecordType::kPulse;
  const bool has_first_block = is_write || kind == RecordType::kZero || kind == RecordType::kPulse;
  if ((flags != 0 && !has_flags) || (pieces != 0 && !is_write) ||
      (first_block != 0 && !has_first_block))
    return damaged("has a reserved field that is not zero");
  const bool of_no_volume = kind == RecordType::kCrash || kind == RecordType::kClock ||
                            kind == RecordType::kFooter || kind == RecordType::kRollback ||
                            kind == RecordType::kUser || kind == RecordType::kToken ||
                            kind == RecordType::kAudit || kind == RecordType::kStateVault;
  // A mark may be of all volumes.
  if (kind != RecordType::kMark && (volume.value == 0) != of_no_volume)
    return damaged("is of a volume that it cannot be of");

  AnyRecord record;
  bool sane = true;
  std::string none;
  switch (kind) {
    case RecordType::kWriteOfVersion1:
    case RecordType::kWrite: {
      Result<WriteRecord> write = decode_write(cursor, header);
      if (!write.ok()) return write.error();
      record = *write;
      break;
    }
    case RecordType::kZero: {
      ZeroRecord zero{.volume = volume,
                      .stamp = stamp,
                      .kind = flags == kTrimFlag ? ZeroKind::kTrim : ZeroKind::kZero,
                      .first_block = first_block,
                      .block_count = cursor.get<std::uint64_t>()};
      sane = flags <= kTrimFlag && zero.block_count != 0 && zero.block_count <= kVolumeBlocksMax &&
             first_block <= kVolumeBlocksMax - zero.block_count;
      record = zero;
      break;
    }
    case RecordType::kVolumeCreated: {
      VolumeCreated created{.volume = volume, .stamp = stamp};
      created.uuid = cursor.uuid();
      created.size_bytes = cursor.get<std::uint64_t>();
      cursor.texts(created.name, created.backing);
      sane = can_be_a_size(created.size_bytes);
      record = std::move(created);
      break;
    }
    case RecordType::kVolumeResized: {
      const VolumeResized resized{volume, stamp, cursor.get<std::uint64_t>()};
      sane = can_be_a_size(resized.size_bytes);
      record = resized;
      break;
    }
    case RecordType::kVolumeRenamed: {
      VolumeRenamed renamed{.volume = volume, .stamp = stamp};
      cursor.texts(renamed.name, none);
      sane = none.empty();
      record = std::move(renamed);
      break;
    }
    case RecordType::kVolumeRemoved:
      record = VolumeRemoved{volume, stamp};
      break;
    case RecordType::kMark: {
      MarkRecord mark{.volume = volume, .stamp = stamp};
      cursor.texts(mark.label, mark.author);
      record = std::move(mark);
      break;
    }
    case RecordType::kCheckpoint: {
      CheckpointRecord checkpoint{
          .volume = volume, .stamp = stamp, .covered = {cursor.get<std::uint64_t>()}};
      if (flags == kHydrationFlag) checkpoint.hydration = cursor.hydration();
      sane = flags <= kHydrationFlag;
      record = checkpoint;
      break;
    }
    case RecordType::kRollback: {
      RollbackRecord rollback{.stamp = stamp, .refuse_writers = flags == kRefuseWritersFlag};
      rollback.point = {cursor.get<std::uint64_t>()};
      const auto volumes = cursor.get<std::uint32_t>();
      sane = cursor.get<std::uint32_t>() == 0 && flags <= kRefuseWritersFlag && volumes >= 1 &&
             volumes <= kRollbackVolumesMax && rollback.point < stamp.lsn;
      for (std::uint32_t i = 0; sane && cursor.good && i < volumes; ++i) {
        RollbackRecord::Volume rolled{.volume = {cursor.get<std::uint32_t>()}};
        sane = cursor.get<std::uint32_t>() == 0 && (rolled.volume.value != 0 || !cursor.good);
        rolled.size_bytes = cursor.get<std::uint64_t>();
        sane = sane && can_be_a_size(rolled.size_bytes);
        rollback.volumes.push_back(rolled);
      }
      sane = sane && are_distinct(rollback.volumes);
      if (sane) cursor.texts(rollback.author, none);
      sane = sane && none.empty();
      record = std::move(rollback);
      break;
    }
    case RecordType::kGap: {
      GapRecord gap{.volume = volume, .stamp = stamp, .is_over = flags == kGapOverFlag};
      cursor.texts(gap.cause, none);
      sane = flags <= kGapOverFlag && gap.cause.empty() == gap.is_over && none.empty();
      record = std::move(gap);
      break;
    }
    case RecordType::kVolumeCreatedFrom: {
      VolumeCreatedFrom created{.volume = volume, .stamp = stamp};
      created.uuid = cursor.uuid();
      created.size_bytes = cursor.get<std::uint64_t>();
      const std::optional<VolumeState::Origin> origin = cursor.origin();
      if (origin.has_value()) {
        created.origin = origin->volume;
        created.point = origin->point;
      }
      cursor.texts(created.name, created.backing);
      sane = origin.has_value() && is_older(*origin, volume, stamp) &&
             can_be_a_size(created.size_bytes);
      record = std::move(created);
      break;
    }
    case RecordType::kVolumeResumed:
      record = VolumeResumed{volume, stamp};
      break;
    case RecordType::kUser: {
      UserRecord user{.stamp = stamp, .is_removed = flags == kUserRemovedFlag};
      user.rights = cursor.get<std::uint32_t>();
      sane = cursor.get<std::uint32_t>() == 0 && flags <= kUserRemovedFlag;
      cursor.texts(user.name, user.verifier);
      sane = sane && can_be_a_user(user.name) && user.verifier.size() <= kVerifierBytesMax;
      record = std::move(user);
      break;
    }
    case RecordType::kToken: {
      TokenRecord token{.stamp = stamp, .is_revoked = flags == kTokenRevokedFlag};
      token.digest = cursor.digest();
      token.expires = {cursor.get<std::int64_t>()};
      token.rights = cursor.get<std::uint32_t>();
      sane = cursor.get<std::uint32_t>() == 0 && flags <= kTokenRevokedFlag;
      cursor.texts(token.user, token.label);
      // A state has no revoked ones.
      sane = sane && can_be_a_user(token.user) && !token.label.empty() &&
             token.label.size() <= kTokenLabelBytesMax && !(is_state && token.is_revoked);
      record = std::move(token);
      break;
    }
    case RecordType::kAudit: {
      AuditRecord audit{.stamp = stamp, .status = cursor.get<std::uint32_t>()};
      sane = cursor.get<std::uint32_t>() == 0;
      cursor.texts(audit.actor, audit.origin);
      cursor.texts(audit.act, audit.detail);
      sane = sane && audit.actor.size() <= kAuditActorBytesMax &&
             audit.origin.size() <= kAuditActorBytesMax && !audit.act.empty() &&
             audit.act.size() <= kAuditActBytesMax && audit.detail.size() <= kAuditDetailBytesMax;
      record = std::move(audit);
      break;
    }
    case RecordType::kPulse: {
      PulseRecord pulse{.volume = volume,
                        .stamp = stamp,
                        .step = static_cast<PulseRecord::Step>(flags),
                        .begin = static_cast<std::int64_t>(first_block)};
      pulse.overwritten = cursor.get<std::uint8_t>();
      pulse.entropy = cursor.get<std::uint8_t>();
      pulse.p99 = cursor.get<std::uint8_t>();
      pulse.writes = cursor.number();
      pulse.flushes = cursor.number();
      pulse.written_blocks = cursor.number();
      pulse.zeroed_blocks = cursor.number();
      pulse.trimmed_blocks = cursor.number();
      pulse.stored_blocks = cursor.number();
      pulse.stored_bytes = cursor.number();
      sane = can_be_a_pulse(pulse, flags) && cursor.padding();
      record = pulse;
      break;
    }
    case RecordType::kCrash: {
      CrashRecord crash{.stamp = stamp};
      crash.segment = cursor.get<std::uint32_t>();
      crash.epoch = cursor.get<std::uint32_t>();
      crash.cut_bytes = cursor.get<std::uint64_t>();
      crash.last_lsn = {cursor.get<std::uint64_t>()};
      crash.remembered_lsn = {cursor.get<std::uint64_t>()};
      crash.flags = cursor.get<std::uint32_t>();
      sane = cursor.get<std::uint32_t>() == 0 &&
             crash.flags <= (CrashRecord::kTailLost | CrashRecord::kCorrupt);
      record = crash;
      break;
    }
    case RecordType::kClock: {
      ClockRecord clock{.stamp = stamp, .reason = static_cast<ClockRecord::Reason>(flags)};
      clock.realtime = {cursor.get<std::int64_t>()};
      clock.boottime = {cursor.get<std::int64_t>()};
      clock.step = {cursor.get<std::int64_t>()};
      sane = flags == 1 || flags == 2;
      record = clock;
      break;
    }
    case RecordType::kFooter: {
      FooterRecord footer{.stamp = stamp, .reason = static_cast<FooterRecord::Reason>(flags)};
      footer.frame_count = cursor.get<std::uint64_t>();
      footer.data_bytes = cursor.get<std::uint64_t>();
      sane = flags == 1 || flags == 2;
      record = footer;
      break;
    }
    case RecordType::kStateVault: {
      StateVaultRecord state{.stamp = stamp, .next_volume_id = cursor.get<std::uint32_t>()};
      sane = cursor.get<std::uint32_t>() == 0 && state.next_volume_id != 0;
      record = state;
      break;
    }
    case RecordType::kStateVolume: {
      StateVolumeRecord state;
      state.volume.id = volume;
      state.volume.created = stamp;
      state.volume.uuid = cursor.uuid();
      state.volume.size_bytes = cursor.get<std::uint64_t>();
      state.volume.checkpoint = {cursor.get<std::uint64_t>()};
      Stamp removed{};
      removed.lsn = {cursor.get<std::uint64_t>()};
      removed.time = {cursor.get<std::int64_t>()};
      const bool is_removed = (flags & kRemovedFlag) != 0;
      if (is_removed) state.volume.removed = removed;
      state.volume.writers_refused = (flags & kWritersRefusedFlag) != 0;
      if ((flags & kHydratingFlag) != 0) state.volume.hydration = cursor.hydration();
      if ((flags & kOriginFlag) != 0) {
        state.volume.origin = cursor.origin();
        sane = state.volume.origin.has_value() && is_older(*state.volume.origin, volume, stamp);
      }
      cursor.texts(state.volume.name, state.volume.backing);
      constexpr int known_flags = kRemovedFlag | kHydratingFlag | kOriginFlag | kWritersRefusedFlag;
      sane = sane && (flags & ~known_flags) == 0 && can_be_a_size(state.volume.size_bytes) &&
             (is_removed || (removed.lsn.value == 0 && removed.time.value == 0));
      record = std::move(state);
      break;
    }
  }
  if (!cursor.good) return damaged("is cut off");
  if (!sane || !cursor.sane) return damaged(kUnknownValues);
  at_ = cursor.at;
  --left_;
  if (left_ == 0 && at_ != records_.size()) return damaged("is not the last one");
  return record;
}

Result<WriteRecord> RecordDecoder::decode_write(Cursor& cursor, const Header& header) {
  WriteRecord record{
      .volume = header.volume, .stamp = header.stamp, .first_block = header.first_block};
  pieces_.clear();
  fingerprints_.clear();
  fingerprints_at_.clear();
  if (header.pieces == 0) return damaged("writes nothing");
  std::uint64_t block = record.first_block;
  for (std::uint16_t i = 0; i < header.pieces; ++i) {
    std::uint32_t count = 0;
    Status piece = decode_piece(cursor, header.type, block, count);
    if (!piece.ok()) return piece.error();
    block += count;
    if (block < record.first_block || block > kVolumeBlocksMax)
      return damaged("lies beyond any volume");
  }
  // fingerprints_ has stopped growing: now its elements can be pointed at.
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    WritePiece& piece = pieces_[i];
    if (piece.kind == PieceKind::kNew || piece.kind == PieceKind::kReference)
      piece.fingerprints = std::span(fingerprints_).subspan(fingerprints_at_[i], piece.count);
  }
  record.block_count = block - record.first_block;
  record.pieces = pieces_;
  return record;
}

Status RecordDecoder::decode_piece(Cursor& cursor, RecordType type, std::uint64_t first_block,
                                   std::uint32_t& count) {
  const StoredPiece stored =
      type == RecordType::kWrite ? cursor.piece() : cursor.piece_of_version_1();
  count = stored.count;
  if (!cursor.good) return damaged("is cut off");
  const PieceKind kind = stored.kind;
  const auto kind_value = static_cast<std::uint8_t>(kind);
  if (kind_value < 1 || kind_value > 5 || count == 0 || !cursor.sane)
    return damaged("has a piece that this format does not know");

  const WritePiece piece{
      .kind = kind, .count = count, .first_block = first_block, .place = stored.place};
  if (kind == PieceKind::kReference &&
      (piece.place.segment == 0 || piece.place.segment > header_.segment ||
       piece.place.run_bytes <= kRunHeaderBytes || piece.place.run_bytes > kRunBytesMax ||
       piece.place.index + count > kRunBlocksMax))
    return damaged("refers to a place that cannot be");
  const std::size_t fingerprints_at = fingerprints_.size();
  if (kind == PieceKind::kNew || kind == PieceKind::kReference) {
    const auto bytes = cursor.take(std::size_t{count} * kFingerprintBytes);
    for (std::size_t at = 0; at < bytes.size(); at += kFingerprintBytes)
      fingerprints_.push_back({load_le<std::uint64_t>(bytes.data() + at),
                               load_le<std::uint64_t>(bytes.data() + at + 8)});
  }
  if (!cursor.good) return damaged("is cut off");
  if (kind == PieceKind::kNew || kind == PieceKind::kRepeat)
    return place_new_blocks(kind, first_block, stored.first_new, count, fingerprints_at);
  pieces_.push_back(piece);
  fingerprints_at_.push_back(fingerprints_at);
  return {};
}

// Splits a stretch of the frame's new blocks where it crosses from one run to the next.
Status RecordDecoder::place_new_blocks(PieceKind kind, std::uint64_t first_block,
                                       std::uint32_t first_new, std::uint32_t count,
                                       std::size_t fingerprints_at) {
  auto run = std::upper_bound(
      runs_.begin(), runs_.end(), first_new,
      [](std::uint32_t block, const RunEntry& entry) { return block < entry.first_block; });
  if (run == runs_.begin()) return damaged("names a new block that the frame does not have");
  --run;
  while (count > 0) {
    if (run == runs_.end() || first_new >= run->first_block + run->block_count)
      return damaged("names a new block that the frame does not have");
    const std::uint32_t index = first_new - run->first_block;
    const std::uint32_t here = std::min(count, run->block_count - index);
    pieces_.push_back({.kind = kind,
                       .count = here,
                       .first_block = first_block,
                       .place = {.segment = header_.segment,
                                 .run_offset = header_.offset + run->offset,
                                 .run_bytes = run->stored_bytes,
                                 .index = static_cast<std::uint16_t>(index)},
                       .fingerprints = {}});
    fingerprints_at_.push_back(fingerprints_at);
    fingerprints_at += here;
    first_block += here;
    first_new += here;
    count -= here;
    ++run;
  }
  return {};
}

}  // namespace journal
