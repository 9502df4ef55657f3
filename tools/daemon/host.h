// SPDX-License-Identifier: Apache-2.0
//
// Host: the machine below an appliance, as far as it keeps things there: directories and backing
// stores, by absolute path. Production is SystemHost; tests/sim has one that crashes by a seed.
//
// Backing stores of volumes and clones are files that the daemon makes under its state directory,
// or files and block devices that an administrator names. A new volume's history begins with
// zeroes, so a store that is handed over must read as zeroes; one that holds data is refused, not
// hidden.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/disk.h"
#include "cdp/io/task.h"
#include "tools/daemon/backing_place.h"

namespace tools {

// Bytes of backing that a volume of `volume_bytes` needs: whole blocks.
inline std::uint64_t backing_bytes(std::uint64_t volume_bytes) {
  return cdp::round_up(volume_bytes, cdp::kBlockBytes);
}

class Host {
 public:
  virtual ~Host() = default;

  struct DirectoryUse {
    bool create = false;     // make it first where it is missing
    bool exclusive = false;  // hold it against other processes: EBUSY where one has it
  };
  virtual cdp::Task<cdp::Result<std::unique_ptr<cdp::Directory>>> open_directory(
      std::string path, DirectoryUse use) = 0;

  // A new sparse file, durable; EEXIST where there is one.
  virtual cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> create_backing(
      std::string path, std::uint64_t volume_bytes) = 0;
  // An existing file or block device, held exclusively. Refuses one that is missing, in use,
  // read-only or too small.
  virtual cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> open_backing(
      std::string path, std::uint64_t volume_bytes) = 0;
  // As open_backing, of one that an operator hands over: refuses what lies elsewhere than it may,
  // and what holds anything but zeroes.
  virtual cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> take_blank_backing(
      std::string path, std::uint64_t volume_bytes, BackingPlaces places) = 0;
  // Of a file that create_backing made; nothing where there is none.
  virtual void remove_backing(const std::string& path) = 0;

  // Whether both lie on one file system (or its device), so that one failure takes both.
  virtual bool share_storage(const std::string& a, const std::string& b) const = 0;
};

}  // namespace tools
