// SPDX-License-Identifier: Apache-2.0
#include "restore/clone.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace restore {
namespace {

using cdp::block_of;
using cdp::blocks_for;
using cdp::kBlockBytes;

constexpr std::size_t kReadPages = 1024;
constexpr std::size_t kEdgePages = 16;
// A read that finds more stretches of own blocks than this reads across what is between.
constexpr std::size_t kMaxSeparateReads = 4;

struct Span {
  std::size_t first = 0;  // index of a block within the request
  std::size_t count = 0;
};

std::vector<Span> spans_of(const std::vector<bool>& own) {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (!own[i]) continue;
    if (!spans.empty() && spans.back().first + spans.back().count == i) {
      ++spans.back().count;
    } else {
      spans.push_back({i, 1});
    }
  }
  if (spans.size() > kMaxSeparateReads) {
    const std::size_t first = spans.front().first;
    spans.assign(1, {first, spans.back().first + spans.back().count - first});
  }
  return spans;
}

}  // namespace

// Counts what is under way.
class Clone::Operation {
 public:
  explicit Operation(Clone& clone) : clone_(clone) { ++clone_.operations_; }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() {
    if (--clone_.operations_ == 0) clone_.idle_.notify_all();
  }

 private:
  Clone& clone_;
};

Result<std::unique_ptr<Clone>> Clone::open(CloneParts parts, std::string name,
                                           std::size_t map_pages_max) {
  const std::uint64_t size_bytes = parts.base->size_bytes();
  if (parts.data->size_bytes() < data_bytes(size_bytes) ||
      parts.map->size_bytes() < map_bytes(size_bytes)) {
    return cdp::make_error(EIO,
                           "clone {} of {} bytes has files of {} and {} bytes, which are too short",
                           name, size_bytes, parts.data->size_bytes(), parts.map->size_bytes());
  }
  return std::unique_ptr<Clone>{new Clone{std::move(parts), std::move(name), map_pages_max}};
}

Clone::Clone(CloneParts parts, std::string name, std::size_t map_pages_max)
    : name_(std::move(name)),
      scheduler_(parts.scheduler),
      base_(std::move(parts.base)),
      data_(std::move(parts.data)),
      map_file_(std::move(parts.map)),
      write_pages_(parts.write_pages),
      read_pages_(scheduler_, kReadPages),
      edge_pages_(scheduler_, kEdgePages),
      size_bytes_(base_->size_bytes()),
      map_(scheduler_, *data_, *map_file_, map_pages_max),
      locks_(scheduler_),
      idle_(scheduler_) {}

Clone::~Clone() { CHECK(operations_ == 0); }

Status Clone::refusal() const {
  if (map_.failure()) {
    return cdp::make_error(EIO, "clone {} has failed: {}", name_, map_.failure()->message);
  }
  if (closing_) return cdp::make_error(ESHUTDOWN, "clone {} is being closed", name_);
  return {};
}

cdp::Error Clone::failed(const char* doing, std::uint64_t block, const cdp::Error& cause) const {
  return cdp::make_error(cause.code, "{} clone {} at block {}: {}", doing, name_, block,
                         cause.message);
}

// --- Reads.

Task<Result<cdp::PageList>> Clone::read(std::uint64_t offset, std::uint32_t bytes) {
  const Operation operation(*this);
  Status status = refusal();
  if (!status.ok()) co_return std::move(status).error();
  CHECK(bytes > 0 && bytes <= size_bytes_ && offset <= size_bytes_ - bytes);

  const std::uint64_t first = block_of(offset);
  std::vector<bool> own(blocks_for(offset + bytes) - first);
  status = co_await map_.read(first, own);
  if (!status.ok()) co_return failed("reading", first, status.error());
  // A block of the view stays as it is, whoever writes to the clone meanwhile.
  cdp::PageList pages(own.size());
  if (std::find(own.begin(), own.end(), false) != own.end()) {
    Result<cdp::PageList> base = co_await base_->read(offset, bytes);
    if (!base.ok()) co_return failed("reading", first, base.error());
    pages = *std::move(base);
  }
  status = co_await read_own(first, own, pages);
  if (!status.ok()) co_return std::move(status).error();
  co_return std::move(pages);
}

// Replaces the pages of own blocks.
Task<Status> Clone::read_own(std::uint64_t first_block, const std::vector<bool>& own,
                             cdp::PageList& pages) {
  const std::vector<Span> spans = spans_of(own);
  if (spans.empty()) co_return Status{};
  std::size_t wanted = 0;
  for (const Span& span : spans) wanted += span.count;
  const cdp::PageList buffers = co_await read_pages_.acquire(wanted);

  std::vector<Status> outcomes(spans.size());
  cdp::TaskGroup group(scheduler_);
  std::size_t used = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const std::span<const cdp::PageRef> into{buffers.data() + used, spans[i].count};
    const std::uint64_t offset = (first_block + spans[i].first) * kBlockBytes;
    group.spawn(cdp::read_pages(*data_, offset, into, outcomes[i]));
    used += spans[i].count;
  }
  co_await group.join();

  used = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (!outcomes[i].ok()) {
      co_return failed("reading", first_block + spans[i].first, outcomes[i].error());
    }
    for (std::size_t b = spans[i].first; b < spans[i].first + spans[i].count; ++b, ++used) {
      if (own[b]) pages[b] = buffers[used];
    }
  }
  co_return Status{};
}

Task<Status> Clone::cache(std::uint64_t offset, std::uint64_t bytes) {
  const Operation operation(*this);
  Status refused = refusal();
  if (!refused.ok()) co_return refused;
  co_return co_await base_->cache(offset, bytes);
}

Task<Result<std::vector<cdp::AllocationExtent>>> Clone::allocation(std::uint64_t offset,
                                                                   std::uint64_t bytes,
                                                                   std::size_t max_extents) {
  const Operation operation(*this);
  Status status = refusal();
  if (!status.ok()) co_return std::move(status).error();
  CHECK(bytes > 0 && max_extents > 0 && bytes <= size_bytes_ && offset <= size_bytes_ - bytes);

  std::vector<cdp::AllocationExtent> extents;
  const std::uint64_t end = offset + bytes;
  while (offset < end) {
    const std::uint64_t block = block_of(offset);
    Result<OverlayMap::Stretch> stretch = co_await map_.stretch(block, blocks_for(end) - block);
    if (!stretch.ok()) co_return failed("looking up", block, stretch.error());
    const std::uint64_t until = std::min(end, (block + stretch->block_count) * kBlockBytes);
    std::vector<cdp::AllocationExtent> found{{.bytes = until - offset}};
    if (!stretch->set) {
      Result<std::vector<cdp::AllocationExtent>> base =
          co_await base_->allocation(offset, until - offset, max_extents);
      if (!base.ok()) co_return std::move(base).error();
      found = *std::move(base);
    }
    for (const cdp::AllocationExtent& extent : found) {
      offset += extent.bytes;
      if (!extents.empty() && extents.back().hole == extent.hole &&
          extents.back().zero == extent.zero) {
        extents.back().bytes += extent.bytes;
      } else if (extents.size() == max_extents) {
        co_return extents;
      } else {
        extents.push_back(extent);
      }
    }
    if (offset < until) break;  // the view has looked far enough
  }
  co_return extents;
}

// --- Writes.

Task<Result<cdp::PageList>> Clone::pages_for_write(std::uint64_t offset, std::uint32_t bytes) {
  const Operation operation(*this);
  Status refused = refusal();
  if (!refused.ok()) co_return std::move(refused).error();
  co_return co_await write_pages_.acquire(blocks_for(offset + bytes) - block_of(offset));
}

Task<Status> Clone::write(std::uint64_t offset, std::uint32_t bytes, cdp::PageList pages) {
  const Operation operation(*this);
  CHECK(bytes > 0 && bytes <= size_bytes_ && offset <= size_bytes_ - bytes);
  const std::uint64_t first = block_of(offset);
  CHECK(pages.size() == blocks_for(offset + bytes) - first);
  // Writes of one block go one after another: the file does not order them.
  cdp::RangeLock::Guard guard(locks_, first, pages.size());
  co_await guard.acquired();
  Status status = refusal();
  if (status.ok()) status = co_await fill_edges(offset, bytes, pages);
  if (!status.ok()) co_return status;
  const cdp::IoVectors vectors = cdp::vectors_of(pages);
  status = co_await data_->write(first * kBlockBytes, vectors);
  if (!status.ok()) co_return failed("writing", first, status.error());
  map_.data_changed();
  status = co_await map_.set(first, pages.size());
  if (!status.ok()) co_return failed("writing", first, status.error());
  co_return Status{};
}

// Completes the first and the last page from what their blocks hold; the guard keeps them so.
Task<Status> Clone::fill_edges(std::uint64_t offset, std::uint32_t bytes, cdp::PageList& pages) {
  const std::size_t head = offset % kBlockBytes;
  const std::size_t tail = (offset + bytes) % kBlockBytes;
  // Behind the end of the device there are zeroes, not old content.
  const bool tail_is_end = offset + bytes == size_bytes_;
  if (tail != 0 && tail_is_end) {
    std::memset(pages.back().data() + tail, 0, kBlockBytes - tail);
  }
  cdp::PageRef old;
  if (head != 0) {
    Status read = co_await read_block(block_of(offset), old);
    if (!read.ok()) co_return read;
    std::memcpy(pages.front().data(), old.data(), head);
  }
  if (tail != 0 && !tail_is_end) {
    if (head == 0 || pages.size() > 1) {
      Status read = co_await read_block(block_of(offset + bytes), old);
      if (!read.ok()) co_return read;
    }
    std::memcpy(pages.back().data() + tail, old.data() + tail, kBlockBytes - tail);
  }
  co_return Status{};
}

Task<Status> Clone::read_block(std::uint64_t block, cdp::PageRef& page) {
  page.reset();
  std::vector<bool> own(1);
  Status status = co_await map_.read(block, own);
  if (!status.ok()) co_return failed("reading", block, status.error());
  if (own[0]) {
    cdp::PageList buffer = co_await edge_pages_.acquire(1);
    const std::span<std::byte> into{buffer.front().data(), kBlockBytes};
    status = co_await data_->read(block * kBlockBytes, into);
    if (!status.ok()) co_return failed("reading", block, status.error());
    page = std::move(buffer.front());
    co_return Status{};
  }
  Result<cdp::PageList> base = co_await base_->read_into(edge_pages_, block * kBlockBytes, 1);
  if (!base.ok()) co_return failed("reading", block, base.error());
  page = std::move(base->front());
  co_return Status{};
}

Task<Status> Clone::flush() {
  const Operation operation(*this);
  Status status = refusal();
  if (!status.ok()) co_return status;
  status = co_await map_.flush();
  if (!status.ok()) co_return refusal();
  co_return Status{};
}

// --- Zeroes.

Task<Status> Clone::zero_blocks(std::uint64_t first_block, std::uint64_t count,
                                bool may_deallocate) {
  cdp::RangeLock::Guard guard(locks_, first_block, count);
  co_await guard.acquired();
  Status status = refusal();
  if (!status.ok()) co_return status;
  status =
      co_await data_->zero_range(first_block * kBlockBytes, count * kBlockBytes, may_deallocate);
  if (!status.ok()) co_return failed("zeroing", first_block, status.error());
  map_.data_changed();
  status = co_await map_.set(first_block, count);
  if (!status.ok()) co_return failed("zeroing", first_block, status.error());
  co_return Status{};
}

Task<Status> Clone::zero_bytes(std::uint64_t offset, std::uint32_t bytes) {
  cdp::PageList page = co_await write_pages_.acquire(1);
  std::memset(page.front().data(), 0, kBlockBytes);
  co_return co_await write(offset, bytes, std::move(page));
}

Task<Status> Clone::zero(std::uint64_t offset, std::uint64_t bytes, cdp::ZeroOptions options) {
  const Operation operation(*this);
  Status status = refusal();
  if (!status.ok()) co_return status;
  CHECK(bytes > 0 && bytes <= size_bytes_ && offset <= size_bytes_ - bytes);
  const cdp::BlockRange range = cdp::blocks_of(offset, bytes, size_bytes_);
  if (range.head_bytes > 0) status = co_await zero_bytes(offset, range.head_bytes);
  if (status.ok() && range.first < range.end) {
    status = co_await zero_blocks(range.first, range.end - range.first, options.may_deallocate);
  }
  if (status.ok() && range.tail_bytes > 0) {
    status = co_await zero_bytes(range.end * kBlockBytes, range.tail_bytes);
  }
  co_return status;
}

Task<Status> Clone::trim(std::uint64_t offset, std::uint64_t bytes) {
  const Operation operation(*this);
  Status status = refusal();
  if (!status.ok()) co_return status;
  CHECK(bytes > 0 && bytes <= size_bytes_ && offset <= size_bytes_ - bytes);
  const cdp::BlockRange range = cdp::blocks_of(offset, bytes, size_bytes_);
  if (range.first == range.end) co_return Status{};
  co_return co_await zero_blocks(range.first, range.end - range.first, true);
}

Task<Status> Clone::close() {
  closing_ = true;
  while (operations_ != 0) co_await idle_.wait();
  if (map_.failure()) co_return refusal();
  Status flushed = co_await map_.flush();
  if (!flushed.ok()) co_return refusal();
  co_return flushed;
}

}  // namespace restore
