// SPDX-License-Identifier: Apache-2.0
// NBD_OPT_STARTTLS in the negotiation, byte by byte; what is behind it is not TLS here (see
// fake_security.h), but something that can be told from bytes in clear.
#include "tests/unit/cdp/fake_security.h"
#include "tests/unit/cdp/nbd_wire.h"

namespace cdp::test {
namespace {

constexpr std::uint64_t kSeed = 7;
constexpr std::uint32_t kAck = 1, kServer = 2, kContext = 4;
constexpr std::uint32_t kUnsupported = 0x80000001, kInvalid = 0x80000003, kTlsRequired = 0x80000005,
                        kUnknown = 0x80000006;
constexpr std::uint32_t kExportName = 1, kAbort = 2, kList = 3, kStartTls = 5, kInfoOption = 6,
                        kGo = 7, kStructured = 8, kListContexts = 9, kSetContext = 10;

class NbdTls : public testing::Test {
 protected:
  NbdTls() {
    security.exports.all.push_back({{"mine", "the client's"}, world.device});
    security.refused = {"disk"};
  }

  void greet(nbd::TlsMode mode) {
    world.tls = {mode, &security};
    world.begin();
    EXPECT_EQ(world.take(), Bytes(Out{}.text("NBDMAGICIHAVEOPT").u16(3)));
    world.push(Out{}.u32(3));
  }
  void start_tls() {
    world.push(option(kStartTls, {}));
    ASSERT_EQ(world.take(), Bytes(option_reply(kStartTls, kAck)));
    world.push(Out{}.text("T"));
    ASSERT_EQ(world.take(), Bytes(Out{}.text("T")));
  }
  // An option in clear, or by the encrypted channel.
  Bytes ask(std::uint32_t number, const Bytes& data = {}) {
    world.push(option(number, data));
    return world.take();
  }
  Bytes ask_secretly(std::uint32_t number, const Bytes& data = {}) {
    world.push(turned(option(number, data)));
    return turned(world.take());
  }
  static std::uint32_t verdict_of(const Bytes& answer) {
    EXPECT_GE(answer.size(), 20u);
    return answer.size() < 20 ? 0 : load_be<std::uint32_t>(answer.data() + 12);
  }
  void expect_end() {
    world.settle();
    EXPECT_TRUE(world.ended);
    EXPECT_TRUE(world.connection->shut_down);
  }

  World world{kSeed};
  FakeSecurity security;
};

TEST_F(NbdTls, WhereItIsOffItIsUnsupportedWithAnyData) {
  greet(nbd::TlsMode::kOff);
  EXPECT_EQ(ask(kStartTls), Bytes(option_reply(kStartTls, kUnsupported)));
  EXPECT_EQ(ask(kStartTls, filled(100000, 1)), Bytes(option_reply(kStartTls, kUnsupported)));
  EXPECT_EQ(security.handshakes, 0u);
  EXPECT_EQ(verdict_of(ask(kList)), kServer);
}

TEST_F(NbdTls, WhereItIsOfferedAClientMayDoWithout) {
  greet(nbd::TlsMode::kOffered);
  EXPECT_EQ(ask(kExportName, Out{}.text("disk")).size(), 10u);
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
  EXPECT_EQ(world.session->peer(), "test");
}

TEST_F(NbdTls, WhereItIsOfferedAClientMayBeginIt) {
  greet(nbd::TlsMode::kOffered);
  EXPECT_EQ(verdict_of(ask(kInfoOption, info_data("disk"))), 3u);
  start_tls();
  EXPECT_EQ(verdict_of(ask_secretly(kGo, info_data("mine"))), 3u);
  EXPECT_EQ(world.session->peer(), "test,client=web1");
  EXPECT_EQ(world.session->export_name(), "mine");
}

TEST_F(NbdTls, WhereItIsRequiredNothingElseIsAnswered) {
  greet(nbd::TlsMode::kRequired);
  for (const std::uint32_t number : {kList, kInfoOption, kGo, kStructured, kListContexts,
                                     kSetContext, 4u, 11u, 77u, 0xfffffff0u}) {
    EXPECT_EQ(verdict_of(ask(number, info_data("disk"))), kTlsRequired) << number;
    EXPECT_EQ(verdict_of(ask(number)), kTlsRequired) << number;
    EXPECT_EQ(verdict_of(ask(number, filled(100000, 1))), kTlsRequired) << number;
  }
  EXPECT_EQ(world.exports.lookups, 0u);
  start_tls();
  EXPECT_EQ(verdict_of(ask_secretly(kList)), kServer);
}

TEST_F(NbdTls, WhereItIsRequiredAbortIsStillAnOrderlyEnd) {
  greet(nbd::TlsMode::kRequired);
  EXPECT_EQ(ask(kAbort), Bytes(option_reply(kAbort, kAck)));
  expect_end();
}

TEST_F(NbdTls, WhereItIsRequiredExportNameEndsTheConnection) {
  greet(nbd::TlsMode::kRequired);
  EXPECT_TRUE(ask(kExportName, Out{}.text("disk")).empty());
  expect_end();
  EXPECT_EQ(world.exports.lookups, 0u);
}

TEST_F(NbdTls, DataWithItIsInvalidAndItMayComeAgain) {
  greet(nbd::TlsMode::kRequired);
  EXPECT_EQ(ask(kStartTls, Out{}.text("x")), Bytes(option_reply(kStartTls, kInvalid)));
  EXPECT_EQ(ask(kStartTls, filled(100000, 1)), Bytes(option_reply(kStartTls, kInvalid)));
  start_tls();
}

TEST_F(NbdTls, ASecondTimeItIsInvalid) {
  greet(nbd::TlsMode::kRequired);
  start_tls();
  EXPECT_EQ(ask_secretly(kStartTls), Bytes(option_reply(kStartTls, kInvalid)));
  EXPECT_EQ(security.handshakes, 1u);
  EXPECT_EQ(verdict_of(ask_secretly(kList)), kServer);
}

// Somebody in between adds what the client is to have said by TLS.
TEST_F(NbdTls, WhatComesInClearBehindItEndsTheConnection) {
  for (const Bytes& injected :
       {Bytes(Out{}.text("T")), Bytes(option(kList, {})), Bytes(Out{}.zeroes(1)),
        Bytes(Out{}.text("T").add(turned(option(kList, {})))), filled(200000, 0)}) {
    World other{kSeed};
    other.tls = {nbd::TlsMode::kRequired, &security};
    other.begin();
    other.push(Out{}.u32(3).add(option(kStartTls, {})).add(injected));
    EXPECT_EQ(other.take(), Bytes(Out{}.text("NBDMAGICIHAVEOPT").u16(3)));
    EXPECT_TRUE(other.ended);
  }
  EXPECT_EQ(security.handshakes, 0u);
}

TEST_F(NbdTls, WhatComesInClearLaterIsTheHandshakesToRefuse) {
  greet(nbd::TlsMode::kRequired);
  EXPECT_EQ(ask(kStartTls), Bytes(option_reply(kStartTls, kAck)));
  EXPECT_TRUE(ask(kList).empty());
  expect_end();
}

TEST_F(NbdTls, WhatWasAgreedOnInClearHoldsNoMore) {
  world.exports.all.push_back({{"mine", "another of that name"}, world.device});
  greet(nbd::TlsMode::kOffered);
  EXPECT_EQ(verdict_of(ask(kStructured)), kAck);
  EXPECT_EQ(verdict_of(ask(kSetContext, context_data("mine", {"base:allocation"}))), kContext);
  EXPECT_EQ(verdict_of(ask(kInfoOption, info_data("mine"))), 3u);
  start_tls();
  EXPECT_EQ(verdict_of(ask_secretly(kListContexts, context_data("mine", {}))), kInvalid)
      << "structured replies";
  const Bytes answer = ask_secretly(kGo, info_data("mine"));
  ASSERT_GE(answer.size(), 32u);
  EXPECT_EQ(load_be<std::uint16_t>(answer.data() + 30) & 0x80, 0) << "no DF";
  EXPECT_EQ(security.exports.lookups, 1u) << "the export is looked up again, as this client's";
  world.push(turned(request(kStatus, 1, 0, 4096)));
  const Bytes status = turned(world.take());
  ASSERT_EQ(status.size(), 16u) << "a simple reply";
  EXPECT_EQ(load_be<std::uint32_t>(status.data()), 0x67446698u);
  EXPECT_EQ(load_be<std::uint32_t>(status.data() + 4), 22u) << "no context";
}

TEST_F(NbdTls, WhatIsNotForTheClientIsAnsweredLikeWhatIsNotThere) {
  greet(nbd::TlsMode::kRequired);
  start_tls();
  EXPECT_EQ(
      ask_secretly(kList),
      Bytes(Out{}
                .add(option_reply(kList, kServer, Out{}.u32(4).text("mine").text("the client's")))
                .add(option_reply(kList, kAck))));
  EXPECT_EQ(ask_secretly(kStructured), Bytes(option_reply(kStructured, kAck)));
  security.refused = {"here"};
  for (const std::uint32_t number : {kInfoOption, kGo, kListContexts, kSetContext}) {
    const bool is_info = number < kStructured;
    const Bytes refused = ask_secretly(
        number, is_info ? info_data("here") : context_data("here", {"base:allocation"}));
    EXPECT_EQ(verdict_of(refused), kUnknown);
    security.refused = {};
    EXPECT_EQ(refused, ask_secretly(number, is_info ? info_data("here")
                                                    : context_data("here", {"base:allocation"})));
    security.refused = {"here"};
  }
  EXPECT_TRUE(ask_secretly(kExportName, Out{}.text("here")).empty());
  expect_end();
}

TEST_F(NbdTls, AFailedHandshakeEndsTheConnection) {
  greet(nbd::TlsMode::kOffered);
  EXPECT_EQ(ask(kStartTls), Bytes(option_reply(kStartTls, kAck)));
  world.push(Out{}.text("?"));
  expect_end();
  EXPECT_EQ(world.session->device(), nullptr);
}

TEST_F(NbdTls, AnEndWithinTheHandshakeEndsTheConnection) {
  greet(nbd::TlsMode::kRequired);
  EXPECT_EQ(ask(kStartTls), Bytes(option_reply(kStartTls, kAck)));
  world.connection->end_input();
  expect_end();
}

TEST_F(NbdTls, TheDeadlineOfTheNegotiationHoldsForItToo) {
  greet(nbd::TlsMode::kRequired);
  world.scheduler.run_for(seconds(8));
  EXPECT_EQ(ask(kStartTls), Bytes(option_reply(kStartTls, kAck)));
  EXPECT_FALSE(world.ended);
  world.scheduler.run_for(seconds(2));
  expect_end();
}

}  // namespace
}  // namespace cdp::test
