// SPDX-License-Identifier: Apache-2.0
#include "tools/api/queries.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "tests/unit/tools/recorded_source.h"

namespace tools::api {
namespace {

namespace json = boost::json;
using restore::Point;

const restore::TimeZone kUtc = restore::TimeZone::utc();

// Something was answered that is not durable yet. Whoever asks for what is, waits for no disk.
class QueriesTest : public testing::Test {
 protected:
  using Document = cdp::Result<json::object>;

  void SetUp() override {
    world_.write(shop_, 3, {1, 2});
    world_.mark(shop_, "before");
    world_.flush();
    world_.clock.step(cdp::seconds(10));
    durable_ = world_.write(shop_, 7, {5});
    world_.flush();
    world_.clock.step(cdp::seconds(10));
    source_.is_behind = true;
    world_.write(shop_, 9, {6});
    last_ = world_.mark(shop_, "after");
  }
  // How often the question made the last moments durable.
  std::size_t waits(std::function<cdp::Task<Document>()> ask, bool is_answered = true) {
    const std::size_t before = source_.newest_asked;
    const Document document = world_.scheduler.run(ask());
    EXPECT_EQ(document.ok(), is_answered)
        << (document.ok() ? json::serialize(*document) : document.error().message);
    return source_.newest_asked - before;
  }
  std::size_t waits_for_point(Point point, bool is_answered = true) {
    return waits([&] { return queries_.points(kUtc, "shop", point); }, is_answered);
  }
  std::size_t waits_for_diff(Point from, Point to) {
    return waits([&] { return queries_.diff(kUtc, "shop", from, to); });
  }

  RecordedVault world_{std::random_device{}()};
  RecordedSource source_{world_};
  VaultQueries queries_{source_};
  const cdp::VolumeId shop_ = world_.create("shop", 1u << 20);
  cdp::Stamp durable_{};
  cdp::Stamp last_{};
};

TEST_F(QueriesTest, WhatTellsOfTheDurablePastWaitsForNothing) {
  EXPECT_EQ(waits([&] { return queries_.status(kUtc); }), 0u);
  EXPECT_EQ(waits([&] { return queries_.timeline(kUtc, "shop", {}); }), 0u);
  EXPECT_EQ(waits([&] { return queries_.audit(kUtc, {}); }), 0u);
  EXPECT_EQ(waits([&] { return queries_.points(kUtc, "shop", std::nullopt); }), 0u);
  EXPECT_EQ(waits_for_point(Point::first()), 0u);
  EXPECT_EQ(waits_for_point(Point::at_lsn(durable_.lsn)), 0u);
  EXPECT_EQ(waits_for_point(Point::at_time({durable_.time.value - 1})), 0u);
  EXPECT_EQ(waits_for_point(Point::at_mark("before")), 0u);
  EXPECT_EQ(waits_for_diff(Point::at_mark("before"), Point::at_lsn(durable_.lsn)), 0u);
}

// Each of them means the newest change, which is not durable yet.
TEST_F(QueriesTest, APointThatMayLieBehindItIsMadeDurableFirst) {
  for (int kind = 0; kind < 4; ++kind) {
    world_.clock.step(cdp::seconds(10));
    const std::string label = "after-" + std::to_string(kind);
    last_ = world_.mark(shop_, label);
    const Point points[]{Point::now(), Point::at_lsn(last_.lsn), Point::at_time(last_.time),
                         Point::at_mark(label)};
    const std::size_t waited = source_.newest_asked;
    const json::object point =
        cdp::value_or_throw(world_.scheduler.run(queries_.points(kUtc, "shop", points[kind])));
    // Of the journal itself there may be a record behind it.
    const auto lsn = point.at("point").at("lsn").to_number<std::uint64_t>();
    EXPECT_GE(lsn, last_.lsn.value) << kind;
    EXPECT_LE(lsn, last_.lsn.value + (kind == 0 ? 1 : 0)) << kind;
    EXPECT_EQ(source_.newest_asked, waited + 1) << kind;
  }
  last_ = world_.mark(shop_, "last");
  EXPECT_EQ(waits_for_diff(Point::at_mark("before"), Point::at_mark("last")), 1u);
  last_ = world_.mark(shop_, "really");
  EXPECT_EQ(waits_for_diff(Point::now(), Point::first()), 1u);
}

TEST_F(QueriesTest, WhatIsNowhereIsLookedForInAllThereIs) {
  EXPECT_EQ(waits_for_point(Point::at_mark("never"), false), 1u);
  last_ = world_.mark(shop_, "later");
  EXPECT_EQ(waits_for_point(Point::at_lsn({last_.lsn.value + 100}), false), 1u);
}

TEST_F(QueriesTest, SegmentsComeInPagesTheNewestFirst) {
  for (int i = 0; i < 6; ++i) {
    world_.stop();
    world_.start();
  }
  VaultQueries queries{source_};
  const auto page = [&](SegmentWindow window) {
    return cdp::value_or_throw(world_.scheduler.run(queries.segments(kUtc, window)));
  };
  const json::object all = page({});
  const json::array& segments = all.at("segments").as_array();
  ASSERT_GE(segments.size(), 7u);
  EXPECT_FALSE(all.contains("before"));
  EXPECT_EQ(segments.front().at("state").as_string(), "open");
  EXPECT_EQ(segments[1].at("state").as_string(), "sealed");
  EXPECT_EQ(segments.back().at("number").to_number<std::uint64_t>(), 1u);
  for (const std::size_t limit : {1u, 2u, 3u, 7u, 100u}) {
    json::array seen;
    SegmentWindow window{.limit = limit};
    for (;;) {
      const json::object next = page(window);
      const json::array& some = next.at("segments").as_array();
      EXPECT_LE(some.size(), limit);
      seen.insert(seen.end(), some.begin(), some.end());
      if (!next.contains("before")) break;
      window.before = next.at("before").to_number<std::uint64_t>();
    }
    EXPECT_EQ(json::serialize(seen), json::serialize(segments)) << "by " << limit;
  }
  EXPECT_EQ(page({.before = 1, .limit = 5}).at("segments").as_array().size(), 0u);
  const json::object newest = page({.before = std::uint64_t{1} << 40, .limit = 1});
  EXPECT_EQ(json::serialize(newest.at("segments").as_array().front()),
            json::serialize(segments.front()));
}

}  // namespace
}  // namespace tools::api
