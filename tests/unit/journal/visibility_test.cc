// SPDX-License-Identifier: Apache-2.0
//
// Visibility against a model that replays histories: volumes are maps from blocks to the change
// that they show, kept whole at every LSN; a rollback copies one. Writes, zeroes, rollbacks and
// volumes created from points of others come at random.
#include "journal/visibility.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "tests/sim/random.h"

namespace journal {
namespace {

using Change = std::pair<VolumeId, std::uint64_t>;  // its volume and LSN
using Content = std::map<std::uint64_t, Change>;    // by block; absent: never touched
constexpr std::uint64_t kBlocks = 6;

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {}

  VolumeId create() {
    const VolumeId id{state_.next_volume_id};
    state_.apply(VolumeCreated{.volume = id, .stamp = next()});
    now_[id] = {};
    remember();
    return id;
  }
  VolumeId create_from(VolumeId origin, std::uint64_t point) {
    const VolumeId id{state_.next_volume_id};
    state_.apply(
        VolumeCreatedFrom{.volume = id, .stamp = next(), .origin = origin, .point = {point}});
    now_[id] = at(origin, point);
    remember();
    return id;
  }
  void write(VolumeId volume, std::uint64_t block) {
    state_.advance(next());
    now_[volume][block] = {volume, last_};
    touched_[block].insert({volume, last_});
    remember();
  }
  void roll_back(const std::vector<VolumeId>& volumes, std::uint64_t point) {
    RollbackRecord record{.stamp = next(), .point = {point}};
    for (const VolumeId volume : volumes) {
      record.volumes.push_back({volume, 1});
      now_[volume] = at(volume, point);
    }
    state_.apply(record);
    remember();
  }
  void checkpoint(VolumeId volume, std::optional<Hydration> hydration) {
    const Lsn covered = state_.lsn;
    state_.apply(CheckpointRecord{volume, next(), covered, hydration});
    remember();
  }
  void pass_to(std::uint64_t lsn) {
    while (last_ + 1 < lsn) {
      state_.advance(next());
      remember();
    }
  }

  // One random thing.
  void step() {
    const VolumeId volume = any();
    const std::uint64_t born = state_.find(volume)->created.lsn.value;
    if (random_.chance(70)) return write(volume, random_.below(kBlocks));
    if (random_.chance(10)) return static_cast<void>(create());
    if (random_.chance(20)) {
      return static_cast<void>(create_from(volume, random_.between(born, last_)));
    }
    if (random_.chance(40)) {
      std::optional<Hydration> hydration = state_.find(volume)->hydration;
      if (hydration.has_value() && random_.coin()) hydration.reset();
      return checkpoint(volume, hydration);
    }
    const VolumeId other = any();
    const std::uint64_t both = std::max(born, state_.find(other)->created.lsn.value);
    if (other != volume && random_.chance(30)) {
      return roll_back({volume, other}, random_.between(both, last_));
    }
    roll_back({volume}, random_.between(born, last_));
  }

  VolumeId any() {
    return VolumeId{static_cast<std::uint32_t>(random_.between(1, state_.next_volume_id - 1))};
  }
  sim::Random& random() { return random_; }
  const JournalState& state() const { return state_; }
  std::uint64_t last() const { return last_; }

  const Content& at(VolumeId volume, std::uint64_t lsn) const {
    static const Content nothing;
    const auto& contents = by_lsn_.at(lsn);
    const auto found = contents.find(volume);
    return found == contents.end() ? nothing : found->second;
  }
  // What the visibility says: the newest change in the first layer that has one.
  Content by(const Visibility& visible) const {
    Content content;
    for (const auto& [block, changes] : touched_) {
      for (const VisibleLayer& layer : visible) {
        std::uint64_t newest = 0;
        for (const auto& [volume, lsn] : changes) {
          if (volume != layer.volume) continue;
          for (const LsnInterval& interval : layer.intervals)
            if (interval.contains({lsn})) newest = std::max(newest, lsn);
        }
        if (newest == 0) continue;
        content[block] = {layer.volume, newest};
        break;
      }
    }
    return content;
  }
  bool touches(const Visibility& changes, std::uint64_t block) const {
    return by(changes).contains(block);
  }

 private:
  Stamp next() { return {.lsn = {++last_}, .time = {}}; }
  void remember() { by_lsn_[last_] = now_; }

  sim::Random random_;
  std::uint64_t last_ = 0;
  JournalState state_;
  std::map<VolumeId, Content> now_;
  std::map<std::uint64_t, std::map<VolumeId, Content>> by_lsn_;
  std::map<std::uint64_t, std::set<Change>> touched_;  // by block
};

std::set<Change> changes_of(const Visibility& visible, std::uint64_t last) {
  std::set<Change> changes;
  for (const VisibleLayer& layer : visible)
    for (const LsnInterval& interval : layer.intervals)
      for (std::uint64_t lsn = interval.after.value + 1; lsn <= std::min(interval.upto.value, last);
           ++lsn)
        changes.insert({layer.volume, lsn});
  return changes;
}

void expect_well_formed(const Visibility& visible) {
  for (std::size_t i = 0; i < visible.size(); ++i) {
    if (i > 0) {
      ASSERT_GT(visible[i - 1].volume, visible[i].volume);
    }
    ASSERT_FALSE(visible[i].intervals.empty());
    Lsn below{UINT64_MAX};
    for (const LsnInterval& interval : visible[i].intervals) {
      ASSERT_LT(interval.after, interval.upto);
      ASSERT_LT(interval.upto, below) << "they would touch";
      below = interval.after;
    }
  }
}

class VisibilitySeeds : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, VisibilitySeeds, testing::Range<std::uint64_t>(1, 17));

TEST_P(VisibilitySeeds, EveryPointOfEveryVolumeIsWhatReplayMakesOfIt) {
  History history(GetParam());
  history.create();
  for (int i = 0; i < 150; ++i) history.step();
  for (const auto& [id, volume] : history.state().volumes) {
    for (std::uint64_t lsn = 1; lsn <= history.last(); ++lsn) {
      const Visibility visible = visible_at(history.state(), id, {lsn});
      expect_well_formed(visible);
      ASSERT_EQ(history.by(visible), history.at(id, lsn)) << "volume " << id.value << " at " << lsn;
    }
  }
}

TEST_P(VisibilitySeeds, Rule8_TheDifferenceTouchesEveryBlockThatDiffers) {
  History history(GetParam() + 1000);
  history.create();
  for (int i = 0; i < 150; ++i) history.step();
  for (int i = 0; i < 400; ++i) {
    const VolumeId a = history.any();
    const VolumeId b = history.random().coin() ? a : history.any();
    const std::uint64_t at_a = history.random().between(1, history.last());
    const std::uint64_t at_b = history.random().between(1, history.last());
    const Visibility one = visible_at(history.state(), a, {at_a});
    const Visibility other = visible_at(history.state(), b, {at_b});
    const Visibility differing = difference(one, other);
    expect_well_formed(differing);
    const Content content_a = history.at(a, at_a);
    const Content content_b = history.at(b, at_b);
    for (std::uint64_t block = 0; block < kBlocks; ++block) {
      const bool same = content_a.contains(block) == content_b.contains(block) &&
                        (!content_a.contains(block) || content_a.at(block) == content_b.at(block));
      ASSERT_TRUE(same || history.touches(differing, block)) << "block " << block;
    }
    // And as sets of changes they are what their names say.
    const std::uint64_t last = history.last();
    const std::set<Change> set_a = changes_of(one, last);
    const std::set<Change> set_b = changes_of(other, last);
    std::set<Change> either = set_a;
    either.insert(set_b.begin(), set_b.end());
    std::set<Change> only;
    for (const Change& change : either)
      if (set_a.contains(change) != set_b.contains(change)) only.insert(change);
    ASSERT_EQ(changes_of(differing, last), only);
    const Visibility all = united(one, other);
    expect_well_formed(all);
    ASSERT_EQ(changes_of(all, last), either);
    const std::uint64_t after = history.random().below(last);
    const LsnInterval part{{after}, {history.random().between(after + 1, last)}};
    const Visibility inside = within(one, part);
    expect_well_formed(inside);
    std::set<Change> expected;
    for (const Change& change : set_a)
      if (part.contains({change.second})) expected.insert(change);
    ASSERT_EQ(changes_of(inside, last), expected);
  }
}

// The backing store has each block as the volume was at some moment since the base. Where that
// could be anything else than what is wanted now, may_differ must touch the block.
TEST_P(VisibilitySeeds, Rule11_WhatAHydratingStoreMayLackIsTouched) {
  int hydrating = 0;
  History history(GetParam() + 2000);
  history.create();
  for (int i = 0; i < 200; ++i) {
    history.step();
    const Lsn now = history.state().lsn;
    for (const auto& [id, volume] : history.state().volumes) {
      const Visibility lacking = may_differ(history.state(), id, now);
      if (!volume.hydration.has_value()) {
        ASSERT_TRUE(lacking.empty());
        continue;
      }
      ++hydrating;
      expect_well_formed(lacking);
      const Content touched = history.by(lacking);
      const Content wanted = history.at(id, now.value);
      // The blank store of a volume that was created from a point is its content at LSN 0.
      for (std::uint64_t lsn = std::max<std::uint64_t>(1, volume.hydration->base.value);
           lsn <= now.value; ++lsn) {
        const Content& stored = history.at(id, lsn);
        for (std::uint64_t block = 0; block < kBlocks; ++block) {
          const bool same = stored.contains(block) == wanted.contains(block) &&
                            (!stored.contains(block) || stored.at(block) == wanted.at(block));
          ASSERT_TRUE(same || touched.contains(block))
              << "volume " << id.value << " at " << now.value << ", block " << block;
        }
      }
    }
  }
  EXPECT_GT(hydrating, 100);
}

// DESIGN's counter-example to "what differs is what is newer": roll back 100 -> 50, undo at
// 200 -> 99. Between 150 and 200 nothing newer than 150 was written, and (50, 99] differs.
TEST(Rule8, UndoingARollbackBringsBackWhatItHid) {
  History history(1);
  const VolumeId volume = history.create();
  history.write(volume, 0);
  history.pass_to(70);
  history.write(volume, 0);
  history.pass_to(100);
  history.roll_back({volume}, 50);
  history.pass_to(200);
  history.roll_back({volume}, 99);
  const Visibility before = visible_at(history.state(), volume, {150});
  const Visibility after = visible_at(history.state(), volume, {200});
  EXPECT_EQ(before, (Visibility{{volume, {{{100}, {150}}, {{0}, {50}}}}}));
  EXPECT_EQ(after, (Visibility{{volume, {{{0}, {99}}}}}));
  EXPECT_EQ(difference(before, after), (Visibility{{volume, {{{100}, {150}}, {{50}, {99}}}}}));
  EXPECT_TRUE(history.touches(difference(before, after), 0));
  EXPECT_NE(history.at(volume, 150), history.at(volume, 200));
}

TEST(Visibility, AVolumeCreatedFromAPointFallsThroughToIt) {
  History history(1);
  const VolumeId first = history.create();
  for (int i = 0; i < 9; ++i) history.write(first, 0);
  history.roll_back({first}, 5);
  history.write(first, 1);
  const VolumeId second = history.create_from(first, 12);
  history.write(second, 2);
  EXPECT_EQ(visible_at(history.state(), second, {14}),
            (Visibility{{second, {{{0}, {14}}}}, {first, {{{11}, {12}}, {{0}, {5}}}}}));
  EXPECT_EQ(visible_at(history.state(), second, {12}), Visibility{}) << "it was not there yet";
}

TEST(Visibility, AThousandRollbacksCostWellBelowAMillisecond) {
  History history(1);
  const VolumeId volume = history.create();
  JournalState state = history.state();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    // Each to just before the one before it: the longest list of intervals that there can be.
    const std::uint64_t lsn = 10 + 10 * i;
    state.apply(RollbackRecord{
        .stamp = {.lsn = {lsn}, .time = {}}, .point = {lsn - 3}, .volumes = {{volume, 1}}});
  }
  const Lsn last{20'000};
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kTimes = 20;
  std::size_t intervals = 0;
  for (int i = 0; i < kTimes; ++i) intervals += visible_at(state, volume, last)[0].intervals.size();
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(intervals, kTimes * 1001u);
  EXPECT_LT(took / kTimes, std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace journal
