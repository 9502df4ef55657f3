// SPDX-License-Identifier: Apache-2.0
//
// Disk: one file or block device, read and written at offsets. Directory: the files of a store.
// Production is io_uring (file_disk.h); tests/sim has one that crashes, tears and lies by a seed.
//
// Offsets, lengths and memory addresses are multiples of 4096 unless a function says otherwise
// (files are opened with O_DIRECT). Operations may be issued side by side; the order of two that
// overlap is undefined. What was written is durable only after a `sync` that was issued after the
// write had completed, or by `write_durably` itself. Memory passed in must stay until completion.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/pages.h"
#include "cdp/io/task.h"

namespace cdp {

class Disk {
 public:
  virtual ~Disk() = default;

  // Fills all of `into`, or fails; reading past the end is an error (EIO).
  virtual Task<Status> read(std::uint64_t offset, std::span<const iovec> into) = 0;
  // Writes all of `from`, or fails; after a failure the range may hold anything.
  virtual Task<Status> write(std::uint64_t offset, std::span<const iovec> from) = 0;
  // A write that is durable when it completes (RWF_DSYNC).
  virtual Task<Status> write_durably(std::uint64_t offset, std::span<const iovec> from) = 0;
  // Makes every completed write durable. After a failure nothing is known of them (fsyncgate).
  virtual Task<Status> sync() = 0;
  // The range reads as zeroes from now on: deallocated where `may_deallocate` and the store can,
  // written otherwise. Never a plain discard, which may bring old data back.
  virtual Task<Status> zero_range(std::uint64_t offset, std::uint64_t bytes,
                                  bool may_deallocate) = 0;
  virtual std::uint64_t size_bytes() const = 0;
  // Sets the length of a regular file, durably: an existing tail is cut, a new one reads as zeroes.
  // ENOTSUP for what has a length of its own.
  virtual Task<Status> resize(std::uint64_t bytes);

  // One contiguous buffer.
  Task<Status> read(std::uint64_t offset, std::span<std::byte> into);
  Task<Status> write(std::uint64_t offset, std::span<const std::byte> from);
  Task<Status> write_durably(std::uint64_t offset, std::span<const std::byte> from);
};

// Reads consecutive blocks into these pages, as a task of its own: the pages and `status`, which
// becomes how it ended, must stay until then.
Task<void> read_pages(Disk& disk, std::uint64_t offset, std::span<const PageRef> into,
                      Status& status);

enum class OpenMode { kReadOnly, kReadWrite };

class Directory {
 public:
  virtual ~Directory() = default;

  // Names of the files in it, sorted.
  virtual Task<Result<std::vector<std::string>>> list() = 0;
  // A new file of zeroes whose space is allocated (ENOSPC shows here, not in later writes);
  // EEXIST where the name is taken.
  virtual Task<Result<std::unique_ptr<Disk>>> create(std::string name, std::uint64_t bytes) = 0;
  virtual Task<Result<std::unique_ptr<Disk>>> open(std::string name, OpenMode mode) = 0;
  // A small file, whole, any length; ENOENT where there is none.
  virtual Task<Result<std::vector<std::byte>>> read_small(std::string name) = 0;
  // Writes a small file so that after any crash it is either the old one or the new one, whole;
  // durable when it completes.
  virtual Task<Status> write_small(std::string name, std::vector<std::byte> bytes) = 0;
  // Refuses (EEXIST) to replace a file. Durable after the next `sync`.
  virtual Task<Status> rename(std::string from, std::string to) = 0;
  // Cuts the file to `bytes`, makes it durable and read-only, and immutable where the file system
  // and our rights allow it. Succeeds on one that is sealed at that length already.
  virtual Task<Status> seal(std::string name, std::uint64_t bytes) = 0;
  // For files that are not history: abandoned temporary ones, derived indexes.
  virtual Task<Status> remove(std::string name) = 0;
  // Makes names durable.
  virtual Task<Status> sync() = 0;
  // What an unprivileged file could still take.
  virtual Task<Result<std::uint64_t>> free_bytes() = 0;
};

}  // namespace cdp
