// SPDX-License-Identifier: Apache-2.0
//
// SimHost: the Host of a simulated appliance, on one SimStore: its directories are prefixes of the
// store's paths, and every backing store that is made or opened is I/O that counts, fails and
// crashes like any other.
#pragma once

#include <memory>
#include <string>

#include "tests/sim/sim_store.h"
#include "tools/daemon/host.h"

namespace sim {

class SimHost final : public tools::Host {
 public:
  explicit SimHost(std::shared_ptr<SimStore> store) : store_(std::move(store)) {}

  cdp::Task<cdp::Result<std::unique_ptr<cdp::Directory>>> open_directory(std::string path,
                                                                         DirectoryUse use) override;
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> create_backing(
      std::string path, std::uint64_t volume_bytes) override;
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> open_backing(
      std::string path, std::uint64_t volume_bytes) override;
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> take_blank_backing(
      std::string path, std::uint64_t volume_bytes, tools::BackingPlaces places) override;
  void remove_backing(const std::string& path) override { store_->remove_file(path); }
  bool share_storage(const std::string&, const std::string&) const override { return false; }

 private:
  const std::shared_ptr<SimStore> store_;
};

}  // namespace sim
