// SPDX-License-Identifier: Apache-2.0
//
// SimSource: a HydrationSource whose content lies in memory. It takes its time, answers in small
// parts, and fails when it is told to.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "cdp/hydration_source.h"
#include "cdp/io/pages.h"
#include "tests/sim/sim_scheduler.h"

namespace sim {

struct SourceFaults {
  bool reads_fail = false;
};

class SimSource final : public cdp::HydrationSource {
 public:
  // Whole blocks; `differing` has a flag for each. `pages` and the scheduler must outlive it.
  SimSource(SimScheduler& scheduler, cdp::PagePool& pages, std::vector<std::byte> content,
            std::vector<bool> differing, std::shared_ptr<const SourceFaults> faults)
      : scheduler_(scheduler),
        pages_(pages),
        content_(std::move(content)),
        differing_(std::move(differing)),
        faults_(std::move(faults)) {}

  cdp::Task<cdp::Result<cdp::PageList>> read(std::uint64_t first_block,
                                             std::uint32_t count) override {
    CHECK(count > 0 && count <= cdp::kMaxPieceBlocks);
    cdp::PageList pages = co_await pages_.acquire(count);
    co_await cdp::sleep_for(scheduler_, scheduler_.random().nanos({1000}, {400'000}));
    if (faults_->reads_fail) co_return cdp::make_error(EIO, "the journal is gone (simulated)");
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t at = (first_block + i) * cdp::kBlockBytes;
      if (at < content_.size()) {
        std::memcpy(pages[i].data(), content_.data() + at, cdp::kBlockBytes);
      } else {
        std::memset(pages[i].data(), 0, cdp::kBlockBytes);
      }
    }
    co_return std::move(pages);
  }

  cdp::Task<cdp::Result<Differing>> differing(std::uint64_t first_block,
                                              std::uint64_t end_block) override {
    CHECK(first_block < end_block);
    co_await cdp::sleep_for(scheduler_, scheduler_.random().nanos({1000}, {50'000}));
    if (faults_->reads_fail) co_return cdp::make_error(EIO, "the journal is gone (simulated)");
    Differing found{.stretches = {}, .next = end_block};
    for (std::uint64_t block = first_block; block < end_block; ++block) {
      if (block >= differing_.size() || !differing_[block]) continue;
      const bool zero = zeroes(block);
      if (!found.stretches.empty()) {
        Stretch& last = found.stretches.back();
        if (last.first_block + last.block_count == block && last.zeroes == zero) {
          ++last.block_count;
          continue;
        }
      }
      if (found.stretches.size() == 3) {
        found.next = block;
        break;
      }
      found.stretches.push_back({block, 1, zero});
    }
    co_return found;
  }

 private:
  bool zeroes(std::uint64_t block) const {
    const auto from = content_.begin() + static_cast<std::ptrdiff_t>(block * cdp::kBlockBytes);
    return std::all_of(from, from + cdp::kBlockBytes, [](std::byte b) { return b == std::byte{}; });
  }

  SimScheduler& scheduler_;
  cdp::PagePool& pages_;
  const std::vector<std::byte> content_;
  const std::vector<bool> differing_;
  const std::shared_ptr<const SourceFaults> faults_;
};

}  // namespace sim
