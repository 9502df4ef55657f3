// SPDX-License-Identifier: Apache-2.0
#include "cdp/volume.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cdp/base/planted_bug.h"

namespace cdp {
namespace {

// Sub-block edges that read their old block side by side.
constexpr std::size_t kEdgePages = 16;
// A read that finds more gaps than this between dirty blocks reads across them instead.
constexpr std::size_t kMaxSeparateReads = 4;

// The pages and the status must stay until the task has ended.
Task<void> read_source(std::shared_ptr<HydrationSource> source, std::uint64_t first,
                       std::span<PageRef> into, Status& status) {
  Result<PageList> pages = co_await source->read(first, static_cast<std::uint32_t>(into.size()));
  if (!pages.ok()) {
    status = pages.error();
    co_return;
  }
  std::move(pages->begin(), pages->end(), into.begin());
}

std::uint32_t blocks_touched(std::uint64_t offset, std::uint64_t bytes) {
  return static_cast<std::uint32_t>(blocks_for(offset + bytes) - block_of(offset));
}

}  // namespace

// Consecutive blocks of a request that are to be read.
struct Volume::Span {
  std::size_t first = 0;  // index of a block within the request
  std::size_t count = 0;
  bool hydrated = true;  // else they come from the source
};

// The stretches of pages that are still null. To be called in the step that looked into the dirty
// map: of what is not there, the hydrator's word is good only together with that.
void Volume::find_missing(std::uint64_t first, const PageList& pages,
                          boost::container::small_vector<Span, 4>& spans) const {
  bool all_hydrated = true;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (pages[i]) continue;
    const bool hydrated = !hydrator_.active() || hydrator_.hydrated(first + i);
    all_hydrated = all_hydrated && hydrated;
    if (!spans.empty() && spans.back().first + spans.back().count == i &&
        spans.back().hydrated == hydrated) {
      ++spans.back().count;
    } else {
      spans.push_back({i, 1, hydrated});
    }
  }
  if (all_hydrated && spans.size() > kMaxSeparateReads) {
    const std::size_t begin = spans.front().first;
    const std::size_t end = spans.back().first + spans.back().count;
    spans.assign(1, {begin, end - begin, true});
  }
}

Volume::Volume(VolumeParts parts, VolumeOptions options, VolumeHydration hydration)
    : options_(std::move(options)),
      scheduler_(parts.scheduler),
      sequencer_(parts.sequencer),
      recorder_(parts.recorder),
      backing_(parts.backing),
      write_pages_(parts.write_pages),
      read_pages_(parts.read_pages),
      edge_pages_(scheduler_, kEdgePages),
      budget_nodes_(std::max<std::size_t>(1, options_.dirty_budget_bytes / kBlockBytes)),
      boundary_distance_(budget_nodes_ / 8 * 3),
      size_bytes_(options_.size_bytes),
      locks_(scheduler_),
      idle_(scheduler_),
      room_(scheduler_),
      gate_(scheduler_),
      hydrator_(scheduler_, backing_, dirty_, options_.hydration),
      write_back_(scheduler_, backing_, dirty_, hydrator_, room_),
      wake_(scheduler_),
      pass_ended_(scheduler_),
      quiet_(scheduler_),
      background_(scheduler_) {
  CHECK(size_bytes_ > 0 && backing_.size_bytes() >= backing_bytes(size_bytes_));
  if (hydration.source != nullptr) start_hydration(std::move(hydration));
  if (options_.read_only) return;
  background_.spawn(write_back_loop());
  background_.spawn(watch_shortage());
}

Volume::~Volume() {
  CHECK(operations_ == 0);
  CHECK(background_.running() == 0);
}

Status Volume::refusal() const {
  if (fence_) return *fence_;
  if (closing_) return make_error(ESHUTDOWN, "volume {} is being closed", options_.name);
  return {};
}

Status Volume::change_refusal() const {
  if (options_.read_only) return make_error(EPERM, "volume {} is read-only", options_.name);
  if (changes_refused_)
    return make_error(EPERM,
                      "volume {} was rolled back and takes no writes: unmount it everywhere, then "
                      "run 'hindsight volume resume {}'",
                      options_.name, options_.name);
  return refusal();
}

Status Volume::range_refusal(std::uint64_t offset, std::uint64_t bytes) const {
  if (bytes <= size_bytes_ && offset <= size_bytes_ - bytes) return {};
  return make_error(EIO, "volume {} ends at byte {} now, and the request behind it", options_.name,
                    size_bytes_);
}

// --- Reads -----------------------------------------------------------------------------------

Task<Result<PageList>> Volume::read(std::uint64_t offset, std::uint32_t bytes) {
  const Operation operation(*this);
  for (;;) {
    if (held_) co_await pass_gate();
    Status status = refusal();
    if (status.ok()) status = range_refusal(offset, bytes);
    if (!status.ok()) co_return status.error();

    const std::uint64_t replaced = replaced_;
    PageList pages(blocks_touched(offset, bytes));
    dirty_.find(block_of(offset), std::span{pages.data(), pages.size()});
    status = co_await read_missing(block_of(offset), pages);
    // What lay under it was replaced meanwhile.
    if (replaced != replaced_) continue;
    if (!status.ok()) co_return status.error();
    // Fenced meanwhile: what the backing store holds is not known any more.
    if (fence_) co_return *fence_;
    co_return std::move(pages);
  }
}

// A block that is not in the map when a read looks is as the backing store has it, or newer there
// by the time the read comes to it: no answered change is missed, whatever is written back
// meanwhile. One that is not hydrated then is as the source has it, which does not change.
Task<Status> Volume::read_missing(std::uint64_t first, PageList& pages) {
  boost::container::small_vector<Span, 4> spans;
  find_missing(first, pages, spans);
  if (spans.empty()) co_return Status{};
  const std::shared_ptr<HydrationSource> source = hydrator_.source();
  std::size_t wanted = 0;
  for (const Span& span : spans) wanted += span.hydrated ? span.count : 0;
  PageList buffers;
  if (wanted > 0) buffers = co_await read_pages_.acquire(wanted);

  boost::container::small_vector<Status, 4> outcomes(spans.size());
  TaskGroup group(scheduler_);
  std::size_t used = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    if (!span.hydrated) {
      hydrator_.touched(first + span.first);
      const std::span<PageRef> into = std::span{pages.data(), pages.size()};
      group.spawn(read_source(source, first + span.first, into.subspan(span.first, span.count),
                              outcomes[i]));
      continue;
    }
    const std::uint64_t offset = (first + span.first) * kBlockBytes;
    const std::span<const PageRef> into{buffers.data() + used, span.count};
    used += span.count;
    if (spans.size() == 1) {
      co_await read_pages(backing_, offset, into, outcomes[i]);
    } else {
      group.spawn(read_pages(backing_, offset, into, outcomes[i]));
    }
  }
  co_await group.join();

  used = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (!outcomes[i].ok()) {
      co_return make_error(spans[i].hydrated ? outcomes[i].error().code : EIO,
                           "reading volume {} at block {}: {}", options_.name,
                           first + spans[i].first, outcomes[i].error().message);
    }
    if (!spans[i].hydrated) continue;
    for (std::size_t b = 0; b < spans[i].count; ++b, ++used) {
      PageRef& page = pages[spans[i].first + b];
      if (!page) page = buffers[used];
    }
  }
  co_return Status{};
}

Task<Status> Volume::cache(std::uint64_t, std::uint64_t) { co_return refusal(); }

Task<Result<std::vector<AllocationExtent>>> Volume::allocation(std::uint64_t offset,
                                                               std::uint64_t bytes,
                                                               std::size_t max_extents) {
  const Operation operation(*this);
  if (held_) co_await pass_gate();
  Status status = refusal();
  if (status.ok()) status = range_refusal(offset, bytes);
  if (!status.ok()) co_return status.error();
  CHECK(bytes > 0 && max_extents > 0);

  std::vector<AllocationExtent> extents;
  const std::uint64_t end = offset + bytes;
  while (offset < end) {
    const std::uint64_t block = block_of(offset);
    const DirtyMap::Stretch stretch = dirty_.stretch_at(block, blocks_for(end) - block);
    const std::uint64_t until = std::min(end, (block + stretch.blocks) * kBlockBytes);
    AllocationExtent extent;
    extent.bytes = until - offset;
    extent.hole = stretch.state == DirtyMap::State::kHole;
    extent.zero = extent.hole || stretch.state == DirtyMap::State::kZeroes;
    offset = until;
    if (!extents.empty() && extents.back().hole == extent.hole &&
        extents.back().zero == extent.zero) {
      extents.back().bytes += extent.bytes;
    } else if (extents.size() == max_extents) {
      break;
    } else {
      extents.push_back(extent);
    }
  }
  co_return extents;
}

// --- Writes ----------------------------------------------------------------------------------

Task<Result<PageList>> Volume::pages_for_write(std::uint64_t offset, std::uint32_t bytes) {
  const Operation operation(*this);
  const Status room = co_await wait_for_room();
  if (!room.ok()) co_return room.error();
  co_return co_await write_pages_.acquire(blocks_touched(offset, bytes));
}

Task<Status> Volume::wait_for_room() {
  Status refused = change_refusal();
  while (refused.ok() && !has_room()) {
    want_pass();
    co_await room_.wait();
    refused = change_refusal();
  }
  co_return refused;
}

Task<Status> Volume::admit(std::uint32_t blocks) {
  Status admitted = co_await recorder_.admit(blocks);
  // A full journal refuses; it has not failed.
  if (admitted.ok() || admitted.error().code == ENOSPC) co_return admitted;
  fence(admitted.error());
  co_return refusal();
}

Task<Status> Volume::write(std::uint64_t offset, std::uint32_t bytes, PageList pages) {
  CHECK(bytes > 0 && pages.size() == blocks_touched(offset, bytes));
  const Operation operation(*this);
  if (held_) co_await pass_gate();
  const Change change(*this);
  co_return co_await write_blocks(offset, bytes, std::move(pages), false);
}

Task<Status> Volume::write_blocks(std::uint64_t offset, std::uint32_t bytes, PageList pages,
                                  bool cutting) {
  const std::uint64_t first = block_of(offset);
  const auto count = static_cast<std::uint32_t>(pages.size());
  Status status = co_await wait_for_room();
  if (!status.ok()) co_return status;
  const Reservation reservation(*this, count);
  status = co_await admit(count);
  if (!status.ok()) co_return status;

  // The bytes behind the end of the device are zeroes, not old content.
  const bool tail_is_end = cutting || offset + bytes >= size_bytes_;
  const bool whole =
      offset % kBlockBytes == 0 && ((offset + bytes) % kBlockBytes == 0 || tail_is_end);
  std::optional<RangeLock::Guard> guard;
  if ((!whole || locks_.overlaps(first, count)) && !planted(PlantedBug::kOverlapsAreNotOrdered)) {
    guard.emplace(locks_, first, count);
    co_await guard->acquired();
  }
  status = co_await fill_edges(offset, bytes, pages, tail_is_end);
  if (status.ok()) status = change_refusal();
  // The device may have been cut while this write waited.
  if (status.ok() && !cutting) status = range_refusal(offset, bytes);
  if (!status.ok()) {
    recorder_.cancel_admission(count);
    co_return status;
  }

  // One step: the order of the live volume and the order of history are one (rule 4).
  const Stamp stamp = sequencer_.next();
  PageList previous(count);
  dirty_.link_write(first, pages, stamp.lsn, boundary_, previous);
  recorder_.record_write(options_.id, stamp, first, pages, previous);
  const auto nodes = std::count(previous.begin(), previous.end(), PageRef{});
  changed(stamp.lsn, static_cast<std::size_t>(nodes));
  answered_write_bytes_ += bytes;
  co_return Status{};
}

// Completes the first and the last page from the old content of their blocks.
Task<Status> Volume::fill_edges(std::uint64_t offset, std::uint32_t bytes, PageList& pages,
                                bool tail_is_end) {
  const std::size_t head = offset % kBlockBytes;
  const std::size_t tail = (offset + bytes) % kBlockBytes;
  const std::uint64_t last = block_of(offset + bytes - 1);
  if (tail != 0 && tail_is_end) {
    std::memset(pages.back().data() + tail, 0, kBlockBytes - tail);
  }
  const bool fill_tail = tail != 0 && !tail_is_end;
  PageRef old;
  if (head != 0) {
    const Status status = co_await read_block(block_of(offset), old);
    if (!status.ok()) co_return status;
    std::memcpy(pages.front().data(), old.data(), head);
  }
  if (fill_tail) {
    if (head == 0 || pages.size() > 1) {
      const Status status = co_await read_block(last, old);
      if (!status.ok()) co_return status;
    }
    std::memcpy(pages.back().data() + tail, old.data() + tail, kBlockBytes - tail);
  }
  co_return Status{};
}

// The block as it is now; the caller holds its range lock, so that it stays so.
Task<Status> Volume::read_block(std::uint64_t block, PageRef& page) {
  PageRef found;
  dirty_.find(block, std::span{&found, 1});
  if (found) {
    page = std::move(found);
    co_return Status{};
  }
  page.reset();
  if (hydrator_.active() && !hydrator_.hydrated(block)) {
    hydrator_.touched(block);
    Status status;
    co_await read_source(hydrator_.source(), block, std::span{&page, 1}, status);
    if (status.ok()) co_return Status{};
    co_return make_error(EIO, "reading volume {} at block {}: {}", options_.name, block,
                         status.error().message);
  }
  const PageList buffer = co_await edge_pages_.acquire(1);
  const std::span<std::byte> into{buffer.front().data(), kBlockBytes};
  const Status status = co_await backing_.read(block * kBlockBytes, into);
  if (!status.ok()) {
    co_return make_error(EIO, "reading volume {} at block {}: {}", options_.name, block,
                         status.error().message);
  }
  page = buffer.front();
  co_return Status{};
}

// Runs in the step that gave the LSN.
void Volume::changed(Lsn lsn, std::size_t nodes) {
  const bool was_behind = behind();
  last_lsn_ = lsn;
  ++answered_changes_;
  nodes_behind_boundary_ += nodes;
  if (nodes_behind_boundary_ > boundary_distance_ && !boundary_is_ahead_) draw_boundary_ahead();
  if (write_pages_.available() < write_pages_.capacity() / 4) {
    want_pass();
  } else if (!was_behind) {
    write_back_due_ = scheduler_.now() + options_.checkpoint_interval;
    wake_.notify_all();
  }
}

Task<Status> Volume::flush() {
  const Operation operation(*this);
  if (held_) co_await pass_gate();
  const Status refused = refusal();
  if (!refused.ok()) co_return refused;
  const Lsn upto = last_lsn_;
  if (recorder_.durable_lsn() >= upto) co_return Status{};
  const WriteBack::FlushWait waits(write_back_);
  const Status flushed = co_await recorder_.flush(upto);
  if (!flushed.ok()) {
    fence(flushed.error());
    co_return refusal();
  }
  co_return Status{};
}

// --- Zeroes ----------------------------------------------------------------------------------

Task<Status> Volume::zero_blocks(ZeroKind kind, std::uint64_t first, std::uint64_t count,
                                 bool may_deallocate) {
  Status status = co_await wait_for_room();
  if (!status.ok()) co_return status;
  const Reservation reservation(*this, 2);  // the extent, and the rest of one that it splits
  status = co_await admit(0);
  if (!status.ok()) co_return status;
  std::optional<RangeLock::Guard> guard;
  if (locks_.overlaps(first, count)) {
    guard.emplace(locks_, first, count);
    co_await guard->acquired();
  }
  status = change_refusal();
  if (!status.ok()) {
    recorder_.cancel_admission(0);
    co_return status;
  }
  const Stamp stamp = sequencer_.next();
  dirty_.link_zeroes(first, count, stamp.lsn, may_deallocate);
  recorder_.record_zero(options_.id, stamp, kind, first, count);
  changed(stamp.lsn, 1);
  if (has_room()) room_.notify_all();  // block nodes under the extent are gone
  co_return Status{};
}

Task<Status> Volume::write_zero_bytes(std::uint64_t offset, std::uint32_t bytes, PageList& pages,
                                      bool cutting) {
  CHECK(block_of(offset) == block_of(offset + bytes - 1) && !pages.empty());
  PageList page(1);
  page.front() = std::move(pages.back());
  pages.pop_back();
  std::memset(page.front().data(), 0, kBlockBytes);
  co_return co_await write_blocks(offset, bytes, std::move(page), cutting);
}

Task<Status> Volume::zero(std::uint64_t offset, std::uint64_t bytes, ZeroOptions options) {
  CHECK(bytes > 0);
  const Operation operation(*this);
  Status status = change_refusal();
  if (!status.ok()) co_return status;
  // For the edges. What holds pages may wait at the gate, so nobody behind it waits for pages.
  const bool has_edges = offset % kBlockBytes != 0 || (offset + bytes) % kBlockBytes != 0;
  PageList pages;
  if (has_edges) pages = co_await write_pages_.acquire(2);
  if (held_) co_await pass_gate();
  const Change change(*this);
  status = change_refusal();
  if (status.ok()) status = range_refusal(offset, bytes);
  if (!status.ok()) co_return status;

  const BlockRange range = blocks_of(offset, bytes, size_bytes_);
  if (range.head_bytes > 0) {
    status = co_await write_zero_bytes(offset, range.head_bytes, pages, false);
  }
  if (status.ok() && range.first < range.end) {
    status = co_await zero_blocks(ZeroKind::kZero, range.first, range.end - range.first,
                                  options.may_deallocate);
  }
  if (status.ok() && range.tail_bytes > 0) {
    status = co_await write_zero_bytes(range.end * kBlockBytes, range.tail_bytes, pages, false);
  }
  co_return status;
}

Task<Status> Volume::trim(std::uint64_t offset, std::uint64_t bytes) {
  CHECK(bytes > 0);
  const Operation operation(*this);
  if (held_) co_await pass_gate();
  const Change change(*this);
  Status status = change_refusal();
  if (status.ok()) status = range_refusal(offset, bytes);
  if (!status.ok()) co_return status;

  const BlockRange range = blocks_of(offset, bytes, size_bytes_);
  if (range.first == range.end) co_return Status{};
  co_return co_await zero_blocks(ZeroKind::kTrim, range.first, range.end - range.first, true);
}

Task<Status> Volume::resize(std::uint64_t size_bytes) {
  const Operation operation(*this);
  Status status = change_refusal();
  if (!status.ok()) co_return status;
  PageList pages;
  if (size_bytes % kBlockBytes != 0) pages = co_await write_pages_.acquire(1);
  if (held_) co_await pass_gate();
  const Change change(*this);
  status = change_refusal();
  if (!status.ok()) co_return status;
  const std::uint64_t old_bytes = size_bytes_;
  const std::uint64_t longer = std::max(old_bytes, size_bytes);
  if (size_bytes == 0 || backing_.size_bytes() < backing_bytes(longer)) {
    co_return make_error(EINVAL,
                         "resizing volume {} to {} bytes: its backing store has {}; make it longer "
                         "first",
                         options_.name, size_bytes, backing_.size_bytes());
  }
  // Requests behind a nearer end are refused at once; a farther one is not shown before it is true.
  size_bytes_ = std::min(old_bytes, size_bytes);
  const std::uint64_t from = blocks_for(size_bytes_);
  const std::uint64_t to = blocks_for(longer);
  if (size_bytes < old_bytes && size_bytes % kBlockBytes != 0) {
    const std::uint64_t rest = std::min(from * kBlockBytes, old_bytes) - size_bytes;
    status = co_await write_zero_bytes(size_bytes, static_cast<std::uint32_t>(rest), pages, true);
  }
  if (status.ok() && from < to) {
    status = co_await zero_blocks(ZeroKind::kTrim, from, to - from, true);
  }
  size_bytes_ = status.ok() ? size_bytes : old_bytes;
  co_return status;
}

VolumeStatistics Volume::statistics() const {
  VolumeStatistics statistics;
  statistics.answered_changes = answered_changes_;
  statistics.answered_write_bytes = answered_write_bytes_;
  statistics.dirty_bytes = dirty_.blocks() * kBlockBytes;
  statistics.dirty_extents = dirty_.extents();
  statistics.written_back_bytes = write_back_.written_bytes();
  statistics.passes = passes_ended_;
  statistics.last = last_lsn_;
  statistics.checkpoint = checkpoint_lsn_;
  statistics.hydrating = hydrator_.active();
  statistics.hydration_cursor = hydrator_.cursor().value_or(0);
  statistics.hydration_remaining_blocks = hydrator_.remaining_blocks();
  statistics.hydrated_bytes = hydrator_.hydrated_bytes();
  return statistics;
}

}  // namespace cdp
