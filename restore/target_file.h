// SPDX-License-Identifier: Apache-2.0
//
// Pieces that the targets of images share: whole writes, and a file that has a
// temporary name beside its final one until it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "cdp/base/result.h"
#include "cdp/io/file_disk.h"

namespace restore {

// A whole write at an offset, or an Error that names `path`.
cdp::Status write_at(int fd, const std::string& path, std::uint64_t offset,
                     std::span<const std::byte> bytes);

// "1.5G", for sentences.
std::string format_bytes(std::uint64_t bytes);

// A file `.NAME.XXXXXX.partial` in the directory of `final_path`, readable by its owner alone;
// removed on destruction unless `publish` gave it its final name.
class PartialFile {
 public:
  // Refuses (EEXIST) a final path that exists unless `force`; a symbolic link means its target.
  static cdp::Result<PartialFile> create(const std::string& final_path, bool force);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  const std::string& final_path() const { return final_path_; }

  // An error when the file system of the file has less than `bytes` free.
  cdp::Status check_room(std::uint64_t bytes) const;
  // fsync, rename, fsync of the directory.
  cdp::Status publish();

 private:
  PartialFile(cdp::FileDescriptor fd, std::string path, std::string final_path, bool force);

  cdp::FileDescriptor fd_;
  std::string path_;  // empty once published or moved from
  std::string final_path_;
  bool force_;
};

}  // namespace restore
