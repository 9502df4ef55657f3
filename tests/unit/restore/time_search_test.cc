// SPDX-License-Identifier: Apache-2.0
#include "restore/time_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace restore {
namespace {

using journal::Lsn;
using journal::Nanos;
using journal::Stamp;

// Shows records the way a VaultReader does, in frames of given lengths.
void show(TimeSearch& search, const std::vector<Stamp>& records,
          const std::vector<std::size_t>& frame_lengths) {
  std::size_t at = 0;
  for (const std::size_t length : frame_lengths) {
    journal::FrameInfo frame;
    frame.record_count = static_cast<std::uint32_t>(length);
    frame.first_lsn = records[at].lsn;
    frame.last_lsn = records[at + length - 1].lsn;
    frame.min_time = frame.max_time = records[at].time;
    for (std::size_t i = at; i < at + length; ++i) {
      frame.min_time = std::min(frame.min_time, records[i].time);
      frame.max_time = std::max(frame.max_time, records[i].time);
    }
    if (search.on_frame(frame)) {
      for (std::size_t i = at; i < at + length; ++i) {
        if (i % 2 == 0) {
          search.on_write({journal::VolumeId{1}, records[i], 0, 0, {}});
        } else {
          search.on_checkpoint({journal::VolumeId{1}, records[i], Lsn{}, std::nullopt});
        }
      }
    }
    at += length;
  }
}

TEST(TimeSearch, ATimeNamesTheLastRecordStampedAtOrBeforeIt) {
  const std::vector<Stamp> records{
      {Lsn{1}, Nanos{10}}, {Lsn{2}, Nanos{20}}, {Lsn{5}, Nanos{20}}, {Lsn{6}, Nanos{30}}};
  const auto found = [&](std::int64_t time) {
    TimeSearch search{Nanos{time}};
    show(search, records, {2, 2});
    EXPECT_FALSE(search.is_ambiguous());
    return search.stretch_ends();
  };
  EXPECT_EQ(found(9), std::vector<Lsn>{});
  EXPECT_EQ(found(10), std::vector{Lsn{1}});
  EXPECT_EQ(found(19), std::vector{Lsn{1}});
  EXPECT_EQ(found(20), std::vector{Lsn{5}});
  EXPECT_EQ(found(30), std::vector{Lsn{6}});
  EXPECT_EQ(found(1000), std::vector{Lsn{6}});
}

TEST(TimeSearch, FramesWithoutRecordsAreNoHistory) {
  TimeSearch search{Nanos{10}};
  journal::FrameInfo state;
  state.kind = journal::FrameKind::kState;
  state.record_count = 3;
  EXPECT_FALSE(search.on_frame(state));
  EXPECT_TRUE(search.stretch_ends().empty());
}

// Rule 16: against the definition, over random histories whose clock steps both ways, however they
// are cut into frames.
TEST(TimeSearch, IsAmbiguousExactlyWhereTheRecordsUpToATimeAreNoBeginning) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  int ambiguous = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<Stamp> records;
    std::int64_t clock = 1000;
    std::uint64_t lsn = 0;
    const std::size_t count = 1 + random() % 60;
    const bool steps = random() % 2 == 0;
    for (std::size_t i = 0; i < count; ++i) {
      lsn += random() % 20 == 0 ? 50 : 1;
      clock += static_cast<std::int64_t>(random() % 3);
      if (steps && random() % 10 == 0) clock += static_cast<std::int64_t>(random() % 61) - 30;
      records.push_back({Lsn{lsn}, Nanos{clock}});
    }
    std::vector<std::size_t> frames;
    for (std::size_t left = count; left > 0; left -= frames.back()) {
      frames.push_back(std::min<std::size_t>(left, 1 + random() % 10));
    }
    for (std::int64_t time = 900; time < 1250; ++time) {
      TimeSearch search{Nanos{time}};
      show(search, records, frames);
      // The definition.
      std::vector<Lsn> ends;
      bool later_before = false;
      bool is_beginning = true;
      for (std::size_t i = 0; i < count; ++i) {
        const bool up_to = records[i].time.value <= time;
        if (!up_to) {
          later_before = true;
          continue;
        }
        if (later_before) is_beginning = false;
        const bool last = i + 1 == count || records[i + 1].time.value > time;
        if (last) ends.push_back(records[i].lsn);
      }
      ASSERT_EQ(search.is_ambiguous(), !is_beginning) << "time " << time;
      ASSERT_EQ(search.is_after_all(), !later_before) << "time " << time;
      if (ends.size() > TimeSearch::kCandidatesMax) ends.resize(TimeSearch::kCandidatesMax);
      ASSERT_EQ(search.stretch_ends(), ends) << "time " << time;
      if (is_beginning) {
        ASSERT_LE(ends.size(), 1u);
      } else {
        ++ambiguous;
      }
    }
  }
  EXPECT_GT(ambiguous, 100);
}

}  // namespace
}  // namespace restore
