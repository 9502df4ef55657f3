// SPDX-License-Identifier: Apache-2.0
#include "restore/run_plan.h"

#include <algorithm>

namespace restore {

void RunPlan::clear() {
  blocks_.clear();
  runs_.clear();
  stretches_.clear();
}

void RunPlan::make() {
  runs_.clear();
  stretches_.clear();
  std::sort(blocks_.begin(), blocks_.end(), [](const WantedBlock& a, const WantedBlock& b) {
    if (a.place.segment != b.place.segment) return a.place.segment < b.place.segment;
    if (a.place.run_offset != b.place.run_offset) return a.place.run_offset < b.place.run_offset;
    return a.place.index != b.place.index ? a.place.index < b.place.index : a.block < b.block;
  });
  std::uint64_t stretch_from = 0;
  std::uint64_t stretch_end = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const journal::BlockPlace& place = blocks_[i].place;
    const bool same_segment = i > 0 && place.segment == blocks_[i - 1].place.segment;
    if (same_segment && place.run_offset == blocks_[i - 1].place.run_offset) {
      runs_.back().end = i + 1;
      continue;
    }
    const std::uint64_t end = std::uint64_t{place.run_offset} + place.run_bytes;
    const bool joins =
        same_segment && place.run_offset <= stretch_end + kGapBytesMax &&
        end - stretch_from <= journal::BlockReader::kStretchBytesMax &&
        stretches_.back().end - stretches_.back().begin < journal::BlockReader::kStretchRunsMax;
    if (!joins) {
      stretches_.push_back({runs_.size(), runs_.size()});
      stretch_from = place.run_offset;
    }
    runs_.push_back({i, i + 1});
    stretches_.back().end = runs_.size();
    stretch_end = end;
  }
}

std::vector<journal::BlockPlace> RunPlan::places_of(const Stretch& stretch) const {
  std::vector<journal::BlockPlace> places;
  places.reserve(stretch.end - stretch.begin);
  for (std::size_t i = stretch.begin; i < stretch.end; ++i) {
    places.push_back(blocks_[runs_[i].end - 1].place);
  }
  return places;
}

}  // namespace restore
