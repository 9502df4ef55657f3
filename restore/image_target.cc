// SPDX-License-Identifier: Apache-2.0
#include "restore/image_target.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "restore/target_file.h"

namespace restore {
namespace {

using cdp::errno_error;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

class FileTarget final : public ImageTarget {
 public:
  explicit FileTarget(PartialFile file) : file_(std::move(file)) {}

  Status start(const ImageSize& size) override {
    Status room = file_.check_room(size.data_bytes.value_or(0));
    if (!room.ok()) return room;
    if (::ftruncate(file_.fd(), static_cast<off_t>(size.bytes)) != 0) {
      return errno_error(
          errno, fmt::format("giving {} its size of {} bytes", file_.final_path(), size.bytes));
    }
    written_bytes_ = std::vector<std::atomic<unsigned>>(size.bytes / kRegionBytes + 1);
    return {};
  }
  Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    Status written = write_at(file_.fd(), file_.final_path(), offset, bytes);
    if (written.ok()) count_written(offset, bytes.size());
    return written;
  }
  Status zero(std::uint64_t, std::uint64_t) override { return {}; }  // it is sparse
  Status finish() override { return file_.publish(); }

 private:
  static constexpr std::uint64_t kRegionBytes = 8u << 20;

  // The kernel keeps what is written until `finish` syncs it, and the disk idle: it is told to
  // begin with each region that is complete, not before, as a half of it would have to be written
  // twice. That promises nothing, and its failure says nothing that the sync would not.
  void count_written(std::uint64_t offset, std::uint64_t bytes) {
    while (bytes > 0) {
      const std::uint64_t region = offset / kRegionBytes;
      const std::uint64_t part = std::min(bytes, (region + 1) * kRegionBytes - offset);
      const std::uint64_t before = written_bytes_[region].fetch_add(static_cast<unsigned>(part));
      if (before + part == kRegionBytes) {
        (void)::sync_file_range(file_.fd(), static_cast<off_t>(region * kRegionBytes),
                                static_cast<off_t>(kRegionBytes), SYNC_FILE_RANGE_WRITE);
      }
      offset += part;
      bytes -= part;
    }
  }

  PartialFile file_;
  std::vector<std::atomic<unsigned>> written_bytes_;  // by region; workers and the reactor count
};

class PipeTarget final : public ImageTarget {
 public:
  explicit PipeTarget(int fd) : fd_(fd) {}
  PipeTarget(cdp::FileDescriptor owned, int fd) : owned_(std::move(owned)), fd_(fd) {}

  Status start(const ImageSize& size) override {
    size_bytes_ = size.bytes;
    return {};
  }
  Status data(std::uint64_t offset, std::span<const std::byte> bytes) override {
    CHECK(offset == position_);
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) {
          pollfd room{fd_, POLLOUT, 0};
          ::poll(&room, 1, -1);
          continue;
        }
        return errno_error(errno, "writing the image to standard output");
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      position_ += static_cast<std::uint64_t>(written);
    }
    return {};
  }
  Status zero(std::uint64_t offset, std::uint64_t length) override {
    static constexpr std::array<std::byte, 1 << 16> kZeroes{};
    CHECK(offset == position_);
    while (length > 0) {
      const std::size_t part = std::min<std::uint64_t>(length, kZeroes.size());
      Status written = data(position_, std::span{kZeroes}.first(part));
      if (!written.ok()) return written;
      length -= part;
    }
    return {};
  }
  Status finish() override { return {}; }
  bool wants_offset_order() const override { return true; }
  std::string left_behind() const override {
    return fmt::format("{} of {} bytes of the image had gone out", position_, size_bytes_);
  }

 private:
  cdp::FileDescriptor owned_;
  int fd_;
  std::uint64_t position_ = 0;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<ImageTarget>> open_file_target(const std::string& path, bool force) {
  Result<PartialFile> file = PartialFile::create(path, force);
  if (!file.ok()) return file.error();
  return std::unique_ptr<ImageTarget>{std::make_unique<FileTarget>(std::move(file).value())};
}

std::unique_ptr<ImageTarget> make_pipe_target(int fd) { return std::make_unique<PipeTarget>(fd); }

Result<std::unique_ptr<ImageTarget>> open_target(const std::string& path,
                                                 const TargetOptions& options) {
  const bool raw = options.format == ImageFormat::kRaw;
  if (path.empty()) return make_error(EINVAL, "the target has no name: give a file, a device or -");
  if (path == "-") {
    if (!raw) {
      return make_error(EINVAL,
                        "qcow2 cannot be written to a pipe: name a file, or use --format raw");
    }
    if (::isatty(STDOUT_FILENO) == 1) {
      return make_error(EINVAL,
                        "standard output is a terminal, which is no place for an image: send it "
                        "into a file or a pipe");
    }
    return make_pipe_target(STDOUT_FILENO);
  }
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && S_ISBLK(status.st_mode)) {
    if (raw) return open_device_target(path, options.force);
    return make_error(EINVAL, "a block device takes a raw image: use --format raw for {}", path);
  }
  if (exists && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    return make_error(EINVAL,
                      "the target {} is neither a file nor a block device: to write into a pipe, "
                      "use - as the target",
                      path);
  }
  return raw ? open_file_target(path, options.force) : open_qcow2_target(path, options.force);
}

}  // namespace restore
