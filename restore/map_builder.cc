// SPDX-License-Identifier: Apache-2.0
#include "restore/map_builder.h"

#include <utility>

namespace restore {

void MapBuilder::on_write(const journal::WriteRecord& record) {
  if (record.volume != volume_) return;
  for (const journal::WritePiece& piece : record.pieces) {
    if (piece.kind == journal::PieceKind::kZero) {
      map_.zero(piece.first_block, piece.count);
    } else if (piece.has_place()) {
      journal::BlockPlace place = piece.place;
      for (std::uint32_t i = 0; i < piece.count; ++i, ++place.index) {
        map_.put(piece.first_block + i, place);
      }
    }
  }
}

void MapBuilder::on_zero(const journal::ZeroRecord& record) {
  if (record.volume == volume_) map_.zero(record.first_block, record.block_count);
}

void MapBuilder::on_volume_resized(const journal::VolumeResized& record) {
  if (record.volume != volume_) return;
  const std::uint64_t blocks = cdp::blocks_for(record.size_bytes);
  if (blocks < kVolumeBlocksMax) map_.zero(blocks, kVolumeBlocksMax - blocks);
}

void MapBuilder::on_damage(const journal::Damage& damage) {
  const std::string stretch =
      damage.before == journal::Lsn{}
          ? fmt::format("after LSN {}", damage.after.value)
          : fmt::format("between LSN {} and {}", damage.after.value, damage.before.value);
  damage_.push_back(fmt::format("history {} cannot be read, and its changes are missing: {}",
                                stretch, damage.what));
}

cdp::Task<cdp::Result<std::vector<std::string>>> build_map(journal::VaultReader& reader,
                                                           journal::VolumeId volume,
                                                           journal::Lsn after, journal::Lsn upto,
                                                           PointMap* map) {
  MapBuilder builder{volume, map};
  cdp::Status visited = co_await reader.visit(after, upto, builder);
  if (!visited.ok()) co_return std::move(visited).error();
  co_return builder.damage();
}

}  // namespace restore
