// SPDX-License-Identifier: Apache-2.0
#include "restore/overwritten.h"

#include <algorithm>
#include <utility>

namespace restore {
namespace {

using journal::PulseRecord;
using journal::VolumeActivity;

// Blocks looked up in the time index, for all together.
constexpr std::size_t kLookupsMax = 256;

}  // namespace

cdp::Task<std::vector<std::uint8_t>> find_overwritten(journal::index::TimeIndex& index,
                                                      std::vector<VolumeActivity> activities) {
  std::vector<std::uint8_t> percents(activities.size(), PulseRecord::kUnknown);
  if (activities.empty()) co_return percents;
  const std::size_t of_each = std::max<std::size_t>(1, kLookupsMax / activities.size());
  std::vector<journal::index::TimeIndex::BlockBefore> blocks;
  std::vector<std::size_t> counts;
  for (const VolumeActivity& activity : activities) {
    const bool has_room = blocks.size() < kLookupsMax;
    counts.push_back(has_room ? std::min(of_each, activity.sample_count) : 0);
    for (std::size_t i = 0; i < counts.back(); ++i)
      blocks.push_back({activity.volume, activity.samples[i], activity.first_lsn});
  }
  auto held = co_await index.held_data(std::move(blocks));
  if (!held) co_return percents;  // an estimate less; the index says itself what is wrong with it
  auto from = held->begin();
  for (std::size_t i = 0; i < activities.size(); ++i) {
    if (counts[i] == 0) continue;
    const auto to = from + static_cast<std::ptrdiff_t>(counts[i]);
    const auto overwritten = static_cast<std::size_t>(std::count(from, to, true));
    percents[i] = static_cast<std::uint8_t>(overwritten * 100 / counts[i]);
    from = to;
  }
  co_return percents;
}

}  // namespace restore
