// SPDX-License-Identifier: Apache-2.0
//
// Fills a PointMap from the records of a volume. The records in (after, upto] are visited in LSN
// order, and each changes the map: stored blocks get their places, zero and trim extents their
// zeroes, and a block equal to what it was before (SAME) stays as it is. A shrinking volume is
// trimmed beyond its new size (rule 17), so that growing it again shows zeroes.
#pragma once

#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/task.h"
#include "journal/vault_reader.h"
#include "restore/point_map.h"

namespace restore {

class MapBuilder final : public journal::RecordVisitor {
 public:
  // `*map` must outlive it.
  MapBuilder(journal::VolumeId volume, PointMap* map) : volume_(volume), map_(*map) {}

  void on_write(const journal::WriteRecord& record) override;
  void on_zero(const journal::ZeroRecord& record) override;
  void on_volume_resized(const journal::VolumeResized& record) override;
  void on_damage(const journal::Damage& damage) override;

  // Sentences about stretches that could not be read; what they changed is not in the map.
  const std::vector<std::string>& damage() const { return damage_; }

 private:
  journal::VolumeId volume_;
  PointMap& map_;
  std::vector<std::string> damage_;
};

// Applies the changes of `volume` in (after, upto] to `*map`; gives MapBuilder::damage().
// `reader` and `*map` must outlive the task.
cdp::Task<cdp::Result<std::vector<std::string>>> build_map(journal::VaultReader& reader,
                                                           journal::VolumeId volume,
                                                           journal::Lsn after, journal::Lsn upto,
                                                           PointMap* map);

}  // namespace restore
