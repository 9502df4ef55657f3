// SPDX-License-Identifier: Apache-2.0
//
// PackedPage: 4096 bytes that hold rows of up to 8 unsigned 64-bit columns, each column packed as
// its smallest value and the differences to it in as few bits as the largest of them needs (frame
// of reference). Any value of any row is read in place, in a few instructions. README.md, "Page".
//
// Every page of a run file, packed or not, says in its first bytes which page of which run and of
// which kind it is, under the vault's keyed checksum: rot and misdirected reads do not pass.
//
// Pure functions on memory; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cdp/base/endian.h"
#include "journal/hash.h"
#include "journal/records.h"

namespace journal::index {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kPageHeaderBytes = 24;
inline constexpr std::size_t kColumnsMax = 8;
inline constexpr unsigned kPageRowsMax = 1024;

using PageBytes = std::span<const std::byte, kPageBytes>;

enum class PageKind : std::uint8_t {
  kHeader = 1,
  kEntries = 2,
  kEntryFences = 3,
  kFrames = 4,
  kFrameFences = 5,
  kFilter = 6,
};

// A page of a run; runs have numbers that are never used again within a vault.
struct PageId {
  std::uint32_t run = 0;
  std::uint32_t page = 0;
  bool operator==(const PageId&) const = default;
};

// Writes the page's first bytes: identity and checksum. Everything else must be in place.
void seal_page(const Secret& secret, PageId id, PageKind kind,
               std::span<std::byte, kPageBytes> page);
// EIO where the bytes are not that page.
Status check_page(const Secret& secret, PageId id, PageBytes page);
// Of a page that was checked.
PageKind kind_of(PageBytes page);

// A view of a packed page that was checked; the bytes must outlive it.
class PackedPage {
 public:
  PackedPage() = default;
  explicit PackedPage(const std::byte* page) : page_(page) {}

  unsigned rows() const { return cdp::load_le<std::uint16_t>(page_ + kRowsAt); }

  // One column of the page, for reading several of its values.
  class Column {
   public:
    std::uint64_t operator[](unsigned row) const {
      const std::size_t bit = std::size_t{row} * width_;
      std::uint64_t value = cdp::load_le<std::uint64_t>(at_ + bit / 8) >> (bit % 8);
      // A value may reach into a ninth byte.
      if (width_ + bit % 8 > 64)
        value |= std::to_integer<std::uint64_t>(at_[bit / 8 + 8]) << (64 - bit % 8);
      return base_ + (value & mask_);
    }
    bool is_constant() const { return width_ == 0; }
    std::uint64_t base() const { return base_; }

   private:
    friend class PackedPage;
    Column(const std::byte* at, unsigned width, std::uint64_t base)
        : at_(at),
          base_(base),
          mask_(width == 0 ? 0 : ~std::uint64_t{0} >> (64 - width)),
          width_(width) {}

    const std::byte* at_;
    std::uint64_t base_;
    std::uint64_t mask_;
    unsigned width_;
  };
  Column column(unsigned column) const {
    return {page_ + cdp::load_le<std::uint16_t>(page_ + kStartsAt + 2 * column),
            std::to_integer<unsigned>(page_[kWidthsAt + column]), base(column)};
  }

  // row < rows(), column < the columns it was built with.
  std::uint64_t get(unsigned of, unsigned row) const { return column(of)[row]; }
  // The smallest value of the column.
  std::uint64_t base(unsigned column) const {
    return cdp::load_le<std::uint64_t>(page_ + kBasesAt + 8 * column);
  }
  // No value of the column is larger.
  std::uint64_t limit(unsigned column) const {
    const unsigned width = std::to_integer<unsigned>(page_[kWidthsAt + column]);
    const std::uint64_t mask = width == 0 ? 0 : ~std::uint64_t{0} >> (64 - width);
    const std::uint64_t least = base(column);
    return least + mask < least ? ~std::uint64_t{0} : least + mask;
  }

 private:
  friend class PackedPageBuilder;
  friend Status check_page(const Secret&, PageId, PageBytes);

  static constexpr std::size_t kColumnsAt = 17;
  static constexpr std::size_t kRowsAt = 18;
  static constexpr std::size_t kWidthsAt = 24;
  static constexpr std::size_t kStartsAt = 32;
  static constexpr std::size_t kBasesAt = 48;
  // A read of 8 bytes at the last value stays in the page.
  static constexpr std::size_t kDataEnd = kPageBytes - 8;

  const std::byte* page_ = nullptr;
};

// Gathers rows for one page after another.
class PackedPageBuilder {
 public:
  explicit PackedPageBuilder(unsigned columns);

  // False, and nothing has changed, when the row does not fit any more. The first one always does.
  // Values of columns that there are not are zero.
  bool add(const std::array<std::uint64_t, kColumnsMax>& row) {
    bool fits = rows_ < rows_fit_;
    // Below least the difference wraps, beyond all reach. Columns that there are not have neither
    // values nor reach: a loop of known length costs less than leaving them out.
#pragma GCC unroll 8
    for (unsigned column = 0; column < kColumnsMax; ++column)
      fits &= row[column] - least_[column] <= reach_[column];
    if (!fits && !widen(row)) return false;
    std::uint64_t* const to = values_.data() + rows_;
#pragma GCC unroll 8
    for (unsigned column = 0; column < kColumnsMax; ++column) to[column * kStride] = row[column];
    ++rows_;
    return true;
  }
  unsigned rows() const { return rows_; }
  // Bounds of the values that were added; the upper one need not be met.
  std::uint64_t least(unsigned column) const { return least_[column]; }
  std::uint64_t limit(unsigned column) const { return least_[column] + reach_[column]; }
  // Packs what was added into `page`, all but its identity (seal_page), and starts anew.
  void pack(std::span<std::byte, kPageBytes> page);

  // How many rows of so many columns and bits a page holds, at least.
  static constexpr unsigned rows_that_fit(unsigned columns, unsigned bits) {
    // Each column begins at a byte, which costs it less than one.
    const std::size_t bytes =
        PackedPage::kDataEnd - PackedPage::kBasesAt - std::size_t{columns} * (8 + 1);
    const std::size_t fit = bits == 0 ? kPageRowsMax : bytes * 8 / bits;
    return static_cast<unsigned>(fit < kPageRowsMax ? fit : kPageRowsMax);
  }

 private:
  static constexpr unsigned kStride =
      kPageRowsMax + 8;  // not a power of two: spread over the cache

  bool widen(const std::array<std::uint64_t, kColumnsMax>& row);

  unsigned columns_;
  unsigned rows_ = 0;
  unsigned rows_fit_ = 0;  // with the widths of now
  std::array<std::uint64_t, kColumnsMax> least_{};
  std::array<std::uint64_t, kColumnsMax> reach_{};  // values up to least + reach fit the width
  std::array<unsigned, kColumnsMax> widths_{};
  // The largest value, of the first so many rows.
  std::array<std::uint64_t, kColumnsMax> largest_{};
  std::array<unsigned, kColumnsMax> seen_{};
  std::vector<std::uint64_t> values_;  // column by column
};

}  // namespace journal::index
