// SPDX-License-Identifier: Apache-2.0
//
// MemoryDevice: a BlockDevice that keeps its blocks as pages in memory, for tests of front-ends. It
// can be told to fail, to hold operations back, and to take a random number of turns.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cdp/block_device.h"
#include "cdp/io/signal.h"
#include "tests/sim/random.h"

namespace cdp::test {

enum class Operation { kRead, kPagesForWrite, kWrite, kFlush, kZero, kTrim, kCache, kAllocation };

class MemoryDevice final : public BlockDevice {
 public:
  // Blocks that hold data and payloads in flight share `pool_pages`.
  MemoryDevice(Scheduler& scheduler, std::uint64_t size_bytes, std::size_t pool_pages)
      : scheduler_(scheduler),
        size_bytes_(size_bytes),
        pool_(scheduler, pool_pages),
        blocks_(blocks_for(size_bytes)),
        released_(scheduler) {}

  // Called at the start of each operation: an error fails it.
  std::function<Status(Operation, std::uint64_t offset, std::uint64_t bytes)> fault;
  // With it, operations take a random number of turns.
  sim::Random* delays = nullptr;
  bool is_read_only = false;
  bool zeroes_fast = true;

  // Operations of this kind wait until `release`.
  void hold(Operation operation) { held_.push_back(operation); }
  void release() {
    held_.clear();
    released_.notify_all();
  }

  // What happened.
  std::vector<std::pair<Operation, std::uint64_t>> log;  // with the offset
  std::size_t running = 0;
  std::size_t running_max = 0;
  std::uint32_t read_bytes_max = 0;
  std::size_t count(Operation operation) const {
    return static_cast<std::size_t>(std::count_if(
        log.begin(), log.end(), [=](const auto& entry) { return entry.first == operation; }));
  }
  bool keep_log = true;

  PagePool& pool() { return pool_; }
  void resize(std::uint64_t bytes) {
    size_bytes_ = bytes;
    blocks_.resize(blocks_for(bytes));
  }

  std::uint64_t size_bytes() const override { return size_bytes_; }
  bool read_only() const override { return is_read_only; }

  Task<Result<PageList>> read(std::uint64_t offset, std::uint32_t bytes) override {
    Status begun = co_await begin(Operation::kRead, offset, bytes);
    if (!begun.ok()) co_return std::move(begun).error();
    read_bytes_max = std::max(read_bytes_max, bytes);
    PageList pages;
    for (std::uint64_t b = block_of(offset); b <= block_of(offset + bytes - 1); ++b) {
      pages.push_back(blocks_[b] ? blocks_[b] : zero_page());
    }
    co_return pages;
  }

  Task<Result<PageList>> pages_for_write(std::uint64_t offset, std::uint32_t bytes) override {
    Status begun = co_await begin(Operation::kPagesForWrite, offset, bytes);
    if (!begun.ok()) co_return std::move(begun).error();
    CHECK(bytes <= kMaxPieceBytes);
    co_return co_await pool_.acquire(block_of(offset + bytes - 1) - block_of(offset) + 1);
  }

  Task<Status> write(std::uint64_t offset, std::uint32_t bytes, PageList pages) override {
    Status begun = co_await begin(Operation::kWrite, offset, bytes);
    if (!begun.ok()) co_return begun;
    CHECK(pages.size() == block_of(offset + bytes - 1) - block_of(offset) + 1);
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const std::uint64_t start = (block_of(offset) + i) * kBlockBytes;
      keep_around(start, std::max(offset, start), std::min(offset + bytes, start + kBlockBytes),
                  pages[i]);
    }
    co_return Status{};
  }

  Task<Status> flush() override { co_return co_await begin(Operation::kFlush, 0, 0); }

  Task<Status> zero(std::uint64_t offset, std::uint64_t bytes, ZeroOptions options) override {
    Status begun = co_await begin(Operation::kZero, offset, bytes);
    if (!begun.ok()) co_return begun;
    if (options.only_if_fast && !zeroes_fast) co_return make_error(ENOTSUP, "zeroing is not fast");
    for (std::uint64_t b = block_of(offset); b <= block_of(offset + bytes - 1); ++b) {
      const std::uint64_t start = b * kBlockBytes;
      const std::uint64_t from = std::max(offset, start);
      const std::uint64_t to = std::min(offset + bytes, start + kBlockBytes);
      if (to - from == kBlockBytes || !blocks_[b]) {
        if (to - from == kBlockBytes) blocks_[b] = options.may_deallocate ? PageRef{} : zero_page();
      } else {
        PageList fresh = co_await pool_.acquire(1);
        std::memset(fresh[0].data(), 0, kBlockBytes);
        keep_around(start, from, to, fresh[0]);
      }
    }
    co_return Status{};
  }

  Task<Status> trim(std::uint64_t offset, std::uint64_t bytes) override {
    Status begun = co_await begin(Operation::kTrim, offset, bytes);
    if (!begun.ok()) co_return begun;
    for (std::uint64_t b = blocks_for(offset); (b + 1) * kBlockBytes <= offset + bytes; ++b) {
      blocks_[b].reset();
      blocks_[b] = PageRef{};
    }
    co_return Status{};
  }

  Task<Status> cache(std::uint64_t offset, std::uint64_t bytes) override {
    co_return co_await begin(Operation::kCache, offset, bytes);
  }

  Task<Result<std::vector<AllocationExtent>>> allocation(std::uint64_t offset, std::uint64_t bytes,
                                                         std::size_t max_extents) override {
    Status begun = co_await begin(Operation::kAllocation, offset, bytes);
    if (!begun.ok()) co_return std::move(begun).error();
    std::vector<AllocationExtent> extents;
    for (std::uint64_t at = offset; at < offset + bytes;) {
      const PageRef& block = blocks_[block_of(at)];
      const std::uint64_t end = std::min((block_of(at) + 1) * kBlockBytes, offset + bytes);
      const bool hole = !block;
      const bool zero = hole || block == zero_page();
      if (extents.empty() || extents.back().hole != hole || extents.back().zero != zero) {
        if (extents.size() == max_extents) break;
        extents.push_back({.bytes = 0, .hole = hole, .zero = zero});
      }
      extents.back().bytes += end - at;
      at = end;
    }
    co_return extents;
  }

 private:
  // Completes `page`, of which [from, to) is filled, with the block's old content, and links it.
  void keep_around(std::uint64_t start, std::uint64_t from, std::uint64_t to, PageRef page) {
    PageRef& block = blocks_[start / kBlockBytes];
    const PageRef old = block ? block : zero_page();
    std::memcpy(page.data(), old.data(), from - start);
    std::memcpy(page.data() + (to - start), old.data() + (to - start), start + kBlockBytes - to);
    block = std::move(page);
  }

  Task<Status> begin(Operation operation, std::uint64_t offset, std::uint64_t bytes) {
    CHECK(offset + bytes <= size_bytes_);
    if (keep_log) log.emplace_back(operation, offset);
    running_max = std::max(running_max, ++running);
    while (std::find(held_.begin(), held_.end(), operation) != held_.end()) {
      co_await released_.wait();
    }
    if (delays != nullptr) {
      for (std::uint64_t turns = delays->below(4); turns > 0; --turns) co_await yield(scheduler_);
    }
    --running;
    co_return fault ? fault(operation, offset, bytes) : Status{};
  }

  Scheduler& scheduler_;
  std::uint64_t size_bytes_;
  PagePool pool_;
  std::vector<PageRef> blocks_;
  std::vector<Operation> held_;
  Signal released_;
};

// Exports devices by name; the empty name is the first one's.
class MemoryExports final : public ExportList {
 public:
  struct Export {
    Entry entry;
    std::shared_ptr<BlockDevice> device;
  };
  std::vector<Export> all;
  std::size_t lookups = 0;
  // With it, looking up takes as long as this says, and may fail.
  std::function<Task<Status>(std::string name)> opening;

  std::vector<Entry> exports() const override {
    std::vector<Entry> entries;
    for (const Export& one : all) entries.push_back(one.entry);
    return entries;
  }
  Task<Result<std::shared_ptr<BlockDevice>>> find(std::string name) override {
    ++lookups;
    if (opening) {
      Status opened = co_await opening(name);
      if (!opened.ok()) co_return std::move(opened).error();
    }
    for (const Export& one : all) {
      if (one.entry.name == name || name.empty()) co_return one.device;
    }
    co_return std::shared_ptr<BlockDevice>();
  }
};

}  // namespace cdp::test
