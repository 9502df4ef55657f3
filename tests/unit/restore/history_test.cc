// SPDX-License-Identifier: Apache-2.0
#include "restore/history.h"

#include <gtest/gtest.h>

#include "tests/sim/same_bytes.h"
#include "tests/unit/restore/recorded_vault.h"

namespace restore {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class HistoryTest : public testing::Test {
 protected:
  const std::uint64_t seed_ = std::random_device{}();
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
  RecordedVault world_{seed_};

  Result<ResolvedPoint> resolve(const std::string& volume, Point point,
                                HistoryOptions options = {}) {
    const History history = world_.history(std::move(options));
    return world_.scheduler.run(history.resolve(world_.index(), volume, std::move(point)));
  }
  void pass(std::int64_t seconds) { world_.scheduler.run_for(cdp::seconds(seconds)); }
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(HistoryTest, AnEmptyVaultHoldsNoHistory) {
  const auto refused = resolve("shop", Point::now());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ERANGE);
}

TEST_F(HistoryTest, ATimeIsTheStateAfterEveryWriteStampedAtOrBeforeIt) {
  const auto shop = world_.create("shop", kMiB);
  pass(10);
  const cdp::Stamp first = world_.write(shop, 0, {1});
  world_.scheduler.run_for(cdp::milliseconds(500));  // no record between them
  const cdp::Stamp second = world_.write(shop, 0, {2});
  world_.flush();
  const auto at = [&](std::int64_t time) {
    const auto resolved = resolve("shop", Point::at_time(Nanos{time}));
    EXPECT_TRUE(resolved.ok()) << resolved.error().message;
    return resolved.ok() ? resolved->at : cdp::Stamp{};
  };
  EXPECT_EQ(at(first.time.value).lsn, first.lsn);
  EXPECT_EQ(at(second.time.value - 1).lsn, first.lsn);
  EXPECT_EQ(at(second.time.value - 1).time, first.time);
  EXPECT_EQ(at(second.time.value).lsn, second.lsn);
  EXPECT_LT(at(first.time.value - 1).lsn, first.lsn);
}

TEST_F(HistoryTest, OutsideOfHistoryBothEndsAreShown) {
  const auto shop = world_.create("shop", kMiB);
  pass(10);
  const cdp::Stamp written = world_.write(shop, 0, {1});
  world_.flush();
  for (const Point& point :
       {Point::at_time(cdp::seconds(1)), Point::at_time(written.time + cdp::seconds(1)),
        Point::at_lsn(Lsn{0}), Point::at_lsn(Lsn{world_.last().value + 1})}) {
    const auto refused = resolve("shop", point);
    ASSERT_FALSE(refused.ok()) << point_text(point, TimeZone::utc());
    EXPECT_EQ(refused.error().code, ERANGE);
    EXPECT_TRUE(contains(refused.error().message, "(lsn:1)")) << refused.error().message;
    EXPECT_TRUE(contains(refused.error().message, fmt::format("(lsn:{})", world_.last().value)))
        << refused.error().message;
  }
}

TEST_F(HistoryTest, WhatIsKnownToBeCompleteCanBeAskedForThoughNothingWasWritten) {
  const auto shop = world_.create("shop", kMiB);
  const cdp::Stamp written = world_.write(shop, 0, {1});
  world_.flush();
  const Point later = Point::at_time(written.time + cdp::seconds(5));
  EXPECT_FALSE(resolve("shop", later).ok());
  HistoryOptions options;
  options.complete_until = written.time + cdp::seconds(5);
  const auto resolved = resolve("shop", later, options);
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  EXPECT_EQ(resolved->at.lsn, written.lsn);
  options.complete_until = written.time + cdp::seconds(4);
  EXPECT_FALSE(resolve("shop", later, options).ok());
}

// Rule 12.
TEST_F(HistoryTest, APointInAGapIsRefusedWithTheNearestWholePoints) {
  const auto shop = world_.create("shop", kMiB);
  const auto other = world_.create("other", kMiB);
  pass(10);
  const cdp::Stamp before = world_.write(shop, 0, {1});
  pass(10);
  const cdp::Stamp begin = world_.begin_gap(shop, "the vault was full");
  pass(10);
  const cdp::Stamp inside = world_.write(other, 0, {2});
  pass(10);
  world_.write(shop, 0, {3});
  const cdp::Stamp end = world_.end_gap(shop);
  pass(10);
  const cdp::Stamp after = world_.write(shop, 0, {4});
  world_.flush();

  for (const Point& whole : {Point::at_lsn(before.lsn), Point::at_lsn(Lsn{begin.lsn.value - 1}),
                             Point::at_time(before.time + cdp::seconds(1)), Point::at_lsn(end.lsn),
                             Point::at_time(after.time), Point::now()}) {
    const auto resolved = resolve("shop", whole);
    ASSERT_TRUE(resolved.ok()) << resolved.error().message;
    EXPECT_FALSE(resolved->is_in_gap);
    EXPECT_TRUE(resolved->notices.empty());
  }
  for (Point within :
       {Point::at_lsn(begin.lsn), Point::at_lsn(inside.lsn), Point::at_lsn(Lsn{end.lsn.value - 1}),
        Point::at_time(begin.time), Point::at_time(inside.time + cdp::seconds(1))}) {
    SCOPED_TRACE(point_text(within, TimeZone::utc()));
    const auto refused = resolve("shop", within);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ERANGE);
    for (const std::string& said :
         {std::string{"the vault was full"}, fmt::format("lsn:{} and", begin.lsn.value - 1),
          fmt::format("lsn:{};", end.lsn.value), std::string{"--force"}}) {
      EXPECT_TRUE(contains(refused.error().message, said)) << refused.error().message;
    }
    EXPECT_TRUE(resolve("other", within).ok()) << "the gap is not that volume's";
    within.force = true;
    const auto resolved = resolve("shop", within);
    ASSERT_TRUE(resolved.ok()) << resolved.error().message;
    EXPECT_TRUE(resolved->is_in_gap);
    ASSERT_EQ(resolved->notices.size(), 1u);
    EXPECT_EQ(resolved->notices[0].kind, "gap");
    EXPECT_TRUE(contains(resolved->notices[0].message, "the vault was full"));
  }
  const auto near = resolve("shop", Point::at_lsn(before.lsn))->nearest_gap;
  ASSERT_TRUE(near.has_value());
  EXPECT_EQ(near->distance, before.time - begin.time);
  EXPECT_EQ(resolve("shop", Point::now())->nearest_gap->distance, after.time - end.time);
  EXPECT_FALSE(resolve("other", Point::now())->nearest_gap.has_value());
  const History history = world_.history();
  const std::vector<Notice> notices = history.notices_of(*history.newest().find("shop"));
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].kind, "gap");
}

// Rule 12.
TEST_F(HistoryTest, AGapThatIsNotOverReachesToTheEnd) {
  const auto shop = world_.create("shop", kMiB);
  world_.write(shop, 0, {1});
  const cdp::Stamp begin = world_.begin_gap(shop, "the vault was full");
  pass(10);
  world_.mark(shop, "inside");
  world_.flush();
  world_.crash_and_restart();
  world_.mark(shop, "later");
  world_.flush();
  for (const Point& within : {Point::now(), Point::at_mark("inside"), Point::at_mark("later")}) {
    const auto refused = resolve("shop", within);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ERANGE);
    EXPECT_TRUE(
        contains(refused.error().message, fmt::format("point is lsn:{};", begin.lsn.value - 1)))
        << refused.error().message;
  }
  EXPECT_TRUE(resolve("shop", Point::at_lsn(Lsn{begin.lsn.value - 1})).ok());
}

// Rule 16.
TEST_F(HistoryTest, ATimeThatTheClockPassedTwiceIsRefusedWithItsCandidates) {
  const auto shop = world_.create("shop", kMiB);
  pass(100);
  const cdp::Stamp early = world_.write(shop, 0, {1});
  pass(50);
  world_.write(shop, 0, {2});
  world_.clock.step(cdp::seconds(-120));
  const cdp::Stamp again = world_.write(shop, 0, {3});
  pass(200);
  const cdp::Stamp late = world_.write(shop, 0, {4});
  world_.flush();
  const auto refused = resolve("shop", Point::at_time(early.time + cdp::seconds(1)));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ENOTUNIQ);
  EXPECT_TRUE(contains(refused.error().message, fmt::format("lsn:{} ", early.lsn.value)))
      << refused.error().message;
  // The second candidate is the state after `again`; records without a change may have followed.
  const std::string& sentence = refused.error().message;
  const std::size_t second = sentence.rfind("lsn:");
  ASSERT_NE(second, std::string::npos);
  const Lsn candidate{std::stoull(sentence.substr(second + 4))};
  EXPECT_GE(candidate, again.lsn) << sentence;
  EXPECT_LT(candidate, late.lsn) << sentence;
}

// Rule 16, over random histories: whatever the clock did, a time resolves exactly when the records
// up to it are a beginning of history.
TEST_F(HistoryTest, RandomClockStepsNeverResolveATimeWrongly) {
  const auto shop = world_.create("shop", kMiB);
  for (int i = 0; i < 60; ++i) {
    pass(static_cast<std::int64_t>(world_.random() % 5));
    if (world_.random() % 12 == 0) {
      world_.clock.step(cdp::seconds(static_cast<std::int64_t>(world_.random() % 41) - 20));
    }
    world_.write(shop, world_.random() % 10, {static_cast<unsigned>(world_.random() % 5)});
    if (world_.random() % 3 == 0) world_.flush();
  }
  world_.flush();

  struct AllStamps final : journal::RecordVisitor {
    void on_write(const journal::WriteRecord& r) override { stamps.push_back(r.stamp); }
    void on_volume_created(const journal::VolumeCreated& r) override { stamps.push_back(r.stamp); }
    void on_clock(const journal::ClockRecord& r) override { stamps.push_back(r.stamp); }
    std::vector<cdp::Stamp> stamps;
  } all;
  const auto reader = world_.reader();
  ASSERT_TRUE(world_.scheduler.run(reader->visit(Lsn{}, world_.last(), all)).ok());
  ASSERT_EQ(all.stamps.size(), world_.last().value) << "every record is seen";
  Nanos lowest = all.stamps.front().time;
  Nanos highest = lowest;
  for (const cdp::Stamp& stamp : all.stamps) {
    lowest = std::min(lowest, stamp.time);
    highest = std::max(highest, stamp.time);
  }
  const History history = world_.history();
  for (Nanos time = lowest; time <= highest; time = time + cdp::milliseconds(1700)) {
    Lsn expected;
    bool is_beginning = true;
    bool later_before = false;
    for (const cdp::Stamp& stamp : all.stamps) {
      if (stamp.time > time) {
        later_before = true;
      } else {
        expected = stamp.lsn;
        is_beginning = is_beginning && !later_before;
      }
    }
    const auto resolved = world_.scheduler.run(history.resolve(world_.index(), "shop", Point::at_time(time)));
    if (!is_beginning) {
      ASSERT_FALSE(resolved.ok()) << format_time(time, TimeZone::utc());
      ASSERT_EQ(resolved.error().code, ENOTUNIQ) << resolved.error().message;
    } else if (resolved.ok()) {
      ASSERT_EQ(resolved->at.lsn, expected) << format_time(time, TimeZone::utc());
    } else {
      ASSERT_EQ(resolved.error().code, ERANGE);
    }
  }
}

// Rule 17.
TEST_F(HistoryTest, NamesResolveAtThePointAndIdsAlways) {
  const auto one = world_.create("shop", kMiB);
  const Lsn as_shop = world_.last();
  pass(1);
  world_.rename(one, "shop-old");
  const Lsn renamed = world_.last();
  const auto two = world_.create("shop", 2 * kMiB);
  const Lsn second = world_.last();
  pass(1);
  world_.remove(one);
  const Lsn removed = world_.last();
  world_.write(two, 0, {1});
  world_.flush();

  const auto volume_at = [&](const std::string& name, Point point) {
    const auto resolved = resolve(name, std::move(point));
    EXPECT_TRUE(resolved.ok()) << resolved.error().message;
    return resolved.ok() ? resolved->volume : journal::VolumeState{};
  };
  EXPECT_EQ(volume_at("shop", Point::at_lsn(as_shop)).id, one);
  EXPECT_EQ(volume_at("shop-old", Point::at_lsn(renamed)).id, one);
  EXPECT_EQ(volume_at("shop", Point::at_lsn(second)).id, two);
  EXPECT_EQ(volume_at("shop", Point::now()).size_bytes, 2 * kMiB);
  EXPECT_EQ(volume_at("shop", Point::first()).id, one);
  EXPECT_EQ(volume_at("shop-old", Point::first()).id, one);
  EXPECT_EQ(volume_at("shop-old", Point::at_lsn(Lsn{removed.value - 1})).id, one);

  const auto between = resolve("shop", Point::at_lsn(renamed));
  ASSERT_FALSE(between.ok());
  EXPECT_EQ(between.error().code, ERANGE);
  const auto before = resolve("shop-old", Point::at_lsn(as_shop));
  EXPECT_FALSE(before.ok());
  const auto gone = resolve("shop-old", Point::now());
  ASSERT_FALSE(gone.ok());
  EXPECT_TRUE(contains(gone.error().message, "was removed")) << gone.error().message;
  EXPECT_TRUE(contains(gone.error().message, fmt::format("lsn:{}", removed.value - 1)));

  const std::string id = "id:" + volume_at("shop", Point::at_lsn(as_shop)).uuid.to_string();
  EXPECT_EQ(volume_at(id, Point::at_lsn(as_shop)).name, "shop");
  EXPECT_EQ(volume_at(id, Point::at_lsn(renamed)).name, "shop-old");
  EXPECT_EQ(volume_at(id, Point::now()).id, one);
  EXPECT_EQ(volume_at(id, Point::first()).id, one);
}

TEST_F(HistoryTest, UnknownNamesAreAnsweredWithTheKnownOnes) {
  world_.create("shop", kMiB);
  world_.create("ledger", kMiB);
  const auto unknown = resolve("shpo", Point::now());
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ENOENT);
  EXPECT_TRUE(contains(unknown.error().message, "shop, ledger")) << unknown.error().message;
  for (const char* bad : {"", "id:", "id:shop", "no/slash"}) {
    const auto refused = resolve(bad, Point::now());
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.error().code, EINVAL) << bad;
  }
}

TEST_F(HistoryTest, MarksResolveAndTheNearestIsTold) {
  const auto shop = world_.create("shop", kMiB);
  const auto other = world_.create("other", kMiB);
  pass(10);
  const cdp::Stamp before = world_.mark(shop, "before upgrade");
  pass(2);
  world_.mark(other, "not of shop");
  const cdp::Stamp written = world_.write(shop, 0, {1});
  pass(100);
  const cdp::Stamp all = world_.mark(cdp::VolumeId{}, "of all");
  world_.flush();
  const auto at_mark = resolve("shop", Point::at_mark("before upgrade"));
  ASSERT_TRUE(at_mark.ok());
  EXPECT_EQ(at_mark->at.lsn, before.lsn);
  EXPECT_EQ(at_mark->nearest_mark->distance, Nanos{});
  const auto near = resolve("shop", Point::at_lsn(written.lsn));
  ASSERT_TRUE(near.ok());
  EXPECT_EQ(near->nearest_mark->mark.label, "before upgrade");
  EXPECT_EQ(near->nearest_mark->distance, written.time - before.time);
  const auto at_end = resolve("shop", Point::now());
  EXPECT_EQ(at_end->nearest_mark->mark.label, "of all");
  EXPECT_EQ(resolve("shop", Point::at_mark("of all"))->at.lsn, all.lsn);
  EXPECT_EQ(resolve("shop", Point::at_mark("unknown")).error().code, ENOENT);
}

TEST_F(HistoryTest, ACrashIsToldAtTheTimesThatMayMissWritesAndNowhereElse) {
  const auto shop = world_.create("shop", kMiB);
  pass(10);
  const cdp::Stamp kept = world_.write(shop, 0, {1});
  world_.flush();
  const Nanos lost = world_.clock.realtime();
  world_.write(shop, 0, {2});
  world_.crash_and_restart();
  pass(10);
  const cdp::Stamp after = world_.write(shop, 0, {3});
  world_.flush();

  const auto notices_at = [&](Point point) {
    const auto resolved = resolve("shop", std::move(point));
    EXPECT_TRUE(resolved.ok()) << resolved.error().message;
    return resolved.ok() ? resolved->notices.size() : 99;
  };
  EXPECT_EQ(notices_at(Point::at_lsn(Lsn{kept.lsn.value})), 0u);
  EXPECT_EQ(notices_at(Point::at_time(kept.time - cdp::seconds(1))), 0u);
  EXPECT_EQ(notices_at(Point::at_time(lost + Nanos{1})), 1u);
  EXPECT_EQ(notices_at(Point::at_lsn(after.lsn)), 0u);
  EXPECT_EQ(notices_at(Point::now()), 0u);

  const History history = world_.history();
  const auto* volume = cdp::value_or_throw(history.find_volume("shop"));
  const auto crashes = history.notices_of(*volume);
  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_EQ(crashes[0].kind, "crash");
  EXPECT_TRUE(contains(crashes[0].message, "cut by a crash")) << crashes[0].message;
}

// What a crash took, in the words of what the journal found of it.
TEST_F(HistoryTest, ACrashSaysWhatItTook) {
  world_.create("shop", kMiB);
  journal::JournalState newest = world_.newest();
  const cdp::Stamp end{newest.lsn, newest.time};
  newest.crashes = {{.stamp = end,
                     .last_lsn = {1},
                     .remembered_lsn = {7},
                     .flags = journal::CrashRecord::kTailLost | journal::CrashRecord::kCorrupt}};
  const History history{newest, {}};
  const auto told = history.notices_of(**history.find_volume("shop"));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(contains(told[0].message, "confirmed as durable up to lsn:7")) << told[0].message;
  EXPECT_TRUE(contains(told[0].message, "cannot be read")) << told[0].message;
}

TEST_F(HistoryTest, WhatIsNotKnownIsAnsweredWithWhatIs) {
  const auto shop = world_.create("shop", kMiB);
  const auto gone = world_.create("gone", kMiB);
  world_.remove(gone);
  world_.flush();
  const auto beyond = resolve("shpo", Point::at_lsn(Lsn{world_.last().value + 9}));
  ASSERT_FALSE(beyond.ok());
  EXPECT_TRUE(contains(beyond.error().message, "the newest record of the vault is"))
      << beyond.error().message;
  EXPECT_EQ(resolve("shpo", Point::first()).error().code, ENOENT);
  EXPECT_EQ(resolve("id:" + journal::Uuid::random().to_string(), Point::first()).error().code,
            ENOENT);

  EXPECT_EQ(world_.history().find_volume("shpo").error().message,
            "there is no volume shpo: the volumes are shop");
  EXPECT_EQ(world_.history().find_volume("no/slash").error().code, EINVAL);
  world_.remove(shop);
  world_.flush();
  EXPECT_EQ(world_.history().find_volume("shpo").error().message,
            "there is no volume shpo: `hindsight volume create` makes one");
}

// The places of all frames.
struct Frames final : journal::RecordVisitor {
  bool on_frame(const journal::FrameInfo& frame) override {
    all.push_back(frame);
    return false;
  }
  std::vector<journal::FrameInfo> all;
};

// Rot that an index met when it was made.
TEST_F(HistoryTest, HistoryThatCannotBeReadIsToldByItsLsns) {
  const auto shop = world_.create("shop", kMiB);
  for (unsigned i = 1; i <= 5; ++i) {
    world_.write(shop, i, {i});
    world_.flush();
  }
  const History history = world_.history();
  Frames frames;
  ASSERT_TRUE(world_.scheduler.run(world_.reader()->visit(Lsn{}, world_.last(), frames)).ok());
  const journal::FrameInfo hurt = frames.all[frames.all.size() - 3];
  world_.store().flip_bit("vault/segments/" + journal::segment_name(hurt.segment),
                          (std::uint64_t{hurt.offset} + 100) * 8);

  const auto files = world_.store().directory("another index");
  const auto index = cdp::value_or_throw(world_.scheduler.run(journal::index::TimeIndex::open(
      world_.scheduler, *files, world_.segments(), world_.vault, {})));
  ASSERT_TRUE(world_.scheduler.run(index->catch_up(world_.last())).ok());
  const auto told = world_.scheduler.run(History::damage(*index, {Lsn{}, world_.last()}));
  ASSERT_TRUE(told.ok()) << told.error().message;
  ASSERT_EQ(told->size(), 1u);
  EXPECT_TRUE(
      contains(told->front(), fmt::format("between LSN {} and {} cannot be read",
                                          hurt.first_lsn.value - 1, hurt.last_lsn.value + 1)))
      << told->front();
  // The points behind it are there.
  const auto behind = world_.scheduler.run(
      history.resolve(*index, "shop", Point::at_lsn(Lsn{world_.last().value - 1})));
  EXPECT_TRUE(behind.ok()) << behind.error().message;
  EXPECT_TRUE(world_.scheduler.run(index->close()).ok());
}

// Rot that comes after the index knew the frame: what a point is resolved by is right, or it is an
// error.
TEST_F(HistoryTest, AFrameThatRotsLaterGivesAnErrorAndNoWrongAnswer) {
  const auto shop = world_.create("shop", kMiB);
  world_.rename(shop, "ledger");
  world_.flush();
  const Lsn renamed = world_.last();
  world_.write(shop, 0, {1});
  world_.flush();
  const Lsn written = world_.last();
  world_.write(shop, 0, {2});
  world_.flush();
  const History history = world_.history();
  Frames frames;
  ASSERT_TRUE(world_.scheduler.run(world_.reader()->visit(Lsn{}, world_.last(), frames)).ok());
  const auto hurt = std::find_if(frames.all.begin(), frames.all.end(), [&](const auto& frame) {
    return frame.first_lsn <= renamed && renamed <= frame.last_lsn;
  });
  ASSERT_NE(hurt, frames.all.end());

  int errors = 0;
  const std::string path = "vault/segments/" + journal::segment_name(hurt->segment);
  for (std::uint64_t byte = 0; byte < 200; ++byte) {
    const std::uint64_t bit = (std::uint64_t{hurt->offset} + byte) * 8 + world_.random() % 8;
    world_.store().flip_bit(path, bit);
    const auto resolved =
        world_.scheduler.run(history.resolve(world_.index(), "ledger", Point::at_lsn(written)));
    if (resolved.ok()) {
      EXPECT_EQ(resolved->volume.id, shop);
    } else {
      EXPECT_EQ(resolved.error().code, EIO) << resolved.error().message;
      ++errors;
    }
    world_.store().flip_bit(path, bit);
  }
  EXPECT_GT(errors, 100);
}

// Collects an image in memory.
class MemoryTarget final : public ImageTarget {
 public:
  Status start(const ImageSize& size) override {
    announced = size;
    image.assign(size.bytes, std::byte{0xee});
    return {};
  }
  Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (full) return cdp::make_error(ENOSPC, "the target is full");
    std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Status zero(std::uint64_t offset, std::uint64_t length) override {
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    return {};
  }
  Status finish() override {
    finished = true;
    return {};
  }
  bool wants_offset_order() const override { return ordered; }
  std::string left_behind() const override { return remains; }

  ImageSize announced;
  std::vector<std::byte> image;
  bool finished = false;
  bool ordered = false;
  bool full = false;
  std::string remains;
};

TEST_F(HistoryTest, AnImageThatFailsSaysWhatIsLeftOfIt) {
  const auto shop = world_.create("shop", kMiB);
  world_.write(shop, 0, {1});
  world_.flush();
  auto resolved = resolve("shop", Point::now());
  ASSERT_TRUE(resolved.ok());
  const auto opened = world_.scheduler.run(
      ImageSource::open(world_.parts(), all_upto(shop, world_.last()), *std::move(resolved)));
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  MemoryTarget target;
  target.full = true;
  for (const char* remains : {"", "half of it is there"}) {
    target.remains = remains;
    const Status written =
        world_.scheduler.run(write_image(world_.scheduler, **opened, target, ExportOptions{}));
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, ENOSPC);
    EXPECT_FALSE(target.finished);
    EXPECT_EQ(contains(written.error().message, "; half of it is there"), !target.remains.empty())
        << written.error().message;
  }
}

// The newest state of a segment with rot in it may lack a volume, a mark or a rollback.
TEST_F(HistoryTest, WhatTheNewestStateLacksIsToldWhateverIsAsked) {
  const auto shop = world_.create("shop", kMiB);
  world_.write(shop, 0, {1});
  world_.flush();
  const journal::Damage damage{.segment = 1, .after = {7}, .before = {9}, .what = "a sentence"};
  HistoryOptions options;
  options.lost.push_back(damage);
  const auto resolved = resolve("shop", Point::now(), options);
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  ASSERT_EQ(resolved->notices.size(), 1u);
  EXPECT_EQ(resolved->notices[0].kind, "damage");
  EXPECT_TRUE(contains(resolved->notices[0].message, "between LSN 7 and 9"));
  const History history = world_.history(options);
  const auto overview = history.notices_of(**history.find_volume("shop"));
  EXPECT_EQ(overview, resolved->notices);
  EXPECT_EQ(history.lost(), resolved->notices);
}

// The whole line: what was recorded, at any LSN of it, byte for byte.
TEST_F(HistoryTest, EveryPointOfARandomHistoryComesBackAsItWas) {
  struct Live {
    cdp::VolumeId id;
    std::uint64_t blocks;
    Lsn created;
  };
  std::vector<Live> volumes;
  for (int i = 0; i < 2; ++i) {
    volumes.push_back({world_.create(fmt::format("volume{}", i), kMiB), 256, world_.last()});
  }
  auto& random = world_.random;
  for (int step = 0; step < 250; ++step) {
    Live& live = volumes[random() % volumes.size()];
    const std::uint64_t first = random() % live.blocks;
    const std::uint64_t count = std::min<std::uint64_t>(1 + random() % 24, live.blocks - first);
    switch (random() % 12) {
      case 0:
        world_.zero(live.id, random() % 2 == 0 ? cdp::ZeroKind::kTrim : cdp::ZeroKind::kZero, first,
                    random() % 4 == 0 ? live.blocks - first : count);
        break;
      case 1:
        live.blocks = 64 + random() % 400;
        world_.resize(live.id, live.blocks * kBlockBytes);
        break;
      case 2:
        world_.flush();
        break;
      case 3:
        world_.checkpoint(live.id);
        break;
      case 4:
        if (random() % 8 == 0)
          world_.crash_and_restart();
        else
          pass(1);
        break;
      default: {
        std::vector<unsigned> seeds;
        for (std::uint64_t i = 0; i < count; ++i) {
          seeds.push_back(static_cast<unsigned>(random() % (random() % 2 == 0 ? 4 : 100'000)));
        }
        world_.write(live.id, first, seeds);
      }
    }
    // A crash may have taken a resize with it.
    if (random() % 4 == 0) {
      world_.flush();
    }
    for (Live& each : volumes) {
      each.blocks = cdp::blocks_for(world_.image(each.id, world_.last()).size());
    }
  }
  world_.flush();

  const History history = world_.history();
  const PointParts parts = world_.parts();
  for (int check = 0; check < 30; ++check) {
    const Live& live = volumes[random() % volumes.size()];
    const Lsn lsn{live.created.value + random() % (world_.last().value - live.created.value + 1)};
    auto resolved = world_.scheduler.run(
        history.resolve(world_.index(), fmt::format("volume{}", live.id.value - 1),
                        Point::at_lsn(lsn)));
    ASSERT_TRUE(resolved.ok()) << resolved.error().message;
    const auto opened = world_.scheduler.run(
        ImageSource::open(parts, all_upto(live.id, lsn), *std::move(resolved)));
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    MemoryTarget target;
    target.ordered = random() % 2 == 0;
    const Status written =
        world_.scheduler.run(write_image(world_.scheduler, **opened, target, ExportOptions{}));
    ASSERT_TRUE(written.ok()) << written.error().message;
    ASSERT_TRUE(target.finished);
    ASSERT_TRUE(sim::same_bytes(target.image, world_.image(live.id, lsn))) << "lsn " << lsn.value;
  }
}

// What the daemon does after a crash: the backing as of a checkpoint, and what changed from there
// on.
TEST_F(HistoryTest, ReplayFromACheckpointMakesTheBackingEqualToTheJournal) {
  const auto shop = world_.create("shop", kMiB);
  auto& random = world_.random;
  const auto some_writes = [&] {
    for (int i = 0; i < 40; ++i) {
      const std::uint64_t first = random() % 250;
      if (random() % 4 == 0) {
        world_.zero(shop, cdp::ZeroKind::kZero, first, 1 + random() % 6);
      } else {
        world_.write(shop, first, {static_cast<unsigned>(random() % 10), 7, 8});
      }
    }
    world_.flush();
  };
  some_writes();
  const Lsn covered = world_.last();
  const auto store = sim::SimStore::make(world_.scheduler, seed_);
  const auto backing = store->create_disk("backing", kMiB);
  store->overwrite("backing", 0, world_.image(shop, covered));
  some_writes();

  const PointParts parts = world_.parts();
  JournalRuns runs{*parts.runs};
  const journal::Visibility changed{{shop, {{covered, world_.last()}}}};
  const Status applied = world_.scheduler.run(apply_to_disk(
      world_.scheduler, runs, *parts.map, {.visible = changed, .size_bytes = kMiB}, *backing));
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_TRUE(sim::same_bytes(store->content("backing"), world_.image(shop, world_.last())));
}

}  // namespace
}  // namespace restore
