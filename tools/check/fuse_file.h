// SPDX-License-Identifier: Apache-2.0
//
// FuseFile: a stretch of the device as a file, by nbdfuse over a socket that the daemon serves.
// Inside the sandbox only. Constructing it waits until the file is there, or throws.
#pragma once

#include <sys/types.h>

#include <string>

#include "cdp/io/file_disk.h"

namespace check {

enum class Access { kReadOnly, kReadWrite };

class FuseFile {
 public:
  FuseFile(const cdp::FileDescriptor& stretch, Access access);
  ~FuseFile();
  FuseFile(const FuseFile&) = delete;
  FuseFile& operator=(const FuseFile&) = delete;

  const std::string& path() const { return path_; }
  // Throws where it is none any more, so that nobody's verdict counts.
  void require_served();

 private:
  bool has_ended();
  [[noreturn]] void give_up();

  std::string directory_;
  std::string path_;
  std::string log_;
  pid_t server_ = -1;
};

}  // namespace check
