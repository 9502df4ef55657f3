// SPDX-License-Identifier: Apache-2.0
#include "journal/index/filter.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace journal::index {
namespace {

constexpr std::size_t kWordsInLine = kFilterLineBytes / 8;
constexpr std::uint64_t kLinesMax = std::uint64_t{1} << 22;  // 256 MiB
// Powers of two up to here divide the number of lines, so that it can be halved as often.
constexpr std::uint64_t kLinesUnit = 64;

std::uint64_t lines_for(std::uint64_t keys) {
  const std::uint64_t bits = keys * kFilterBitsPerKey;
  return std::min((bits + kFilterLineBytes * 8 - 1) / (kFilterLineBytes * 8), kLinesMax);
}

}  // namespace

std::uint64_t FilterBuilder::pages_for(std::uint64_t keys) {
  return (lines_for(keys) + kLinesUnit) / kFilterLinesInPage + 1;
}

FilterBuilder::FilterBuilder(std::uint64_t keys)
    : lines_(static_cast<std::uint32_t>(
          cdp::round_up(std::max<std::uint64_t>(lines_for(keys), 1), kLinesUnit))),
      words_(lines_ * kWordsInLine) {}

void FilterBuilder::set_pending() {
  for (std::size_t i = 0; i < pending_count_; ++i) {
    std::uint64_t* const line = words_.data() + pending_[i].line(lines_) * kWordsInLine;
    std::uint64_t left = pending_[i].bits;
#pragma GCC unroll 6
    for (int probe = 0; probe < FilterKey::kProbes; ++probe, left >>= 9)
      line[left >> 6 & 7] |= std::uint64_t{1} << (left & 63);
  }
  pending_count_ = 0;
}

// With half as many lines a key's line is half its number: neighbours become one.
void FilterBuilder::shrink(std::uint64_t keys) {
  set_pending();
  while (lines_ % 2 == 0 && lines_ / 2 >= lines_for(keys)) {
    std::uint64_t* const words = words_.data();
    for (std::size_t line = 0; line < lines_ / 2; ++line) {
      for (std::size_t i = 0; i < kWordsInLine; ++i) {
        words_[line * kWordsInLine + i] =
            words_[2 * line * kWordsInLine + i] | words[(2 * line + 1) * kWordsInLine + i];
      }
    }
    lines_ /= 2;
  }
}

void FilterBuilder::fill(std::uint32_t page, std::span<std::byte, kPageBytes> into) const {
  CHECK(pending_count_ == 0);
  std::memset(into.data(), 0, into.size());
  const std::size_t from = std::size_t{page} * kFilterLinesInPage;
  const std::size_t end = std::min<std::size_t>(from + kFilterLinesInPage, lines_);
  std::byte* to = into.data() + kFilterLineBytes;
  for (std::size_t i = from * kWordsInLine; i < end * kWordsInLine; ++i, to += 8)
    cdp::store_le(to, words_.data()[i]);
}

}  // namespace journal::index
