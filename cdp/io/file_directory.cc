// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "cdp/io/file_disk.h"

namespace cdp {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kSealedMode = 0400;
constexpr std::size_t kMaxSmallBytes = 64u << 20;

// Runs a blocking function of the file system on a worker.
template <typename T>
Task<T> blocking(Reactor& reactor, std::function<T()> function) {
  std::optional<T> result;
  co_await on_worker(reactor, [&result, &function] { result.emplace(function()); });
  co_return std::move(*result);
}

int open_at(int directory, const std::string& name, int flags) {
  const int fd = openat(directory, name.c_str(), flags | O_CLOEXEC | O_DIRECT, kFileMode);
  // Some file systems have no O_DIRECT (a file that O_CREAT made stays, so open it again).
  if (fd >= 0 || errno != EINVAL) return fd;
  return openat(directory, name.c_str(), (flags & ~(O_CREAT | O_EXCL)) | O_CLOEXEC);
}

// Allocates the file's space; 0 or an errno value.
int allocate(int fd, std::uint64_t bytes) {
  if (fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0) return 0;
  if (errno != EOPNOTSUPP) return errno;
  return posix_fallocate(fd, 0, static_cast<off_t>(bytes));
}

Status write_whole(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return errno_error(errno, "writing " + path);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  if (fsync(fd) != 0) return errno_error(errno, "making " + path + " durable");
  return {};
}

}  // namespace

Result<std::unique_ptr<FileDirectory>> FileDirectory::open(Reactor& reactor,
                                                           const std::string& path, bool create) {
  if (create && mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(errno, "making the directory " + path);
  }
  FileDescriptor fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd.valid()) return errno_error(errno, "opening the directory " + path);
  return std::make_unique<FileDirectory>(reactor, std::move(fd), path);
}

Status FileDirectory::lock() {
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK) return make_error(EBUSY, "{} is in use by another process", path_);
  return errno_error(errno, "locking " + path_);
}

Task<Result<std::vector<std::string>>> FileDirectory::list() {
  using Names = Result<std::vector<std::string>>;
  return blocking<Names>(reactor_, [this]() -> Names {
    const int copy = openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = copy < 0 ? nullptr : fdopendir(copy);
    if (stream == nullptr) return errno_error(errno, "listing " + path_);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    const int error = errno;
    closedir(stream);
    if (error != 0) return errno_error(error, "listing " + path_);
    std::sort(names.begin(), names.end());
    return names;
  });
}

Task<Result<std::unique_ptr<Disk>>> FileDirectory::create(std::string name, std::uint64_t bytes) {
  using Opened = Result<std::unique_ptr<Disk>>;
  return blocking<Opened>(reactor_, [this, name = std::move(name), bytes]() -> Opened {
    const std::string path = path_ + "/" + name;
    FileDescriptor fd{open_at(fd_.get(), name, O_RDWR | O_CREAT | O_EXCL)};
    if (!fd.valid()) return errno_error(errno, "making " + path);
    if (const int error = allocate(fd.get(), bytes); error != 0) {
      unlinkat(fd_.get(), name.c_str(), 0);
      return make_error(error, "allocating {} bytes for {}: {}", bytes, path,
                        std::generic_category().message(error));
    }
    if (fsync(fd.get()) != 0) return errno_error(errno, "making " + path + " durable");
    return std::make_unique<FileDisk>(reactor_, std::move(fd), bytes, path);
  });
}

Task<Result<std::unique_ptr<Disk>>> FileDirectory::open(std::string name, OpenMode mode) {
  using Opened = Result<std::unique_ptr<Disk>>;
  return blocking<Opened>(reactor_, [this, name = std::move(name), mode]() -> Opened {
    const std::string path = path_ + "/" + name;
    FileDescriptor fd{open_at(fd_.get(), name, mode == OpenMode::kReadOnly ? O_RDONLY : O_RDWR)};
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) return errno_error(errno, "opening " + path);
    if (!S_ISREG(info.st_mode)) return make_error(EINVAL, "{} is not a regular file", path);
    return std::make_unique<FileDisk>(reactor_, std::move(fd),
                                      static_cast<std::uint64_t>(info.st_size), path);
  });
}

Task<Result<std::vector<std::byte>>> FileDirectory::read_small(std::string name) {
  using Bytes = Result<std::vector<std::byte>>;
  return blocking<Bytes>(reactor_, [this, name = std::move(name)]() -> Bytes {
    const std::string path = path_ + "/" + name;
    const FileDescriptor fd{openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) return errno_error(errno, "opening " + path);
    if (!S_ISREG(info.st_mode) || static_cast<std::size_t>(info.st_size) > kMaxSmallBytes) {
      return make_error(EINVAL, "{} is not a small file", path);
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t done = ::read(fd.get(), bytes.data() + filled, bytes.size() - filled);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return errno_error(errno, "reading " + path);
      if (done == 0) break;
      filled += static_cast<std::size_t>(done);
    }
    bytes.resize(filled);
    return bytes;
  });
}

Task<Status> FileDirectory::write_small(std::string name, std::vector<std::byte> bytes) {
  return blocking<Status>(reactor_, [this, name = std::move(name), bytes = std::move(bytes)]() -> Status {
    const std::string path = path_ + "/" + name;
    const std::string temporary = "." + name + ".new";
    {
      const FileDescriptor fd{openat(fd_.get(), temporary.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode)};
      if (!fd.valid()) return errno_error(errno, "making " + path);
      if (Status written = write_whole(fd.get(), bytes, path); !written) return written;
    }
    if (renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) != 0) {
      return errno_error(errno, "replacing " + path);
    }
    if (fsync(fd_.get()) != 0) return errno_error(errno, "making " + path_ + " durable");
    return {};
  });
}

Task<Status> FileDirectory::rename(std::string from, std::string to) {
  return blocking<Status>(reactor_, [this, from = std::move(from), to = std::move(to)]() -> Status {
    if (renameat2(fd_.get(), from.c_str(), fd_.get(), to.c_str(), RENAME_NOREPLACE) == 0) return {};
    return errno_error(errno, fmt::format("renaming {} to {} in {}", from, to, path_));
  });
}

Task<Status> FileDirectory::seal(std::string name, std::uint64_t bytes) {
  return blocking<Status>(reactor_, [this, name = std::move(name), bytes]() -> Status {
    const std::string path = path_ + "/" + name;
    const FileDescriptor fd{openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) return errno_error(errno, "sealing " + path);
    const bool was_sealed = (info.st_mode & 0777) == kSealedMode;
    if (static_cast<std::uint64_t>(info.st_size) != bytes) {
      if (was_sealed) {
        return make_error(EINVAL, "{} is sealed with {} bytes, not {}", path, info.st_size, bytes);
      }
      const FileDescriptor writable{openat(fd_.get(), name.c_str(), O_WRONLY | O_CLOEXEC)};
      if (!writable.valid() || ftruncate(writable.get(), static_cast<off_t>(bytes)) != 0) {
        return errno_error(errno, "cutting " + path);
      }
    }
    if (!was_sealed && fchmod(fd.get(), kSealedMode) != 0) return errno_error(errno, "sealing " + path);
    if (fsync(fd.get()) != 0) return errno_error(errno, "making " + path + " durable");
    // As far as the file system and our rights allow it; the chain is what proves tampering.
    int flags = 0;
    if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL) == 0) {
      flags |= FS_IMMUTABLE_FL;
      (void)ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
    }
    return {};
  });
}

Task<Status> FileDirectory::remove(std::string name) {
  return blocking<Status>(reactor_, [this, name = std::move(name)]() -> Status {
    if (unlinkat(fd_.get(), name.c_str(), 0) == 0) return {};
    return errno_error(errno, fmt::format("removing {}/{}", path_, name));
  });
}

Task<Status> FileDirectory::sync() {
  return blocking<Status>(reactor_, [this]() -> Status {
    if (fsync(fd_.get()) == 0) return {};
    return errno_error(errno, "making " + path_ + " durable");
  });
}

Task<Result<std::uint64_t>> FileDirectory::free_bytes() {
  using Bytes = Result<std::uint64_t>;
  return blocking<Bytes>(reactor_, [this]() -> Bytes {
    struct statvfs info {};
    if (fstatvfs(fd_.get(), &info) != 0) return errno_error(errno, "examining " + path_);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  });
}

}  // namespace cdp
