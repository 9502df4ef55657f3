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

// The finalizer of MurmurHash3: every bit of the input moves every bit of the output.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
  return value ^ value >> 33;
}

std::uint64_t lines_for(std::uint64_t keys) {
  const std::uint64_t bits = keys * kFilterBitsPerKey;
  return std::min((bits + kFilterLineBytes * 8 - 1) / (kFilterLineBytes * 8), kLinesMax);
}

}  // namespace

FilterKey::FilterKey(std::uint64_t tree, std::uint64_t node)
    : line_hash(mixed(node * 0x9e3779b97f4a7c15 + tree)),
      bits((line_hash ^ line_hash >> 29) * 0xd6e8feb86659fd93 >> 10) {}

std::uint64_t FilterBuilder::pages_for(std::uint64_t keys) {
  return (lines_for(keys) + kLinesUnit) / kFilterLinesInPage + 1;
}

FilterBuilder::FilterBuilder(std::uint64_t keys)
    : lines_(static_cast<std::uint32_t>(
          cdp::round_up(std::max<std::uint64_t>(lines_for(keys), 1), kLinesUnit))),
      words_(lines_ * kWordsInLine) {
  pending_.reserve(kPending);
}

void FilterBuilder::add(std::uint64_t tree, std::uint64_t node) {
  const FilterKey key(tree, node);
  __builtin_prefetch(words_.data() + key.line(lines_) * kWordsInLine, 1);
  pending_.push_back(key);
  if (pending_.size() < kPending) return;
  for (const FilterKey& due : pending_) set(due);
  pending_.clear();
}

void FilterBuilder::set(const FilterKey& key) {
  std::uint64_t* const line = words_.data() + key.line(lines_) * kWordsInLine;
  std::uint64_t left = key.bits;
  for (int i = 0; i < FilterKey::kProbes; ++i, left >>= 9)
    line[left >> 6 & 7] |= std::uint64_t{1} << (left & 63);
}

// With half as many lines a key's line is half its number: neighbours become one.
void FilterBuilder::shrink(std::uint64_t keys) {
  for (const FilterKey& due : pending_) set(due);
  pending_.clear();
  while (lines_ % 2 == 0 && lines_ / 2 >= lines_for(keys)) {
    for (std::size_t line = 0; line < lines_ / 2; ++line) {
      for (std::size_t i = 0; i < kWordsInLine; ++i) {
        words_[line * kWordsInLine + i] =
            words_[2 * line * kWordsInLine + i] | words_[(2 * line + 1) * kWordsInLine + i];
      }
    }
    lines_ /= 2;
  }
  words_.resize(lines_ * kWordsInLine);
}

void FilterBuilder::fill(std::uint32_t page, std::span<std::byte, kPageBytes> into) const {
  CHECK(pending_.empty());
  std::memset(into.data(), 0, into.size());
  const std::size_t from = std::size_t{page} * kFilterLinesInPage;
  const std::size_t end = std::min<std::size_t>(from + kFilterLinesInPage, lines_);
  std::byte* to = into.data() + kFilterLineBytes;
  for (std::size_t i = from * kWordsInLine; i < end * kWordsInLine; ++i, to += 8)
    cdp::store_le(to, words_[i]);
}

}  // namespace journal::index
