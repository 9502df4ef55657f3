// SPDX-License-Identifier: Apache-2.0
//
// How many writes a pass has in flight, and what it leaves to others meanwhile.
#include "cdp/write_back.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/sim/sim_scheduler.h"

namespace cdp {
namespace {

constexpr std::uint64_t kBlocks = 8192;

// Keeps nothing. Answers each write after `latency`.
class CountingDisk final : public Disk {
 public:
  explicit CountingDisk(Scheduler& scheduler) : scheduler_(scheduler) {}

  Task<Status> write(std::uint64_t, std::span<const iovec>) override {
    ++issued;
    most_in_flight = std::max(most_in_flight, ++in_flight);
    co_await sleep_for(scheduler_, latency);
    --in_flight;
    co_return Status{};
  }
  Task<Status> sync() override { co_return Status{}; }
  Task<Status> zero_range(std::uint64_t, std::uint64_t, bool) override { co_return Status{}; }
  Task<Status> read(std::uint64_t, std::span<const iovec>) override { co_return unused(); }
  Task<Status> write_durably(std::uint64_t, std::span<const iovec>) override { co_return unused(); }
  std::uint64_t size_bytes() const override { return kBlocks * kBlockBytes; }

  Nanos latency = milliseconds(1);
  std::size_t issued = 0;
  std::size_t in_flight = 0;
  std::size_t most_in_flight = 0;

 private:
  static Status unused() { return make_error(ENOTSUP, "no pass does this"); }
  Scheduler& scheduler_;
};

class WriteBackTest : public testing::Test {
 protected:
  // One block in two, so that each is a write of its own.
  void change(std::size_t blocks) {
    for (std::size_t i = 0; i < blocks; ++i) {
      const PageList pages = scheduler_.run(pool_.acquire(1));
      PageList previous(1);
      dirty_.link_write(2 * i, pages, Lsn{++lsn_}, Lsn{0}, previous);
    }
  }
  Status pass() { return scheduler_.run(write_back_.run(Lsn{lsn_}, false)); }
  // So that as many as may be are in flight from now on.
  void grow() {
    change(kBlocks / 4);
    ASSERT_TRUE(pass().ok());
    ASSERT_EQ(disk_.most_in_flight, InFlightLimit::kMost);
    disk_.issued = disk_.most_in_flight = 0;
    grown_ = lsn_;
  }

  // A client that has something to do in every turn, until the pass has written all.
  Task<void> look_at_every_turn() {
    std::size_t seen = 0;
    while (seen < lsn_ - grown_) {
      co_await sleep_for(scheduler_, Nanos{});
      most_between_turns_ = std::max(most_between_turns_, disk_.issued - seen);
      seen = disk_.issued;
    }
  }

  sim::SimScheduler scheduler_{7};
  PagePool pool_{scheduler_, kBlocks / 2};
  CountingDisk disk_{scheduler_};
  DirtyMap dirty_;
  Hydrator hydrator_{scheduler_, disk_, dirty_, {}};
  Signal freed_{scheduler_};
  WriteBack write_back_{scheduler_, disk_, dirty_, hydrator_, freed_};
  std::uint64_t lsn_ = 0;
  std::uint64_t grown_ = 0;  // changes that served to grow
  std::size_t most_between_turns_ = 0;
};

TEST_F(WriteBackTest, FewAreInFlightWhileAClientWaitsForTheJournal) {
  grow();
  change(1000);
  {
    const WriteBack::FlushWait waits(write_back_);
    const WriteBack::FlushWait another(write_back_);
    ASSERT_TRUE(pass().ok());
  }
  EXPECT_EQ(disk_.issued, 1000u);
  EXPECT_EQ(disk_.most_in_flight, InFlightLimit::kFewest);
  change(1000);
  ASSERT_TRUE(pass().ok());
  EXPECT_EQ(disk_.most_in_flight, InFlightLimit::kMost);
}

TEST_F(WriteBackTest, NoMoreAreIssuedUntilFewAreLeftWhereAFlushComesInBetween) {
  grow();
  change(1000);
  std::optional<WriteBack::FlushWait> waits;
  std::size_t most = 0;
  std::size_t before = 0;
  // The pass has had time for its first writes, and they are answered one by one.
  scheduler_.at(scheduler_.now() + microseconds(500), [&] {
    waits.emplace(write_back_);
    before = disk_.issued;
  });
  scheduler_.at(scheduler_.now() + milliseconds(3), [&] {
    most = disk_.in_flight;
    waits.reset();
  });
  ASSERT_TRUE(pass().ok());
  EXPECT_GT(before, InFlightLimit::kFewest);
  EXPECT_LE(most, InFlightLimit::kFewest);
  EXPECT_EQ(disk_.issued, 1000u) << "and the pass goes on";
}

TEST_F(WriteBackTest, ClientsAreLookedAfterBetween32Writes) {
  grow();
  change(1000);
  scheduler_.spawn(look_at_every_turn());
  ASSERT_TRUE(pass().ok());
  EXPECT_EQ(disk_.issued, 1000u);
  EXPECT_LE(most_between_turns_, 64u);  // who looks may have his turn just before or behind
  EXPECT_GE(most_between_turns_, 32u);
}

}  // namespace
}  // namespace cdp
