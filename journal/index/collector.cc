// SPDX-License-Identifier: Apache-2.0
#include "journal/index/collector.h"

#include <algorithm>

#include "journal/activity.h"

namespace journal::index {

bool Collector::on_frame(const FrameInfo& frame) {
  frames_.push_back({.segment = frame.segment,
                     .offset = frame.offset,
                     .total_bytes = frame.total_bytes,
                     .flags = 0,
                     .first_lsn = frame.first_lsn,
                     .last_lsn = frame.last_lsn,
                     .min_time = frame.min_time,
                     .max_time = frame.max_time});
  upto_ = frame.last_lsn;
  return true;
}

void Collector::on_write(const WriteRecord& record) {
  for (const WritePiece& piece : record.pieces) {
    if (piece.kind == PieceKind::kZero) {
      add_zeroes(record.volume, record.stamp.lsn, piece.first_block, piece.count);
    } else if (piece.has_place()) {
      Entry entry{.tree = tree_of(record.volume, 0),
                  .node = piece.first_block,
                  .lsn = record.stamp.lsn,
                  .place = piece.place};
      for (std::uint32_t i = 0; i < piece.count; ++i, ++entry.node, ++entry.place.index)
        entries_.push_back(entry);
    }
  }
}

void Collector::on_zero(const ZeroRecord& record) {
  add_zeroes(record.volume, record.stamp.lsn, record.first_block, record.block_count);
}

// What lies beyond a smaller size is trimmed (rule 17).
void Collector::on_volume_resized(const VolumeResized& record) {
  has_control();
  const std::uint64_t blocks = cdp::blocks_for(record.size_bytes);
  if (blocks < kVolumeBlocksMax)
    add_zeroes(record.volume, record.stamp.lsn, blocks, kVolumeBlocksMax - blocks);
}

void Collector::on_pulse(const PulseRecord& record) {
  std::uint16_t& flags = frames_.back().flags;
  flags |= FrameRow::pulse_flag(record.step);
  const std::int64_t recorded = second_of(record.stamp.time);
  if (recorded < record.begin ||
      recorded - seconds_of(record.step) - kPulseRecordedWithin > record.begin)
    flags |= FrameRow::kPulseOfOtherTime;
}

void Collector::on_damage(const Damage& damage) {
  // Nothing is known of it but where it is; its time is that of what came before.
  const Nanos time = frames_.empty() ? Nanos{} : frames_.back().max_time;
  const Lsn last = damage.before == Lsn{} ? damage.after : Lsn{damage.before.value - 1};
  frames_.push_back(
      {.segment = damage.segment,
       .offset = static_cast<std::uint32_t>(damage.from_offset),
       .total_bytes = static_cast<std::uint32_t>(damage.to_offset - damage.from_offset),
       .flags = FrameRow::kDamaged,
       .first_lsn = std::min(Lsn{damage.after.value + 1}, last),
       .last_lsn = last,
       .min_time = time,
       .max_time = time});
  upto_ = std::max(upto_, last);
}

void Collector::add_zeroes(VolumeId volume, Lsn lsn, std::uint64_t first, std::uint64_t count) {
  cover(first, count, [&](unsigned level, std::uint64_t node) {
    entries_.push_back({.tree = tree_of(volume, level), .node = node, .lsn = lsn, .place = {}});
  });
}

void Collector::clear() {
  entries_.clear();
  frames_.clear();
}

bool BoundedCollector::on_frame(const FrameInfo& frame) {
  is_full_ = entries().size() >= entries_max_;
  if (is_full_) return false;
  mark_ = {.segment = frame.segment, .offset = frame.offset, .digest = frame.digest};
  return Collector::on_frame(frame);
}

}  // namespace journal::index
