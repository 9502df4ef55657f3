// SPDX-License-Identifier: Apache-2.0
#include "journal/index/packed_page.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace journal::index {
namespace {

using cdp::load_le;
using cdp::store_le;

constexpr std::size_t kRunAt = 8;
constexpr std::size_t kPageAt = 12;
constexpr std::size_t kKindAt = 16;

unsigned width_of(std::uint64_t largest_difference) {
  return static_cast<unsigned>(std::bit_width(largest_difference));
}

std::uint64_t mask_of(unsigned width) { return width == 0 ? 0 : ~std::uint64_t{0} >> (64 - width); }

}  // namespace

void seal_page(const Secret& secret, PageId id, PageKind kind,
               std::span<std::byte, kPageBytes> page) {
  store_le(page.data() + kRunAt, id.run);
  store_le(page.data() + kPageAt, id.page);
  page[kKindAt] = static_cast<std::byte>(kind);
  store_le(page.data(), checksum(secret, page.subspan(kRunAt)));
}

Status check_page(const Secret& secret, PageId id, PageBytes page) {
  const auto refuse = [&](const char* why) {
    return make_error(EIO, "page {} of index run {} is damaged: {}", id.page, id.run, why);
  };
  if (load_le<std::uint64_t>(page.data()) != checksum(secret, page.subspan(kRunAt)))
    return refuse("its checksum does not match");
  if (load_le<std::uint32_t>(page.data() + kRunAt) != id.run ||
      load_le<std::uint32_t>(page.data() + kPageAt) != id.page)
    return refuse("it belongs to another place");
  const auto kind = kind_of(page);
  if (kind < PageKind::kHeader || kind > PageKind::kFilter) return refuse("it is of no known kind");
  if (kind == PageKind::kHeader || kind == PageKind::kFilter) return {};
  // The checksum says that we wrote it; this says that no reading of it leaves the page.
  const auto columns = std::to_integer<std::size_t>(page[PackedPage::kColumnsAt]);
  const auto rows = load_le<std::uint16_t>(page.data() + PackedPage::kRowsAt);
  if (columns == 0 || columns > kColumnsMax || rows == 0 || rows > kPageRowsMax)
    return refuse("its numbers of rows and columns are none");
  for (std::size_t column = 0; column < columns; ++column) {
    const auto width = std::to_integer<std::size_t>(page[PackedPage::kWidthsAt + column]);
    const auto start = load_le<std::uint16_t>(page.data() + PackedPage::kStartsAt + 2 * column);
    if (width > 64 || start < PackedPage::kBasesAt ||
        start + (rows * width + 7) / 8 > PackedPage::kDataEnd)
      return refuse("a column leaves it");
  }
  return {};
}

PageKind kind_of(PageBytes page) {
  return static_cast<PageKind>(std::to_integer<std::uint8_t>(page[kKindAt]));
}

PackedPageBuilder::PackedPageBuilder(unsigned columns)
    : columns_(columns), values_(kColumnsMax * kStride) {
  CHECK(columns > 0 && columns <= kColumnsMax);
}

// Makes the columns wide enough for the row; false where they would leave the page.
bool PackedPageBuilder::widen(const std::array<std::uint64_t, kColumnsMax>& row) {
  if (rows_ == 0) {
    least_ = row;
    largest_ = row;
    reach_.fill(0);
    widths_.fill(0);
    seen_.fill(0);
    rows_fit_ = kPageRowsMax;
    return true;
  }
  std::array<std::uint64_t, kColumnsMax> least = least_;
  std::array<unsigned, kColumnsMax> widths = widths_;
  unsigned bits = 0;
  for (unsigned column = 0; column < columns_; ++column) {
    if (row[column] - least_[column] > reach_[column]) {
      const std::uint64_t* const values = values_.data() + column * kStride;
      for (; seen_[column] < rows_; ++seen_[column])
        largest_[column] = std::max(largest_[column], values[seen_[column]]);
      least[column] = std::min(least[column], row[column]);
      widths[column] = width_of(std::max(largest_[column], row[column]) - least[column]);
    }
    bits += widths[column];
  }
  const unsigned rows_fit = rows_that_fit(columns_, bits);
  if (rows_ >= rows_fit) return false;
  rows_fit_ = rows_fit;
  least_ = least;
  widths_ = widths;
  for (unsigned column = 0; column < columns_; ++column)
    reach_[column] = std::min(mask_of(widths[column]), ~least[column]);
  return true;
}

void PackedPageBuilder::pack(std::span<std::byte, kPageBytes> page) {
  CHECK(rows_ > 0);
  std::memset(page.data(), 0, page.size());
  page[PackedPage::kColumnsAt] = static_cast<std::byte>(columns_);
  store_le(page.data() + PackedPage::kRowsAt, static_cast<std::uint16_t>(rows_));
  std::size_t start = PackedPage::kBasesAt + std::size_t{columns_} * 8;
  for (unsigned column = 0; column < columns_; ++column) {
    const std::uint64_t least = least_[column];
    const unsigned width = widths_[column];
    page[PackedPage::kWidthsAt + column] = static_cast<std::byte>(width);
    store_le(page.data() + PackedPage::kStartsAt + 2 * column, static_cast<std::uint16_t>(start));
    store_le(page.data() + PackedPage::kBasesAt + 8 * column, least);
    if (width == 0) continue;
    const std::uint64_t* const values = values_.data() + column * kStride;
    std::byte* to = page.data() + start;
    std::uint64_t gathered = 0;
    unsigned filled = 0;
    for (unsigned row = 0; row < rows_; ++row) {
      const std::uint64_t value = values[row] - least;
      gathered |= value << filled;
      filled += width;
      if (filled >= 64) {
        store_le(to, gathered);
        to += 8;
        filled -= 64;
        gathered = filled == 0 ? 0 : value >> (width - filled);
      }
    }
    std::array<std::byte, 8> last{};
    store_le(last.data(), gathered);
    std::memcpy(to, last.data(), (filled + 7) / 8);
    start += (std::size_t{rows_} * width + 7) / 8;
  }
  CHECK(start <= PackedPage::kDataEnd);
  rows_ = 0;
  rows_fit_ = 0;
}

}  // namespace journal::index
