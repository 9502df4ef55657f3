// SPDX-License-Identifier: Apache-2.0
// What is judged and computed without a connection.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>

#include "cdp/nbd/errors.h"
#include "cdp/nbd/request.h"
#include "tests/sim/random.h"

namespace cdp::nbd {
namespace {

constexpr std::uint64_t kSize = 64 << 20;

int verdict(std::uint16_t command, std::uint64_t offset, std::uint32_t length,
            std::uint16_t flags = 0, Terms terms = {.size_bytes = kSize}) {
  const Request request{
      .flags = flags, .command = static_cast<Command>(command), .offset = offset, .length = length};
  const std::optional<Error> error = objection(request, terms);
  return error ? error->code : 0;
}

constexpr std::uint16_t kReadNumber = 0, kWriteNumber = 1, kFlushNumber = 3, kTrimNumber = 4,
                        kCacheNumber = 5, kZeroNumber = 6, kStatusNumber = 7;

TEST(NbdRequest, RangesBeyondTheEndGetTheErrorOfTheirCommand) {
  const Terms context{.size_bytes = kSize, .structured_replies = true, .allocation_context = true};
  for (const auto& [command, error] : {std::pair{kReadNumber, EINVAL},
                                       {kWriteNumber, ENOSPC},
                                       {kTrimNumber, EINVAL},
                                       {kCacheNumber, EINVAL},
                                       {kZeroNumber, ENOSPC},
                                       {kStatusNumber, EINVAL}}) {
    EXPECT_EQ(verdict(command, kSize - 4096, 4096, 0, context), 0) << command;
    EXPECT_EQ(verdict(command, kSize - 4096, 4097, 0, context), error) << command;
    EXPECT_EQ(verdict(command, kSize, 1, 0, context), error) << command;
    EXPECT_EQ(verdict(command, UINT64_MAX, 1, 0, context), error) << command;
    EXPECT_EQ(verdict(command, UINT64_MAX - 4095, 4096, 0, context), error) << command;
  }
}

TEST(NbdRequest, AReadOnlyExportRefusesWhatChangesIt) {
  const Terms terms{.size_bytes = kSize, .read_only = true};
  EXPECT_EQ(verdict(kWriteNumber, 0, 1, 0, terms), EPERM);
  EXPECT_EQ(verdict(kTrimNumber, 0, 1, 0, terms), EPERM);
  EXPECT_EQ(verdict(kZeroNumber, 0, 1, 0, terms), EPERM);
  EXPECT_EQ(verdict(kReadNumber, 0, 1, kCommandFlagFua, terms), 0);
  EXPECT_EQ(verdict(kFlushNumber, 0, 0, 0, terms), 0);
  EXPECT_EQ(verdict(kCacheNumber, 0, 1, 0, terms), 0);
}

TEST(NbdRequest, EachCommandTakesItsOwnFlagsOnly) {
  const Terms simple{.size_bytes = kSize};
  const Terms full{.size_bytes = kSize, .structured_replies = true, .allocation_context = true};
  const std::map<std::uint16_t, std::uint16_t> allowed = {
      {kReadNumber, kCommandFlagFua | kCommandFlagDf},
      {kWriteNumber, kCommandFlagFua},
      {kFlushNumber, kCommandFlagFua},
      {kTrimNumber, kCommandFlagFua},
      {kCacheNumber, kCommandFlagFua},
      {kZeroNumber, kCommandFlagFua | kCommandFlagNoHole | kCommandFlagFastZero},
      {kStatusNumber, kCommandFlagFua | kCommandFlagReqOne}};
  for (const auto& [command, flags] : allowed) {
    const std::uint32_t length = command == kFlushNumber ? 0 : 4096;
    for (unsigned bit = 0; bit < 16; ++bit) {
      const auto flag = static_cast<std::uint16_t>(1u << bit);
      EXPECT_EQ(verdict(command, 0, length, flag, full), (flags & flag) != 0 ? 0 : EINVAL)
          << "command " << command << " flag " << flag;
    }
  }
  EXPECT_EQ(verdict(kReadNumber, 0, 4096, kCommandFlagDf, simple), EINVAL);
  EXPECT_EQ(verdict(8, 0, 0), EINVAL);
  EXPECT_EQ(verdict(0xffff, 0, 0), EINVAL);
}

TEST(NbdRequest, LengthsBeyondTheMaximumAreRefusedWhereThereIsAPayload) {
  const Terms simple{.size_bytes = 1ull << 40};
  const Terms full{
      .size_bytes = 1ull << 40, .structured_replies = true, .allocation_context = true};
  EXPECT_EQ(verdict(kReadNumber, 0, kMaxPayloadBytes, 0, simple), 0);
  EXPECT_EQ(verdict(kReadNumber, 0, kMaxPayloadBytes + 1, 0, simple), EINVAL);
  EXPECT_EQ(verdict(kReadNumber, 0, kMaxPayloadBytes + 1, 0, full), EOVERFLOW);
  EXPECT_EQ(verdict(kReadNumber, 0, kMaxPayloadBytes + 1, kCommandFlagDf, full), EOVERFLOW);
  EXPECT_EQ(verdict(kReadNumber, 0, kMaxPayloadBytes, kCommandFlagDf, full), 0);
  EXPECT_EQ(verdict(kWriteNumber, 0, kMaxPayloadBytes + 1, 0, full), EINVAL);
  for (std::uint16_t command : {kTrimNumber, kZeroNumber, kCacheNumber, kStatusNumber}) {
    EXPECT_EQ(verdict(command, 0, UINT32_MAX, 0, full), 0) << command;
  }
}

TEST(NbdRequest, FlushAndBlockStatusHaveRulesOfTheirOwn) {
  EXPECT_EQ(verdict(kFlushNumber, 4096, 0), EINVAL);
  EXPECT_EQ(verdict(kFlushNumber, 0, 4096), EINVAL);
  EXPECT_EQ(verdict(kStatusNumber, 0, 4096), EINVAL);  // no context was selected
  const Terms context{.size_bytes = kSize, .structured_replies = true, .allocation_context = true};
  EXPECT_EQ(verdict(kStatusNumber, 0, 0, 0, context), EINVAL);
}

TEST(NbdRequest, PiecesCoverTheRangeAndFitADevice) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    sim::Random random{seed};
    const std::uint64_t offset = random.below(8 << 20);
    const auto bytes = static_cast<std::uint32_t>(random.between(1, kMaxPayloadBytes));
    std::uint64_t at = offset;
    std::uint32_t count = 0;
    while (at < offset + bytes) {
      const std::uint32_t piece = piece_bytes(at, static_cast<std::uint32_t>(offset + bytes - at));
      ASSERT_GT(piece, 0u);
      ASSERT_LE(piece, kMaxPieceBytes);
      ASSERT_LE(block_of(at + piece - 1) - block_of(at) + 1, kMaxPieceBlocks);
      at += piece;
      ++count;
      if (at < offset + bytes) {
        ASSERT_EQ(at % kMaxPieceBytes, 0u);
      }
    }
    ASSERT_EQ(at, offset + bytes);
    ASSERT_EQ(count, piece_count(offset, bytes));
  }
  EXPECT_EQ(piece_count(0, 0), 0u);
  EXPECT_EQ(piece_count(512, 1 << 20), 2u);  // 257 blocks
  EXPECT_EQ(piece_count(4096, 1 << 20), 1u);
}

TEST(NbdErrors, TheWireKnowsTheSpecificationsValuesOnly) {
  EXPECT_EQ(wire_error(EPERM), 1u);
  EXPECT_EQ(wire_error(EROFS), 1u);
  EXPECT_EQ(wire_error(EIO), 5u);
  EXPECT_EQ(wire_error(ENOMEM), 12u);
  EXPECT_EQ(wire_error(EINVAL), 22u);
  EXPECT_EQ(wire_error(ENOSPC), 28u);
  EXPECT_EQ(wire_error(EDQUOT), 28u);
  EXPECT_EQ(wire_error(EFBIG), 28u);
  EXPECT_EQ(wire_error(EOVERFLOW), 75u);
  EXPECT_EQ(wire_error(ENOTSUP), 95u);
  EXPECT_EQ(wire_error(ESHUTDOWN), 108u);
  EXPECT_EQ(wire_error(ETIMEDOUT), 5u);
}

TEST(NbdErrors, TextsAreCutBetweenCharactersAndCleaned) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc");
  EXPECT_EQ(shortened("ab\xc3\xa9", 3), "ab");
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a?b?[31m?");
  EXPECT_EQ(printable(std::string(1000, 'x')), std::string(256, 'x') + "...");
}

}  // namespace
}  // namespace cdp::nbd
