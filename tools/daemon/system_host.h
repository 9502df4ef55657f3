// SPDX-License-Identifier: Apache-2.0
//
// SystemHost: the Host that is this machine, by io_uring. Of a block device that is handed over the
// first and the last MiB are looked at (where partition tables and file systems leave their marks),
// then all is zeroed; of a file, what is allocated.
#pragma once

#include <memory>
#include <string>

#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"
#include "tools/daemon/host.h"

namespace tools {

class SystemHost final : public Host {
 public:
  explicit SystemHost(cdp::Reactor& reactor) : reactor_(reactor) {}

  cdp::Task<cdp::Result<std::unique_ptr<cdp::Directory>>> open_directory(std::string path,
                                                                         DirectoryUse use) override;
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> create_backing(
      std::string path, std::uint64_t volume_bytes) override;
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> open_backing(
      std::string path, std::uint64_t volume_bytes) override;
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> take_blank_backing(
      std::string path, std::uint64_t volume_bytes, BackingPlaces places) override;
  void remove_backing(const std::string& path) override;
  bool share_storage(const std::string& a, const std::string& b) const override;

 private:
  cdp::Result<std::unique_ptr<cdp::FileDisk>> open_disk(const std::string& path,
                                                        std::uint64_t volume_bytes);

  cdp::Reactor& reactor_;
};

}  // namespace tools
