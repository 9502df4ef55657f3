// SPDX-License-Identifier: Apache-2.0
#include "tools/files/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "cdp/base/random_bytes.h"

namespace tools::files {
namespace {

using cdp::errno_error;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

constexpr mode_t kForOthers = 077;
constexpr std::size_t kFileBytesMax = 16u << 20;

// A name that nothing has, and that none of ours begins with.
std::string temporary_name() {
  std::array<std::byte, 8> random;
  cdp::fill_random(random);
  std::uint64_t number = 0;
  for (const std::byte byte : random) number = number << 8 | static_cast<std::uint64_t>(byte);
  return fmt::format(".new-{:016x}", number);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Status write_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return make_error(errno, "");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return make_error(errno, "");
  return {};
}

}  // namespace

Result<Directory> Directory::of_descriptor(std::string path, int fd) {
  if (fd < 0) return errno_error(errno, "opening the directory " + path);
  struct stat about{};
  if (::fstat(fd, &about) != 0) {
    const int code = errno;
    ::close(fd);
    return errno_error(code, "looking at " + path);
  }
  return Directory{std::move(path), fd, about.st_uid, about.st_gid};
}

Result<Directory> Directory::open(const std::string& path) {
  return of_descriptor(path, ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<Directory> Directory::open_or_make(const std::string& path, mode_t mode) {
  Result<Directory> there = open(path);
  if (there.ok() || there.error().code != ENOENT) return there;
  std::filesystem::path parts{path};
  if (!parts.has_filename()) parts = parts.parent_path();  // "a/b/"
  Result<Directory> above = open(parts.has_parent_path() ? parts.parent_path().string() : ".");
  if (!above.ok()) return above;
  Result<Directory> made = above->open_or_make_below(parts.filename().string(), mode);
  if (made.ok()) made->path_ = path;
  return made;
}

Directory::Directory(Directory&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      owner_(other.owner_),
      group_(other.group_) {}

Directory& Directory::operator=(Directory&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(owner_, other.owner_);
  std::swap(group_, other.group_);
  return *this;
}

Directory::~Directory() {
  if (fd_ >= 0) ::close(fd_);
}

std::string Directory::path_of(std::string_view name) const {
  return fmt::format("{}{}{}", path_, path_.ends_with('/') ? "" : "/", name);
}

Result<Directory> Directory::open_or_make_below(const std::string& name, mode_t mode) const {
  const std::string path = path_of(name);
  const bool made = ::mkdirat(fd_, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return errno_error(errno, "making the directory " + path);
  constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Result<Directory> below = of_descriptor(path, ::openat(fd_, name.c_str(), kHow));
  if (!made || !below.ok()) return below;
  Status given = give_to_owner(below->fd_, path);
  if (!given.ok()) {
    ::unlinkat(fd_, name.c_str(), AT_REMOVEDIR);
    return std::move(given).error();
  }
  // Whatever the umask is.
  if (::fchmod(below->fd_, mode) != 0) return errno_error(errno, "setting the mode of " + path);
  below->owner_ = owner_;
  below->group_ = group_;
  return below;
}

Status Directory::lock() const {
  while (::flock(fd_, LOCK_EX) != 0) {
    if (errno != EINTR) return errno_error(errno, "locking " + path_);
  }
  return {};
}

bool Directory::has(const std::string& name) const {
  struct stat about{};
  return ::fstatat(fd_, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<std::string> Directory::read(const std::string& name, Secrecy secrecy) const {
  const std::string path = path_of(name);
  const Descriptor file{
      ::openat(fd_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
  if (!file.ok()) return errno_error(errno, "opening " + path);
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return errno_error(errno, "looking at " + path);
  if (!S_ISREG(about.st_mode)) return make_error(EINVAL, "{} is not a file", path);
  if (secrecy == Secrecy::kSecret) {
    if ((about.st_mode & kForOthers) != 0) {
      return make_error(EPERM,
                        "{} is a secret that other users can read or change (its mode is {:04o}): "
                        "`chmod 600 {}`, and think of what they may have read",
                        path, about.st_mode & 07777u, path);
    }
    if (about.st_uid != 0 && about.st_uid != ::geteuid() && ::geteuid() != 0) {
      return make_error(EPERM, "{} is a secret of another user (uid {})", path, about.st_uid);
    }
  }
  std::string bytes;
  std::array<char, 1u << 14> piece;
  while (bytes.size() <= kFileBytesMax) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "reading " + path);
    if (got == 0) return bytes;
    bytes.append(piece.data(), static_cast<std::size_t>(got));
  }
  return make_error(EFBIG, "{} is much larger than what it is taken for", path);
}

Status Directory::write(const std::vector<NewFile>& files) const {
  std::vector<std::string> written;
  Status status;
  for (const NewFile& file : files) {
    Result<std::string> name = write_temporary(file);
    if (!name.ok()) {
      status = std::move(name).error();
      break;
    }
    written.push_back(std::move(name).value());
  }
  std::size_t renamed = 0;
  while (status.ok() && renamed < files.size()) {
    const std::string& name = files[renamed].name;
    if (::renameat(fd_, written[renamed].c_str(), fd_, name.c_str()) == 0)
      ++renamed;
    else
      status = errno_error(errno, "renaming to " + path_of(name));
  }
  for (std::size_t i = renamed; i < written.size(); ++i) ::unlinkat(fd_, written[i].c_str(), 0);
  return status.ok() ? sync() : status;
}

Status Directory::write_directory(const std::string& name, const std::vector<NewFile>& files,
                                  bool replace) const {
  const std::string path = path_of(name);
  const std::string temporary = temporary_name();
  Status status;
  {
    Result<Directory> made = open_or_make_below(temporary, 0700);
    if (!made.ok()) return std::move(made).error();
    status = made->write(files);
  }
  if (status.ok()) {
    const unsigned how = replace && has(name) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(fd_, temporary.c_str(), fd_, name.c_str(), how) != 0) {
      status = errno == EEXIST ? Status{make_error(EEXIST, "there is a {} already", path)}
                               : Status{errno_error(errno, "renaming to " + path)};
    }
  }
  // What could not be put in place, or what was there before.
  remove_quietly(temporary);
  return status.ok() ? sync() : status;
}

Result<std::string> Directory::write_temporary(const NewFile& file) const {
  const std::string path = path_of(file.name);
  std::string name = temporary_name();
  constexpr int kHow = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const Descriptor made{::openat(fd_, name.c_str(), kHow, 0600)};
  if (!made.ok()) return errno_error(errno, "writing " + path);
  Status status = write_whole(made.get(), file.bytes);
  if (!status.ok()) status = errno_error(status.error().code, "writing " + path);
  if (status.ok()) status = give_to_owner(made.get(), path);
  if (status.ok() && ::fchmod(made.get(), file.mode) != 0) {
    status = errno_error(errno, "setting the mode of " + path);
  }
  if (status.ok()) return name;
  ::unlinkat(fd_, name.c_str(), 0);
  return std::move(status).error();
}

Status Directory::give_to_owner(int fd, const std::string& path) const {
  struct stat about{};
  if (::fstat(fd, &about) != 0) return errno_error(errno, "looking at " + path);
  if (about.st_uid == owner_ && about.st_gid == group_) return {};
  if (::fchown(fd, owner_, group_) == 0) return {};
  // A directory of our own, of a group that is not ours.
  if (about.st_uid == owner_) return {};
  return make_error(errno, "{} cannot be given to the owner of {} (uid {}): run this as root", path,
                    path_, owner_);
}

Status Directory::sync() const {
  if (::fsync(fd_) != 0) return errno_error(errno, "making " + path_ + " durable");
  return {};
}

void Directory::remove_quietly(const std::string& directory_name) const {
  const int fd = ::openat(fd_, directory_name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) return;
  if (DIR* const listing = ::fdopendir(fd)) {
    while (const dirent* entry = ::readdir(listing)) ::unlinkat(fd, entry->d_name, 0);
    ::closedir(listing);
  } else {
    ::close(fd);
  }
  ::unlinkat(fd_, directory_name.c_str(), AT_REMOVEDIR);
}

}  // namespace tools::files
