// SPDX-License-Identifier: Apache-2.0
#include "journal/body_digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "journal/format.h"
#include "tests/sim/random.h"

namespace journal {
namespace {

constexpr std::size_t kLeafBytes = 4096;

std::vector<std::byte> random_frame(std::size_t bytes, std::uint64_t seed) {
  sim::Random random(seed);
  std::vector<std::byte> frame(bytes);
  for (std::byte& byte : frame) byte = static_cast<std::byte>(random.below(256));
  return frame;
}

// As FORMAT.md says it, one leaf after the other.
Digest as_the_document_says(std::span<const std::byte> frame) {
  std::vector<std::byte> digests;
  for (std::size_t begin = kFrameHeaderBytes; begin < frame.size();) {
    const std::size_t end = std::min((begin / kLeafBytes + 1) * kLeafBytes, frame.size());
    const Digest digest = sha256(frame.subspan(begin, end - begin));
    digests.insert(digests.end(), digest.begin(), digest.end());
    begin = end;
  }
  return sha256(digests);
}

// Few leaves are hashed one after the other, more side by side, and many in several goes.
TEST(BodyDigest, OfLeavesIsWhatTheDocumentSaysForAnyNumberOfThem) {
  for (const std::size_t leaves :
       std::to_array<std::size_t>({1,  2,  3,  4,  5,  6,  7,   8,   15,  16,  17,   31,
                                   33, 63, 64, 65, 68, 69, 127, 128, 129, 200, 1000, 4096})) {
    const std::vector<std::byte> frame = random_frame(leaves * kLeafBytes, leaves);
    EXPECT_EQ(body_digest(BodyDigest::kOfLeaves, frame), as_the_document_says(frame))
        << leaves << " leaves";
  }
}

TEST(BodyDigest, DoesNotLookAtTheHeader) {
  std::vector<std::byte> frame = random_frame(20 * kLeafBytes, 1);
  for (const BodyDigest of : {BodyDigest::kOfBody, BodyDigest::kOfLeaves}) {
    const Digest before = body_digest(of, frame);
    for (std::size_t i = 0; i < kFrameHeaderBytes; ++i) frame[i] ^= std::byte{0xff};
    EXPECT_EQ(before, body_digest(of, frame));
  }
}

TEST(BodyDigest, ChangesWithEveryByteAndWithTheOrderOfLeaves) {
  for (const std::size_t leaves : {std::size_t{2}, std::size_t{20}}) {
    const std::vector<std::byte> frame = random_frame(leaves * kLeafBytes, 2);
    const Digest before = body_digest(BodyDigest::kOfLeaves, frame);
    std::vector<std::byte> other = frame;
    for (std::size_t at = kFrameHeaderBytes; at < other.size(); at += 127) {
      other[at] ^= std::byte{1};
      EXPECT_NE(before, body_digest(BodyDigest::kOfLeaves, other)) << "byte " << at;
      other[at] ^= std::byte{1};
    }
    other.back() ^= std::byte{0x80};
    EXPECT_NE(before, body_digest(BodyDigest::kOfLeaves, other));
    if (leaves < 3) continue;
    other = frame;
    std::swap_ranges(other.begin() + kLeafBytes, other.begin() + 2 * kLeafBytes,
                     other.begin() + 2 * kLeafBytes);
    EXPECT_NE(before, body_digest(BodyDigest::kOfLeaves, other));
  }
}

// Threads hash at once, each with what is its own.
TEST(BodyDigest, IsMadeByManyThreadsAtOnce) {
  const std::vector<std::byte> frame = random_frame(100 * kLeafBytes, 3);
  const Digest expected = as_the_document_says(frame);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round)
        if (body_digest(BodyDigest::kOfLeaves, frame) != expected) ++wrong;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// A frame of version 1: without the flag, and with the digest of the whole body.
TEST(BodyDigest, OfTheWholeBodyIsReadWhereTheHeaderSaysSo) {
  const std::vector<std::byte> frame = random_frame(20 * kLeafBytes, 4);
  EXPECT_EQ(body_digest(BodyDigest::kOfBody, frame),
            sha256(std::span(frame).subspan(kFrameHeaderBytes)));
  EXPECT_NE(body_digest(BodyDigest::kOfBody, frame), body_digest(BodyDigest::kOfLeaves, frame));
}

TEST(BodyDigest, HeaderSaysWhatItIsOfAndOtherFlagsAreRefused) {
  const Vault vault = Vault::generate({1});
  FrameHeader header;
  header.segment = 1;
  header.offset = 4096;
  header.total_bytes = 4096;
  header.record_count = 1;
  header.record_bytes = 64;
  const auto decoded = [&](std::uint16_t flags) {
    header.body_digest_of = static_cast<BodyDigest>(flags);
    std::array<std::byte, kFrameHeaderBytes> bytes{};
    encode_frame_header(header, vault, bytes);
    return decode_frame_header(vault, 1, 4096, bytes);
  };
  EXPECT_EQ(decoded(0)->body_digest_of, BodyDigest::kOfBody);
  EXPECT_EQ(decoded(1)->body_digest_of, BodyDigest::kOfLeaves);
  for (const std::uint16_t other : std::to_array<std::uint16_t>({2, 3, 0x8001}))
    EXPECT_FALSE(decoded(other).ok()) << other;
}

}  // namespace
}  // namespace journal
