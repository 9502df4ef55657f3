// SPDX-License-Identifier: Apache-2.0
#include "restore/clone_catalogue.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_store.h"

namespace restore {
namespace {

CloneEntry entry(const std::string& name, std::uint64_t lsn = 5) {
  return {.name = name,
          .uuid = journal::Uuid::random(),
          .volume = {3},
          .lsn = {lsn},
          .size_bytes = 1ull << 40,
          .created = {1'582'455'360'123'456'789}};
}

TEST(CloneCatalogue, ListsWhatWasCreatedAndNotRemovedAlsoWhenOpenedAgain) {
  sim::SimScheduler scheduler{1};
  const auto store = sim::SimStore::make(scheduler, 1);
  const auto directory = store->directory("state");
  const CloneEntry a = entry("a");
  const CloneEntry b = entry("b.2_x-y", 0);
  {
    auto catalogue = cdp::value_or_throw(scheduler.run(CloneCatalogue::open(*directory)));
    EXPECT_TRUE(catalogue.clones().empty());
    ASSERT_TRUE(scheduler.run(catalogue.add(a)).ok());
    ASSERT_TRUE(scheduler.run(catalogue.add(entry("gone"))).ok());
    ASSERT_TRUE(scheduler.run(catalogue.add(b)).ok());
    ASSERT_TRUE(scheduler.run(catalogue.remove("gone")).ok());
    EXPECT_EQ(scheduler.run(catalogue.remove("gone")).error().code, ENOENT);
    EXPECT_EQ(scheduler.run(catalogue.add(entry("a"))).error().code, EEXIST);
    CloneEntry same_uuid = entry("c");
    same_uuid.uuid = a.uuid;
    EXPECT_EQ(scheduler.run(catalogue.add(same_uuid)).error().code, EEXIST);
    EXPECT_EQ(scheduler.run(catalogue.add(entry("no spaces"))).error().code, EINVAL);
  }
  const auto again = cdp::value_or_throw(scheduler.run(CloneCatalogue::open(*directory)));
  EXPECT_EQ(again.clones(), (std::vector<CloneEntry>{a, b}));
  ASSERT_NE(again.find("a"), nullptr);
  EXPECT_EQ(again.find("c"), nullptr);
}

TEST(CloneCatalogue, ACrashAtAnyIoLeavesTheListOfBeforeOrAfter) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  for (std::uint64_t io = 1; io < 12; ++io) {
    sim::SimScheduler scheduler{seed};
    auto store = sim::SimStore::make(scheduler, seed);
    auto directory = store->directory("state");
    auto catalogue = cdp::value_or_throw(scheduler.run(CloneCatalogue::open(*directory)));
    store->crash_at(store->ios() + io);
    std::vector<CloneEntry> before;
    std::vector<CloneEntry> after;
    for (int i = 0; !store->crashed() && i < 20; ++i) {
      before = after;
      if (i % 3 == 2) {
        after.erase(after.begin());
        const cdp::Status removed = scheduler.run(catalogue.remove(before.front().name));
        if (removed.ok()) before = after;
      } else {
        after.push_back(entry(fmt::format("clone{}", i)));
        const cdp::Status added = scheduler.run(catalogue.add(after.back()));
        if (added.ok()) before = after;
      }
    }
    store = store->reboot(scheduler, seed + io);
    directory = store->directory("state");
    const auto again = cdp::value_or_throw(scheduler.run(CloneCatalogue::open(*directory)));
    EXPECT_TRUE(again.clones() == before || again.clones() == after) << io;
  }
}

TEST(CloneCatalogue, AnyDamageIsNoticed) {
  const std::vector<CloneEntry> clones{entry("a"), entry("b")};
  const std::string text = encode_clones(clones);
  ASSERT_TRUE(decode_clones(text).ok());
  EXPECT_EQ(*decode_clones(text), clones);
  EXPECT_TRUE(decode_clones(encode_clones({})).ok());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    EXPECT_FALSE(decode_clones(damaged).ok()) << i;
    EXPECT_FALSE(decode_clones(text.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(decode_clones(text + "\n").ok());
  EXPECT_FALSE(decode_clones(encode_clones({clones[0], clones[0]})).ok());
  CloneEntry bad = clones[0];
  bad.name = "two words";
  EXPECT_FALSE(decode_clones(encode_clones({bad})).ok());
}

}  // namespace
}  // namespace restore
