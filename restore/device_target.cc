// SPDX-License-Identifier: Apache-2.0
//
// A block device as target: never one that is in use, and not without `force` one that holds
// something. Zeroes go out as BLKZEROOUT, which, unlike a discard, promises that they read back.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>
#include <vector>

#include "restore/image_target.h"
#include "restore/target_file.h"

namespace restore {
namespace {

using cdp::errno_error;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

constexpr std::uint64_t kZeroStepBytes = 256u << 20;
// Shorter stretches are written: a command to the device costs more.
constexpr std::uint64_t kZeroCommandBytesMin = 1u << 20;
constexpr std::uint64_t kAlignment = 4096;
constexpr std::size_t kLookBytes = 1u << 20;

// Where the device is mounted, or nothing: field 3 of a line is major:minor, field 5 the place.
std::string mounted_on(dev_t device) {
  std::ifstream mounts{"/proc/self/mountinfo"};
  const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields{line};
    std::string id, parent, number, root, place;
    if (fields >> id >> parent >> number >> root >> place && number == wanted) return place;
  }
  return {};
}

class DeviceTarget final : public ImageTarget {
 public:
  DeviceTarget(cdp::FileDescriptor fd, std::string path, std::uint64_t capacity_bytes)
      : fd_(std::move(fd)), path_(std::move(path)), capacity_bytes_(capacity_bytes) {}

  Status start(const ImageSize& size) override {
    if (size.bytes <= capacity_bytes_) return {};
    return make_error(ENOSPC,
                      "the device {} is too small: it has {} bytes and the image {}; nothing was "
                      "written",
                      path_, capacity_bytes_, size.bytes);
  }
  Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    touch(offset, bytes.size());
    return write_at(fd_.get(), path_, offset, bytes);
  }
  Status zero(std::uint64_t offset, std::uint64_t length) override {
    touch(offset, length);
    if (length < kZeroCommandBytesMin) return write_zeroes(offset, length);
    const std::uint64_t end = offset + length;
    const std::uint64_t inner = std::min(end, round_up_to_alignment(offset));
    const std::uint64_t inner_end = std::max(inner, end / kAlignment * kAlignment);
    Status head = write_zeroes(offset, inner - offset);
    if (!head.ok()) return head;
    for (std::uint64_t at = inner; at < inner_end;) {
      std::array<std::uint64_t, 2> range{at, std::min(kZeroStepBytes, inner_end - at)};
      if (::ioctl(fd_.get(), BLKZEROOUT, range.data()) != 0) {
        return errno_error(errno, fmt::format("zeroing {} bytes at {} of {}", range[1], at, path_));
      }
      at += range[1];
    }
    return write_zeroes(inner_end, end - inner_end);
  }
  Status finish() override {
    if (::fsync(fd_.get()) == 0) return {};
    return errno_error(errno, "making " + path_ + " durable");
  }
  std::string left_behind() const override {
    const std::lock_guard lock{mutex_};
    if (touched_end_ == 0) return {};
    return fmt::format(
        "bytes from {} to {} of {} may have been overwritten, and the device must "
        "not be used as it is",
        touched_begin_, touched_end_, path_);
  }

 private:
  static std::uint64_t round_up_to_alignment(std::uint64_t value) {
    return (value + kAlignment - 1) / kAlignment * kAlignment;
  }
  Status write_zeroes(std::uint64_t offset, std::uint64_t length) {
    static constexpr std::array<std::byte, 64u << 10> kZeroes{};
    while (length > 0) {
      const std::uint64_t part = std::min<std::uint64_t>(length, kZeroes.size());
      Status written = write_at(fd_.get(), path_, offset, std::span{kZeroes}.first(part));
      if (!written.ok()) return written;
      offset += part;
      length -= part;
    }
    return {};
  }
  void touch(std::uint64_t offset, std::uint64_t length) {
    const std::lock_guard lock{mutex_};
    touched_begin_ = touched_end_ == 0 ? offset : std::min(touched_begin_, offset);
    touched_end_ = std::max(touched_end_, offset + length);
  }

  cdp::FileDescriptor fd_;
  std::string path_;
  std::uint64_t capacity_bytes_;

  mutable std::mutex mutex_;
  std::uint64_t touched_begin_ = 0;
  std::uint64_t touched_end_ = 0;
};

Status check_blank(int fd, const std::string& path) {
  std::vector<std::byte> start(kLookBytes);
  const ssize_t got = ::pread(fd, start.data(), start.size(), 0);
  if (got < 0) return errno_error(errno, "reading the beginning of " + path);
  start.resize(static_cast<std::size_t>(got));
  if (std::all_of(start.begin(), start.end(), [](std::byte b) { return b == std::byte{0}; })) {
    return {};
  }
  return make_error(EEXIST,
                    "the device {} is not blank: choose another, or overwrite what it holds with "
                    "--force",
                    path);
}

}  // namespace

Result<std::unique_ptr<ImageTarget>> open_device_target(const std::string& path, bool force) {
  // O_EXCL on a block device fails while a file system, swap, RAID or another claims it.
  cdp::FileDescriptor fd{::open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC)};
  struct stat status {};
  if (!fd.valid()) {
    const int code = errno;
    if (code != EBUSY) return errno_error(code, "opening the device " + path);
    const std::string place =
        ::stat(path.c_str(), &status) == 0 ? mounted_on(status.st_rdev) : std::string{};
    return make_error(EBUSY, "the device {} is in use{}: {}", path,
                      place.empty() ? std::string{} : fmt::format(" (mounted on {})", place),
                      place.empty() ? "release it first" : "unmount it first");
  }
  if (::fstat(fd.get(), &status) != 0) return errno_error(errno, "looking at the device " + path);
  if (const std::string place = mounted_on(status.st_rdev); !place.empty()) {
    return make_error(EBUSY, "the device {} is in use (mounted on {}): unmount it first", path,
                      place);
  }
  std::uint64_t capacity_bytes = 0;
  if (::ioctl(fd.get(), BLKGETSIZE64, &capacity_bytes) != 0) {
    return errno_error(errno, "asking for the size of " + path);
  }
  if (!force) {
    Status blank = check_blank(fd.get(), path);
    if (!blank.ok()) return blank.error();
  }
  return std::unique_ptr<ImageTarget>{
      std::make_unique<DeviceTarget>(std::move(fd), path, capacity_bytes)};
}

}  // namespace restore
