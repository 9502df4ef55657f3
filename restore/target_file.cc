// SPDX-License-Identifier: Apache-2.0
#include "restore/target_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace restore {
namespace {

using cdp::errno_error;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path{path}.parent_path().string();
  return directory.empty() ? "." : directory;
}

// Where a symbolic link leads to; `path` itself where it is none.
Result<std::string> followed(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(std::filesystem::symlink_status(path, error))) return path;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  if (error) return errno_error(error.value(), "following the symbolic link " + path);
  return real.string();
}

Status sync_directory(const std::string& path) {
  const cdp::FileDescriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory.valid() || ::fsync(directory.get()) != 0) {
    return errno_error(errno, "making the directory " + path + " durable");
  }
  return {};
}

}  // namespace

Status write_at(int fd, const std::string& path, std::uint64_t offset,
                std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_error(errno,
                         fmt::format("writing {} bytes at {} of {}", bytes.size(), offset, path));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 7> kUnits{"", "K", "M", "G", "T", "P", "E"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  return whole ? fmt::format("{:.0f}{}", value, kUnits[unit])
               : fmt::format("{:.1f}{}", value, kUnits[unit]);
}

Result<PartialFile> PartialFile::create(const std::string& final_path, bool force) {
  const Result<std::string> real = followed(final_path);
  if (!real.ok()) return real.error();
  struct stat status {};
  if (::lstat(real->c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      return make_error(EISDIR, "the target {} is a directory: name a file in it", *real);
    }
    if (!force) {
      return make_error(
          EEXIST, "the target {} exists: choose another name, or replace it with --force", *real);
    }
  } else if (errno != ENOENT) {
    return errno_error(errno, "looking at the target " + *real);
  }
  std::string path = fmt::format("{}/.{}.XXXXXX.partial", directory_of(*real),
                                 std::filesystem::path{*real}.filename().string());
  cdp::FileDescriptor fd{
      ::mkostemps(path.data(), static_cast<int>(std::string_view{".partial"}.size()), O_CLOEXEC)};
  if (!fd.valid()) return errno_error(errno, "creating a file in " + directory_of(*real));
  return PartialFile{std::move(fd), std::move(path), *real, force};
}

PartialFile::PartialFile(cdp::FileDescriptor fd, std::string path, std::string final_path,
                         bool force)
    : fd_(std::move(fd)),
      path_(std::move(path)),
      final_path_(std::move(final_path)),
      force_(force) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::exchange(other.path_, {})),
      final_path_(std::move(other.final_path_)),
      force_(other.force_) {}

PartialFile::~PartialFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Status PartialFile::check_room(std::uint64_t bytes) const {
  struct statvfs room {};
  if (::fstatvfs(fd(), &room) != 0) {
    return errno_error(errno, "asking for the free space of " + directory_of(final_path_));
  }
  const std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize;
  if (free >= bytes) return {};
  return make_error(ENOSPC,
                    "the image needs {} but the file system of {} has {} free: free some space, or "
                    "choose another target",
                    format_bytes(bytes), final_path_, format_bytes(free));
}

Status PartialFile::publish() {
  if (::fsync(fd()) != 0) return errno_error(errno, "making " + final_path_ + " durable");
  // Without force, one that appeared meanwhile is not replaced either.
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, final_path_.c_str(),
                  force_ ? 0 : RENAME_NOREPLACE) != 0) {
    const bool unsupported = !force_ && errno == EINVAL;
    if (!unsupported) return errno_error(errno, "giving the image its name " + final_path_);
    if (::link(path_.c_str(), final_path_.c_str()) != 0) {
      return errno_error(errno, "giving the image its name " + final_path_);
    }
    ::unlink(path_.c_str());
  }
  path_.clear();
  return sync_directory(directory_of(final_path_));
}

}  // namespace restore
