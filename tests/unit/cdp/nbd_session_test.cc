// SPDX-License-Identifier: Apache-2.0
// What a connection does beyond its commands: coalescing, limits, ends, and hostile clients.
#include "cdp/nbd/server.h"
#include "tests/sim/effort.h"
#include "tests/unit/cdp/nbd_wire.h"

namespace cdp::test {
namespace {

constexpr std::uint64_t kSeed = 13;
constexpr std::uint32_t kMiB = 1 << 20;

TEST(NbdSession, RepliesOfOneTurnLeaveInOneSend) {
  World world{kSeed};
  world.connect(true);
  Out all;
  for (std::uint64_t cookie = 1; cookie <= 32; ++cookie) {
    if (cookie % 2 == 0) {
      all.add(request(kWrite, cookie, cookie * 4096, 4096)).add(filled(4096, 1));
    } else {
      world.replies.reads[cookie] = {cookie * 4096, 4096};
      all.add(request(kRead, cookie, cookie * 4096, 4096));
    }
  }
  world.push(all);
  world.read_replies();
  EXPECT_EQ(world.replies.order.size(), 32u);
  EXPECT_EQ(world.connection->sends, 1u);
}

TEST(NbdSession, ASendHasAtMostTheSystemsNumberOfVectors) {
  World world{kSeed, 64 * kMiB};
  world.connect(true);
  for (std::uint64_t cookie = 1; cookie <= 4000; ++cookie) {
    world.read(cookie, cookie * 8192 % (60 * kMiB), 100);
  }
  world.read_replies();
  EXPECT_EQ(world.replies.order.size(), 4000u);
  EXPECT_LE(world.connection->vectors_max, 1024u);
  EXPECT_GT(world.connection->vectors_max, 512u);
}

TEST(NbdSession, RequestsAreParsedWhateverTheFragments) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    World world{seed};
    world.connection->fragments = &random;
    world.connect(false);
    Out all;
    std::uint64_t cookie = 0;
    while (all.bytes.size() < 600'000) {
      const auto length = static_cast<std::uint32_t>(random.below(random.coin() ? 40 : 50'000));
      all.add(request(kWrite, ++cookie, random.below(kMiB), length)).add(filled(length, 1));
    }
    world.push(all);
    world.read_replies();
    EXPECT_EQ(world.replies.order.size(), cookie);
  }
}

TEST(NbdSession, AClientThatDoesNotTakeRepliesIsBoundedAndThenDropped) {
  World world{kSeed, 64 * kMiB};
  world.connect(true);
  world.connection->take_replies(false);
  for (std::uint64_t cookie = 1; cookie <= 200; ++cookie) world.read(cookie, 0, kMiB);
  world.settle();
  EXPECT_LE(world.session->flow().bytes(), world.limits.bytes_in_flight_max);
  EXPECT_EQ(world.session->flow().bytes(), world.limits.bytes_in_flight_max);
  EXPECT_EQ(world.device->count(Operation::kRead), world.limits.bytes_in_flight_max / kMiB);
  EXPECT_FALSE(world.ended);
  world.scheduler.run_for(seconds(31));
  EXPECT_TRUE(world.ended);
}

TEST(NbdSession, RequestsInFlightAreBounded) {
  World world{kSeed};
  world.connect(true);
  world.device->hold(Operation::kFlush);
  for (std::uint64_t cookie = 1; cookie <= 3000; ++cookie)
    world.push(request(kFlush, cookie, 0, 0));
  world.settle();
  EXPECT_EQ(world.session->flow().requests(), world.limits.requests_in_flight_max);
  EXPECT_EQ(world.device->running, world.limits.requests_in_flight_max);
  world.device->release();
  world.read_replies();
  EXPECT_EQ(world.replies.order.size(), 3000u);
}

TEST(NbdSession, RepliesToMistakesAreBoundedToo) {
  World world{kSeed};
  world.connect(false);
  world.connection->take_replies(false);
  for (std::uint64_t cookie = 1; cookie <= 3000; ++cookie) world.push(request(99, cookie, 0, 0));
  world.settle();
  EXPECT_EQ(world.session->flow().requests(), world.limits.requests_in_flight_max);
  world.connection->take_replies(true);
  world.read_replies();
  EXPECT_EQ(world.replies.order.size(), 3000u);
}

TEST(NbdSession, LongUnbrokenReadsAndOtherRepliesShareTheWire) {
  for (const bool structured : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " structured " << structured);
      sim::Random random{seed};
      World world{seed, 64 * kMiB};
      world.device->delays = &random;
      world.connect(structured);
      std::uint64_t cookie = 0;
      for (int i = 0; i < 20; ++i) {
        ++cookie;
        if (random.chance(40)) {
          const auto bytes = static_cast<std::uint32_t>(random.between(1, 4 * kMiB));
          world.read(cookie, random.below(50 * kMiB), bytes,
                     structured && random.coin() ? std::uint16_t{kDf} : std::uint16_t{0});
        } else if (random.coin()) {
          Out write = request(kWrite, cookie, 60 * kMiB, 5000);
          world.push(write.add(filled(5000, 1)));
        } else {
          world.push(request(kFlush, cookie, random.chance(20) ? 1 : 0, 0));
        }
      }
      world.read_replies();
      EXPECT_EQ(world.replies.order.size(), cookie);
      EXPECT_TRUE(world.replies.ended_between_replies());
    }
  }
}

TEST(NbdSession, PagesThatRunOutMakeWritesWaitNotFail) {
  // Room for two pieces in all; the device is full of its own blocks otherwise.
  World world{kSeed, 8 * kMiB, 2048 + 512};
  world.connect(true);
  Out fill = request(kWrite, 1, 0, 8 * kMiB);
  ASSERT_EQ(world.ask(fill.add(filled(8 * kMiB, 1))).error, 0u);
  for (std::uint64_t cookie = 2; cookie <= 9; ++cookie) {
    Out write = request(kWrite, cookie, (cookie - 2) * kMiB, kMiB);
    world.push(write.add(filled(kMiB, 2)));
  }
  world.read_replies();
  EXPECT_EQ(world.replies.order.size(), 9u);
}

TEST(NbdSession, DisconnectFinishesWhatIsInFlight) {
  World world{kSeed};
  world.connect(false);
  world.device->hold(Operation::kFlush);
  world.push(request(kFlush, 1, 0, 0));
  world.push(request(kDisc, 2, 0, 0));
  world.push(request(kFlush, 3, 0, 0));  // not to be looked at any more
  world.settle();
  EXPECT_FALSE(world.ended);
  world.device->release();
  world.read_replies();
  EXPECT_TRUE(world.ended);
  EXPECT_EQ(world.replies.order, std::vector<std::uint64_t>{1});
}

TEST(NbdSession, AWrongMagicEndsTheConnectionAfterWhatCameBefore) {
  World world{kSeed};
  world.connect(false);
  Out all = request(kFlush, 1, 0, 0);
  all.add(Out{}.u32(0x25609514).zeroes(24)).add(request(kFlush, 2, 0, 0));
  world.push(all);
  world.read_replies();
  EXPECT_TRUE(world.ended);
  EXPECT_EQ(world.replies.order, std::vector<std::uint64_t>{1});
}

TEST(NbdSession, AWriteOf4GiBIsRefusedAndEndsTheConnection) {
  World world{kSeed};
  world.connect(true);
  world.push(request(kWrite, 1, 0, 0xffffffff));
  world.read_replies();
  EXPECT_TRUE(world.ended);
  ASSERT_TRUE(world.replies.done(1));
  EXPECT_EQ(world.replies.replies[1].error, 22u);
  EXPECT_TRUE(world.device->log.empty());
}

TEST(NbdSession, AClientThatVanishesAnywhereLeavesNothingBehind) {
  for (std::uint64_t seed = 1; seed <= sim::rounds(200); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    World world{seed, 16 * kMiB};
    world.device->delays = &random;
    world.connect(random.coin());
    Out all;
    for (std::uint64_t cookie = 1; cookie <= 12; ++cookie) {
      const auto bytes = static_cast<std::uint32_t>(random.between(1, 3 * kMiB));
      const std::uint64_t offset = random.below(13 * kMiB);
      if (random.coin()) {
        all.add(request(kWrite, cookie, offset, bytes, kFua)).add(filled(bytes, 1));
      } else {
        all.add(request(kRead, cookie, offset, bytes));
      }
    }
    all.bytes.resize(random.below(all.bytes.size()));
    if (random.coin()) world.connection->take_replies(false);
    world.push(all);
    if (random.coin()) world.settle();
    world.connection->vanish();
    world.settle();
    EXPECT_TRUE(world.ended);
    EXPECT_EQ(world.device->running, 0u);
    EXPECT_EQ(world.session->flow().bytes(), 0u);
    EXPECT_EQ(world.session->flow().requests(), 0u);
  }
}

TEST(NbdSession, OperationsThatAreHeldOutliveTheirClient) {
  World world{kSeed};
  world.connect(false);
  world.device->hold(Operation::kWrite);
  Out write = request(kWrite, 1, 0, 4);
  world.push(write.text("data"));
  world.settle();
  world.connection->vanish();
  world.scheduler.run_for(seconds(100));
  EXPECT_FALSE(world.ended);
  world.device->release();
  world.settle();
  EXPECT_TRUE(world.ended);
  EXPECT_EQ(world.device->count(Operation::kWrite), 1u);
}

TEST(NbdSession, APayloadThatStallsEndsTheConnectionAndFreesItsPages) {
  World world{kSeed};
  world.connect(false);
  const std::size_t free = world.device->pool().available();
  Out write = request(kWrite, 1, 0, kMiB);
  world.push(write.add(filled(100'000, 1)));
  world.scheduler.run_for(seconds(29));
  EXPECT_FALSE(world.ended);
  EXPECT_LT(world.device->pool().available(), free);
  world.scheduler.run_for(seconds(2));
  EXPECT_TRUE(world.ended);
  EXPECT_EQ(world.device->pool().available(), free);
  EXPECT_EQ(world.device->count(Operation::kWrite), 0u);
}

// A client that connects again sends it once more; an error would be its user's.
TEST(NbdSession, StopAnswersWhatIsInFlightAndLeavesWhatComesUnanswered) {
  World world{kSeed};
  world.connect(true);
  world.device->hold(Operation::kFlush);
  world.push(request(kFlush, 1, 0, 0));
  world.settle();
  world.session->stop();
  world.push(request(kFlush, 2, 0, 0));
  Out write = request(kWrite, 3, 0, 4);
  world.push(write.text("data"));
  world.read_replies();
  EXPECT_FALSE(world.ended);
  world.device->release();
  world.read_replies();
  EXPECT_TRUE(world.ended);
  ASSERT_TRUE(world.replies.done(1));
  EXPECT_EQ(world.replies.replies[1].error, 0u);
  EXPECT_FALSE(world.replies.done(2) || world.replies.done(3));
  EXPECT_EQ(world.device->count(Operation::kWrite), 0u);
}

TEST(NbdSession, StopDoesNotWaitForAPayloadNorBeyondItsLimit) {
  World world{kSeed};
  world.connect(true);
  Out write = request(kWrite, 1, 0, kMiB);
  world.push(write.text("begin"));
  world.settle();
  world.session->stop();
  world.settle();
  EXPECT_TRUE(world.ended);

  World other{kSeed};
  other.connect(true);
  other.device->hold(Operation::kFlush);
  other.push(request(kFlush, 1, 0, 0));
  other.settle();
  other.session->stop();
  other.scheduler.run_for(milliseconds(4500));
  EXPECT_FALSE(other.connection->shut_down);
  other.scheduler.run_for(milliseconds(600));
  EXPECT_TRUE(other.connection->shut_down);
}

TEST(NbdSession, RandomRequestsNeverHurtTheServer) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    World world{seed};
    world.connection->fragments = &random;
    world.device->delays = &random;
    world.connect(random.coin());
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t offset =
          random.chance(80) ? random.below(World::kDefaultSize) : random.next();
      const auto length =
          static_cast<std::uint32_t>(random.chance(90) ? random.below(70'000) : random.next());
      Out message =
          request(static_cast<std::uint16_t>(random.below(9)), static_cast<unsigned>(i), offset,
                  length, random.chance(70) ? 0 : static_cast<std::uint16_t>(random.next()));
      if (random.chance(1)) message.bytes[random.below(28)] ^= std::byte{4};
      message.add(filled(length < 70'000 && random.chance(95) ? length : 0, 0));
      world.push(message);
    }
    world.settle();
  }
}

// --- Servers.

class NbdServer : public testing::Test {
 protected:
  ~NbdServer() override { EXPECT_TRUE(served_); }

  void serve() {
    server_ = std::make_unique<nbd::Server>(scheduler_, exports_, limits_);
    scheduler_.spawn(run());
    settle();
  }
  std::shared_ptr<Connection> connect() {
    auto connection = std::make_shared<Connection>(scheduler_);
    queue_->connect(connection);
    settle();
    return connection;
  }
  std::shared_ptr<Connection> connect_to(std::string_view name) {
    auto connection = connect();
    connection->push(Out{}.u32(3));
    connection->push(option(7, info_data(name)));
    settle();
    connection->take();
    return connection;
  }
  void settle() { scheduler_.run_for(milliseconds(200)); }
  void shutdown() { scheduler_.run(server_->shutdown()); }

  sim::SimScheduler scheduler_{kSeed};
  MemoryExports exports_ = [this] {
    MemoryExports exports;
    for (const char* name : {"one", "two"}) {
      exports.all.push_back(
          {{name, ""}, std::make_shared<MemoryDevice>(scheduler_, 4 * kMiB, 4096)});
    }
    return exports;
  }();
  nbd::Limits limits_;
  std::shared_ptr<MemoryListener::Queue> queue_ =
      std::make_shared<MemoryListener::Queue>(scheduler_);
  std::unique_ptr<nbd::Server> server_;
  bool served_ = false;

 private:
  Task<void> run() {
    auto listener = std::make_unique<MemoryListener>(queue_);
    co_await server_->serve(std::move(listener));
    served_ = true;
  }
};

TEST_F(NbdServer, ConnectionsBeyondTheLimitAreClosedAtOnce) {
  limits_.connections_max = 3;
  serve();
  std::vector<std::shared_ptr<Connection>> connections;
  for (int i = 0; i < 3; ++i) connections.push_back(connect_to("one"));
  for (int i = 0; i < 2; ++i) connections.push_back(connect());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(connections[i]->shut_down, i >= 3) << i;
  EXPECT_TRUE(connections[4]->from_server.empty());
  connections[0]->vanish();
  settle();
  EXPECT_FALSE(connect()->shut_down);
  shutdown();
  EXPECT_EQ(server_->connections().size(), 0u);
}

// Found by a crowd of silent connections, which kept the bystander of hostile_sessions.sh out.
TEST_F(NbdServer, ConnectionsThatNeverChooseAnExportKeepNobodyOut) {
  limits_.connections_max = 3;
  serve();
  std::vector<std::shared_ptr<Connection>> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(connect());
  const auto polite = connect_to("one");
  EXPECT_FALSE(silent[0]->shut_down) << "it has a second to come to the point";
  scheduler_.run_for(seconds(1));
  EXPECT_FALSE(polite->shut_down);
  ASSERT_EQ(server_->connections().size(), 3u);
  EXPECT_EQ(server_->connections()[2].export_name, "one");
  EXPECT_TRUE(silent[0]->shut_down) << "the one that has negotiated for longest makes room";
  EXPECT_FALSE(silent[1]->shut_down || silent[2]->shut_down);
  shutdown();
}

// Found by the same storm, in which connections came faster than a polite client could negotiate.
TEST_F(NbdServer, AClientThatNegotiatesIsNotEndedForThoseThatComeAfterIt) {
  limits_.connections_max = 3;
  serve();
  const auto polite = connect();
  for (int i = 0; i < 20; ++i) {
    queue_->connect(std::make_shared<Connection>(scheduler_));
  }
  settle();
  polite->push(Out{}.u32(3));
  settle();
  polite->push(option(7, info_data("one")));
  settle();
  EXPECT_FALSE(polite->shut_down);
  EXPECT_EQ(server_->connections()[0].export_name, "one");
  // The others have their turns, a second each, and the server stops with some still waiting.
  scheduler_.run_for(seconds(3));
  EXPECT_EQ(server_->connections().size(), 3u);
  EXPECT_FALSE(polite->shut_down);
  shutdown();
}

TEST_F(NbdServer, AConnectionBeyondTheLimitOfItsExportIsToldSo) {
  limits_.device_connections_max = 2;
  serve();
  connect_to("one");
  connect_to("one");
  const auto third = connect();
  third->take();
  third->push(Out{}.u32(3));
  third->push(option(6, info_data("one")));
  third->push(option(7, info_data("one")));
  third->push(option(7, info_data("two")));
  settle();
  EXPECT_FALSE(third->shut_down);
  ASSERT_EQ(server_->connections().size(), 3u);
  EXPECT_EQ(server_->connections()[2].export_name, "two");
  const Bytes said = third->take();
  const std::string text{reinterpret_cast<const char*>(said.data()), said.size()};
  EXPECT_NE(text.find("the export has 2 connections"), std::string::npos);
  shutdown();
}

TEST_F(NbdServer, ReadOnlyExportsShareALimit) {
  limits_.read_only_connections_max = 2;
  for (auto& [entry, device] : exports_.all) {
    dynamic_cast<MemoryDevice&>(*device).is_read_only = true;
  }
  exports_.all.push_back(
      {{"live", ""}, std::make_shared<MemoryDevice>(scheduler_, 4 * kMiB, 4096)});
  serve();
  for (const char* name : {"one", "two", "one", "two", "live"}) connect_to(name);
  std::size_t agreed = 0;
  for (const auto& connection : server_->connections()) {
    agreed += connection.device != nullptr ? 1 : 0;
  }
  EXPECT_EQ(agreed, 3u) << "two views, and the volume";
  shutdown();
}

TEST(NbdLogBudget, IsSpentEarnedAgainAndCountsWhatItLeftOut) {
  sim::SimScheduler scheduler{kSeed};
  nbd::LogBudget budget{scheduler};
  std::uint64_t lines = 0;
  for (int i = 0; i < 1000; ++i) lines += budget.take() ? 1 : 0;
  EXPECT_EQ(lines, nbd::LogBudget::kBurst);
  scheduler.run_for(seconds(10));
  for (int i = 0; i < 1000; ++i) lines += budget.take() ? 1 : 0;
  EXPECT_EQ(lines, nbd::LogBudget::kBurst + 10);
  scheduler.run_for(seconds(100'000));
  for (int i = 0; i < 1000; ++i) lines += budget.take() ? 1 : 0;
  EXPECT_EQ(lines, 2 * nbd::LogBudget::kBurst + 10);
}

TEST_F(NbdServer, ShutdownEndsEverySessionAndTheListener) {
  serve();
  const auto negotiating = connect();
  const auto idle = connect_to("one");
  const auto busy = connect_to("two");
  auto& device = dynamic_cast<MemoryDevice&>(*exports_.all[1].device);
  device.delays = &scheduler_.random();
  Out write = request(kWrite, 1, 0, 2 * kMiB);
  busy->push(write.add(filled(2 * kMiB, 1)));
  settle();
  shutdown();
  EXPECT_TRUE(negotiating->shut_down && idle->shut_down && busy->shut_down);
  EXPECT_EQ(busy->take().size(), 16u);
  EXPECT_TRUE(queue_->closed);
  EXPECT_EQ(exports_.all[1].device.use_count(), 1);
}

TEST_F(NbdServer, DisconnectEndsTheSessionsOfOneExport) {
  serve();
  const auto first = connect_to("one");
  const auto second = connect_to("one");
  const auto other = connect_to("two");
  ASSERT_EQ(server_->connections().size(), 3u);
  EXPECT_EQ(server_->connections()[0].export_name, "one");
  EXPECT_EQ(server_->connections()[0].device, exports_.all[0].device.get());
  scheduler_.run(server_->disconnect(exports_.all[0].device));
  EXPECT_TRUE(first->shut_down && second->shut_down);
  EXPECT_FALSE(other->shut_down);
  EXPECT_EQ(exports_.all[0].device.use_count(), 1) << "the device is still held";
  shutdown();
}

TEST_F(NbdServer, AFailedAcceptIsTriedAgain) {
  queue_->failures.push_back(make_error(EMFILE, "too many open files"));
  serve();
  settle();
  EXPECT_FALSE(connect()->from_server.empty());
  shutdown();
}

}  // namespace
}  // namespace cdp::test
