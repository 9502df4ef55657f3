// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "journal/format.h"
#include "tests/unit/tools/recorded_source.h"

namespace tools::api {
namespace {

namespace json = boost::json;

const restore::TimeZone kUtc = restore::TimeZone::utc();

class AuditPageTest : public testing::Test {
 protected:
  const std::uint64_t seed_ = std::random_device{}();
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
  RecordedVault world_{seed_};
  RecordedSource source_{world_};
  VaultQueries queries_{source_};
  std::vector<cdp::Stamp> stamps_;  // of the audits, oldest first

  void audit() {
    stamps_.push_back(world_.audit("act", "number " + std::to_string(stamps_.size())));
  }
  // So many segments, each a start's, with so many audits at most among other changes.
  void record(std::size_t segments, std::size_t audits_max) {
    const auto shop = world_.create("shop", 1u << 20);
    for (std::size_t segment = 0; segment < segments; ++segment) {
      if (segment != 0) {
        world_.stop();
        world_.start();
      }
      for (std::size_t left = world_.random() % (audits_max + 1); left > 0; --left) {
        audit();
        if (world_.random() % 2 == 0) world_.write(shop, world_.random() % 200, {1, 2});
        if (world_.random() % 4 == 0) world_.flush();
      }
    }
    world_.flush();
  }
  std::string segment_path(std::uint32_t number) const {
    return "vault/segments/" + journal::segment_name(number);
  }

  cdp::Result<json::object> ask(AuditWindow window) {
    return world_.scheduler.run(queries_.audit(kUtc, window));
  }
  json::object page(AuditWindow window) { return cdp::value_or_throw(ask(window)); }
  static std::vector<std::uint64_t> lsns(const json::object& document) {
    std::vector<std::uint64_t> found;
    for (const json::value& one : document.at("audit").as_array())
      found.push_back(one.at("lsn").to_number<std::uint64_t>());
    return found;
  }
  // Page after page, to the end; what each tells besides is added to `notices`.
  std::vector<std::uint64_t> all(std::size_t limit, std::size_t* notices = nullptr) {
    std::vector<std::uint64_t> found;
    AuditWindow window{.before = std::nullopt, .limit = limit};
    for (std::size_t pages = 0; pages < 2000; ++pages) {
      const json::object document = page(window);
      const std::vector<std::uint64_t> here = lsns(document);
      EXPECT_LE(here.size(), limit);
      found.insert(found.end(), here.begin(), here.end());
      if (notices != nullptr && document.contains("notices"))
        *notices += document.at("notices").as_array().size();
      if (!document.contains("before")) return found;
      const cdp::Lsn before{document.at("before").to_number<std::uint64_t>()};
      EXPECT_LE(before.value, here.back());
      window.before = before;
    }
    ADD_FAILURE() << "pages without an end";
    return found;
  }
  std::vector<std::uint64_t> expected() const {
    std::vector<std::uint64_t> wanted;
    for (auto at = stamps_.rbegin(); at != stamps_.rend(); ++at) wanted.push_back(at->lsn.value);
    return wanted;
  }
};

TEST_F(AuditPageTest, PagesTogetherAreTheAuditNewestFirst) {
  record(12, 9);
  ASSERT_GE(world_.reader()->segments().size(), 12u);
  for (const std::size_t limit : std::initializer_list<std::size_t>{1, 2, 3, 7, 20, 1000}) {
    std::size_t notices = 0;
    EXPECT_EQ(all(limit, &notices), expected()) << limit << " a page";
    EXPECT_EQ(notices, 0u);
  }
  // From any LSN on, of an audit or not.
  const std::vector<std::uint64_t> wanted = expected();
  for (int i = 0; i < 20; ++i) {
    const cdp::Lsn before{world_.random() % (world_.last().value + 2)};
    const auto from = std::find_if(wanted.begin(), wanted.end(),
                                   [before](std::uint64_t lsn) { return lsn < before.value; });
    std::vector<std::uint64_t> newest(from, wanted.end());
    newest.resize(std::min<std::size_t>(newest.size(), 5));
    EXPECT_EQ(lsns(page({.before = before, .limit = 5})), newest) << before.value;
  }
}

TEST_F(AuditPageTest, ARecordIsToldWhole) {
  EXPECT_EQ(json::serialize(page({})), R"({"audit":[]})");
  const cdp::Stamp stamp = world_.audit("rollBack", "shop to lsn:7 \u00b7 by force");
  world_.flush();
  const json::object document = page({});
  EXPECT_FALSE(document.contains("before"));
  EXPECT_FALSE(document.contains("notices"));
  const json::object& one = document.at("audit").as_array().at(0).as_object();
  EXPECT_EQ(one.at("lsn").to_number<std::uint64_t>(), stamp.lsn.value);
  EXPECT_EQ(one.at("time_utc").as_string(), restore::format_time(stamp.time, kUtc));
  EXPECT_EQ(one.at("actor").as_string(), "ops");
  EXPECT_EQ(one.at("origin").as_string(), "10.0.0.7");
  EXPECT_EQ(one.at("act").as_string(), "rollBack");
  EXPECT_EQ(one.at("detail").as_string(), "shop to lsn:7 \u00b7 by force");
  EXPECT_EQ(one.at("status").to_number<int>(), 200);
}

// A page costs what it needs: segments without an audit of it are not opened.
TEST_F(AuditPageTest, TheNewestPageLeavesOtherSegmentsAlone) {
  record(8, 3);
  for (int i = 0; i < 4; ++i) audit();
  world_.flush();
  const std::uint32_t last = world_.reader()->segments().back().number;
  const auto shop = world_.create("later", 1u << 20);
  for (int segment = 0; segment < 8; ++segment) {
    world_.stop();
    world_.start();
    world_.write(shop, world_.random() % 200, {1, 2});
    world_.flush();
  }
  for (std::uint32_t number = 1; number <= last + 8; ++number)
    if (number != last) world_.store().remove_file(segment_path(number));
  const auto newest =
      cdp::value_or_throw(world_.scheduler.run(world_.index().audits_before({UINT64_MAX}, 4)));
  ASSERT_EQ(newest.records.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(newest.records[i].stamp, stamps_[stamps_.size() - 1 - i]);
  EXPECT_TRUE(newest.lost.empty());
}

// What is left is told, and what is not is named.
TEST_F(AuditPageTest, ASegmentThatIsGoneIsToldAndNothingElseIsMissing) {
  record(1, 0);
  for (int segment = 0; segment < 8; ++segment) {
    world_.stop();
    world_.start();
    for (int i = 0; i < 3; ++i) audit();
    world_.flush();
  }
  std::vector<std::uint64_t> wanted = expected();
  const auto segments = world_.reader()->segments();
  const auto gone = segments.end() - 4;
  std::erase_if(wanted, [&](std::uint64_t lsn) {
    return lsn > gone->base_lsn.value && lsn <= (gone + 1)->base_lsn.value;
  });
  ASSERT_EQ(wanted.size(), stamps_.size() - 3);
  world_.store().remove_file(segment_path(gone->number));
  for (const std::size_t limit : std::initializer_list<std::size_t>{1, 4, 1000}) {
    std::vector<std::uint64_t> found;
    std::size_t lost = 0;
    std::optional<cdp::Lsn> before = cdp::Lsn{UINT64_MAX};
    while (before) {
      auto page =
          cdp::value_or_throw(world_.scheduler.run(world_.index().audits_before(*before, limit)));
      for (const journal::AuditRecord& record : page.records)
        found.push_back(record.stamp.lsn.value);
      lost += page.lost.size();
      before = page.before;
    }
    EXPECT_EQ(found, wanted) << limit << " a page";
    EXPECT_GE(lost, 1u) << limit << " a page";
    EXPECT_LE(lost, 3u) << limit << " a page";
  }
}

// One audit a frame; one of them cannot be read.
TEST_F(AuditPageTest, DamageIsToldOnThePageWhereAuditsAreMissing) {
  record(1, 0);
  for (int segment = 0; segment < 3; ++segment) {
    world_.stop();
    world_.start();
    for (int i = 0; i < 6; ++i) {
      audit();
      world_.flush();
    }
  }
  std::vector<std::uint64_t> wanted = expected();
  const std::size_t lost = 8;  // in the segment before the newest
  struct Frames final : journal::RecordVisitor {
    bool on_frame(const journal::FrameInfo& frame) override {
      all.push_back(frame);
      return true;
    }
    std::vector<journal::FrameInfo> all;
  } frames;
  ASSERT_TRUE(world_.scheduler.run(world_.reader()->visit({}, {UINT64_MAX}, frames)).ok());
  for (const journal::FrameInfo& frame : frames.all) {
    if (frame.first_lsn.value <= wanted[lost] && wanted[lost] <= frame.last_lsn.value)
      world_.store().flip_bit(segment_path(frame.segment), (frame.offset + 10) * 8);
  }
  wanted.erase(wanted.begin() + lost);
  for (const std::size_t limit : std::initializer_list<std::size_t>{2, 4, 100}) {
    std::size_t notices = 0;
    EXPECT_EQ(all(limit, &notices), wanted);
    EXPECT_EQ(notices, 1u) << "once, " << limit << " a page";
  }
  const json::object newest = page({.before = std::nullopt, .limit = 6});
  EXPECT_FALSE(newest.contains("notices")) << "it lies before them";
}

TEST(AuditDocument, TellsOfCrashesThatLostWhatWasConfirmed) {
  journal::JournalState state;
  journal::CrashRecord crash{.stamp = {{1000}, {}}, .segment = 1, .epoch = 1, .cut_bytes = 8192};
  crash.last_lsn = {100};
  state.crashes.push_back(crash);  // nothing that was confirmed: it says nothing of the audit
  crash.remembered_lsn = {120};
  crash.flags = journal::CrashRecord::kTailLost;
  state.crashes.push_back(crash);
  const restore::History history(state, {});
  const auto notices = [&](std::optional<cdp::Lsn> page_before, std::optional<cdp::Lsn> before) {
    journal::index::TimeIndex::Audits page;
    page.before = page_before;
    const json::object document = audit_document(page, {.before = before}, history);
    return document.contains("notices") ? document.at("notices").as_array().size() : 0;
  };
  EXPECT_EQ(notices(std::nullopt, std::nullopt), 1u);
  EXPECT_EQ(notices(cdp::Lsn{1001}, std::nullopt), 0u) << "it lies before the page";
  EXPECT_EQ(notices(cdp::Lsn{90}, cdp::Lsn{1001}), 1u);
  EXPECT_EQ(notices(cdp::Lsn{50}, cdp::Lsn{90}), 0u) << "it lies behind the page";
}

}  // namespace
}  // namespace tools::api
