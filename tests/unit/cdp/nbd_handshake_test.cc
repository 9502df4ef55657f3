// SPDX-License-Identifier: Apache-2.0
// The negotiation, byte by byte.
#include "tests/unit/cdp/nbd_wire.h"

namespace cdp::test {
namespace {

constexpr std::uint64_t kSeed = 7;
constexpr std::uint32_t kAck = 1, kServer = 2, kInfo = 3, kContext = 4;
constexpr std::uint32_t kUnsupported = 0x80000001, kInvalid = 0x80000003, kUnknown = 0x80000006,
                        kTooBig = 0x80000009;
constexpr std::uint16_t kFlagsWritable = 0xd6d;  // all but READ_ONLY, ROTATIONAL, DF, RESIZE

// The first option reply in `bytes`, which are cut by it.
struct OptionReply {
  std::uint32_t option = 0;
  std::uint32_t type = 0;
  Bytes data;
};
OptionReply next_reply(Bytes& bytes) {
  OptionReply reply;
  EXPECT_GE(bytes.size(), 20u);
  if (bytes.size() < 20) return reply;
  EXPECT_EQ(load_be<std::uint64_t>(bytes.data()), 0x3e889045565a9u);
  reply.option = load_be<std::uint32_t>(bytes.data() + 8);
  reply.type = load_be<std::uint32_t>(bytes.data() + 12);
  const auto length = load_be<std::uint32_t>(bytes.data() + 16);
  EXPECT_GE(bytes.size(), 20 + length);
  reply.data.assign(bytes.begin() + 20, bytes.begin() + 20 + length);
  bytes.erase(bytes.begin(), bytes.begin() + 20 + length);
  return reply;
}

class NbdHandshake : public testing::Test {
 protected:
  // Greets; `flags` are the client's.
  void greet(std::uint32_t flags = 3) {
    world.begin();
    EXPECT_EQ(world.take(), Bytes(Out{}.text("NBDMAGICIHAVEOPT").u16(3)));
    world.push(Out{}.u32(flags));
  }
  Bytes ask(std::uint32_t number, const Bytes& data = {}) {
    world.push(option(number, data));
    return world.take();
  }
  // The type of the only reply to an option.
  std::uint32_t verdict(std::uint32_t number, const Bytes& data = {}) {
    Bytes answer = ask(number, data);
    const OptionReply reply = next_reply(answer);
    EXPECT_EQ(reply.option, number);
    EXPECT_TRUE(answer.empty());
    return reply.type;
  }
  Bytes export_info(std::uint16_t flags) {
    return Out{}.u16(0).u64(World::kDefaultSize).u16(flags);
  }

  World world{kSeed};
};

TEST_F(NbdHandshake, ExportNameEntersTransmissionWithPadding) {
  greet(1);
  EXPECT_EQ(ask(1, Out{}.text("disk")),
            Bytes(Out{}.u64(World::kDefaultSize).u16(kFlagsWritable).zeroes(124)));
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
}

TEST_F(NbdHandshake, ExportNameEntersTransmissionWithoutPaddingIfAgreed) {
  greet(3);
  EXPECT_EQ(ask(1, Out{}.text("disk")), Bytes(Out{}.u64(World::kDefaultSize).u16(kFlagsWritable)));
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
}

TEST_F(NbdHandshake, ExportNameThatIsNotThereEndsTheConnection) {
  greet();
  EXPECT_TRUE(ask(1, Out{}.text("nothing")).empty());
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, ExportNameOfAnyLengthIsNotBelieved) {
  greet();
  world.push(Out{}.text("IHAVEOPT").u32(1).u32(4097));
  EXPECT_TRUE(world.take().empty());
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, TheEmptyNameIsTheDefaultExport) {
  greet();
  EXPECT_EQ(ask(1), Bytes(Out{}.u64(World::kDefaultSize).u16(kFlagsWritable)));
}

TEST_F(NbdHandshake, GoEntersTransmission) {
  greet();
  EXPECT_EQ(ask(7, info_data("disk")),
            Bytes(Out{}
                      .add(option_reply(7, kInfo, export_info(kFlagsWritable)))
                      .add(option_reply(7, kAck))));
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
}

TEST_F(NbdHandshake, InfoAnswersWhatIsAskedAndStaysInTheHandshake) {
  greet();
  // Export, name, description, block size, and one that nobody knows.
  const Bytes expected =
      Out{}
          .add(option_reply(6, kInfo, export_info(kFlagsWritable)))
          .add(option_reply(6, kInfo, Out{}.u16(1).text("disk")))
          .add(option_reply(6, kInfo, Out{}.u16(2).text("a test's disk")))
          .add(option_reply(6, kInfo, Out{}.u16(3).u32(1).u32(4096).u32(32 << 20)))
          .add(option_reply(6, kAck));
  EXPECT_EQ(ask(6, info_data("disk", {0, 1, 2, 3, 0x7777})), expected);
  EXPECT_EQ(ask(6, info_data("disk", {0, 1, 2, 3, 0x7777})), expected);
  EXPECT_EQ(world.exports.lookups, 1u) << "INFO, INFO and GO must meet the same export";
  EXPECT_EQ(verdict(2), kAck);
}

TEST_F(NbdHandshake, GoAfterAnUnknownNameMayTryAnother) {
  greet();
  EXPECT_EQ(verdict(7, info_data("nothing")), kUnknown);
  EXPECT_EQ(verdict(6, info_data("nothing")), kUnknown);
  Bytes answer = ask(7, info_data("disk"));
  EXPECT_EQ(next_reply(answer).type, kInfo);
  EXPECT_EQ(next_reply(answer).type, kAck);
}

Task<Status> take_a_second(Scheduler* scheduler) {
  co_await sleep_for(*scheduler, seconds(1));
  co_return Status{};
}

// A view of a point is made when it is asked for.
TEST_F(NbdHandshake, AnExportMayTakeAWhileToOpen) {
  world.exports.opening = [this](std::string) { return take_a_second(&world.scheduler); };
  greet();
  EXPECT_TRUE(ask(6, info_data("disk")).empty());
  world.push(option(3, {}));  // is answered after it
  world.scheduler.run_for(seconds(1));
  Bytes answer = world.take();
  EXPECT_EQ(next_reply(answer).data, export_info(kFlagsWritable));
  EXPECT_EQ(next_reply(answer).type, kAck);
  EXPECT_EQ(next_reply(answer).type, kServer);
  EXPECT_EQ(next_reply(answer).type, kAck);
  world.push(option(1, Out{}.text("disk")));
  EXPECT_EQ(world.take(), Bytes(Out{}.u64(World::kDefaultSize).u16(kFlagsWritable)));
  EXPECT_EQ(world.exports.lookups, 1u);
}

Task<Status> refuse_to_open(std::string name) {
  co_return make_error(ERANGE, "{} is after the last point", name);
}

TEST_F(NbdHandshake, WhyAnExportCannotBeOpenedIsToldToTheClient) {
  world.exports.opening = refuse_to_open;
  greet();
  ASSERT_EQ(verdict(8), kAck);
  for (const std::uint32_t number : {6u, 7u, 9u, 10u}) {
    Bytes answer = ask(number, number < 8 ? info_data("disk@lsn:9")
                                          : context_data("disk@lsn:9", {"base:allocation"}));
    const OptionReply reply = next_reply(answer);
    EXPECT_EQ(reply.type, kUnknown);
    EXPECT_EQ(reply.data, Bytes(Out{}.text("disk@lsn:9 is after the last point")));
    EXPECT_TRUE(answer.empty());
  }
  EXPECT_TRUE(ask(1, Out{}.text("disk@lsn:9")).empty());
  EXPECT_TRUE(world.ended);
}

Task<Status> open_when(Signal* signal) {
  co_await signal->wait();
  co_return Status{};
}

TEST_F(NbdHandshake, TheDeadlineHoldsWhileAnExportIsBeingOpened) {
  Signal opened{world.scheduler};
  world.exports.opening = [&opened](std::string) { return open_when(&opened); };
  greet();
  world.push(option(7, info_data("disk")));
  world.scheduler.run_for(milliseconds(9000));
  EXPECT_FALSE(world.connection->shut_down);
  world.scheduler.run_for(milliseconds(2000));
  EXPECT_TRUE(world.connection->shut_down);
  EXPECT_FALSE(world.ended) << "what is under way is waited for";
  opened.notify_all();
  world.settle();
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, ReadOnlyExportsSaySo) {
  world.device->is_read_only = true;
  greet();
  Bytes answer = ask(7, info_data("disk"));
  EXPECT_EQ(next_reply(answer).data, export_info(0x50f));
}

TEST_F(NbdHandshake, MalformedInfoIsInvalid) {
  greet();
  EXPECT_EQ(verdict(6, {}), kInvalid);
  EXPECT_EQ(verdict(6, Out{}.u32(0xffffffff).u16(0)), kInvalid);
  EXPECT_EQ(verdict(7, Out{}.u32(4).text("disk")), kInvalid);
  EXPECT_EQ(verdict(7, Out{}.u32(4).text("disk").u16(2).u16(0)), kInvalid);
  EXPECT_EQ(verdict(7, Out{}.u32(4).text("disk").u16(0).u16(0)), kInvalid);
  EXPECT_EQ(verdict(7, Out{}.u32(4).text(std::string_view("d\0sk", 4)).u16(0)), kInvalid);
  EXPECT_EQ(verdict(7, info_data(std::string(4097, 'x'))), kInvalid);
  EXPECT_EQ(verdict(7, info_data(std::string(4096, 'x'))), kUnknown);
}

TEST_F(NbdHandshake, ListNamesEveryExport) {
  world.exports.all.push_back({{"second", ""}, world.device});
  greet();
  EXPECT_EQ(
      ask(3),
      Bytes(Out{}
                .add(option_reply(3, kServer, Out{}.u32(4).text("disk").text("a test's disk")))
                .add(option_reply(3, kServer, Out{}.u32(6).text("second")))
                .add(option_reply(3, kAck))));
  EXPECT_EQ(verdict(3, Out{}.text("x")), kInvalid);
}

TEST_F(NbdHandshake, AbortIsAcknowledgedAndEnds) {
  greet();
  EXPECT_EQ(ask(2, Out{}.text("ignored")), Bytes(option_reply(2, kAck)));
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, AnEndBetweenOptionsEndsTheSession) {
  greet();
  world.settle();
  world.connection->end_input();
  world.settle();
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, StructuredRepliesAreAgreedAndBringDf) {
  greet();
  EXPECT_EQ(verdict(8, Out{}.text("x")), kInvalid);
  EXPECT_EQ(ask(8), Bytes(option_reply(8, kAck)));
  Bytes answer = ask(7, info_data("disk"));
  EXPECT_EQ(next_reply(answer).data, export_info(kFlagsWritable | 0x80));
}

TEST_F(NbdHandshake, WhatWeDoNotHaveIsUnsupported) {
  greet();
  EXPECT_EQ(ask(5), Bytes(option_reply(5, kUnsupported)));    // TLS
  EXPECT_EQ(ask(11), Bytes(option_reply(11, kUnsupported)));  // extended headers
  EXPECT_EQ(ask(4), Bytes(option_reply(4, kUnsupported)));    // withdrawn
  EXPECT_EQ(ask(0xfffffff0, filled(100000, 7)), Bytes(option_reply(0xfffffff0, kUnsupported)));
  EXPECT_EQ(verdict(2), kAck);
}

TEST_F(NbdHandshake, DataThatIsTooLongIsSkippedNotStored) {
  greet();
  EXPECT_EQ(verdict(6, filled(70000, 1)), kTooBig);
  EXPECT_EQ(verdict(10, filled(70000, 1)), kTooBig);
  EXPECT_EQ(ask(2, filled(70000, 1)), Bytes(option_reply(2, kAck)));
}

TEST_F(NbdHandshake, AnOptionOf4GiBIsReadInBoundedStepsUntilTheDeadline) {
  greet();
  world.push(Out{}.text("IHAVEOPT").u32(99).u32(0xffffffff));
  for (int i = 0; i < 8; ++i) {
    world.push(filled(1 << 20, 0));
    world.settle();
    EXPECT_TRUE(world.connection->to_server.empty());
  }
  world.scheduler.run_for(seconds(10));
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, ContextsAreListedAndSelected) {
  greet();
  ask(8);
  const Bytes listed = Out{}
                           .add(option_reply(9, kContext, Out{}.u32(0).text("base:allocation")))
                           .add(option_reply(9, kAck));
  EXPECT_EQ(ask(9, context_data("disk", {})), listed);
  EXPECT_EQ(ask(9, context_data("disk", {"base:"})), listed);
  EXPECT_EQ(ask(9, context_data("disk", {"x-y:z", "base:allocation"})), listed);
  EXPECT_EQ(ask(9, context_data("disk", {"base:other"})), Bytes(option_reply(9, kAck)));
  EXPECT_EQ(ask(10, context_data("disk", {})), Bytes(option_reply(10, kAck)));
  EXPECT_EQ(ask(10, context_data("disk", {"base:"})), Bytes(option_reply(10, kAck)));
  EXPECT_EQ(ask(10, context_data("disk", {"qemu:dirty-bitmap:x", "base:allocation"})),
            Bytes(Out{}
                      .add(option_reply(10, kContext, Out{}.u32(1).text("base:allocation")))
                      .add(option_reply(10, kAck))));
  ask(7, info_data("disk"));
  EXPECT_EQ(world.ask(request(kStatus, 1, 0, 4096)).error, 0u);
}

TEST_F(NbdHandshake, ContextsNeedStructuredRepliesAndSoundData) {
  greet();
  EXPECT_EQ(verdict(9, context_data("disk", {})), kInvalid);
  EXPECT_EQ(verdict(10, context_data("disk", {"base:allocation"})), kInvalid);
  ask(8);
  EXPECT_EQ(verdict(10, {}), kInvalid);
  EXPECT_EQ(verdict(10, Out{}.u32(4).text("disk").u32(1)), kInvalid);
  EXPECT_EQ(verdict(10, Out{}.u32(4).text("disk").u32(1).u32(500).text("base:")), kInvalid);
  EXPECT_EQ(verdict(10, Out{}.u32(4).text("disk").u32(0xffffffff)), kTooBig);
  EXPECT_EQ(verdict(10, context_data("nothing", {"base:allocation"})), kUnknown);
}

TEST_F(NbdHandshake, AContextOfAnotherExportOrReplacedOneIsNotSelected) {
  world.exports.all.push_back({{"second", ""}, world.device});
  greet();
  ask(8);
  ask(10, context_data("second", {"base:allocation"}));
  ask(7, info_data("disk"));
  EXPECT_EQ(world.ask(request(kStatus, 1, 0, 4096)).error, 22u);
}

TEST_F(NbdHandshake, AFailedSelectionUnselects) {
  greet();
  ask(8);
  ask(10, context_data("disk", {"base:allocation"}));
  EXPECT_EQ(verdict(10, Out{}.u32(4)), kInvalid);
  ask(7, info_data("disk"));
  EXPECT_EQ(world.ask(request(kStatus, 1, 0, 4096)).error, 22u);
}

TEST_F(NbdHandshake, UnknownClientFlagsEndTheConnection) {
  greet(7);
  world.settle();
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, AWrongMagicEndsTheConnection) {
  greet();
  world.push(Out{}.text("IHAVEOPS").u32(3).u32(0));
  EXPECT_TRUE(world.take().empty());
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, OptionsWithoutEndEndTheConnection) {
  greet();
  for (int i = 0; i < 5000; ++i) world.push(option(77, {}));
  world.settle();
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, TheWholeNegotiationHasADeadline) {
  greet();
  world.settle();
  // A client that keeps talking does not push it back.
  for (int i = 0; i < 9; ++i) {
    ask(3);
    world.scheduler.run_for(milliseconds(800));
    EXPECT_FALSE(world.ended) << i;
  }
  world.scheduler.run_for(seconds(2));
  EXPECT_TRUE(world.ended);
}

TEST_F(NbdHandshake, ASilentClientMeetsTheDeadlineAndOneInTransmissionDoesNot) {
  world.begin();
  world.scheduler.run_for(milliseconds(9700));
  EXPECT_FALSE(world.ended);
  world.scheduler.run_for(milliseconds(400));
  EXPECT_TRUE(world.ended);

  World other{kSeed};
  other.connect(true);
  other.scheduler.run_for(seconds(3000));
  EXPECT_FALSE(other.ended);
  EXPECT_EQ(other.ask(request(kFlush, 1, 0, 0)).error, 0u);
}

TEST(NbdHandshakeFuzz, RandomBytesNeverHurtTheServer) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    World world{seed};
    world.connection->fragments = &random;
    world.begin();
    world.push(Out{}.u32(static_cast<std::uint32_t>(random.below(4))));
    for (int i = 0; i < 20; ++i) {
      // Mostly sound headers, so that the options' own parsers are reached.
      Bytes data = random_bytes(random, random.below(60));
      for (std::byte& b : data) {
        if (random.chance(60)) b = std::byte{0};
      }
      Bytes message = option(static_cast<std::uint32_t>(random.below(12)), data);
      if (random.chance(3)) message[random.below(16)] ^= std::byte{1};
      world.push(message);
    }
    world.settle();
  }
}

}  // namespace
}  // namespace cdp::test
