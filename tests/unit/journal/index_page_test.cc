// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "journal/index/entry.h"
#include "journal/index/filter.h"
#include "journal/index/packed_page.h"
#include "journal/index/run_file.h"
#include "journal/index/sorter.h"
#include "tests/sim/random.h"

namespace journal::index {
namespace {

using Page = std::array<std::byte, kPageBytes>;

Secret test_secret() {
  Secret secret;
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::byte>(i);
  return secret;
}

TEST(PackedPage, GivesBackEveryValueOfEveryWidth) {
  sim::Random random(11);
  for (int round = 0; round < 2000; ++round) {
    const auto columns = static_cast<unsigned>(random.between(1, kColumnsMax));
    std::array<unsigned, kColumnsMax> widths{};
    std::array<std::uint64_t, kColumnsMax> bases{};
    for (unsigned column = 0; column < columns; ++column) {
      widths[column] = static_cast<unsigned>(random.below(65));
      bases[column] = random.coin() ? random.next() : 0;
    }
    PackedPageBuilder builder(columns);
    std::vector<std::array<std::uint64_t, kColumnsMax>> rows;
    const std::size_t wanted = random.between(1, kPageRowsMax + 10);
    for (;;) {
      std::array<std::uint64_t, kColumnsMax> row{};
      for (unsigned column = 0; column < columns; ++column) {
        const std::uint64_t mask =
            widths[column] == 0 ? 0 : ~std::uint64_t{0} >> (64 - widths[column]);
        row[column] = bases[column] + (random.next() & mask);  // may wrap
      }
      if (rows.size() == wanted || !builder.add(row)) break;
      rows.push_back(row);
    }
    ASSERT_GE(rows.size(), 1u);
    ASSERT_LE(rows.size(), kPageRowsMax);
    Page page;
    builder.pack(page);
    seal_page(test_secret(), {3, 4}, PageKind::kEntries, page);
    ASSERT_TRUE(check_page(test_secret(), {3, 4}, page).ok());
    const PackedPage packed(page.data());
    ASSERT_EQ(packed.rows(), rows.size());
    for (unsigned row = 0; row < rows.size(); ++row) {
      for (unsigned column = 0; column < columns; ++column) {
        ASSERT_EQ(packed.get(column, row), rows[row][column]) << "round " << round;
        ASSERT_LE(packed.base(column), rows[row][column]);
        ASSERT_GE(packed.limit(column), rows[row][column]);
      }
    }
  }
}

TEST(PackedPage, IsFilledBeforeItRefuses) {
  sim::Random random(12);
  PackedPageBuilder builder(2);
  unsigned rows = 0;
  while (builder.add({random.below(std::uint64_t{1} << 40), 7})) ++rows;
  EXPECT_GE(rows * 40 / 8, kPageBytes - 100);
}

TEST(PackedPage, NoFlippedBitAndNoOtherPlacePasses) {
  PackedPageBuilder builder(3);
  for (std::uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(builder.add({i, i * i, 5}));
  Page page;
  builder.pack(page);
  seal_page(test_secret(), {3, 4}, PageKind::kEntries, page);
  EXPECT_TRUE(check_page(test_secret(), {3, 4}, page).ok());
  EXPECT_FALSE(check_page(test_secret(), {3, 5}, page).ok());
  EXPECT_FALSE(check_page(test_secret(), {2, 4}, page).ok());
  Secret other = test_secret();
  other[0] ^= std::byte{1};
  EXPECT_FALSE(check_page(other, {3, 4}, page).ok());
  for (std::size_t bit = 0; bit < kPageBytes * 8; bit += 7) {
    page[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    ASSERT_FALSE(check_page(test_secret(), {3, 4}, page).ok()) << "bit " << bit;
    page[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
  }
}

TEST(Cover, IsTheFewestAlignedNodesThatAreExactlyTheRange) {
  sim::Random random(13);
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t first = random.below(2000);
    const std::uint64_t count = random.below(2000);
    std::vector<int> hits(5000);
    std::map<unsigned, int> of_level;
    std::uint64_t next = first;
    std::size_t nodes = 0;
    cover(first, count, [&](unsigned level, std::uint64_t node) {
      ASSERT_EQ(first_block_of(node, level), next);
      next = first_block_of(node + 1, level);
      ++nodes;
      ++of_level[level];
    });
    ASSERT_EQ(next, first + count);
    for (const auto& [level, of] : of_level) ASSERT_LE(of, 14) << "level " << level;
    // By brute force: the fewest nodes up to each block.
    std::vector<std::size_t> fewest(count + 1, SIZE_MAX);
    fewest[0] = 0;
    for (std::uint64_t done = 0; done < count; ++done) {
      for (std::uint64_t length = 1; (first + done) % length == 0 && done + length <= count;
           length *= 8)
        fewest[done + length] = std::min(fewest[done + length], fewest[done] + 1);
    }
    ASSERT_EQ(nodes, fewest[count]) << first << " + " << count;
  }
}

TEST(Cover, Rule6AnyLengthIsAFewNodes) {
  const auto nodes = [](std::uint64_t first, std::uint64_t count) {
    int number = 0;
    cover(first, count, [&](unsigned, std::uint64_t) { ++number; });
    return number;
  };
  EXPECT_EQ(nodes(0, kVolumeBlocksMax), 4);
  EXPECT_EQ(nodes(0, std::uint64_t{1} << 32), 4 * 1) << "16 TiB";
  EXPECT_LE(nodes(1, kVolumeBlocksMax - 2), 14 * static_cast<int>(kLevels));
  EXPECT_EQ(nodes(7, 0), 0);
}

TEST(Sorter, BringsEntriesIntoTheOrderOfARun) {
  sim::Random random(14);
  Sorter sorter;
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t nodes = std::uint64_t{1} << random.below(39);
    const std::uint64_t volumes = random.coin() ? 1 : random.between(1, UINT32_MAX);
    std::vector<Entry> entries(random.below(round % 20 == 0 ? 100'000 : 3000));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      entries[i].tree = tree_of({static_cast<std::uint32_t>(random.between(1, volumes))},
                                random.chance(80) ? 0 : static_cast<unsigned>(random.below(13)));
      entries[i].node = random.below(nodes);
      entries[i].lsn = {i + 1};
    }
    std::vector<Entry> sorted;
    sorter.sort(entries, [&](const Entry& entry) { sorted.push_back(entry); });
    ASSERT_EQ(sorted.size(), entries.size());
    for (std::size_t i = 1; i < sorted.size(); ++i) {
      const Entry& a = sorted[i - 1];
      const Entry& b = sorted[i];
      ASSERT_LT(std::tuple(a.tree, a.node, ~a.lsn.value), std::tuple(b.tree, b.node, ~b.lsn.value))
          << "round " << round;
    }
  }
}

TEST(Filter, KnowsEveryKeyAndFewOthers) {
  for (const std::uint64_t room : {3000u, 24000u, 200000u}) {
    constexpr std::uint64_t keys = 3000;
    FilterBuilder builder(room);
    for (std::uint64_t i = 0; i < keys; ++i) builder.add(tree_of({1}, 0), i * 17);
    builder.shrink(keys);
    ASSERT_LE(builder.lines(), 2 * (keys * kFilterBitsPerKey / 512 + 1) + 64);
    std::vector<Page> pages(builder.pages());
    for (std::uint32_t i = 0; i < builder.pages(); ++i) builder.fill(i, pages[i]);
    const auto may_have = [&](std::uint64_t tree, std::uint64_t node) {
      const FilterKey key(tree, node);
      const std::uint32_t line = key.line(builder.lines());
      return key.may_be_in(pages[FilterKey::page_of(line)].data(), line);
    };
    for (std::uint64_t i = 0; i < keys; ++i) ASSERT_TRUE(may_have(tree_of({1}, 0), i * 17));
    int wrong = 0;
    for (std::uint64_t i = 0; i < 10000; ++i) wrong += may_have(tree_of({1}, 1), i) ? 1 : 0;
    EXPECT_LT(wrong, 400) << "of 10000, room for " << room;
  }
}

}  // namespace
}  // namespace journal::index
