// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/disk.h"

namespace cdp {
namespace {

iovec vector_of(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

Task<Status> Disk::read(std::uint64_t offset, std::span<std::byte> into) {
  const iovec one = vector_of(into);
  co_return co_await read(offset, std::span{&one, 1});
}

Task<Status> Disk::write(std::uint64_t offset, std::span<const std::byte> from) {
  const iovec one = vector_of(from);
  co_return co_await write(offset, std::span{&one, 1});
}

Task<Status> Disk::write_durably(std::uint64_t offset, std::span<const std::byte> from) {
  const iovec one = vector_of(from);
  co_return co_await write_durably(offset, std::span{&one, 1});
}

Task<void> read_pages(Disk& disk, std::uint64_t offset, std::span<const PageRef> into,
                      Status& status) {
  const IoVectors vectors = vectors_of(into);
  status = co_await disk.read(offset, vectors);
}

Task<Status> Disk::resize(std::uint64_t) {
  co_return make_error(ENOTSUP, "this store has a length of its own");
}

}  // namespace cdp
