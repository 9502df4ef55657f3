// SPDX-License-Identifier: Apache-2.0
//
// Users, tokens and audits: records like the others, so that they are there after every restart and
// at every point, and nobody can take them back.
#include <gtest/gtest.h>

#include <algorithm>

#include "journal/built_frame.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

constexpr Nanos kNever{INT64_MAX};

Digest digest_of(std::uint64_t token) { return sha256(std::as_bytes(std::span(&token, 1))); }

class UsersWorld : public JournalWorld {
 public:
  using JournalWorld::JournalWorld;

  Status user(const std::string& name, const std::string& verifier = "$argon2id$",
              bool is_removed = false) {
    UserRecord record{.stamp = sequencer->next(), .name = name, .verifier = verifier};
    record.rights = 6;
    record.is_removed = is_removed;
    return journal->record_user(record);
  }
  Status token(std::uint64_t number, const std::string& of, Nanos expires = kNever,
               bool is_revoked = false) {
    TokenRecord record{.stamp = sequencer->next(), .digest = digest_of(number), .user = of};
    record.label = fmt::format("token {}", number);
    record.rights = 2;
    record.expires = expires;
    record.is_revoked = is_revoked;
    return journal->record_token(record);
  }
  Status audit(const std::string& detail) {
    AuditRecord record{.stamp = sequencer->next(), .status = 204, .actor = "ops"};
    record.origin = "10.0.0.7";
    record.act = "rollBack";
    record.detail = detail;
    return journal->record_audit(record);
  }
  bool has_token(std::uint64_t number) const {
    return journal->state().tokens.contains(digest_of(number));
  }
};

int code_of(const Status& status) { return status.ok() ? 0 : status.error().code; }

// Rule 7: a start reads the newest segment alone.
TEST(Rule7, UsersAndTokensSurviveARollOverACrashAndAnOpenOfTheNewestSegmentAlone) {
  UsersWorld world(21);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db", 4096 * 1000);
  ASSERT_TRUE(world.user("ops").ok());
  const Lsn early = world.sequencer->last();
  ASSERT_TRUE(world.user("dba@site").ok());
  ASSERT_TRUE(world.token(1, "ops").ok());
  ASSERT_TRUE(world.token(2, "dba@site").ok());
  ASSERT_TRUE(world.token(3, "ops").ok());
  ASSERT_TRUE(world.token(3, "ops", kNever, true).ok());
  ASSERT_TRUE(world.user("ops", "$another$").ok());
  ASSERT_TRUE(world.user("gone").ok());
  ASSERT_TRUE(world.user("gone", "", true).ok());
  const JournalState expected = world.journal->state();
  EXPECT_EQ(expected.users.size(), 3u);
  EXPECT_EQ(expected.tokens.size(), 2u);
  const auto expect_there = [&](const JournalState& state, const char* when) {
    EXPECT_EQ(state.users, expected.users) << when;
    EXPECT_EQ(state.tokens, expected.tokens) << when;
  };
  const std::uint32_t before = world.journal->health().segment;
  while (world.journal->health().segment < before + 2) world.random_step({db});
  ASSERT_TRUE(world.flush().ok());
  expect_there(world.journal->durable_state(), "what is durable");
  const Lsn last = world.sequencer->last();
  world.crash_and_reboot(1);
  ASSERT_TRUE(world.open().ok());
  expect_there(world.journal->state(), "after a crash");
  ASSERT_TRUE(world.close().ok());
  const auto read = world.scheduler.run(world.reader()->state_at(last));
  ASSERT_TRUE(read.ok());
  expect_there(*read, "read from the segments");
  const auto newest =
      world.scheduler.run(newest_state(world.scheduler, *world.segments, world.vault));
  ASSERT_TRUE(newest.ok());
  expect_there(*newest, "read from the newest segment");
  ASSERT_TRUE(world.open().ok());
  expect_there(world.journal->state(), "after a clean restart");
  const auto then = world.scheduler.run(world.reader()->state_at(early));
  ASSERT_TRUE(then.ok());
  EXPECT_EQ(then->users.size(), 1u);
  EXPECT_EQ(then->users.at("ops").verifier, "$argon2id$");
  EXPECT_TRUE(then->tokens.empty());
  ASSERT_TRUE(world.close().ok());
  EXPECT_TRUE(world.verify_all(true).problems.empty());
}

TEST(Journal, AnExpiredTokenIsDroppedWhenTheNextIsRecorded) {
  UsersWorld world(22);
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.user("ops").ok());
  const Nanos now = world.clock.realtime();
  ASSERT_TRUE(world.token(1, "ops", now + cdp::seconds(10)).ok());
  ASSERT_TRUE(world.token(2, "ops", now + cdp::seconds(1000)).ok());
  EXPECT_EQ(code_of(world.token(3, "ops", now - cdp::seconds(1))), EINVAL);
  world.clock.step(cdp::seconds(20));
  EXPECT_TRUE(world.has_token(1)) << "the state changes by records alone";
  ASSERT_TRUE(world.token(3, "ops").ok());
  EXPECT_FALSE(world.has_token(1));
  EXPECT_TRUE(world.has_token(2));
  EXPECT_TRUE(world.has_token(3));
  const JournalState expected = world.journal->state();
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  EXPECT_EQ(world.journal->state().tokens, expected.tokens);
}

TEST(Journal, ARemovedUserLosesTheTokensAndKeepsTheName) {
  UsersWorld world(23);
  ASSERT_TRUE(world.open().ok());
  EXPECT_TRUE(world.journal->state().users.empty());
  ASSERT_TRUE(world.user("ops").ok());
  ASSERT_TRUE(world.user("dba").ok());
  for (const std::uint64_t number : std::initializer_list<std::uint64_t>{1, 2})
    ASSERT_TRUE(world.token(number, "ops").ok());
  ASSERT_TRUE(world.token(3, "dba").ok());
  ASSERT_TRUE(world.user("ops", "", true).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(world.journal->state().tokens.size(), 1u);
    EXPECT_TRUE(world.has_token(3));
    EXPECT_TRUE(world.journal->state().users.at("ops").is_removed);
    EXPECT_EQ(world.journal->state().find_user("ops"), nullptr);
    EXPECT_NE(world.journal->state().find_user("dba"), nullptr);
    EXPECT_EQ(code_of(world.user("ops")), EEXIST);
    EXPECT_EQ(code_of(world.user("ops", "", true)), ENOENT);
    EXPECT_EQ(code_of(world.token(4, "ops")), ENOENT);
    ASSERT_TRUE(world.close().ok());
    ASSERT_TRUE(world.open().ok());
  }
}

TEST(Journal, UsersAndTokensThatCannotBeAreRefused) {
  UsersWorld world(24);
  ASSERT_TRUE(world.open().ok());
  for (const std::string& name : {std::string(), std::string("-a"), std::string("a b"),
                                  std::string("\xc3\xa9"), std::string(65, 'a')}) {
    EXPECT_EQ(code_of(world.user(name)), EINVAL) << name;
    EXPECT_FALSE(check_user_name(name).ok());
  }
  EXPECT_EQ(code_of(world.user("ops", std::string(129, 'x'))), EINVAL);
  EXPECT_EQ(code_of(world.user("ops", "a\nb")), EINVAL);
  EXPECT_EQ(code_of(world.user("ops", "", true)), ENOENT);
  EXPECT_EQ(code_of(world.token(1, "ops")), ENOENT);
  EXPECT_TRUE(world.journal->state().users.empty());
  ASSERT_TRUE(world.user("ops").ok());
  ASSERT_TRUE(world.user("dba", "").ok()) << "without a password";
  EXPECT_EQ(code_of(world.token(1, "ops", kNever, true)), ENOENT);
  ASSERT_TRUE(world.token(1, "ops").ok());
  EXPECT_TRUE(world.token(1, "ops", kNever - cdp::seconds(1)).ok()) << "as it is from here on";
  EXPECT_EQ(code_of(world.token(1, "dba")), EEXIST);
  EXPECT_EQ(code_of(world.token(1, "dba", kNever, true)), ENOENT);
  EXPECT_TRUE(world.has_token(1));
  for (const std::string& label :
       {std::string(), std::string(129, 'x'), std::string("a\tb"), std::string("\xff")}) {
    TokenRecord token{.stamp = world.sequencer->next(), .user = "ops", .label = label};
    token.expires = kNever;
    EXPECT_EQ(code_of(world.journal->record_token(token)), EINVAL) << label;
  }
  EXPECT_EQ(world.journal->state().tokens.size(), 1u);
  AuditRecord audit{.stamp = world.sequencer->next(), .act = "a"};
  EXPECT_TRUE(world.journal->record_audit(audit).ok());
  for (std::string AuditRecord::* text :
       {&AuditRecord::actor, &AuditRecord::origin, &AuditRecord::act, &AuditRecord::detail}) {
    for (const std::string& bad :
         {std::string(2049, 'x'), std::string("a\x1b"), std::string("\xc3")}) {
      AuditRecord of = audit;
      of.*text = bad;
      EXPECT_EQ(code_of(world.journal->record_audit(of)), EINVAL) << bad;
    }
  }
  audit.act.clear();
  EXPECT_EQ(code_of(world.journal->record_audit(audit)), EINVAL);
}

TEST(Journal, AnAuditIsInHistoryAndInNoState) {
  UsersWorld world(25);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db", 4096 * 1000);
  const std::uint64_t opening = opening_bytes_bound(world.journal->state());
  std::vector<std::string> details;
  while (world.journal->health().segment < 3) {
    details.push_back(fmt::format("{} {}", details.size(), std::string(1500, 'x')));
    ASSERT_TRUE(world.audit(details.back()).ok());
    for (int i = 0; i < 3; ++i) world.random_step({db});
    ASSERT_TRUE(world.flush().ok());
  }
  EXPECT_EQ(opening_bytes_bound(world.journal->state()), opening);
  world.crash_and_reboot(3);
  ASSERT_TRUE(world.open().ok());
  const Collector found = world.collect();
  ASSERT_EQ(found.audits.size(), details.size());
  for (std::size_t i = 0; i < details.size(); ++i) {
    EXPECT_EQ(found.audits[i].detail, details[i]);
    EXPECT_EQ(found.audits[i].status, 204u);
    EXPECT_EQ(found.audits[i].actor, "ops");
    EXPECT_EQ(found.audits[i].origin, "10.0.0.7");
    EXPECT_EQ(found.audits[i].act, "rollBack");
  }
  ASSERT_TRUE(world.close().ok());
  EXPECT_TRUE(world.verify_all(true).problems.empty());
}

// As many as there may be, with the longest texts: the opening is within its bound, and there is no
// room for one more, but to change and to take away there is.
TEST(Journal, AsManyUsersAndTokensAsThereMayBeFitIntoAnOpening) {
  JournalOptions options = small_options();
  options.segment_bytes = 64u << 20;
  UsersWorld world(26, options);
  ASSERT_TRUE(world.open().ok());
  const auto name_of = [](std::size_t i) { return fmt::format("user-{:059}", i); };
  const std::string verifier(kVerifierBytesMax, 'v');
  for (std::size_t i = 0; i < kUsersMax; ++i) {
    const Status added = world.user(name_of(i), i % 2 == 0 ? verifier : "");
    ASSERT_TRUE(added.ok()) << added.error().message;
    if (i % 64 == 0) {
      ASSERT_TRUE(world.flush().ok());
    }
  }
  EXPECT_EQ(code_of(world.user("one-more")), ENOSPC);
  const std::uint64_t bound = opening_bytes_bound(world.journal->state());
  EXPECT_TRUE(world.user(name_of(1), verifier).ok());
  EXPECT_TRUE(world.user(name_of(7), "", true).ok());
  EXPECT_EQ(code_of(world.user("one-more")), ENOSPC) << "names stay taken";
  EXPECT_EQ(opening_bytes_bound(world.journal->state()), bound);

  // The rest of them beside the journal: what matters is the size.
  JournalState state = world.journal->state();
  for (std::uint64_t i = 0; i < kTokensMax; ++i) {
    TokenRecord token{.stamp = {{i + 10'000}, {}}, .digest = digest_of(i), .user = name_of(0)};
    token.label = std::string(kTokenLabelBytesMax, 'l');
    token.expires = kNever;
    state.tokens[token.digest] = token;
  }
  const SegmentHeader header{.segment = 2, .epoch = 1, .first_sequence = 5};
  const SegmentOpening built = build_opening(header, state, world.vault);
  EXPECT_LE(built.bytes, opening_bytes_bound(state));
  EXPECT_GT(built.bytes, 5u << 20);

  const JournalState expected = world.journal->state();
  ASSERT_TRUE(world.flush().ok());
  world.crash_and_reboot(5);
  ASSERT_TRUE(world.open().ok());
  EXPECT_EQ(world.journal->state().users, expected.users);
  EXPECT_EQ(world.journal->state().users.size(), kUsersMax);
}

// Small segments: their quarter is full long before. Then a user can still be removed, a token
// revoked, and an act recorded.
TEST(Journal, AStateThatIsFullTakesWhatDoesNotGrowIt) {
  UsersWorld world(27);
  ASSERT_TRUE(world.open().ok());
  Status added;
  std::uint64_t tokens = 0;
  ASSERT_TRUE(world.user("ops").ok());
  ASSERT_TRUE(world.user("dba", "").ok());
  while (added.ok() && tokens < kTokensMax) {
    added = world.token(tokens, "ops");
    if (added.ok()) ++tokens;
    ASSERT_TRUE(world.flush().ok());
  }
  ASSERT_EQ(code_of(added), ENOSPC);
  EXPECT_NE(added.error().message.find("users and tokens"), std::string::npos);
  EXPECT_TRUE(world.audit("of what was refused").ok());
  EXPECT_TRUE(world.user("dba", "$argon2id$").ok());
  EXPECT_TRUE(world.token(0, "ops", kNever, true).ok());
  EXPECT_TRUE(world.user("ops", "", true).ok());
  EXPECT_TRUE(world.journal->state().tokens.empty());
  EXPECT_TRUE(world.user("next").ok());
  ASSERT_TRUE(world.close().ok());
}

// What the journal keeps for gaps and for its next start, audits do not take.
TEST(Rule14, AuditsLeaveTheReserveOfAFullVault) {
  UsersWorld world(28);
  ASSERT_TRUE(world.open().ok());
  const VolumeId db = world.create_volume("db");
  world.store->set_capacity(1);
  Status recorded;
  for (int i = 0; recorded.ok() && i < 100'000; ++i) {
    recorded = world.audit(std::string(2000, 'x'));
    ASSERT_TRUE(world.flush().ok());
  }
  EXPECT_EQ(code_of(recorded), ENOSPC);
  EXPECT_TRUE(world.journal->record_gap(db, world.sequencer->next(), "full").ok());
  EXPECT_TRUE(world.flush().ok());
}

}  // namespace
}  // namespace journal
