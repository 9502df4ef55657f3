// SPDX-License-Identifier: Apache-2.0
//
// PointHydration: what a volume becomes after a rollback, or as one that was created from a point,
// for the copying to its backing store (cdp/hydration_source.h). The content is that of a point;
// where the backing store may differ is said by a second visibility (rule 8): the changes that one
// of the two has and the other has not.
#pragma once

#include <memory>

#include "cdp/hydration_source.h"
#include "restore/point_reader.h"

namespace restore {

class PointHydration final : public cdp::HydrationSource {
 public:
  // `pages` must outlive it; it needs kMaxPieceBlocks at least.
  PointHydration(std::shared_ptr<const PointReader> content, journal::Visibility differing,
                 cdp::PagePool& pages)
      : content_(std::move(content)), differing_(std::move(differing)), pages_(pages) {}

  Task<Result<cdp::PageList>> read(std::uint64_t first_block, std::uint32_t count) override {
    return content_->read(first_block, count, pages_);
  }
  Task<Result<Differing>> differing(std::uint64_t first_block, std::uint64_t end_block) override;

 private:
  Task<Status> add_short(std::uint64_t first_block, std::uint64_t end_block,
                         const std::vector<Stretch>& within, std::vector<Stretch>& into);
  Task<Result<std::uint64_t>> add_long(Stretch stretch, std::vector<Stretch>& into);

  const std::shared_ptr<const PointReader> content_;
  const journal::Visibility differing_;
  cdp::PagePool& pages_;
};

}  // namespace restore
