// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/checks/stretch_device.h"

#include <utility>

#include "cdp/base/check.h"

namespace tools {

using cdp::kBlockBytes;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

// Of the map that says which blocks a clone has of its own: a bit for each.
constexpr std::uint64_t kBytesPerMapByte = kBlockBytes * 8;

}  // namespace

Result<std::shared_ptr<StretchDevice>> StretchDevice::open(std::shared_ptr<cdp::BlockDevice> below,
                                                           std::uint64_t offset,
                                                           std::uint64_t bytes,
                                                           std::shared_ptr<CheckAccount> account) {
  const std::uint64_t size = below->size_bytes();
  if (bytes == 0 || offset >= size || bytes > size - offset)
    return make_error(EINVAL,
                      "the stretch of {} bytes at {} does not lie in the device of {} bytes", bytes,
                      offset, size);
  if (offset % kBlockBytes != 0)
    return make_error(EINVAL, "the stretch at {} does not begin at a multiple of {} bytes", offset,
                      kBlockBytes);
  return std::shared_ptr<StretchDevice>{
      new StretchDevice{std::move(below), offset, bytes, std::move(account)}};
}

StretchDevice::StretchDevice(std::shared_ptr<cdp::BlockDevice> below, std::uint64_t offset,
                             std::uint64_t bytes, std::shared_ptr<CheckAccount> account)
    : below_(std::move(below)), offset_(offset), bytes_(bytes), account_(std::move(account)) {}

void StretchDevice::check_range(std::uint64_t offset, std::uint64_t bytes) const {
  CHECK(bytes > 0 && bytes <= bytes_ && offset <= bytes_ - bytes);
}

cdp::Error StretchDevice::failed(cdp::Error error) {
  if (!account_->failure) account_->failure = error;
  return error;
}

Status StretchDevice::spend(std::uint64_t bytes) {
  if (bytes > account_->writable_bytes)
    return failed(make_error(ENOSPC, "the tools of a check have written as much as they may"));
  account_->writable_bytes -= bytes;
  return {};
}

Task<Result<cdp::PageList>> StretchDevice::read(std::uint64_t offset, std::uint32_t bytes) {
  check_range(offset, bytes);
  account_->read_bytes += bytes;
  Result<cdp::PageList> pages = co_await below_->read(offset_ + offset, bytes);
  if (!pages) co_return failed(std::move(pages).error());
  co_return std::move(pages);
}

Task<Result<cdp::PageList>> StretchDevice::pages_for_write(std::uint64_t offset,
                                                           std::uint32_t bytes) {
  check_range(offset, bytes);
  co_return co_await below_->pages_for_write(offset_ + offset, bytes);
}

Task<Status> StretchDevice::write(std::uint64_t offset, std::uint32_t bytes, cdp::PageList pages) {
  check_range(offset, bytes);
  if (Status allowed = spend(pages.size() * kBlockBytes); !allowed) co_return allowed;
  Status written = co_await below_->write(offset_ + offset, bytes, std::move(pages));
  if (!written) co_return failed(std::move(written).error());
  co_return written;
}

Task<Status> StretchDevice::flush() { co_return Status{}; }

// What is zeroed takes no room but that of the blocks at its ends, and of the map.
Task<Status> StretchDevice::zero(std::uint64_t offset, std::uint64_t bytes,
                                 cdp::ZeroOptions options) {
  check_range(offset, bytes);
  options.may_deallocate = true;
  if (Status allowed = spend(2 * kBlockBytes + bytes / kBytesPerMapByte); !allowed)
    co_return allowed;
  Status zeroed = co_await below_->zero(offset_ + offset, bytes, options);
  if (!zeroed && zeroed.error().code != ENOTSUP) co_return failed(std::move(zeroed).error());
  co_return zeroed;
}

Task<Status> StretchDevice::trim(std::uint64_t offset, std::uint64_t bytes) {
  check_range(offset, bytes);
  if (Status allowed = spend(kBlockBytes + bytes / kBytesPerMapByte); !allowed) co_return allowed;
  Status trimmed = co_await below_->trim(offset_ + offset, bytes);
  if (!trimmed) co_return failed(std::move(trimmed).error());
  co_return trimmed;
}

Task<Status> StretchDevice::cache(std::uint64_t offset, std::uint64_t bytes) {
  check_range(offset, bytes);
  co_return co_await below_->cache(offset_ + offset, bytes);
}

Task<Result<std::vector<cdp::AllocationExtent>>> StretchDevice::allocation(
    std::uint64_t offset, std::uint64_t bytes, std::size_t max_extents) {
  check_range(offset, bytes);
  co_return co_await below_->allocation(offset_ + offset, bytes, max_extents);
}

Task<Result<std::shared_ptr<cdp::BlockDevice>>> OneExport::find(std::string name) {
  co_return name.empty() ? device_ : nullptr;
}

}  // namespace tools
