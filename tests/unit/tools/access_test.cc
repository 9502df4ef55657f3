// SPDX-License-Identifier: Apache-2.0
//
// What decides who may do what, and for how long; without a daemon. The whole of it, over HTTPS, is
// in tests/system/sign_in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdp/io/reactor.h"
#include "tests/sim/sim_scheduler.h"
#include "tools/daemon/access/password_hasher.h"
#include "tools/daemon/access/rights.h"
#include "tools/daemon/access/sessions.h"
#include "tools/daemon/access/sign_in_limits.h"

namespace tools {
namespace {

using cdp::Nanos;
using cdp::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

// A clock that goes on when it is told to.
class SetClock final : public cdp::Clock {
 public:
  Nanos realtime() const override { return now + seconds(1'582'455'360); }
  Nanos boottime() const override { return now; }
  Nanos now = seconds(100'000);
};

// --- Rights -------------------------------------------------------------------------------------

TEST(Rights, OfEachRoleAreItsOwn) {
  EXPECT_EQ(rights_of(Roles::kNone), Rights::kNone);
  EXPECT_EQ(rights_of(Roles::kViewer), Rights::kSee);
  EXPECT_EQ(rights_of(Roles::kOperator), Rights::kSee | Rights::kOperate);
  EXPECT_EQ(rights_of(Roles::kRestorer), Rights::kSee | Rights::kRestore);
  EXPECT_EQ(rights_of(Roles::kAdmin), Rights::kSee | Rights::kSeeAudit | Rights::kAdminister);
  EXPECT_EQ(rights_of(Roles::kSeesData), Rights::kSeeData);
  EXPECT_EQ(rights_of(Roles{~31u}), Rights::kNone) << "a newer program's bits";
}

TEST(Rights, AreCalledByTheNamesOfRoles) {
  EXPECT_EQ(*parse_roles({"viewer", "restorer"}), Roles::kViewer | Roles::kRestorer);
  EXPECT_THAT(names_of(Roles::kAdmin | Roles::kOperator | Roles::kSeesData),
              ElementsAre("operator", "admin"));
  EXPECT_EQ(parse_roles({"viewer", "root"}).error().code, EINVAL);
  EXPECT_EQ(parse_roles({""}).error().code, EINVAL) << "leave to see data is no role";
}

TEST(Rights, DecideAlone) {
  EXPECT_EQ(decide({}, Rights::kNone).error().code, EKEYREJECTED);
  Principal who{.kind = Principal::Kind::kToken, .name = "anna", .rights = Rights::kSee};
  EXPECT_TRUE(decide(who, Rights::kNone).ok());
  EXPECT_TRUE(decide(who, Rights::kSee).ok());
  const cdp::Status refused = decide(who, Rights::kRestore | Rights::kSeeData);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EPERM);
  EXPECT_THAT(refused.error().message, HasSubstr("anna may not do this"));
  EXPECT_THAT(refused.error().message, HasSubstr("sees_data"));
  EXPECT_THAT(refused.error().message, HasSubstr("the role restorer"));
  who.rights = who.rights | Rights::kRestore;
  EXPECT_FALSE(decide(who, Rights::kRestore | Rights::kSeeData).ok()) << "one of two is not both";
  who.kind = Principal::Kind::kNobody;
  EXPECT_FALSE(decide(who, Rights::kSee).ok()) << "nobody has no rights, whatever he carries";
}

// --- Sessions -----------------------------------------------------------------------------------

TEST(Sessions, AreKnownByTheirSecretAlone) {
  SetClock clock;
  Sessions sessions{clock};
  const std::string one = sessions.begin("anna");
  const std::string other = sessions.begin("anna");
  EXPECT_NE(one, other);
  EXPECT_GE(one.size(), 43u) << "256 bits";
  ASSERT_NE(sessions.find(one), nullptr);
  EXPECT_EQ(sessions.find(one)->user, "anna");
  EXPECT_NE(sessions.find(one)->csrf_token, sessions.find(other)->csrf_token);
  EXPECT_EQ(sessions.find(""), nullptr);
  EXPECT_EQ(sessions.find(one.substr(1)), nullptr);
  sessions.end(one);
  EXPECT_EQ(sessions.find(one), nullptr);
  EXPECT_NE(sessions.find(other), nullptr);
}

TEST(Sessions, EndWhenTheyAreIdleAndAfterTwelveHours) {
  SetClock clock;
  Sessions sessions{clock};
  const std::string idle = sessions.begin("anna");
  const std::string busy = sessions.begin("anna");
  for (int minute = 0; minute < 29; ++minute) clock.now = clock.now + seconds(60);
  EXPECT_NE(sessions.find(busy), nullptr);
  clock.now = clock.now + seconds(60);
  EXPECT_EQ(sessions.find(idle), nullptr);
  int quarters = 2;
  while (sessions.find(busy) != nullptr) {
    clock.now = clock.now + seconds(15 * 60);
    ASSERT_LE(++quarters, 48);
  }
  EXPECT_EQ(quarters, 48) << "twelve hours";
}

TEST(Sessions, OfAUserEndTogether) {
  SetClock clock;
  Sessions sessions{clock};
  const std::string one = sessions.begin("anna");
  const std::string two = sessions.begin("anna");
  const std::string other = sessions.begin("berta");
  sessions.end_all_of("anna");
  EXPECT_EQ(sessions.find(one), nullptr);
  EXPECT_EQ(sessions.find(two), nullptr);
  EXPECT_NE(sessions.find(other), nullptr);
}

TEST(Sessions, AreBoundedAndTheIdlestMakesRoom) {
  SetClock clock;
  Sessions sessions{clock};
  const std::string other = sessions.begin("berta");
  const std::string first = sessions.begin("anna");
  clock.now = clock.now + seconds(1);
  const std::string second = sessions.begin("anna");
  clock.now = clock.now + seconds(1);
  EXPECT_NE(sessions.find(first), nullptr);  // used, so the second is idlest
  for (int i = 2; i < 33; ++i) (void)sessions.begin("anna");
  EXPECT_EQ(sessions.size(), 33u);
  EXPECT_EQ(sessions.find(second), nullptr);
  EXPECT_NE(sessions.find(first), nullptr);
  EXPECT_NE(sessions.find(other), nullptr) << "anna's do not end berta's";
}

// --- Limits -------------------------------------------------------------------------------------

TEST(SignInLimits, MakeTheSixthGuessWait) {
  SetClock clock;
  SignInLimits limits{clock};
  for (int guess = 0; guess < 5; ++guess) {
    EXPECT_EQ(limits.wait("anna", "192.0.2.1"), Nanos{}) << guess;
    limits.begin("anna", "192.0.2.1");
  }
  EXPECT_EQ(limits.wait("anna", "192.0.2.1"), seconds(1));
  EXPECT_EQ(limits.wait("anna", "192.0.2.2"), seconds(1)) << "from wherever";
  EXPECT_EQ(limits.wait("berta", "192.0.2.1"), Nanos{});
  clock.now = clock.now + seconds(1);
  EXPECT_EQ(limits.wait("anna", "192.0.2.1"), Nanos{});
  limits.begin("anna", "192.0.2.1");
  EXPECT_EQ(limits.wait("anna", "192.0.2.1"), seconds(2));
}

TEST(SignInLimits, LetADayHaveAHundredGuesses) {
  SetClock clock;
  SignInLimits limits{clock};
  const Nanos end = clock.now + seconds(24 * 3600);
  int guesses = 0;
  while (clock.now < end) {
    const Nanos wait = limits.wait("anna", "");
    if (wait.value > 0) {
      clock.now = clock.now + wait;
      continue;
    }
    limits.begin("anna", "");
    ++guesses;
  }
  EXPECT_LT(guesses, 120);
  EXPECT_GT(guesses, 80) << "who mistypes is not locked out for good";
}

TEST(SignInLimits, EndForTheNameWithTheRightPassword) {
  SetClock clock;
  SignInLimits limits{clock};
  for (int guess = 0; guess < 7; ++guess) limits.begin("anna", "192.0.2.1");
  limits.succeeded("anna", "192.0.2.1");
  EXPECT_EQ(limits.wait("anna", "192.0.2.1"), Nanos{});
  for (int guess = 0; guess < 4; ++guess) limits.begin("anna", "192.0.2.1");
  EXPECT_EQ(limits.wait("anna", "192.0.2.1"), Nanos{}) << "counted from the start";
}

TEST(SignInLimits, HoldOneAddressThatTriesManyNames) {
  SetClock clock;
  SignInLimits limits{clock};
  for (int guess = 0; guess < 20; ++guess) {
    const std::string name = "user" + std::to_string(guess);
    EXPECT_EQ(limits.wait(name, "192.0.2.1"), Nanos{});
    limits.begin(name, "192.0.2.1");
  }
  EXPECT_EQ(limits.wait("another", "192.0.2.1"), seconds(1));
  EXPECT_EQ(limits.wait("another", "192.0.2.2"), Nanos{});
}

TEST(SignInLimits, RememberSoManyAndNoMore) {
  SetClock clock;
  SignInLimits limits{clock};
  for (int guess = 0; guess < 6; ++guess) limits.begin("anna", "");
  for (std::size_t other = 0; other + 1 < SignInLimits::kRememberedMax; ++other) {
    limits.begin("user" + std::to_string(other), "");
  }
  EXPECT_GT(limits.wait("anna", ""), Nanos{});
  clock.now = clock.now + Nanos{1};
  limits.begin("anna", "");  // whose last attempt is the newest now
  limits.begin("one more", "");
  EXPECT_GT(limits.wait("anna", ""), Nanos{}) << "who tried longest ago is forgotten";
}

// --- Passwords ----------------------------------------------------------------------------------

TEST(Passwords, ThatAnybodyGuessesAreRefused) {
  EXPECT_TRUE(check_new_password("correct horse battery", "anna").ok());
  for (const char* bad : {"", "short", "elevenbytes", "aaaaaaaaaaaaaaaa", "xx-anna-xx-anna",
                          "twelve bytes\xff", "\xc3\xa9t\xc3\xa9"}) {
    EXPECT_EQ(check_new_password(bad, "anna").error().code, EINVAL) << bad;
  }
  EXPECT_FALSE(check_new_password(std::string(1025, 'x') + "y", "anna").ok());
  EXPECT_FALSE(check_new_password(std::string("twelve\0bytes", 12), "anna").ok());
}

TEST(Passwords, FitTheirVerifiersAndNoOthers) {
  cdp::Reactor reactor{{}};
  PasswordHasher hasher{reactor};
  reactor.run([](PasswordHasher& of) -> cdp::Task<void> {
    const auto one = co_await of.hash("correct horse battery");
    const auto two = co_await of.hash("correct horse battery");
    EXPECT_TRUE(one.ok() && two.ok());
    EXPECT_TRUE(one->starts_with("$argon2id$v=19$m=65536,t=3,p=1$")) << *one;
    EXPECT_NE(*one, *two) << "each has a salt of its own";
    EXPECT_TRUE(*(co_await of.fits(*one, "correct horse battery")));
    EXPECT_FALSE(*(co_await of.fits(*one, "correct horse batterz")));
    EXPECT_FALSE(*(co_await of.fits("", "correct horse battery")));
    EXPECT_FALSE(*(co_await of.fits("not a verifier", "correct horse battery")));
  }(hasher));
}

TEST(Passwords, AreRefusedWhereTooManyWait) {
  cdp::Reactor reactor{{}};
  PasswordHasher hasher{reactor};
  int taken = 0;
  int refused = 0;
  reactor.run([](cdp::Reactor& on, PasswordHasher& of, int& t, int& r) -> cdp::Task<void> {
    cdp::TaskGroup group{on};
    for (int i = 0; i < 20; ++i) {
      group.spawn([](PasswordHasher& by, int& took, int& refusals) -> cdp::Task<void> {
        const auto fits = co_await by.fits("", "correct horse battery");
        if (fits.ok())
          ++took;
        else
          refusals += fits.error().code == EDQUOT ? 1 : 0;
      }(of, t, r));
    }
    co_await group.join();
  }(reactor, hasher, taken, refused));
  EXPECT_EQ(taken, 16);
  EXPECT_EQ(refused, 4);
}

}  // namespace
}  // namespace tools
