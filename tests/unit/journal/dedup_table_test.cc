// SPDX-License-Identifier: Apache-2.0
#include "journal/dedup_table.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/sim/random.h"

namespace journal {
namespace {

Fingerprint random_fingerprint(sim::Random& random) { return {random.next(), random.next()}; }

// A find may forget, but what it gives must be where a block of that fingerprint was put; with 32
// bits of tag a wrong answer is too rare for this test to meet.
TEST(DedupTable, GivesThePlaceOfTheNewestInsertOrNothing) {
  sim::Random random(1);
  DedupTable table(4u << 20);
  std::map<Fingerprint, BlockPlace> model;
  std::vector<Fingerprint> order;
  std::size_t found = 0;
  std::size_t asked = 0;
  for (std::uint32_t run = 1; run <= 4000; ++run) {
    table.begin_run(run / 100 + 1, run * 4096, 1000 + run);
    const std::uint64_t blocks = random.between(1, 16);
    for (std::uint16_t i = 0; i < blocks; ++i) {
      const Fingerprint print = random.chance(10) && !order.empty()
                                    ? order[random.below(order.size())]
                                    : random_fingerprint(random);
      table.insert(print, i);
      model[print] = {run / 100 + 1, run * 4096, 1000 + run, i};
      order.push_back(print);
    }
    if (table.wants_to_grow()) table.grow();
    const Fingerprint& print = order[random.below(order.size())];
    const auto place = table.find(print);
    ++asked;
    if (place.has_value()) {
      ++found;
      ASSERT_EQ(*place, model[print]);
    }
    ASSERT_FALSE(table.find(random_fingerprint(random)).has_value());
  }
  EXPECT_GT(found, asked * 9 / 10) << "nearly everything fits";
}

TEST(DedupTable, KeepsWithinItsMemoryAndForgetsTheOldestFirst) {
  sim::Random random(2);
  constexpr std::size_t bytes = 1u << 20;
  DedupTable table(bytes);
  std::vector<Fingerprint> all;
  for (std::uint32_t run = 1; run <= 40000; ++run) {
    table.begin_run(1, run, 100);
    for (std::uint16_t i = 0; i < 16; ++i) {
      all.push_back(random_fingerprint(random));
      table.insert(all.back(), i);
    }
    if (table.wants_to_grow()) table.grow();
    ASSERT_LE(table.memory_bytes(), bytes);
  }
  const auto known = [&](std::size_t from, std::size_t to) {
    std::size_t count = 0;
    for (std::size_t i = from; i < to; ++i) count += table.find(all[i]).has_value() ? 1 : 0;
    return count;
  };
  EXPECT_GT(known(all.size() - 10000, all.size()), 9500u);
  EXPECT_LT(known(0, 10000), 100u);
}

TEST(DedupTable, ClearedAndDisabledTablesKnowNothing) {
  DedupTable table(1u << 20);
  table.begin_run(1, 4096, 100);
  table.insert({1, 2}, 3);
  ASSERT_TRUE(table.find({1, 2}).has_value());
  table.clear();
  EXPECT_FALSE(table.find({1, 2}).has_value());
  DedupTable off(0);
  off.begin_run(1, 4096, 100);
  off.insert({1, 2}, 3);
  EXPECT_FALSE(off.find({1, 2}).has_value());
}

}  // namespace
}  // namespace journal
