// SPDX-License-Identifier: Apache-2.0
//
// StretchDevice: a stretch of a throw-away device as a device of its own, for a checker. Nothing
// outside of it can be reached through it. It begins at a block's start; where it ends is free.
//
// What a check may write is limited: beyond it, a write is refused with ENOSPC. All stretches of
// one check share an account, which also has how much was read, and the first thing that went wrong
// below: after that no tool's verdict says anything about the point. A flush is nothing: nobody
// reads the device after the check.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cdp/base/result.h"
#include "cdp/block_device.h"

namespace tools {

struct CheckAccount {
  std::uint64_t writable_bytes = 0;  // that are left
  std::uint64_t read_bytes = 0;
  std::optional<cdp::Error> failure{};
};

class StretchDevice final : public cdp::BlockDevice {
 public:
  // EINVAL where the stretch begins within a block, is empty, or does not lie in `below`.
  static cdp::Result<std::shared_ptr<StretchDevice>> open(std::shared_ptr<cdp::BlockDevice> below,
                                                          std::uint64_t offset, std::uint64_t bytes,
                                                          std::shared_ptr<CheckAccount> account);

  std::uint64_t size_bytes() const override { return bytes_; }
  bool read_only() const override { return false; }
  cdp::Task<cdp::Result<cdp::PageList>> read(std::uint64_t offset, std::uint32_t bytes) override;
  cdp::Task<cdp::Result<cdp::PageList>> pages_for_write(std::uint64_t offset,
                                                        std::uint32_t bytes) override;
  cdp::Task<cdp::Status> write(std::uint64_t offset, std::uint32_t bytes,
                               cdp::PageList pages) override;
  cdp::Task<cdp::Status> flush() override;
  cdp::Task<cdp::Status> zero(std::uint64_t offset, std::uint64_t bytes,
                              cdp::ZeroOptions options) override;
  cdp::Task<cdp::Status> trim(std::uint64_t offset, std::uint64_t bytes) override;
  cdp::Task<cdp::Status> cache(std::uint64_t offset, std::uint64_t bytes) override;
  cdp::Task<cdp::Result<std::vector<cdp::AllocationExtent>>> allocation(
      std::uint64_t offset, std::uint64_t bytes, std::size_t max_extents) override;

 private:
  StretchDevice(std::shared_ptr<cdp::BlockDevice> below, std::uint64_t offset, std::uint64_t bytes,
                std::shared_ptr<CheckAccount> account);

  void check_range(std::uint64_t offset, std::uint64_t bytes) const;
  cdp::Status spend(std::uint64_t bytes);
  cdp::Error failed(cdp::Error error);

  const std::shared_ptr<cdp::BlockDevice> below_;
  const std::uint64_t offset_;
  const std::uint64_t bytes_;
  const std::shared_ptr<CheckAccount> account_;
};

// The one export of a connection, by its empty name.
class OneExport final : public cdp::ExportList {
 public:
  explicit OneExport(std::shared_ptr<cdp::BlockDevice> device) : device_(std::move(device)) {}
  std::vector<Entry> exports() const override { return {{"", "a stretch to be checked"}}; }
  cdp::Task<cdp::Result<std::shared_ptr<cdp::BlockDevice>>> find(std::string name) override;

 private:
  const std::shared_ptr<cdp::BlockDevice> device_;
};

}  // namespace tools
