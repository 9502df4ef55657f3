// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/alerts/alert_watch.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/sim_scheduler.h"

namespace tools {
namespace {

namespace json = boost::json;
using cdp::seconds;
using Told = std::vector<std::string>;

const Alert::Key kIndex{"index-problem", ""};

std::string words_of(const std::string& document) {
  const json::value told = json::parse(document);
  return std::string{told.at("status").as_string()} + " " +
         std::string{told.at("message").as_string()};
}

// An AlertWatch with its webhook, both of a simulated clock.
class AlertWatchTest : public testing::Test {
 protected:
  AlertWatchTest()
      : webhook(scheduler, "http://hook/?key=secret",
                [this](std::string, std::string document) { return post(std::move(document)); }),
        watch({.scheduler = scheduler,
               .clock = clock,
               .webhook = webhook,
               .vault = "the vault",
               .alerts =
                   [this] {
                     ++looks;
                     return alerts;
                   },
               .record = [this](journal::AuditRecord record) { return take(std::move(record)); }}) {
    watch.start();
  }
  ~AlertWatchTest() override { scheduler.run(watch.stop()); }

  cdp::Task<cdp::Status> post(std::string document) {
    posted.push_back(scheduler.now());
    co_await cdp::sleep_for(scheduler, cdp::milliseconds(20));
    if (failures > 0) {
      --failures;
      co_return cdp::make_error(EIO, "the webhook answered with HTTP status 500");
    }
    told.push_back(words_of(document));
    co_return cdp::Status{};
  }
  cdp::Task<cdp::Status> take(journal::AuditRecord record) {
    recorded.push_back(words_of(record.detail));
    co_return journal_takes ? cdp::Status{} : cdp::make_error(EIO, "the journal is fenced");
  }
  void raise(Alert::Key key, std::string message) {
    alerts.push_back({std::move(key), std::move(message)});
  }
  Told told_within(cdp::Nanos duration) {
    told.clear();
    scheduler.run_for(duration);
    return told;
  }

  sim::SimScheduler scheduler{1};
  sim::SimClock clock{scheduler};
  std::vector<Alert> alerts;
  int looks = 0;
  int failures = 0;  // of the posts to come
  bool journal_takes = true;
  std::vector<cdp::Nanos> posted;
  Told told;
  Told recorded;
  Webhook webhook;
  AlertWatch watch;
};

TEST_F(AlertWatchTest, WhatBeginsIsToldOnce) {
  EXPECT_EQ(told_within(seconds(10)), Told{});
  raise(kIndex, "the index has a problem");
  EXPECT_EQ(told_within(seconds(2)), Told{"firing the index has a problem"});
  EXPECT_EQ(told_within(seconds(3000)), Told{});
  EXPECT_EQ(recorded, Told{"firing the index has a problem"}) << "the journal has it, too";
  EXPECT_GT(looks, 2900);
}

TEST_F(AlertWatchTest, EachObjectOfAKindIsToldOfByItself) {
  raise({"hydration-problem", "1"}, "shop does not hydrate");
  raise({"hydration-problem", "2"}, "stock does not hydrate");
  EXPECT_EQ(told_within(seconds(2)),
            (Told{"firing shop does not hydrate", "firing stock does not hydrate"}));
  alerts.erase(alerts.begin());
  EXPECT_EQ(told_within(seconds(70)), Told{"resolved shop does not hydrate"});
}

TEST_F(AlertWatchTest, OtherWordsAreNotAnotherAlert) {
  raise(kIndex, "run 1 cannot be read");
  EXPECT_EQ(told_within(seconds(2)), Told{"firing run 1 cannot be read"});
  for (int run = 2; run <= 100; ++run) {
    alerts.front().message = "run " + std::to_string(run) + " cannot be read";
    EXPECT_EQ(told_within(seconds(2)), Told{}) << alerts.front().message;
  }
  EXPECT_EQ(told_within(seconds(3500)), Told{"firing run 100 cannot be read"}) << "the newest";
  alerts.clear();
  EXPECT_EQ(told_within(seconds(70)), Told{"resolved run 100 cannot be read"});
}

TEST_F(AlertWatchTest, WhatComesAndGoesWithinAMinuteIsOneAlert) {
  raise(kIndex, "the index has a problem");
  EXPECT_EQ(told_within(seconds(2)), Told{"firing the index has a problem"});
  for (int i = 0; i < 20; ++i) {
    const std::vector<Alert> there = std::exchange(alerts, {});
    EXPECT_EQ(told_within(seconds(57)), Told{}) << "gone " << i;
    alerts = there;
    EXPECT_EQ(told_within(seconds(2)), Told{}) << "back " << i;
  }
}

TEST_F(AlertWatchTest, WhatLastsIsToldEachHourAgain) {
  raise(kIndex, "the index has a problem");
  EXPECT_EQ(told_within(seconds(2)), Told{"firing the index has a problem"});
  for (int hour = 0; hour < 3; ++hour) {
    EXPECT_EQ(told_within(seconds(3590)), Told{}) << hour;
    EXPECT_EQ(told_within(seconds(10)), Told{"firing the index has a problem"}) << hour;
  }
}

TEST_F(AlertWatchTest, WhatIsOverForAMinuteIsToldAndMayBeginAnew) {
  raise(kIndex, "the index has a problem");
  EXPECT_EQ(told_within(seconds(2)), Told{"firing the index has a problem"});
  const std::vector<Alert> there = std::exchange(alerts, {});
  EXPECT_EQ(told_within(seconds(57)), Told{});
  EXPECT_EQ(told_within(seconds(6)), Told{"resolved the index has a problem"});
  EXPECT_EQ(told_within(seconds(7200)), Told{}) << "it is over once";
  alerts = there;
  EXPECT_EQ(told_within(seconds(2)), Told{"firing the index has a problem"});
  EXPECT_EQ(recorded, (Told{"firing the index has a problem", "resolved the index has a problem",
                            "firing the index has a problem"}));
}

TEST_F(AlertWatchTest, WhatHoldsIsListedBeforeWhatIsOver) {
  const auto listed = [this] {
    Told lines;
    for (const AlertWatch::Entry& entry : watch.entries())
      lines.push_back((entry.ended ? "over: " : "") + entry.alert.message);
    return lines;
  };
  const cdp::Nanos began = clock.realtime();
  alerts.push_back({kIndex, "the index has a problem", Alert::Severity::kWarning});
  scheduler.run_for(seconds(2));
  raise({"volume-fenced", "2"}, "stock is fenced");
  scheduler.run_for(seconds(2));
  raise({"volume-fenced", "1"}, "shop is fenced");
  scheduler.run_for(seconds(2));
  EXPECT_EQ(listed(), (Told{"stock is fenced", "shop is fenced", "the index has a problem"}))
      << "the gravest first, and of these the oldest";
  EXPECT_LE(watch.entries().back().since - began, seconds(1));
  alerts.erase(alerts.begin());
  scheduler.run_for(seconds(70));
  alerts.erase(alerts.begin());
  scheduler.run_for(seconds(70));
  EXPECT_EQ(listed(),
            (Told{"shop is fenced", "over: stock is fenced", "over: the index has a problem"}))
      << "the newest of those that are over first";
  const AlertWatch::Entry over = watch.entries()[1];
  EXPECT_GE(*over.ended - over.since, seconds(60));
}

TEST_F(AlertWatchTest, OfThoseThatAreOverTheNewestAreListed) {
  constexpr int kMany = int{AlertWatch::kEndedMax} + 7;
  for (int i = 0; i < kMany; ++i) {
    raise({"volume-fenced", std::to_string(i)}, std::to_string(i));
    scheduler.run_for(seconds(2));
    alerts.clear();
  }
  scheduler.run_for(seconds(70));
  const std::vector<AlertWatch::Entry> entries = watch.entries();
  ASSERT_EQ(entries.size(), AlertWatch::kEndedMax);
  EXPECT_EQ(entries.front().alert.message, std::to_string(kMany - 1));
}

TEST_F(AlertWatchTest, AWebhookThatFailsIsTriedThreeTimesAndHoldsUpNothing) {
  failures = 2;
  raise(kIndex, "the index has a problem");
  EXPECT_EQ(told_within(seconds(4)), Told{});
  raise({"vault-full", ""}, "the vault is full");
  failures = 1;  // for the first one's second attempt, or the second one's first
  EXPECT_EQ(told_within(seconds(30)).size(), 2u);

  posted.clear();
  failures = 3;
  alerts.clear();
  raise({"volume-fenced", "1"}, "shop is fenced");
  EXPECT_EQ(told_within(seconds(40)), Told{});
  EXPECT_EQ(posted.size(), 3u) << "it is given up";
  EXPECT_EQ(told_within(seconds(30)).size(), 2u) << "what is over meanwhile is told";
}

TEST_F(AlertWatchTest, WhoeverWaitsForTheWebhookDoesNotKeepItFromStopping) {
  failures = 100;
  raise(kIndex, "the index has a problem");
  EXPECT_EQ(told_within(seconds(2)), Told{});
  const cdp::Nanos before = scheduler.now();
  scheduler.run(watch.stop());
  EXPECT_LT(scheduler.now() - before, seconds(1));
  EXPECT_EQ(told_within(seconds(100)), Told{});
}

TEST_F(AlertWatchTest, AJournalThatTakesNothingDoesNotKeepTheWebhookFromIt) {
  journal_takes = false;
  raise({"journal-fenced", ""}, "the journal is fenced");
  EXPECT_EQ(told_within(seconds(100)), Told{"firing the journal is fenced"});
}

TEST_F(AlertWatchTest, ATestIsToldAtOnceWithWhatCameOfIt) {
  EXPECT_TRUE(scheduler.run(watch.test("alice")).ok());
  EXPECT_EQ(told, Told{"test this is a test, asked for by alice"});
  failures = 1;
  EXPECT_EQ(scheduler.run(watch.test("alice")).error().message,
            "the webhook answered with HTTP status 500");
}

}  // namespace
}  // namespace tools
