// SPDX-License-Identifier: Apache-2.0
//
// The production Disk (a file or block device through io_uring, O_DIRECT where the file system has
// it) and Directory (a directory of such files; names are handled on worker threads, as the system
// calls for them block).
#pragma once

#include <memory>
#include <string>

#include "cdp/io/disk.h"
#include "cdp/io/reactor.h"

namespace cdp {

// An open file descriptor, closed with its owner.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // The caller closes it.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

class FileDisk final : public Disk {
 public:
  // Opens a regular file or a block device; the descriptor is locked against other processes that
  // ask likewise (a block device exclusively, O_EXCL, so that a mounted one is refused: EBUSY).
  static Result<std::unique_ptr<FileDisk>> open(Reactor& reactor, const std::string& path,
                                                OpenMode mode, bool exclusive);

  FileDisk(Reactor& reactor, FileDescriptor fd, std::uint64_t size_bytes, std::string path)
      : reactor_(reactor), fd_(std::move(fd)), size_bytes_(size_bytes), path_(std::move(path)) {}

  using Disk::read;
  using Disk::write;
  using Disk::write_durably;
  Task<Status> read(std::uint64_t offset, std::span<const iovec> into) override;
  Task<Status> write(std::uint64_t offset, std::span<const iovec> from) override;
  Task<Status> write_durably(std::uint64_t offset, std::span<const iovec> from) override;
  Task<Status> sync() override;
  Task<Status> zero_range(std::uint64_t offset, std::uint64_t bytes, bool may_deallocate) override;
  std::uint64_t size_bytes() const override { return size_bytes_; }
  Task<Status> resize(std::uint64_t bytes) override;

  int fd() const { return fd_.get(); }

 private:
  enum class Direction { kRead, kWrite };
  Task<Status> transfer(Direction direction, std::uint64_t offset, std::span<const iovec> memory,
                        int flags);
  Task<Status> write_zeroes(std::uint64_t offset, std::uint64_t bytes);

  Reactor& reactor_;
  FileDescriptor fd_;
  std::uint64_t size_bytes_;
  std::string path_;
};

class FileDirectory final : public Directory {
 public:
  // Opens the directory; makes it first (mode 0700) when `create` is set and it is missing.
  static Result<std::unique_ptr<FileDirectory>> open(Reactor& reactor, const std::string& path,
                                                     bool create);

  FileDirectory(Reactor& reactor, FileDescriptor fd, std::string path)
      : reactor_(reactor), fd_(std::move(fd)), path_(std::move(path)) {}

  Task<Result<std::vector<std::string>>> list() override;
  Task<Result<std::unique_ptr<Disk>>> create(std::string name, std::uint64_t bytes) override;
  Task<Result<std::unique_ptr<Disk>>> open(std::string name, OpenMode mode) override;
  Task<Result<std::vector<std::byte>>> read_small(std::string name) override;
  Task<Status> write_small(std::string name, std::vector<std::byte> bytes) override;
  Task<Status> rename(std::string from, std::string to) override;
  Task<Status> seal(std::string name, std::uint64_t bytes) override;
  Task<Status> remove(std::string name) override;
  Task<Status> sync() override;
  Task<Result<std::uint64_t>> free_bytes() override;

  const std::string& path() const { return path_; }

  // Holds the directory for this process until it is closed; EBUSY when another one holds it.
  Status lock();

 private:
  Reactor& reactor_;
  FileDescriptor fd_;
  std::string path_;
};

}  // namespace cdp
