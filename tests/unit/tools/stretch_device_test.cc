// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/checks/stretch_device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/sim/sim_scheduler.h"
#include "tests/unit/cdp/memory_device.h"

namespace tools {
namespace {

using cdp::kBlockBytes;
using cdp::test::MemoryDevice;
using Operation = cdp::test::Operation;

// A device of eight blocks and a half, of which blocks 2 to 4 and a quarter are the stretch.
class StretchWorld {
 public:
  static constexpr std::uint64_t kDeviceBytes = 8 * kBlockBytes + kBlockBytes / 2;
  static constexpr std::uint64_t kOffset = 2 * kBlockBytes;
  static constexpr std::uint64_t kBytes = 2 * kBlockBytes + kBlockBytes / 4;

  StretchWorld() { account->writable_bytes = 1u << 20; }

  cdp::Status write(cdp::BlockDevice& device, std::uint64_t offset, std::uint32_t bytes,
                    int value) {
    cdp::PageList pages = scheduler.run(device.pages_for_write(offset, bytes)).value();
    for (std::uint64_t at = offset; at < offset + bytes; ++at)
      pages[at / kBlockBytes - offset / kBlockBytes].data()[at % kBlockBytes] = std::byte(value);
    return scheduler.run(device.write(offset, bytes, std::move(pages)));
  }
  int byte_of(cdp::BlockDevice& device, std::uint64_t offset) {
    const auto pages = scheduler.run(device.read(offset, 1));
    return std::to_integer<int>(pages.value()[0].data()[offset % kBlockBytes]);
  }
  std::shared_ptr<StretchDevice> open() {
    return cdp::value_or_throw(StretchDevice::open(below, kOffset, kBytes, account));
  }

  sim::SimScheduler scheduler{1};
  std::shared_ptr<MemoryDevice> below = std::make_shared<MemoryDevice>(scheduler, kDeviceBytes, 64);
  std::shared_ptr<CheckAccount> account = std::make_shared<CheckAccount>();
};

TEST(StretchDevice, IsRefusedWhereItIsNone) {
  StretchWorld world;
  const struct {
    std::uint64_t offset;
    std::uint64_t bytes;
  } none[] = {{0, 0},
              {0, StretchWorld::kDeviceBytes + 1},
              {StretchWorld::kDeviceBytes, 1},
              {512, 4096},
              {1, 1},
              {4096, UINT64_MAX - 4095},
              {UINT64_MAX - 4095, 4096},
              {UINT64_MAX, UINT64_MAX}};
  for (const auto& [offset, bytes] : none) {
    const auto opened = StretchDevice::open(world.below, offset, bytes, world.account);
    ASSERT_FALSE(opened.ok()) << offset << " " << bytes;
    EXPECT_EQ(opened.error().code, EINVAL);
  }
  EXPECT_TRUE(StretchDevice::open(world.below, 0, StretchWorld::kDeviceBytes, world.account).ok());
}

TEST(StretchDevice, IsTheBytesThatItShows) {
  StretchWorld world;
  ASSERT_TRUE(world.write(*world.below, 0, 8 * kBlockBytes, 7).ok());
  const auto stretch = world.open();
  EXPECT_EQ(stretch->size_bytes(), StretchWorld::kBytes);
  EXPECT_FALSE(stretch->read_only());
  ASSERT_TRUE(world.write(*stretch, 100, StretchWorld::kBytes - 100, 9).ok());
  EXPECT_EQ(world.byte_of(*stretch, 99), 7);
  EXPECT_EQ(world.byte_of(*stretch, 100), 9);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + 99), 7);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + 100), 9);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + StretchWorld::kBytes - 1), 9);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + StretchWorld::kBytes), 7);
  ASSERT_TRUE(world.scheduler.run(stretch->zero(0, StretchWorld::kBytes, {})).ok());
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset - 1), 7);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset), 0);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + StretchWorld::kBytes - 1), 0);
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + StretchWorld::kBytes), 7);
  ASSERT_TRUE(world.scheduler.run(stretch->trim(0, StretchWorld::kBytes)).ok());
  EXPECT_EQ(world.byte_of(*world.below, StretchWorld::kOffset + StretchWorld::kBytes), 7);
  const auto extents = world.scheduler.run(stretch->allocation(0, StretchWorld::kBytes, 8));
  ASSERT_TRUE(extents.ok());
  std::uint64_t told = 0;
  for (const cdp::AllocationExtent& extent : *extents) told += extent.bytes;
  EXPECT_EQ(told, StretchWorld::kBytes);
  EXPECT_FALSE(world.account->failure.has_value());
}

TEST(StretchDevice, AFlushIsNothing) {
  StretchWorld world;
  ASSERT_TRUE(world.scheduler.run(world.open()->flush()).ok());
  EXPECT_EQ(world.below->count(Operation::kFlush), 0u);
}

TEST(StretchDevice, WritesAsMuchAsTheCheckMay) {
  StretchWorld world;
  world.account->writable_bytes = 3 * kBlockBytes;
  const auto first = world.open();
  const auto second = world.open();
  // A byte costs its block.
  ASSERT_TRUE(world.write(*first, 5, 1, 1).ok());
  ASSERT_TRUE(world.write(*second, 0, 2 * kBlockBytes, 1).ok());
  const cdp::Status refused = world.write(*first, 0, 1, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ENOSPC);
  ASSERT_TRUE(world.account->failure.has_value());
  EXPECT_EQ(world.account->failure->code, ENOSPC);
  EXPECT_EQ(world.scheduler.run(second->zero(0, 1, {})).error().code, ENOSPC);
  EXPECT_EQ(world.scheduler.run(second->trim(0, kBlockBytes)).error().code, ENOSPC);
  EXPECT_TRUE(world.scheduler.run(second->read(0, 1)).ok());
  EXPECT_EQ(world.account->read_bytes, 1u);
}

TEST(StretchDevice, TheFirstFailureBelowIsKept) {
  StretchWorld world;
  const auto stretch = world.open();
  world.below->fault = [](Operation, std::uint64_t, std::uint64_t) {
    return cdp::make_error(EIO, "rot");
  };
  EXPECT_EQ(world.scheduler.run(stretch->read(0, 1)).error().message, "rot");
  world.below->fault = nullptr;
  EXPECT_TRUE(world.scheduler.run(stretch->read(0, 1)).ok());
  EXPECT_EQ(world.account->failure->message, "rot");
}

TEST(StretchDevice, AConnectionHasOneExportWithoutAName) {
  StretchWorld world;
  OneExport exports{world.open()};
  EXPECT_NE(world.scheduler.run(exports.find("")).value(), nullptr);
  EXPECT_EQ(world.scheduler.run(exports.find("shop")).value(), nullptr);
  EXPECT_EQ(exports.exports().size(), 1u);
}

}  // namespace
}  // namespace tools
