// SPDX-License-Identifier: Apache-2.0
//
// ModelBlockMap: the time index as a list of changes, gone through from the newest on for every
// question. It is built from the records of a vault, so that its places are real.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "journal/format.h"
#include "journal/index/block_map.h"
#include "journal/vault_reader.h"
#include "tests/sim/sim_scheduler.h"

namespace restore {

class ModelBlockMap final : public journal::index::BlockMap, public journal::RecordVisitor {
 public:
  using BlockState = journal::index::BlockState;
  using BlockVersion = journal::index::BlockVersion;
  using Extent = journal::index::Extent;

  struct Change {
    journal::Lsn lsn{};
    journal::VolumeId volume{};
    std::uint64_t first_block = 0;
    std::uint64_t block_count = 0;
    BlockState state = BlockState::kZero;
    journal::BlockPlace place{};
  };

  // What a vault's records say, in LSN order.
  void on_write(const journal::WriteRecord& record) override {
    for (const journal::WritePiece& piece : record.pieces) {
      if (piece.kind == journal::PieceKind::kSame) continue;
      Change change{record.stamp.lsn, record.volume, piece.first_block, piece.count};
      if (piece.has_place()) {
        change.state = BlockState::kData;
        change.place = piece.place;
        change.place.run_bytes += slack_bytes;  // an upper bound, as the contract says
      }
      add(change);
    }
  }
  void on_zero(const journal::ZeroRecord& record) override {
    add({record.stamp.lsn, record.volume, record.first_block, record.block_count});
  }
  void on_volume_resized(const journal::VolumeResized& record) override {
    const std::uint64_t end = cdp::blocks_for(record.size_bytes);
    add({record.stamp.lsn, record.volume, end, journal::kVolumeBlocksMax - end});
  }
  // Or by hand, in LSN order.
  void add(Change change) { changes_.push_back(change); }

  std::uint32_t slack_bytes = 5000;
  std::size_t extents_per_step = 7;
  std::optional<cdp::Error> fault;
  mutable std::size_t lookups = 0;

  journal::Lsn upto() const override {
    return changes_.empty() ? journal::Lsn{} : changes_.back().lsn;
  }
  cdp::Task<cdp::Status> lookup(const journal::Visibility& visible, std::uint64_t first_block,
                                std::span<BlockVersion> into) const override {
    ++lookups;
    if (fault) co_return *fault;
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = version(visible, first_block + i);
    co_return cdp::Status{};
  }
  std::unique_ptr<journal::index::Scan> scan(journal::Visibility visible, std::uint64_t first_block,
                                             std::uint64_t end_block) const override {
    return std::make_unique<ModelScan>(*this, extents(visible, first_block, end_block));
  }

  // One block of it.
  BlockVersion version(const journal::Visibility& visible, std::uint64_t block) const {
    for (const journal::VisibleLayer& layer : visible) {
      for (std::size_t i = changes_.size(); i-- > 0;) {
        const Change& change = changes_[i];
        if (change.volume != layer.volume || block < change.first_block ||
            block - change.first_block >= change.block_count) {
          continue;
        }
        const bool seen =
            std::any_of(layer.intervals.begin(), layer.intervals.end(),
                        [&](const journal::LsnInterval& in) { return in.contains(change.lsn); });
        if (!seen) continue;
        BlockVersion found{change.state, change.lsn, change.place};
        if (change.state == BlockState::kData) {
          found.place.index =
              static_cast<std::uint16_t>(found.place.index + (block - change.first_block));
        }
        return found;
      }
    }
    return {};
  }

 private:
  class ModelScan final : public journal::index::Scan {
   public:
    ModelScan(const ModelBlockMap& map, std::vector<Extent> all)
        : map_(map), all_(std::move(all)) {}
    cdp::Task<cdp::Result<std::vector<Extent>>> next() override {
      if (map_.fault) co_return *map_.fault;
      const std::size_t count = std::min(map_.extents_per_step, all_.size() - at_);
      const auto from = all_.begin() + static_cast<std::ptrdiff_t>(at_);
      at_ += count;
      co_return std::vector<Extent>(from, from + static_cast<std::ptrdiff_t>(count));
    }

   private:
    const ModelBlockMap& map_;
    const std::vector<Extent> all_;
    std::size_t at_ = 0;
  };

  // Between two neighbouring ends of changes, one change is the newest everywhere.
  std::vector<Extent> extents(const journal::Visibility& visible, std::uint64_t first_block,
                              std::uint64_t end_block) const {
    std::set<std::uint64_t> ends{first_block, end_block};
    for (const Change& change : changes_) {
      ends.insert(std::clamp(change.first_block, first_block, end_block));
      ends.insert(std::clamp(change.first_block + change.block_count, first_block, end_block));
    }
    std::vector<Extent> result;
    for (auto at = ends.begin(); std::next(at) != ends.end(); ++at) {
      const BlockVersion found = version(visible, *at);
      if (found.state == BlockState::kUntouched) continue;
      result.push_back({*at, *std::next(at) - *at, found.state, found.place});
    }
    return result;
  }

  std::vector<Change> changes_;
};

// The records of a vault up to its end.
inline std::shared_ptr<ModelBlockMap> model_map(sim::SimScheduler& scheduler,
                                                journal::VaultReader& reader) {
  auto map = std::make_shared<ModelBlockMap>();
  const cdp::Status visited =
      scheduler.run(reader.visit(journal::Lsn{}, journal::Lsn{UINT64_MAX}, *map));
  EXPECT_TRUE(visited.ok());
  return map;
}

// Without rollbacks: everything of the volume up to there.
inline journal::Visibility all_upto(journal::VolumeId volume, journal::Lsn lsn) {
  return {{volume, {{journal::Lsn{}, lsn}}}};
}

}  // namespace restore
