// SPDX-License-Identifier: Apache-2.0
// Commands and their replies, one by one and against a naive model.
#include "tests/sim/effort.h"
#include "tests/unit/cdp/nbd_wire.h"

namespace cdp::test {
namespace {

constexpr std::uint64_t kSeed = 11;
constexpr std::uint32_t kMiB = 1 << 20;
constexpr std::uint32_t kEperm = 1, kEio = 5, kEinval = 22, kEnospc = 28, kEoverflow = 75,
                        kEnotsup = 95, kEshutdown = 108;

// What a client believes the device holds.
class Model {
 public:
  explicit Model(std::uint64_t size) : bytes_(size) {}
  void write(std::uint64_t offset, const Bytes& data) {
    std::copy(data.begin(), data.end(), bytes_.begin() + static_cast<long>(offset));
  }
  void zero(std::uint64_t offset, std::uint64_t length) { write(offset, Bytes(length)); }
  // Whole blocks read as zeroes afterwards, the rest stays (as BlockDevice promises).
  void trim(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t from = round_up(offset, kBlockBytes);
    const std::uint64_t to = (offset + length) / kBlockBytes * kBlockBytes;
    if (from < to) zero(from, to - from);
  }
  Bytes read(std::uint64_t offset, std::uint64_t length) const {
    return {bytes_.begin() + static_cast<long>(offset),
            bytes_.begin() + static_cast<long>(offset + length)};
  }

 private:
  Bytes bytes_;
};

// Both reply formats, where they must not make a difference.
class NbdCommands : public testing::TestWithParam<bool> {
 protected:
  bool structured() const { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Replies, NbdCommands, testing::Bool(), [](const auto& replies) {
  return replies.param ? "Structured" : "Simple";
});

TEST_P(NbdCommands, OneByOneTheyDoWhatTheModelDoes) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    World world{seed};
    world.device->delays = &random;
    world.connection->fragments = &random;
    world.connect(structured());
    Model model{World::kDefaultSize};
    for (std::uint64_t cookie = 1; cookie <= 40; ++cookie) {
      const std::uint64_t longest = random.chance(20) ? 3 * kMiB : 20000;
      const auto length = static_cast<std::uint32_t>(random.between(1, longest));
      std::uint64_t offset = random.below(World::kDefaultSize - length + 1);
      if (random.coin()) offset = offset / kBlockBytes * kBlockBytes;
      const std::uint16_t fua = random.coin() ? kFua : 0;
      switch (random.below(4)) {
        case 0: {
          const Bytes data = random_bytes(random, length);
          Out message = request(kWrite, cookie, offset, length, fua);
          ASSERT_EQ(world.ask(message.add(data), cookie).error, 0u);
          model.write(offset, data);
          break;
        }
        case 1:
          ASSERT_EQ(
              world
                  .ask(request(kZero, cookie, offset, length,
                               static_cast<std::uint16_t>(fua | (random.coin() ? kNoHole : 0))),
                       cookie)
                  .error,
              0u);
          model.zero(offset, length);
          break;
        case 2:
          ASSERT_EQ(world.ask(request(kTrim, cookie, offset, length, fua), cookie).error, 0u);
          model.trim(offset, length);
          break;
        default:
          world.read(cookie, offset, length,
                     structured() && random.coin() ? std::uint16_t{kDf} : std::uint16_t{0});
          const Reply reply = world.ask({}, cookie);
          ASSERT_EQ(reply.error, 0u);
          ASSERT_EQ(reply.structured, structured());
          ASSERT_TRUE(reply.data == model.read(offset, length)) << offset << "+" << length;
      }
    }
    EXPECT_EQ(world.session->flow().requests(), 0u);
    EXPECT_EQ(world.session->flow().bytes(), 0u);
  }
}

TEST_P(NbdCommands, SideBySideTheyDoNotDisturbEachOther) {
  // Requests in flight together touch areas of their own, whose borders share blocks.
  constexpr std::uint64_t kAreas = 16;
  constexpr std::uint64_t kAreaBytes = 200'123;
  for (std::uint64_t seed = 1; seed <= sim::rounds(25); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    World world{seed};
    world.device->delays = &random;
    world.connection->fragments = &random;
    world.connect(structured());
    Model model{World::kDefaultSize};
    std::uint64_t cookie = 0;
    for (int round = 0; round < 12; ++round) {
      std::map<std::uint64_t, Bytes> expected;
      Out all;
      for (std::uint64_t area = 0; area < kAreas; ++area) {
        const auto length = static_cast<std::uint32_t>(random.between(1, kAreaBytes));
        const std::uint64_t offset = area * kAreaBytes + random.below(kAreaBytes - length + 1);
        ++cookie;
        if (random.coin()) {
          const Bytes data = random_bytes(random, length);
          all.add(request(kWrite, cookie, offset, length)).add(data);
          model.write(offset, data);
        } else {
          world.replies.reads[cookie] = {offset, length};
          all.add(request(kRead, cookie, offset, length));
          expected[cookie] = model.read(offset, length);
        }
      }
      world.push(all);
      world.read_replies();
      for (std::uint64_t c = cookie - kAreas + 1; c <= cookie; ++c) {
        ASSERT_TRUE(world.replies.done(c)) << c;
        ASSERT_EQ(world.replies.replies[c].error, 0u);
        if (expected.contains(c)) {
          ASSERT_TRUE(world.replies.replies[c].data == expected[c]) << c;
        }
      }
    }
    EXPECT_TRUE(world.replies.ended_between_replies());
    EXPECT_GT(world.device->running_max, 4u) << "requests did not run side by side";
  }
}

TEST_P(NbdCommands, LongRequestsReachTheDeviceInPieces) {
  World world{kSeed, 40 * kMiB};
  world.connect(structured());
  sim::Random random{kSeed};
  const Bytes data = random_bytes(random, 32 * kMiB);
  constexpr std::uint64_t kOffset = 3 * kMiB + 513;
  Out message = request(kWrite, 1, kOffset, 32 * kMiB);
  EXPECT_EQ(world.ask(message.add(data)).error, 0u);
  EXPECT_EQ(world.device->count(Operation::kWrite), 33u);
  for (const auto& [operation, offset] : world.device->log) {
    EXPECT_TRUE(offset == kOffset || offset % kMiB == 0) << offset;
  }
  world.read(2, kOffset, 32 * kMiB);
  const Reply reply = world.ask({}, 2);
  EXPECT_EQ(reply.error, 0u);
  EXPECT_TRUE(reply.data == data);
  EXPECT_LE(world.device->read_bytes_max, kMaxPieceBytes);
  EXPECT_EQ(reply.data_chunks, structured() ? 33u : 0u);
}

TEST_P(NbdCommands, MistakesGetTheirErrorAndTheConnectionGoesOn) {
  World world{kSeed};
  world.connect(structured(), structured());
  const std::uint64_t end = World::kDefaultSize;
  const auto with_payload = [](Out message, std::size_t bytes) {
    return Bytes(message.add(filled(bytes, 0x28)));
  };
  EXPECT_EQ(world.ask(request(kRead, 1, end, 1)).error, kEinval);
  EXPECT_EQ(world.ask(request(kRead, 1, UINT64_MAX, 4096)).error, kEinval);
  EXPECT_EQ(world.ask(with_payload(request(kWrite, 1, end - 1, 2), 2)).error, kEnospc);
  EXPECT_EQ(world.ask(with_payload(request(kWrite, 1, 0, 9, kDf), 9)).error, kEinval);
  EXPECT_EQ(world.ask(with_payload(request(kWrite, 1, 0, 300'000, 0x8000), 300'000)).error,
            kEinval);
  EXPECT_EQ(world.ask(with_payload(request(kWrite, 1, 0, 33 * kMiB), 33 * kMiB)).error, kEinval);
  EXPECT_EQ(world.ask(request(kZero, 1, end - 1, 2)).error, kEnospc);
  EXPECT_EQ(world.ask(request(kTrim, 1, end - 1, 2)).error, kEinval);
  EXPECT_EQ(world.ask(request(kCache, 1, end - 1, 2)).error, kEinval);
  EXPECT_EQ(world.ask(request(kStatus, 1, end - 1, 2)).error, kEinval);
  EXPECT_EQ(world.ask(request(kFlush, 1, 1, 0)).error, kEinval);
  EXPECT_EQ(world.ask(request(8, 1, 0, 1)).error, kEinval);
  EXPECT_EQ(world.ask(request(kRead, 1, 0, 33 * kMiB)).error, structured() ? kEoverflow : kEinval);
  EXPECT_TRUE(world.device->log.empty()) << "the device was asked";
  const Reply reply = world.ask(request(kTrim, 1, end, 1));
  EXPECT_EQ(reply.message.empty(), !structured());
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
}

TEST_P(NbdCommands, EmptyRequestsSucceedAndDoNothing) {
  World world{kSeed};
  world.connect(structured());
  for (std::uint16_t type : {kRead, kWrite, kTrim, kZero, kCache}) {
    EXPECT_EQ(world.ask(request(type, 1, 0, 0)).error, 0u) << type;
  }
  EXPECT_EQ(world.ask(request(kRead, 1, World::kDefaultSize, 0)).error, 0u);
  EXPECT_TRUE(world.device->log.empty());
}

TEST_P(NbdCommands, ReadOnlyDevicesRefuseChangesOnly) {
  World world{kSeed};
  world.device->is_read_only = true;
  world.connect(structured());
  Out write = request(kWrite, 1, 0, 4);
  EXPECT_EQ(world.ask(write.text("data")).error, kEperm);
  EXPECT_EQ(world.ask(request(kTrim, 1, 0, 4096)).error, kEperm);
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096)).error, kEperm);
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
  EXPECT_EQ(world.ask(request(kCache, 1, 0, 4096)).error, 0u);
  world.read(2, 0, 4096);
  EXPECT_EQ(world.ask({}, 2).data, Bytes(4096));
}

TEST_P(NbdCommands, FuaIsTheOperationThenAFlush) {
  World world{kSeed};
  world.connect(structured());
  using Log = std::vector<std::pair<Operation, std::uint64_t>>;
  Out write = request(kWrite, 1, 4096, 4, kFua);
  EXPECT_EQ(world.ask(write.text("data")).error, 0u);
  EXPECT_EQ(
      world.device->log,
      (Log{{Operation::kPagesForWrite, 4096}, {Operation::kWrite, 4096}, {Operation::kFlush, 0}}));
  world.device->log.clear();
  EXPECT_EQ(world.ask(request(kTrim, 1, 0, 4096, kFua)).error, 0u);
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096, kFua)).error, 0u);
  EXPECT_EQ(world.device->log, (Log{{Operation::kTrim, 0},
                                    {Operation::kFlush, 0},
                                    {Operation::kZero, 0},
                                    {Operation::kFlush, 0}}));
  // On what changes nothing the flag is accepted and means nothing.
  world.device->log.clear();
  world.read(2, 0, 512, kFua);
  EXPECT_EQ(world.ask({}, 2).error, 0u);
  EXPECT_EQ(world.ask(request(kCache, 1, 0, 4096, kFua)).error, 0u);
  EXPECT_EQ(world.device->count(Operation::kFlush), 0u);
}

TEST_P(NbdCommands, AFuaWriteIsNotAnsweredBeforeAllItsPiecesAndTheFlush) {
  World world{kSeed};
  world.connect(structured());
  world.device->hold(Operation::kFlush);
  Out message = request(kWrite, 1, 0, 3 * kMiB, kFua);
  world.push(message.add(filled(3 * kMiB, 1)));
  world.read_replies();
  EXPECT_FALSE(world.replies.done(1));
  EXPECT_EQ(world.device->count(Operation::kWrite), 3u);
  EXPECT_EQ(world.device->count(Operation::kFlush), 1u);
  world.device->release();
  world.read_replies();
  EXPECT_TRUE(world.replies.done(1));
}

TEST_P(NbdCommands, OnePieceThatFailsFailsTheWrite) {
  World world{kSeed};
  world.connect(structured());
  world.device->fault = [](Operation operation, std::uint64_t offset, std::uint64_t) -> Status {
    if (operation == Operation::kWrite && offset == kMiB) return make_error(ENOSPC, "all is full");
    return {};
  };
  Out message = request(kWrite, 1, 0, 3 * kMiB, kFua);
  const Reply reply = world.ask(message.add(filled(3 * kMiB, 1)));
  EXPECT_EQ(reply.error, kEnospc);
  if (structured()) {
    EXPECT_EQ(reply.message, "all is full");
  }
  EXPECT_EQ(world.device->count(Operation::kFlush), 0u) << "a failed write was flushed";
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, 0u);
}

TEST_P(NbdCommands, NoRoomForAPayloadFailsTheWriteAndSkipsIt) {
  World world{kSeed};
  world.connect(structured());
  world.device->fault = [](Operation operation, std::uint64_t offset, std::uint64_t) -> Status {
    const bool fails = operation == Operation::kPagesForWrite && offset >= kMiB;
    return fails ? Status{make_error(ESHUTDOWN, "fenced")} : Status{};
  };
  Out message = request(kWrite, 1, 0, 3 * kMiB);
  message.add(filled(3 * kMiB, 1)).add(request(kFlush, 2, 0, 0));
  EXPECT_EQ(world.ask(message).error, kEshutdown);
  EXPECT_TRUE(world.replies.done(2));
}

TEST_P(NbdCommands, DeviceFailuresAreTranslatedByCommand) {
  World world{kSeed};
  world.connect(structured(), structured());
  int code = 0;
  world.device->fault = [&](Operation, std::uint64_t, std::uint64_t) -> Status {
    return make_error(code, "told to fail");
  };
  code = ETIMEDOUT;
  EXPECT_EQ(world.ask(request(kRead, 1, 0, 4096)).error, kEio);
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, kEio);
  EXPECT_EQ(world.ask(request(kCache, 1, 0, 1)).error, kEio);
  if (structured()) {
    EXPECT_EQ(world.ask(request(kStatus, 1, 0, 1)).error, kEio);
  }
  code = ENOTSUP;
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096)).error, kEio) << "only FAST_ZERO gets ENOTSUP";
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096, kFastZero)).error, kEnotsup);
  EXPECT_EQ(world.ask(request(kTrim, 1, 0, 4096)).error, 0u) << "trim is a hint";
  EXPECT_EQ(world.ask(request(kCache, 1, 0, 4096)).error, 0u) << "cache is a hint";
  code = EOVERFLOW;
  EXPECT_EQ(world.ask(request(kTrim, 1, 0, 4096)).error, kEio);
}

TEST_P(NbdCommands, FastZeroIsRefusedWhereItIsSlow) {
  World world{kSeed};
  world.connect(structured());
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096, kFastZero)).error, 0u);
  world.device->zeroes_fast = false;
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096, kFastZero)).error, kEnotsup);
  EXPECT_EQ(world.ask(request(kZero, 1, 0, 4096)).error, 0u);
}

TEST(NbdStructured, AReadThatFailsEndsWithAnErrorChunk) {
  World world{kSeed};
  world.connect(true);
  world.device->fault = [](Operation, std::uint64_t offset, std::uint64_t) -> Status {
    if (offset == 2 * kMiB) return make_error(EIO, "a bad block");
    return {};
  };
  world.read(1, 0, 4 * kMiB);
  const Reply reply = world.ask({}, 1);
  EXPECT_EQ(reply.error, kEio);
  EXPECT_EQ(reply.message, "a bad block");
  EXPECT_EQ(world.session->flow().bytes(), 0u);
}

TEST(NbdStructured, DfBringsOneChunkAndPadsItWhenTheReadFails) {
  World world{kSeed};
  world.connect(true);
  sim::Random random{kSeed};
  const Bytes data = random_bytes(random, 4 * kMiB);
  Out message = request(kWrite, 1, 0, 4 * kMiB);
  ASSERT_EQ(world.ask(message.add(data)).error, 0u);
  world.read(2, 0, 4 * kMiB, kDf);
  Reply reply = world.ask({}, 2);
  EXPECT_EQ(reply.error, 0u);
  EXPECT_EQ(reply.data_chunks, 1u);
  EXPECT_TRUE(reply.data == data);

  world.device->fault = [](Operation, std::uint64_t offset, std::uint64_t) -> Status {
    if (offset == 2 * kMiB) return make_error(EIO, "a bad block");
    return {};
  };
  world.read(3, 0, 4 * kMiB, kDf);
  reply = world.ask({}, 3);
  EXPECT_EQ(reply.error, kEio);
  EXPECT_EQ(reply.data_chunks, 1u);
  std::fill(reply.data.begin(), reply.data.begin() + 2 * kMiB, std::byte{0});
  EXPECT_TRUE(reply.data == Bytes(4 * kMiB)) << "the rest of the chunk is not zeroes";
  EXPECT_EQ(world.ask(request(kFlush, 4, 0, 0), 4).error, 0u);
}

TEST(NbdSimple, AReadThatFailsAfterItsHeadWasSentEndsTheConnection) {
  World world{kSeed};
  world.connect(false);
  world.device->fault = [](Operation, std::uint64_t offset, std::uint64_t) -> Status {
    if (offset == 2 * kMiB) return make_error(EIO, "a bad block");
    return {};
  };
  world.read(1, 0, 4 * kMiB);
  world.settle();
  EXPECT_TRUE(world.ended);
  EXPECT_LT(world.take().size(), 4 * kMiB + 16u);
}

TEST(NbdSimple, AReadWhoseFirstPieceFailsIsAnswered) {
  World world{kSeed};
  world.connect(false);
  world.device->fault = [](Operation, std::uint64_t, std::uint64_t) -> Status {
    return make_error(EIO, "a bad block");
  };
  EXPECT_EQ(world.ask(request(kRead, 1, 0, 4 * kMiB)).error, kEio);
  EXPECT_EQ(world.ask(request(kFlush, 1, 0, 0)).error, kEio);
}

TEST(NbdBlockStatus, ExtentsAreReportedAndBounded) {
  World world{kSeed, 128 * kMiB};
  world.connect(true, true);
  using Extents = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  EXPECT_EQ(world.ask(request(kStatus, 1, 0, 128 * kMiB)).extents, (Extents{{128 * kMiB, 3}}));
  Out message = request(kWrite, 1, 4096, 4096);
  world.ask(message.add(filled(4096, 1)));
  world.ask(request(kZero, 1, 8192, 4096, kNoHole));
  EXPECT_EQ(world.ask(request(kStatus, 1, 100, 20000)).extents,
            (Extents{{3996, 3}, {4096, 0}, {4096, 2}, {7812, 3}}));
  EXPECT_EQ(world.ask(request(kStatus, 1, 100, 20000, kReqOne)).extents, (Extents{{3996, 3}}));
  // Every second block: more extents than one reply gives.
  for (std::uint64_t b = 0; b < 8192; b += 2) {
    Out write = request(kWrite, b + 10, b * 4096, 1);
    world.push(write.add(filled(1, 1)));
  }
  world.settle();
  world.take();
  EXPECT_EQ(world.ask(request(kStatus, 1, 0, 128 * kMiB)).extents.size(), nbd::kExtentsMax);
}

}  // namespace
}  // namespace cdp::test
