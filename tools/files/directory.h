// SPDX-License-Identifier: Apache-2.0
//
// Directory: a directory of small files that are each there whole or not at all, such as keys and
// credentials. A file is written under a temporary name, made durable and renamed; a full disk
// leaves what was there before. Everything goes by the directory's descriptor and follows no link,
// so that who may write to the directory cannot send root elsewhere.
//
// What is made belongs to the directory's owner: root makes the keys of a service's user. Blocking;
// one thread. Errors are sentences with the path.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"

namespace tools::files {

struct NewFile {
  std::string name;
  std::string bytes;
  mode_t mode = 0600;
};

class Directory {
 public:
  static cdp::Result<Directory> open(const std::string& path);
  // Made with `mode` where it is missing, for the owner of the one above, which must be there.
  static cdp::Result<Directory> open_or_make(const std::string& path, mode_t mode);
  Directory(Directory&& other) noexcept;
  Directory& operator=(Directory&& other) noexcept;
  ~Directory();

  cdp::Result<Directory> open_or_make_below(const std::string& name, mode_t mode) const;

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view name) const;

  // Waits until no other program holds the directory, and holds it as long as this lives.
  cdp::Status lock() const;
  // Whether there is anything of that name.
  bool has(const std::string& name) const;
  // The file's content. EPERM where it is `secret` and others may read or write it, or it is
  // another user's (root's may be read).
  enum class Secrecy { kPublic, kSecret };
  cdp::Result<std::string> read(const std::string& name, Secrecy secrecy) const;
  // Replaces what has those names. None is renamed before all are durable.
  cdp::Status write(const std::vector<NewFile>& files) const;
  // A new directory of that name with these files, there at once with all of them. EEXIST where
  // there is one, unless it is to be replaced.
  cdp::Status write_directory(const std::string& name, const std::vector<NewFile>& files,
                              bool replace) const;

 private:
  Directory(std::string path, int fd, uid_t owner, gid_t group)
      : path_(std::move(path)), fd_(fd), owner_(owner), group_(group) {}
  static cdp::Result<Directory> of_descriptor(std::string path, int fd);
  // A durable file under a name that it gives.
  cdp::Result<std::string> write_temporary(const NewFile& file) const;
  cdp::Status give_to_owner(int fd, const std::string& path) const;
  cdp::Status sync() const;
  void remove_quietly(const std::string& directory_name) const;

  std::string path_;
  int fd_ = -1;
  uid_t owner_ = 0;
  gid_t group_ = 0;
};

}  // namespace tools::files
