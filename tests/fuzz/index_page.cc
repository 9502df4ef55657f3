// SPDX-License-Identifier: Apache-2.0
//
// A page of the time index, as it lies in a file; with the first byte odd its identity and checksum
// are put right, with what is left of that byte as its kind. A page that was checked can be read
// everywhere, and nothing is read outside of it.
#include "journal/index/packed_page.h"

#include "journal/index/filter.h"
#include "journal/index/run_file.h"
#include "tests/fuzz/journal_input.h"

FUZZ_TARGET(index_page) {
  using namespace journal;
  using namespace journal::index;
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  fuzz::Bytes bytes = in.copy_of_rest();
  bytes.resize(kPageBytes);
  const Secret& secret = fuzz::vault().secret;
  const std::uint32_t number = (how & 2) != 0 ? 0 : 1;
  if ((how & 1) != 0)
    seal_page(secret, {5, number}, static_cast<PageKind>(how >> 2),
              std::span<std::byte, kPageBytes>(bytes.data(), kPageBytes));
  const PageBytes page(bytes.data(), kPageBytes);

  const auto header = decode_run_header(fuzz::vault(), 5, page);
  if (header.ok()) {
    fuzz::Bytes again(kPageBytes);
    const std::span<std::byte, kPageBytes> into(again.data(), kPageBytes);
    encode_run_header(*header, fuzz::vault(), into);
    const auto second = decode_run_header(fuzz::vault(), 5, PageBytes(again.data(), kPageBytes));
    CHECK(second.ok());
    fuzz::Bytes third(kPageBytes);
    encode_run_header(*second, fuzz::vault(),
                      std::span<std::byte, kPageBytes>(third.data(), kPageBytes));
    CHECK(third == again);
  }
  if (!check_page(secret, {5, number}, page).ok()) return;
  const PageKind kind = kind_of(page);
  if (kind == PageKind::kHeader) return;
  std::uint64_t sum = 0;
  if (kind == PageKind::kFilter) {
    for (std::uint32_t line = 0; line < kFilterLinesInPage; ++line)
      sum += FilterKey(line, sum).may_be_in(page.data(), line) ? 1 : 0;
  } else {
    const PackedPage packed(page.data());
    const auto columns = std::to_integer<unsigned>(page[17]);
    for (unsigned column = 0; column < columns; ++column)
      for (unsigned row = 0; row < packed.rows(); ++row) sum += packed.get(column, row);
  }
  volatile std::uint64_t used = sum;
  static_cast<void>(used);
}
