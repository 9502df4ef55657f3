// SPDX-License-Identifier: Apache-2.0
#include "tools/api/extent_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace tools::api {
namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& to, std::span<const std::byte> from) {
  to.insert(to.end(), from.begin(), from.end());
}

// The image, filled in; a byte that nothing covered keeps the mark.
class ModelSink : public ExtentSink {
 public:
  static constexpr std::byte kUncovered{0xee};

  cdp::Status start(const ImageInfo& started) override {
    info = started;
    image.assign(started.size_bytes, kUncovered);
    return {};
  }
  cdp::Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
    return refuse_data ? cdp::make_error(ENOSPC, "the disk is full") : cdp::Status{};
  }
  cdp::Status zero(std::uint64_t offset, std::uint64_t length) override {
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    return {};
  }

  void notice(std::string sentence) override { notices.push_back(std::move(sentence)); }

  ImageInfo info;
  Bytes image;
  std::vector<std::string> notices;
  bool refuse_data = false;
};

struct Example {
  ImageInfo info;
  Bytes image;
  Bytes stream;
};

// A random image cut into random extents, sent in random order.
Example random_example(std::mt19937_64& random) {
  Example example;
  example.info = {1 + random() % 20'000, cdp::Lsn{random()},
                  cdp::Nanos{static_cast<std::int64_t>(random() >> 1)},
                  random() % 2 == 0 ? std::optional{random() % 1000} : std::nullopt};
  example.image.resize(example.info.size_bytes);
  ExtentStreamEncoder encoder;
  append(example.stream, encoder.start(example.info));
  struct Extent {
    std::uint64_t offset;
    std::uint64_t length;
    bool zero;
  };
  std::vector<Extent> extents;
  for (std::uint64_t at = 0; at < example.info.size_bytes;) {
    const std::uint64_t length =
        std::min<std::uint64_t>(1 + random() % 3000, example.info.size_bytes - at);
    extents.push_back({at, length, random() % 3 == 0});
    at += length;
  }
  std::shuffle(extents.begin(), extents.end(), random);
  for (const Extent& extent : extents) {
    if (extent.zero) {
      append(example.stream, encoder.zero(extent.offset, extent.length));
      continue;
    }
    const auto payload = std::span{example.image}.subspan(extent.offset, extent.length);
    for (std::byte& b : payload) b = std::byte(random() & 0xff);
    append(example.stream, encoder.data(extent.offset, payload));
    append(example.stream, payload);
  }
  append(example.stream, encoder.end());
  return example;
}

cdp::Status decode(const Bytes& stream, ExtentSink& sink, std::mt19937_64& random,
                   std::size_t piece_max) {
  ExtentStreamDecoder decoder{sink};
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t piece = std::min<std::size_t>(1 + random() % piece_max, stream.size() - at);
    cdp::Status status = decoder.feed(std::span{stream}.subspan(at, piece));
    if (!status.ok()) return status;
    at += piece;
  }
  return decoder.finish();
}

class ExtentStream : public testing::Test {
 protected:
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

TEST_F(ExtentStream, AnyImageComesBackFromPiecesOfAnySize) {
  for (int i = 0; i < 200; ++i) {
    const Example example = random_example(random_);
    for (const std::size_t piece_max : {1u, 50u, 5000u, 1u << 20}) {
      ModelSink sink;
      const cdp::Status status = decode(example.stream, sink, random_, piece_max);
      ASSERT_TRUE(status.ok()) << status.error().message;
      ASSERT_EQ(sink.info, example.info);
      ASSERT_TRUE(sink.image == example.image);
    }
  }
}

TEST_F(ExtentStream, AnEmptyImageIsAHeaderAndAnEnd) {
  ExtentStreamEncoder encoder;
  Bytes stream;
  append(stream, encoder.start({}));
  append(stream, encoder.end());
  ModelSink sink;
  EXPECT_TRUE(decode(stream, sink, random_, 7).ok());
}

TEST_F(ExtentStream, EveryTruncationIsNoticed) {
  const Example example = random_example(random_);
  for (std::size_t bytes = 0; bytes < example.stream.size(); bytes += 1 + random_() % 40) {
    ModelSink sink;
    Bytes cut(example.stream.begin(), example.stream.begin() + static_cast<std::ptrdiff_t>(bytes));
    const cdp::Status status = decode(cut, sink, random_, 900);
    ASSERT_FALSE(status.ok()) << bytes;
    ASSERT_NE(status.error().message.find("broke off"), std::string::npos);
  }
}

TEST_F(ExtentStream, EveryChangedBitIsNoticed) {
  const Example example = random_example(random_);
  for (int i = 0; i < 2000; ++i) {
    Bytes bad = example.stream;
    const std::size_t at =
        i < 200 ? static_cast<std::size_t>(i) % bad.size() : random_() % bad.size();
    bad[at] ^= std::byte(1u << (random_() % 8));
    ModelSink sink;
    ASSERT_FALSE(decode(bad, sink, random_, 900).ok()) << "byte " << at;
  }
}

TEST_F(ExtentStream, FramesLostRepeatedOrOutOfTurnAreNoticed) {
  ExtentStreamEncoder encoder;
  const Bytes payload(100, std::byte{7});
  const StreamHeader start = encoder.start({300, cdp::Lsn{1}, {}, {}});
  std::vector<Bytes> frames(4);
  append(frames[0], encoder.data(0, payload));
  append(frames[0], payload);
  append(frames[1], encoder.zero(100, 100));
  append(frames[2], encoder.data(200, payload));
  append(frames[2], payload);
  append(frames[3], encoder.end());
  const auto outcome = [&](std::vector<int> order) {
    Bytes stream;
    append(stream, start);
    for (const int i : order) append(stream, frames[static_cast<std::size_t>(i)]);
    ModelSink sink;
    return decode(stream, sink, random_, 1000).ok();
  };
  EXPECT_TRUE(outcome({0, 1, 2, 3}));
  EXPECT_FALSE(outcome({0, 2, 3}));
  EXPECT_FALSE(outcome({0, 1, 1, 2, 3}));
  EXPECT_FALSE(outcome({1, 0, 2, 3}));
  EXPECT_FALSE(outcome({0, 1, 2}));
  EXPECT_FALSE(outcome({0, 1, 2, 3, 3}));
  EXPECT_FALSE(outcome({3}));
}

TEST_F(ExtentStream, ImpossibleExtentsAreRefusedThoughTheirChecksumsAreRight) {
  const auto outcome = [&](auto&& add) {
    ExtentStreamEncoder encoder;
    Bytes stream;
    append(stream, encoder.start({300, cdp::Lsn{1}, {}, {}}));
    add(encoder, stream);
    append(stream, encoder.end());
    ModelSink sink;
    return decode(stream, sink, random_, 1000);
  };
  const auto zero = [&](std::uint64_t offset, std::uint64_t length) {
    return outcome([&](ExtentStreamEncoder& encoder, Bytes& stream) {
      append(stream, encoder.zero(offset, length));
    });
  };
  EXPECT_TRUE(zero(0, 300).ok());
  EXPECT_FALSE(zero(0, 301).ok());
  EXPECT_FALSE(zero(0, 299).ok());
  EXPECT_FALSE(zero(1, 300).ok());
  EXPECT_FALSE(zero(UINT64_MAX, 300).ok());
  EXPECT_FALSE(zero(0, UINT64_MAX).ok());
  EXPECT_FALSE(outcome([&](ExtentStreamEncoder& encoder, Bytes& stream) {
                 append(stream, encoder.zero(0, 300));
                 append(stream, encoder.zero(0, 300));
               }).ok());
}

TEST_F(ExtentStream, TheServersErrorIsWhatTheReaderReports) {
  ExtentStreamEncoder encoder;
  Bytes stream;
  append(stream, encoder.start({300, cdp::Lsn{1}, {}, {}}));
  append(stream, encoder.error("reading segment 7: Input/output error"));
  ModelSink sink;
  const cdp::Status status = decode(stream, sink, random_, 11);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "reading segment 7: Input/output error");
  EXPECT_EQ(encoder.error(std::string(100'000, 'x')).size(),
            kFrameHeaderBytes + kFrameTextBytesMax);
}

TEST_F(ExtentStream, NoticesArriveBesideTheImage) {
  ExtentStreamEncoder encoder;
  Bytes stream;
  append(stream, encoder.start({300, cdp::Lsn{1}, {}, {}}));
  append(stream, encoder.zero(0, 300));
  append(stream, encoder.notice("a crash cut the journal"));
  append(stream, encoder.end());
  ModelSink sink;
  ASSERT_TRUE(decode(stream, sink, random_, 11).ok());
  EXPECT_EQ(sink.notices, std::vector<std::string>{"a crash cut the journal"});
}

TEST_F(ExtentStream, AFailingSinkEndsTheDecoding) {
  const Bytes payload(300, std::byte{7});
  ExtentStreamEncoder encoder;
  Bytes stream;
  append(stream, encoder.start({300, cdp::Lsn{1}, {}, {}}));
  append(stream, encoder.data(0, payload));
  append(stream, payload);
  append(stream, encoder.end());
  ModelSink sink;
  sink.refuse_data = true;
  ExtentStreamDecoder decoder{sink};
  const cdp::Status status = decoder.feed(stream);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ENOSPC);
  EXPECT_FALSE(decoder.feed(stream).ok());
  EXPECT_FALSE(decoder.finish().ok());
}

}  // namespace
}  // namespace tools::api
