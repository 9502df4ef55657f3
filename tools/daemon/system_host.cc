// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/system_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cdp/base/types.h"

namespace tools {
namespace {

constexpr std::uint64_t kScanChunkBytes = 1u << 20;
constexpr mode_t kAnyoneMayWrite = S_IWUSR | S_IWGRP | S_IWOTH;

struct AlignedDelete {
  void operator()(std::byte* memory) const { std::free(memory); }
};

cdp::Task<cdp::Result<bool>> reads_as_zeroes(cdp::FileDisk& disk, std::uint64_t from,
                                             std::uint64_t to) {
  const std::unique_ptr<std::byte[], AlignedDelete> memory{
      static_cast<std::byte*>(std::aligned_alloc(cdp::kBlockBytes, kScanChunkBytes))};
  while (from < to) {
    const std::uint64_t bytes = std::min(to - from, kScanChunkBytes);
    const std::span<std::byte> chunk{memory.get(), bytes};
    cdp::Status read = co_await disk.cdp::Disk::read(from, chunk);
    if (!read) co_return std::move(read).error();
    if (std::any_of(chunk.begin(), chunk.end(), [](std::byte b) { return b != std::byte{0}; })) {
      co_return false;
    }
    from += bytes;
  }
  co_return true;
}

// Looks at what is allocated of a regular file.
cdp::Task<cdp::Result<bool>> file_is_blank(cdp::FileDisk& disk) {
  const std::uint64_t size = disk.size_bytes() / cdp::kBlockBytes * cdp::kBlockBytes;
  off_t data = 0;
  while ((data = lseek(disk.fd(), data, SEEK_DATA)) >= 0) {
    const off_t hole = lseek(disk.fd(), data, SEEK_HOLE);
    if (hole < 0) co_return cdp::errno_error(errno, "looking for data in the backing file");
    const std::uint64_t from = static_cast<std::uint64_t>(data) / cdp::kBlockBytes * cdp::kBlockBytes;
    const std::uint64_t to =
        std::min(size, cdp::round_up(static_cast<std::uint64_t>(hole), cdp::kBlockBytes));
    cdp::Result<bool> blank = co_await reads_as_zeroes(disk, from, to);
    if (!blank || !*blank) co_return blank;
    data = hole;
  }
  if (errno != ENXIO) co_return cdp::errno_error(errno, "looking for data in the backing file");
  co_return true;
}

cdp::Task<cdp::Result<bool>> device_is_blank(cdp::FileDisk& disk) {
  const std::uint64_t size = disk.size_bytes() / cdp::kBlockBytes * cdp::kBlockBytes;
  const std::uint64_t head = std::min(size, kScanChunkBytes);
  cdp::Result<bool> blank = co_await reads_as_zeroes(disk, 0, head);
  if (!blank || !*blank) co_return blank;
  blank = co_await reads_as_zeroes(disk, std::max(head, size - head), size);
  if (!blank || !*blank) co_return blank;
  cdp::Status zeroed = co_await disk.zero_range(0, size, true);
  if (!zeroed) co_return std::move(zeroed).error();
  cdp::Status synced = co_await disk.sync();
  if (!synced) co_return std::move(synced).error();
  co_return true;
}

cdp::Task<cdp::Status> require_blank(cdp::FileDisk& disk, std::string path) {
  struct stat info {};
  if (fstat(disk.fd(), &info) != 0) co_return cdp::errno_error(errno, "examining " + path);
  cdp::Result<bool> blank = false;
  if (S_ISREG(info.st_mode)) blank = co_await file_is_blank(disk);
  else blank = co_await device_is_blank(disk);
  if (!blank) co_return std::move(blank).error();
  if (!*blank) {
    co_return cdp::make_error(
        EEXIST,
        "the backing store {} holds data, which a new volume would hide: give an empty one, or "
        "clear it first (blkdiscard -z, or truncate a file to 0 and back)",
        path);
  }
  co_return cdp::Status{};
}

// What a descriptor is open on, whatever has happened to its name since.
std::string path_of(int fd) {
  std::error_code error;
  return std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), error).string();
}

// So that the name is durable. False, with errno, where that failed.
bool sync_directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  const cdp::FileDescriptor fd{open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return fd.valid() && fsync(fd.get()) == 0;
}

}  // namespace

cdp::Task<cdp::Result<std::unique_ptr<cdp::Directory>>> SystemHost::open_directory(
    std::string path, DirectoryUse use) {
  auto directory = cdp::FileDirectory::open(reactor_, path, use.create);
  if (!directory) co_return std::move(directory).error();
  if (use.exclusive) {
    if (cdp::Status locked = (*directory)->lock(); !locked) co_return std::move(locked).error();
  }
  co_return std::unique_ptr<cdp::Directory>{*std::move(directory)};
}

cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> SystemHost::create_backing(
    std::string path, std::uint64_t volume_bytes) {
  {
    const cdp::FileDescriptor fd{open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (!fd.valid()) co_return cdp::errno_error(errno, "making the backing file " + path);
    if (ftruncate(fd.get(), static_cast<off_t>(backing_bytes(volume_bytes))) != 0 ||
        fsync(fd.get()) != 0 || !sync_directory_of(path)) {
      const int code = errno;
      unlink(path.c_str());
      co_return cdp::make_error(code, "making the backing file {} of {} bytes: {}", path,
                                backing_bytes(volume_bytes),
                                std::generic_category().message(code));
    }
  }
  co_return co_await open_backing(std::move(path), volume_bytes);
}

cdp::Result<std::unique_ptr<cdp::FileDisk>> SystemHost::open_disk(const std::string& path,
                                                                  std::uint64_t volume_bytes) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return cdp::errno_error(errno, "opening the backing store " + path);
  }
  if (S_ISREG(info.st_mode) && (info.st_mode & kAnyoneMayWrite) == 0) {
    return cdp::make_error(EROFS, "the backing file {} is read-only (mode {:04o})", path,
                           info.st_mode & 07777u);
  }
  auto disk = cdp::FileDisk::open(reactor_, path, cdp::OpenMode::kReadWrite, true);
  if (!disk) {
    return cdp::Error{disk.error().code, "the backing store cannot be used: " + disk.error().message};
  }
  if ((*disk)->size_bytes() < backing_bytes(volume_bytes)) {
    return cdp::make_error(EINVAL,
                           "the backing store {} has {} bytes, too small for a volume of {} bytes",
                           path, (*disk)->size_bytes(), volume_bytes);
  }
  return disk;
}

cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> SystemHost::open_backing(
    std::string path, std::uint64_t volume_bytes) {
  auto disk = open_disk(path, volume_bytes);
  if (!disk) co_return std::move(disk).error();
  co_return std::unique_ptr<cdp::Disk>{*std::move(disk)};
}

cdp::Task<cdp::Result<std::unique_ptr<cdp::Disk>>> SystemHost::take_blank_backing(
    std::string path, std::uint64_t volume_bytes, BackingPlaces places) {
  // First so that nothing elsewhere is touched, then since a link may have been changed meanwhile.
  cdp::Status allowed = check_backing_place(path, places);
  if (!allowed) co_return std::move(allowed).error();
  auto disk = open_disk(path, volume_bytes);
  if (!disk) co_return std::move(disk).error();
  allowed = check_backing_place(path_of((*disk)->fd()), places);
  if (!allowed) co_return std::move(allowed).error();
  cdp::Status blank = co_await require_blank(**disk, path);
  if (!blank) co_return std::move(blank).error();
  co_return std::unique_ptr<cdp::Disk>{*std::move(disk)};
}

void SystemHost::remove_backing(const std::string& path) { unlink(path.c_str()); }

bool SystemHost::share_storage(const std::string& a, const std::string& b) const {
  struct stat first {};
  struct stat second {};
  if (stat(a.c_str(), &first) != 0 || stat(b.c_str(), &second) != 0) return false;
  const dev_t first_device = S_ISBLK(first.st_mode) ? first.st_rdev : first.st_dev;
  const dev_t second_device = S_ISBLK(second.st_mode) ? second.st_rdev : second.st_dev;
  return first_device == second_device;
}

}  // namespace tools
