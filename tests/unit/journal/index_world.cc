// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/journal/index_world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace journal::index {

IndexWorld::IndexWorld(std::uint64_t seed_in, std::size_t cache_bytes)
    : seed(seed_in),
      scheduler(seed_in),
      random(seed_in + 1),
      store(sim::SimStore::make(scheduler, seed_in + 2)),
      directory(store->directory("vault/index")),
      cache(cache_bytes) {
  for (std::size_t i = 0; i < vault.secret.size(); ++i)
    vault.secret[i] = static_cast<std::byte>(i * 37 + 7);
  for (std::size_t i = 0; i < vault.uuid.bytes.size(); ++i)
    vault.uuid.bytes[i] = static_cast<std::byte>(i + 1);
}

BlockPlace IndexWorld::random_place() {
  return {.segment = static_cast<std::uint32_t>(random.between(1, 40)),
          .run_offset = static_cast<std::uint32_t>(random.below(1u << 28)),
          .run_bytes = static_cast<std::uint32_t>(random.between(1, 65)) * 1024,
          .index = static_cast<std::uint16_t>(random.below(64))};
}

Lsn IndexWorld::write(VolumeId volume, std::uint64_t block) {
  last.value += random.between(1, 3);
  changes.push_back({last, volume, block, 1, random_place()});
  return last;
}

Lsn IndexWorld::zero(VolumeId volume, std::uint64_t first_block, std::uint64_t count) {
  last.value += random.between(1, 3);
  changes.push_back({last, volume, first_block, count, {}});
  return last;
}

void IndexWorld::cut(std::size_t changes_in_frame) {
  std::vector<Entry> entries;
  std::vector<FrameRow> rows;
  for (std::size_t i = cut_changes_; i < changes.size(); ++i) {
    const IndexChange& change = changes[i];
    if (change.place.run_bytes != 0) {
      entries.push_back({tree_of(change.volume, 0), change.first_block, change.lsn, change.place});
    } else {
      cover(change.first_block, change.block_count, [&](unsigned level, std::uint64_t node) {
        entries.push_back({tree_of(change.volume, level), node, change.lsn, {}});
      });
    }
    const auto time = static_cast<std::int64_t>(change.lsn.value * 100);
    if ((i - cut_changes_) % changes_in_frame == 0) {
      const auto frame = static_cast<std::uint32_t>(frames.size() + rows.size());
      rows.push_back({.segment = frame / 100 + 1,
                      .offset = (frame % 100 + 1) * 8192,
                      .total_bytes = 8192,
                      .flags = random.chance(5) ? std::uint8_t{FrameRow::kControl} : std::uint8_t{},
                      .first_lsn = change.lsn,
                      .last_lsn = change.lsn,
                      .min_time = {time},
                      .max_time = {time}});
    }
    rows.back().last_lsn = change.lsn;
    rows.back().max_time = {time};
  }
  const std::uint32_t number = next_run_++;
  const RunImage image = build_run(vault, number, {cut_lsn_, last}, entries, rows);
  const Status written = scheduler.run(write_run(*directory, vault, image));
  ASSERT_TRUE(written.ok()) << written.error().message;
  Result<RunPtr> opened = open(number);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  runs.push_back(*opened);
  frames.insert(frames.end(), rows.begin(), rows.end());
  cut_changes_ = changes.size();
  cut_lsn_ = last;
}

void IndexWorld::merge(std::size_t from, std::size_t count) {
  const std::uint32_t number = next_run_++;
  const auto first = runs.begin() + static_cast<std::ptrdiff_t>(from);
  const auto end = first + static_cast<std::ptrdiff_t>(count);
  const std::vector<RunPtr> merged(first, end);
  const Status done = scheduler.run(merge_runs(scheduler, *directory, vault, merged, number));
  ASSERT_TRUE(done.ok()) << done.error().message;
  Result<RunPtr> opened = open(number);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  for (const RunPtr& run : merged) {
    ASSERT_TRUE(scheduler.run(directory->remove(run_name(run->number()))).ok());
  }
  *first = *opened;
  runs.erase(first + 1, end);
}

Result<RunPtr> IndexWorld::open(std::uint32_t number) {
  return scheduler.run(Run::open(*directory, vault, cache, number));
}

Snapshot IndexWorld::snapshot() { return {scheduler, runs}; }

BlockVersion IndexWorld::version(const Visibility& visible, std::uint64_t block) const {
  for (const VisibleLayer& layer : visible) {
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
      if (change->volume != layer.volume || block < change->first_block ||
          block - change->first_block >= change->block_count)
        continue;
      const bool seen = std::any_of(layer.intervals.begin(), layer.intervals.end(),
                                    [&](const auto& of) { return of.contains(change->lsn); });
      if (!seen) continue;
      const bool zeroes = change->place.run_bytes == 0;
      return {zeroes ? BlockState::kZero : BlockState::kData, change->lsn, change->place};
    }
  }
  return {};
}

Visibility IndexWorld::random_visibility(const std::vector<VolumeId>& volumes) {
  Visibility visible;
  std::vector<VolumeId> left = volumes;
  const std::size_t layers = random.between(1, std::min<std::size_t>(3, volumes.size()));
  for (std::size_t i = 0; i < layers; ++i) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(left.size()));
    VisibleLayer layer{.volume = left[static_cast<std::size_t>(at)], .intervals = {}};
    left.erase(left.begin() + at);
    // Ends of intervals, newest first; an odd number of them leaves (0, x] as the oldest.
    std::vector<std::uint64_t> ends;
    const std::size_t count = random.chance(40) ? 1 : random.between(1, random.chance(20) ? 60 : 7);
    for (std::size_t end = 0; end < count; ++end) ends.push_back(random.between(1, last.value));
    std::sort(ends.rbegin(), ends.rend());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    if (ends.size() % 2 != 0) ends.push_back(0);
    for (std::size_t end = 0; end < ends.size(); end += 2)
      layer.intervals.push_back({{ends[end + 1]}, {ends[end]}});
    visible.push_back(std::move(layer));
  }
  return visible;
}

std::vector<BlockVersion> IndexWorld::lookup(const Visibility& visible, std::uint64_t first_block,
                                             std::size_t count) {
  std::vector<BlockVersion> into(count);
  const Snapshot map = snapshot();
  const Status done = scheduler.run(map.lookup(visible, first_block, into));
  EXPECT_TRUE(done.ok()) << done.error().message;
  return into;
}

std::vector<Extent> IndexWorld::scan(const Visibility& visible, std::uint64_t first_block,
                                     std::uint64_t end_block) {
  const Snapshot map = snapshot();
  const std::unique_ptr<Scan> sweep = map.scan(visible, first_block, end_block);
  std::vector<Extent> all;
  for (;;) {
    Result<std::vector<Extent>> some = scheduler.run(sweep->next());
    if (!some.ok()) {
      ADD_FAILURE() << some.error().message;
      return all;
    }
    if (some->empty()) return all;
    EXPECT_LE(some->size(), 8192u);
    all.insert(all.end(), some->begin(), some->end());
  }
}

void IndexWorld::check(const Visibility& visible, std::uint64_t blocks) {
  std::vector<BlockVersion> expected;
  for (std::uint64_t block = 0; block < blocks; ++block)
    expected.push_back(version(visible, block));
  const auto same = [](const BlockVersion& a, const BlockVersion& b) {
    return a.state == b.state && a.place == b.place;
  };

  // One block, a few, many.
  for (const std::size_t count : {std::size_t{1}, std::size_t{5}, std::size_t{300}}) {
    const std::uint64_t first = random.below(blocks);
    const std::size_t length = std::min<std::size_t>(count, blocks - first);
    const std::vector<BlockVersion> found = lookup(visible, first, length);
    for (std::size_t i = 0; i < length; ++i) {
      ASSERT_EQ(found[i], expected[first + i])
          << "block " << first + i << " of " << length << " from " << first << " on, LSN "
          << found[i].lsn.value << " instead of " << expected[first + i].lsn.value;
    }
  }

  const std::uint64_t from = random.coin() ? 0 : random.below(blocks);
  const std::uint64_t end = random.coin() ? blocks : random.between(from, blocks);
  std::uint64_t next = from;
  for (const Extent& extent : scan(visible, from, end)) {
    ASSERT_GE(extent.first_block, next);
    for (; next < extent.first_block; ++next)
      ASSERT_EQ(expected[next].state, BlockState::kUntouched) << "block " << next;
    ASSERT_LE(extent.first_block + extent.block_count, end);
    for (std::uint64_t i = 0; i < extent.block_count; ++i, ++next) {
      BlockVersion found{extent.state, {}, extent.place};
      if (extent.state == BlockState::kData)
        found.place.index = static_cast<std::uint16_t>(found.place.index + i);
      ASSERT_TRUE(same(found, expected[next])) << "block " << next;
    }
  }
  for (; next < end; ++next)
    ASSERT_EQ(expected[next].state, BlockState::kUntouched) << "block " << next;
}

}  // namespace journal::index
