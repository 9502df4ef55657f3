// SPDX-License-Identifier: Apache-2.0
//
// The backing stores of volumes: files that the daemon makes under its state directory, or files
// and block devices that an administrator names. A new volume's history begins with zeroes, so a
// store that is handed over must read as zeroes; one that holds data is refused, not hidden.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"

namespace tools {

// Bytes of backing that a volume of `volume_bytes` needs: whole blocks.
std::uint64_t backing_bytes(std::uint64_t volume_bytes);

// A new sparse file; EEXIST where there is one.
cdp::Result<std::unique_ptr<cdp::FileDisk>> create_backing(cdp::Reactor& reactor,
                                                           const std::string& path,
                                                           std::uint64_t volume_bytes);

// An existing file or block device, held exclusively. Refuses one that is missing, in use,
// read-only or too small.
cdp::Result<std::unique_ptr<cdp::FileDisk>> open_backing(cdp::Reactor& reactor,
                                                         const std::string& path,
                                                         std::uint64_t volume_bytes);

// Refuses a store that holds anything but zeroes. Of a block device the first and the last MiB are
// looked at (where partition tables and file systems leave their marks), then all is zeroed.
cdp::Task<cdp::Status> require_blank(cdp::FileDisk& disk, const std::string& path);

// Where an operator may not put a backing store: inside the vault. EPERM with a sentence.
cdp::Status check_backing_path(const std::string& path, const std::string& vault_path);

// Whether both lie on one file system (or its device), so that one failure takes both.
bool share_storage(const std::string& a, const std::string& b);

}  // namespace tools
