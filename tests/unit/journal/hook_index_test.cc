// SPDX-License-Identifier: Apache-2.0
#include "journal/hook_index.h"

#include <gtest/gtest.h>

#include <map>

#include "journal/hook_file.h"
#include "tests/sim/random.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

constexpr std::uint32_t kUnit = kAppendUnit;
constexpr auto kLastOffset = static_cast<std::uint32_t>(kSegmentBytesMax - kAppendUnit);

Fingerprint random_hook(sim::Random& random) { return {random.next(), random.next() & ~63ull}; }

FramePosition random_frame(sim::Random& random) {
  return {.segment = static_cast<std::uint32_t>(random.between(1, (1u << 22) - 1)),
          .offset = static_cast<std::uint32_t>(random.below(1u << 18)) * kUnit};
}

TEST(HookIndex, OneBlockIn64IsAHookAndNothingElseIsKept) {
  sim::Random random(1);
  HookIndex index(1u << 20);
  std::size_t hooks = 0;
  for (int i = 0; i < 64'000; ++i) {
    const Fingerprint print{random.next(), random.next()};
    hooks += HookIndex::is_hook(print) ? 1 : 0;
    index.insert(print, {.segment = 1, .offset = 4096});
    ASSERT_EQ(index.find(print).has_value(), HookIndex::is_hook(print));
  }
  EXPECT_GT(hooks, 850u);
  EXPECT_LT(hooks, 1150u);
  // Some have a tag in common.
  EXPECT_GE(index.size(), hooks - 2);
  EXPECT_LE(index.size(), hooks);
}

// With 24 bits of tag two of so few hooks seldom meet.
TEST(HookIndex, GivesTheNewestFrameOfEachHookHoweverItGrows) {
  sim::Random random(2);
  HookIndex index(64u << 20);
  std::map<Fingerprint, FramePosition> model;
  std::vector<Fingerprint> order;
  for (int i = 0; i < 200'000; ++i) {
    const bool again = random.chance(10) && !order.empty();
    const Fingerprint print = again ? order[random.below(order.size())] : random_hook(random);
    const FramePosition frame = random_frame(random);
    index.insert(print, frame);
    ASSERT_EQ(index.find(print), frame);
    model[print] = frame;
    order.push_back(print);
  }
  std::size_t wrong = 0;
  for (const auto& [print, frame] : model) wrong += index.find(print) == frame ? 0 : 1;
  EXPECT_LE(wrong, 10u);
  std::size_t mistaken = 0;
  for (int i = 0; i < 100'000; ++i) mistaken += index.find(random_hook(random)).has_value() ? 1 : 0;
  EXPECT_LE(mistaken, 30u) << "a false hit costs a read";
}

TEST(HookIndex, TakesTheFirstAndTheLastPlaceThatThereCanBe) {
  sim::Random random(3);
  HookIndex index(1u << 20);
  for (const FramePosition frame : {FramePosition{1, 0}, FramePosition{1, kLastOffset},
                                    FramePosition{(1u << 22) - 1, kLastOffset}}) {
    for (const std::uint64_t high : {std::uint64_t{0}, ~std::uint64_t{63}, std::uint64_t{64}}) {
      const Fingerprint print{random.next(), high};
      index.insert(print, frame);
      EXPECT_EQ(index.find(print), frame);
    }
  }
  // Of segments that no slot can name nothing is kept.
  const Fingerprint print = random_hook(random);
  index.insert(print, {.segment = 1u << 22, .offset = 0});
  EXPECT_FALSE(index.find(print).has_value());
}

TEST(HookIndex, IsNeverMoreThanAQuarterEmpty) {
  sim::Random random(4);
  HookIndex index(64u << 20);
  while (index.size() < 300'000) {
    index.insert(random_hook(random), random_frame(random));
    if (index.size() < 50'000) continue;  // small tables grow by whole slots
    ASSERT_LE(index.memory_bytes(), index.size() * 11 + 16'384);
  }
}

// A full index keeps hooks of all of history, evenly, however much of it there is.
TEST(HookIndex, KeepsWithinItsMemoryByHavingFewerHooksOfAll) {
  sim::Random random(5);
  constexpr std::size_t bytes = 256u << 10;
  HookIndex index(bytes);
  std::vector<Fingerprint> all;
  for (int i = 0; i < 400'000; ++i) {
    all.push_back(random_hook(random));
    index.insert(all.back(), {.segment = static_cast<std::uint32_t>(i / 1000 + 1), .offset = 0});
    ASSERT_LE(index.memory_bytes(), bytes + 16'384);
  }
  // 27 thousand slots' worth: one in 16 of 400 thousand.
  const auto known = [&](std::size_t from) {
    std::size_t count = 0;
    for (std::size_t i = from; i < from + 40'000; ++i) {
      const auto found = index.find(all[i]);
      count += found.has_value() && found->segment == i / 1000 + 1 ? 1 : 0;
    }
    return count;
  };
  EXPECT_GT(index.size(), bytes / 8 * 4 / 10);
  for (std::size_t from = 0; from < all.size(); from += 40'000) {
    EXPECT_GT(known(from), 1000u) << from;
    EXPECT_LT(known(from), 6000u) << from;
  }
}

// Whoever has the secret can choose fingerprints.
TEST(HookIndex, FingerprintsThatAreChosenToCollideNeitherGrowItNorEndIt) {
  constexpr std::size_t bytes = 128u << 10;
  HookIndex index(bytes);
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    // One shard; tags of which no thinning takes any, as far as they go.
    index.insert({.low = i, .high = i << 18}, {.segment = 1, .offset = 0});
    ASSERT_LE(index.memory_bytes(), bytes + 16'384);
  }
  for (std::uint64_t i = 0; i < 1000; ++i) index.insert({i, 0}, {.segment = 2, .offset = 0});
  EXPECT_EQ(index.find({7, 0}), (FramePosition{2, 0}));
}

TEST(HookIndex, OneWithoutMemoryKnowsNothing) {
  HookIndex off(0);
  off.insert({1, 64}, {.segment = 1, .offset = 4096});
  EXPECT_FALSE(off.find({1, 64}).has_value());
  EXPECT_EQ(off.size(), 0u);
}

// ---------------------------------------------------------------- the file

SegmentHooks some_hooks(sim::Random& random) {
  SegmentHooks hooks{.segment = 7, .length = 64u << 20};
  for (std::byte& byte : hooks.digest) byte = static_cast<std::byte>(random.next());
  for (int i = 0; i < 100; ++i)
    hooks.hooks.push_back(
        {.fingerprint = {.high = random_hook(random).high},
         .frame_offset = static_cast<std::uint32_t>(random.below(1u << 14)) * kUnit});
  return hooks;
}

TEST(HookFile, GivesBackWhatWasWritten) {
  sim::Random random(6);
  const SegmentHooks hooks = some_hooks(random);
  const Result<SegmentHooks> read = decode_hooks(encode_hooks(hooks, test_vault()), test_vault());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->segment, hooks.segment);
  EXPECT_EQ(read->length, hooks.length);
  EXPECT_EQ(read->digest, hooks.digest);
  EXPECT_EQ(read->hooks, hooks.hooks);
  EXPECT_EQ(hook_file_name(7), "0000000007.hooks");
}

TEST(HookFile, EveryFlippedBitAndEveryOtherLengthIsRefused) {
  sim::Random random(7);
  const std::vector<std::byte> bytes = encode_hooks(some_hooks(random), test_vault());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::vector<std::byte> bad = bytes;
    bad[i] ^= static_cast<std::byte>(1u << random.below(8));
    ASSERT_FALSE(decode_hooks(bad, test_vault()).ok()) << i;
    ASSERT_FALSE(decode_hooks(std::span(bytes).first(i), test_vault()).ok()) << i;
  }
  std::vector<std::byte> longer = bytes;
  longer.push_back({});
  EXPECT_FALSE(decode_hooks(longer, test_vault()).ok());
  EXPECT_FALSE(decode_hooks(bytes, test_vault(9)).ok()) << "another vault's secret";
}

TEST(HookFile, HooksWhereNoneCanBeAreRefused) {
  sim::Random random(8);
  const auto accepts = [](const SegmentHooks& hooks) {
    return decode_hooks(encode_hooks(hooks, test_vault()), test_vault()).ok();
  };
  SegmentHooks hooks = some_hooks(random);
  ASSERT_TRUE(accepts(hooks));
  hooks.hooks[3].frame_offset += 1;
  EXPECT_FALSE(accepts(hooks));
  hooks.hooks[3].frame_offset = 64u << 20;
  EXPECT_FALSE(accepts(hooks)) << "behind the segment's end";
  hooks.hooks[3].frame_offset = 0;
  ASSERT_TRUE(accepts(hooks));
  hooks.hooks[3].fingerprint.high |= 1;
  EXPECT_FALSE(accepts(hooks)) << "it is none";
  hooks.hooks.clear();
  EXPECT_TRUE(accepts(hooks));
  hooks.segment = 0;
  EXPECT_FALSE(accepts(hooks));
}

}  // namespace
}  // namespace journal
