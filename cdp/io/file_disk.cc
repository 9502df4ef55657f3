// SPDX-License-Identifier: Apache-2.0
#include "cdp/io/file_disk.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>

namespace cdp {
namespace {

constexpr std::size_t kMaxVectors = 1024;  // IOV_MAX
constexpr std::uint64_t kZeroChunkBytes = 1u << 20;

std::uint64_t total_bytes(std::span<const iovec> vectors) {
  std::uint64_t total = 0;
  for (const iovec& vector : vectors) total += vector.iov_len;
  return total;
}

using Vectors = boost::container::small_vector<iovec, 16>;

// Drops the first `bytes` bytes.
void advance(Vectors& vectors, std::size_t bytes) {
  std::size_t whole = 0;
  while (whole < vectors.size() && vectors[whole].iov_len <= bytes) {
    bytes -= vectors[whole++].iov_len;
  }
  vectors.erase(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(whole));
  if (bytes == 0) return;
  vectors[0].iov_base = static_cast<char*>(vectors[0].iov_base) + bytes;
  vectors[0].iov_len -= bytes;
}

int open_file(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_DIRECT);
  // Some file systems have no O_DIRECT.
  return fd >= 0 || errno != EINVAL ? fd : ::open(path.c_str(), flags | O_CLOEXEC);
}

Status check_kind(const struct stat& info, const std::string& path) {
  if (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode)) return {};
  return make_error(EINVAL, "{} is neither a regular file nor a block device", path);
}

Result<std::uint64_t> size_of(int fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return errno_error(errno, "examining " + path);
  if (Status kind = check_kind(info, path); !kind) return std::move(kind).error();
  if (S_ISREG(info.st_mode)) return static_cast<std::uint64_t>(info.st_size);
  std::uint64_t bytes = 0;
  if (ioctl(fd, BLKGETSIZE64, &bytes) != 0) return errno_error(errno, "sizing " + path);
  return bytes;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<std::unique_ptr<FileDisk>> FileDisk::open(Reactor& reactor, const std::string& path,
                                                 OpenMode mode, bool exclusive) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return errno_error(errno, "opening " + path);
  // Before it is opened: a pipe would wait for a writer, and some devices act on it.
  if (Status kind = check_kind(info, path); !kind) return std::move(kind).error();
  int flags = mode == OpenMode::kReadOnly ? O_RDONLY : O_RDWR;
  if (exclusive && S_ISBLK(info.st_mode)) flags |= O_EXCL;
  FileDescriptor fd{open_file(path, flags)};
  if (!fd.valid()) {
    if (errno == EBUSY) return make_error(EBUSY, "{} is in use (mounted, or held by another)", path);
    return errno_error(errno, "opening " + path);
  }
  if (exclusive && flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return make_error(EBUSY, "{} is in use already, by a volume or by another process", path);
  }
  Result<std::uint64_t> size = size_of(fd.get(), path);
  if (!size) return std::move(size).error();
  return std::make_unique<FileDisk>(reactor, std::move(fd), *size, path);
}

Task<Status> FileDisk::transfer(Direction direction, std::uint64_t offset,
                                std::span<const iovec> memory, int flags) {
  Vectors left{memory.begin(), memory.end()};
  while (!left.empty()) {
    const auto count = static_cast<unsigned>(std::min(left.size(), kMaxVectors));
    const int done = co_await reactor_.submit(
        [fd = fd_.get(), direction, vectors = left.data(), count, offset, flags](io_uring_sqe* e) {
          if (direction == Direction::kRead) io_uring_prep_readv2(e, fd, vectors, count, offset, flags);
          else io_uring_prep_writev2(e, fd, vectors, count, offset, flags);
        });
    if (done == -EINTR || done == -EAGAIN) continue;
    const char* doing = direction == Direction::kRead ? "reading" : "writing";
    if (done < 0) {
      co_return make_error(-done, "{} {} bytes at offset {} of {}: {}", doing, total_bytes(left),
                           offset, path_, std::generic_category().message(-done));
    }
    if (done == 0) {
      co_return make_error(EIO, "{} {} at offset {}: the file ends there", doing, path_, offset);
    }
    offset += static_cast<std::uint64_t>(done);
    advance(left, static_cast<std::size_t>(done));
  }
  co_return Status{};
}

Task<Status> FileDisk::read(std::uint64_t offset, std::span<const iovec> into) {
  return transfer(Direction::kRead, offset, into, 0);
}

Task<Status> FileDisk::write(std::uint64_t offset, std::span<const iovec> from) {
  return transfer(Direction::kWrite, offset, from, 0);
}

Task<Status> FileDisk::write_durably(std::uint64_t offset, std::span<const iovec> from) {
  return transfer(Direction::kWrite, offset, from, RWF_DSYNC);
}

Task<Status> FileDisk::sync() {
  const int done = co_await reactor_.submit([fd = fd_.get()](io_uring_sqe* entry) {
    io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
  });
  if (done < 0) co_return errno_error(-done, "making " + path_ + " durable");
  co_return Status{};
}

Task<Status> FileDisk::zero_range(std::uint64_t offset, std::uint64_t bytes, bool may_deallocate) {
  constexpr std::array kModes = {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                 FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
  for (const int mode : std::span{kModes}.subspan(may_deallocate ? 0 : 1)) {
    const int done = co_await reactor_.submit([fd = fd_.get(), mode, offset, bytes](io_uring_sqe* e) {
      io_uring_prep_fallocate(e, fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    });
    if (done == 0) co_return Status{};
    if (done != -EOPNOTSUPP && done != -ENOSYS && done != -EINVAL) {
      co_return make_error(-done, "zeroing {} bytes at offset {} of {}: {}", bytes, offset, path_,
                           std::generic_category().message(-done));
    }
  }
  co_return co_await write_zeroes(offset, bytes);
}

Task<Status> FileDisk::write_zeroes(std::uint64_t offset, std::uint64_t bytes) {
  alignas(4096) static std::byte zeroes[kZeroChunkBytes] = {};
  while (bytes != 0) {
    const std::uint64_t chunk = std::min(bytes, kZeroChunkBytes);
    Status written = co_await Disk::write(offset, std::span<const std::byte>{zeroes, chunk});
    if (!written) co_return written;
    offset += chunk;
    bytes -= chunk;
  }
  co_return Status{};
}

Task<Status> FileDisk::resize(std::uint64_t bytes) {
  int error = 0;
  co_await on_worker(reactor_, [&error, fd = fd_.get(), bytes] {
    if (ftruncate(fd, static_cast<off_t>(bytes)) != 0 || fsync(fd) != 0) error = errno;
  });
  if (error != 0) co_return errno_error(error, "resizing " + path_);
  size_bytes_ = bytes;
  co_return Status{};
}

}  // namespace cdp
