// SPDX-License-Identifier: Apache-2.0
//
// ImageDisk: a run that has no file, as a disk to read from. A run begins as one: who asks for the
// present point need not wait for a disk, and a full disk does not keep the newest history from
// being found.
//
// One scheduler's thread. Writing is not for it.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "cdp/io/disk.h"
#include "journal/index/run_writer.h"

namespace journal::index {

class ImageDisk final : public cdp::Disk {
 public:
  explicit ImageDisk(std::shared_ptr<const RunImage> image) : image_(std::move(image)) {}

  Task<Status> read(std::uint64_t offset, std::span<const iovec> into) override {
    for (const iovec& piece : into) {
      auto* to = static_cast<std::byte*>(piece.iov_base);
      for (std::size_t left = piece.iov_len; left > 0;) {
        const auto page = static_cast<std::uint32_t>(offset / kPageBytes);
        const PageChunk* chunk = chunk_of(page);
        if (chunk == nullptr) co_return make_error(EIO, "reading behind the end of a run");
        const std::size_t from = offset - std::uint64_t{chunk->first_page} * kPageBytes;
        const std::size_t part = std::min(left, chunk->bytes().size() - from);
        std::memcpy(to, chunk->bytes().data() + from, part);
        to += part;
        offset += part;
        left -= part;
      }
    }
    co_return Status();
  }
  using Disk::read;
  Task<Status> write(std::uint64_t, std::span<const iovec>) override { co_return refused(); }
  Task<Status> write_durably(std::uint64_t, std::span<const iovec>) override {
    co_return refused();
  }
  Task<Status> sync() override { co_return refused(); }
  Task<Status> zero_range(std::uint64_t, std::uint64_t, bool) override { co_return refused(); }
  std::uint64_t size_bytes() const override { return image_->header.used_bytes(); }

 private:
  static Error refused() { return make_error(EPERM, "a run is not changed"); }
  const PageChunk* chunk_of(std::uint32_t page) const {
    const auto after =
        std::upper_bound(image_->chunks.begin(), image_->chunks.end(), page,
                         [](std::uint32_t wanted, const PageChunk& of) { return wanted < of.first_page; });
    if (after == image_->chunks.begin()) return nullptr;
    const PageChunk& chunk = *(after - 1);
    return page - chunk.first_page < chunk.pages ? &chunk : nullptr;
  }

  const std::shared_ptr<const RunImage> image_;
};

}  // namespace journal::index
