// SPDX-License-Identifier: Apache-2.0
#include "tools/api/image_stream.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/recorded_source.h"
#include "tools/api/documents.h"
#include "tools/api/target_sink.h"

namespace tools::api {
namespace {

using restore::Point;
using restore::RecordedVault;

const restore::TimeZone kUtc = restore::TimeZone::utc();

class ImageInMemory final : public ExtentSink {
 public:
  cdp::Status start(const ImageInfo& started) override {
    info = started;
    image.assign(started.size_bytes, std::byte{0xee});
    return {};
  }
  cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    in_order = in_order && offset == next;
    next = offset + bytes.size();
    std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  cdp::Status zero(std::uint64_t offset, std::uint64_t length) override {
    in_order = in_order && offset == next;
    next = offset + length;
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    return {};
  }
  void notice(std::string) override { ++notices; }

  ImageInfo info;
  std::vector<std::byte> image;
  std::uint64_t next = 0;
  bool in_order = true;
  int notices = 0;
};

class ImageStreamTest : public testing::Test {
 protected:
  const std::uint64_t seed_ = std::random_device{}();
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
  RecordedVault world_{seed_};
  RecordedSource source_{world_};
  VaultQueries queries_{source_};

  // Blocks that do not compress or repeat, so that a stream is as long as they are.
  void fill(cdp::VolumeId volume, std::uint64_t blocks) {
    for (std::uint64_t block = 0; block < blocks; block += 16) {
      std::vector<unsigned> seeds;
      for (unsigned i = 0; i < 16; ++i) seeds.push_back(static_cast<unsigned>(world_.random()));
      world_.write(volume, block, seeds);
      if (block % 512 == 0) world_.flush();
    }
    world_.flush();
  }
  std::unique_ptr<ImageStream> stream(bool in_offset_order) {
    return std::make_unique<ImageStream>(
        world_.scheduler,
        cdp::value_or_throw(world_.scheduler.run(queries_.image(kUtc, "shop", Point::now()))),
        in_offset_order);
  }
};

TEST_F(ImageStreamTest, WhatIsDecodedIsTheImageInEitherOrder) {
  const auto shop = world_.create("shop", 8u << 20);
  fill(shop, 1024);
  world_.zero(shop, cdp::ZeroKind::kTrim, 100, 300);
  world_.write(shop, 1700, {1, 2, 3});
  world_.flush();
  for (const bool in_offset_order : {false, true}) {
    const auto source = stream(in_offset_order);
    ImageInMemory sink;
    ExtentStreamDecoder decoder{sink};
    while (true) {
      auto piece = world_.scheduler.run(source->next());
      ASSERT_TRUE(piece.ok());
      if (!piece->has_value()) break;
      const cdp::Status fed = decoder.feed(std::as_bytes(std::span{**piece}));
      ASSERT_TRUE(fed.ok()) << fed.error().message;
    }
    ASSERT_TRUE(decoder.finish().ok());
    EXPECT_TRUE(sink.image == world_.image(shop, world_.last()));
    EXPECT_EQ(sink.info.lsn, world_.last());
    EXPECT_EQ(sink.info.data_bytes, (1024u - 300u + 3u) * 4096u);
    if (in_offset_order) {
      EXPECT_TRUE(sink.in_order);
    }
  }
}

TEST_F(ImageStreamTest, AReaderWhoLeavesEndsTheWork) {
  const auto shop = world_.create("shop", 16u << 20);
  fill(shop, 4096);
  const auto abandoned_at_once = stream(false);
  world_.scheduler.run(abandoned_at_once->abandon());
  const auto source = stream(false);
  ASSERT_TRUE(world_.scheduler.run(source->next()).ok());
  world_.scheduler.run_for(cdp::seconds(10));  // it stands still, full
  world_.scheduler.run(source->abandon());
}

TEST_F(ImageStreamTest, QueriesGiveTheDocumentsOfEveryReadingVerb) {
  const auto shop = world_.create("shop", 1u << 20);
  world_.create("other", 1u << 20);
  const cdp::Stamp marked = world_.mark(shop, "before");
  world_.scheduler.run_for(cdp::seconds(3));
  world_.write(shop, 0, {1});
  world_.flush();
  const auto run = [&](auto task) {
    return cdp::value_or_throw(world_.scheduler.run(std::move(task)));
  };

  const auto volumes = run(queries_.volumes(kUtc, false));
  ASSERT_EQ(volumes.at("volumes").as_array().size(), 2u);
  EXPECT_EQ(volumes.at("volumes").at(0).at("name").as_string(), "other");
  EXPECT_EQ(run(queries_.volume(kUtc, "shop")).at("size_bytes").to_number<int>(), 1 << 20);

  const auto ends = run(queries_.points(kUtc, "shop", std::nullopt));
  EXPECT_EQ(ends.at("first").at("lsn").to_number<std::uint64_t>(), 1u);
  EXPECT_EQ(ends.at("last").at("lsn").to_number<std::uint64_t>(), world_.last().value);
  EXPECT_EQ(ends.at("marks").at(0).at("label").as_string(), "before");
  EXPECT_EQ(ends.at("marks").at(0).at("volume").as_string(), "shop");
  EXPECT_TRUE(ends.at("notices").as_array().empty());

  const auto point = run(queries_.points(kUtc, "shop", Point::now()));
  EXPECT_EQ(point.at("point").at("lsn").to_number<std::uint64_t>(), world_.last().value);
  EXPECT_EQ(point.at("nearest_mark").at("lsn").to_number<std::uint64_t>(), marked.lsn.value);
  EXPECT_TRUE(
      std::string{point.at("nearest_mark").at("distance").as_string()}.ends_with("after it"));
  EXPECT_TRUE(std::string{point.at("point").at("time_utc").as_string()}.ends_with("Z"));

  EXPECT_EQ(ends.at("marks").at(0).at("author").as_string(), "tester");
  const auto status = run(queries_.status(kUtc));
  EXPECT_EQ(status.at("vault").at("id").as_string(), world_.vault.uuid.to_string());
  EXPECT_EQ(status.at("history").at("newest").at("lsn").to_number<std::uint64_t>(),
            world_.last().value);
  const auto diff = run(queries_.diff(kUtc, "shop", Point::at_mark("before"), Point::now()));
  EXPECT_EQ(diff.at("changed_bytes").to_number<std::uint64_t>(), 4096u);
  EXPECT_TRUE(run(queries_.verify({})).at("ok").as_bool());
  EXPECT_FALSE(world_.scheduler.run(queries_.volume(kUtc, "nobody")).ok());
}

// Only accepts what comes in order.
class PipeLikeTarget final : public restore::ImageTarget {
 public:
  cdp::Status start(const restore::ImageSize&) override { return {}; }
  cdp::Status data(std::uint64_t, std::span<const std::byte>) override { return {}; }
  cdp::Status zero(std::uint64_t, std::uint64_t) override { return {}; }
  cdp::Status finish() override { return {}; }
  bool wants_offset_order() const override { return true; }
};

TEST(TargetSink, ATargetThatWantsOrderIsNotGivenDisorder) {
  PipeLikeTarget target;
  TargetSink sink{target};
  EXPECT_TRUE(sink.start({100, {}, {}, {}}).ok());
  EXPECT_TRUE(sink.zero(0, 50).ok());
  EXPECT_FALSE(sink.zero(60, 40).ok());
}

}  // namespace
}  // namespace tools::api
