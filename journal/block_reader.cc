// SPDX-License-Identifier: Apache-2.0
#include "journal/block_reader.h"

#include <algorithm>
#include <cstring>

#include "journal/format.h"

namespace journal {
namespace {

// Decoding less than this costs no more than handing it to a worker.
constexpr std::size_t kInlineDecodeBytes = 16u << 10;
constexpr std::size_t kIdleBuffersMax = 16;
constexpr std::uint64_t kMetadataWindowBytes = 64u << 10;  // holds the records of most frames
constexpr std::size_t kIdleBufferBytesMax = 2u << 20;

}  // namespace

BlockReader::BlockReader(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
                         BlockReaderOptions options)
    : scheduler_(scheduler), segments_(segments), vault_(vault), options_(options) {}

BlockReader::~BlockReader() { CHECK(loading_.empty()); }

void BlockReader::clear() {
  runs_.clear();
  by_key_.clear();
  cached_bytes_ = 0;
  disks_.clear();
  loading_.clear();
  ++generation_;
}

RunRef BlockReader::cached(const BlockPlace& place) {
  const auto found = by_key_.find(key_of(place));
  if (found == by_key_.end()) return nullptr;
  runs_.splice(runs_.begin(), runs_, found->second);
  return runs_.front().second;
}

void BlockReader::remember(Key key, RunRef run) {
  const std::size_t bytes = run->size_bytes();
  if (bytes > options_.cache_bytes || by_key_.contains(key)) return;
  runs_.emplace_front(key, std::move(run));
  by_key_[key] = runs_.begin();
  cached_bytes_ += bytes;
  while (cached_bytes_ > options_.cache_bytes) {
    cached_bytes_ -= runs_.back().second->size_bytes();
    by_key_.erase(runs_.back().first);
    runs_.pop_back();
  }
}

Task<Result<std::shared_ptr<cdp::Disk>>> BlockReader::disk_of(std::uint32_t segment) {
  for (auto at = disks_.begin(); at != disks_.end(); ++at) {
    if (at->number != segment) continue;
    disks_.splice(disks_.begin(), disks_, at);
    co_return at->disk;
  }
  const std::uint64_t generation = generation_;
  std::string name = segment_name(segment);
  Result<std::unique_ptr<cdp::Disk>> opened =
      co_await segments_.open(std::move(name), cdp::OpenMode::kReadOnly);
  if (!opened.ok()) co_return opened.error();
  std::shared_ptr<cdp::Disk> disk = *std::move(opened);
  if (generation == generation_) {
    forget_disk(segment);  // somebody else may have opened it meanwhile
    disks_.push_front({segment, disk});
    if (disks_.size() > options_.open_segments) disks_.pop_back();
  }
  co_return disk;
}

void BlockReader::forget_disk(std::uint32_t segment) {
  disks_.remove_if([segment](const OpenSegment& open) { return open.number == segment; });
}

Task<Result<RunRef>> BlockReader::run(BlockPlace place) {
  RunRef known = cached(place);
  if (known != nullptr && place.index < known->block_count()) co_return known;
  std::vector<BlockPlace> places(1, place);
  Result<std::vector<RunRef>> found = co_await runs(std::move(places));
  if (!found.ok()) co_return found.error();
  co_return std::move(found->front());
}

Task<Result<std::vector<RunRef>>> BlockReader::runs(std::vector<BlockPlace> places) {
  std::vector<RunRef> found(places.size());
  std::vector<LoadRef> loads(places.size());
  std::vector<LoadRef> own;
  for (std::size_t i = 0; i < places.size(); ++i) {
    CHECK(places[i].segment == places[0].segment &&
          (i == 0 || places[i].run_offset >= places[i - 1].run_offset));
    found[i] = cached(places[i]);
    if (found[i] != nullptr) continue;
    LoadRef& loading = loading_[key_of(places[i])];
    if (loading == nullptr) {
      loading = std::make_shared<Load>(scheduler_, places[i]);
      own.push_back(loading);
    }
    loads[i] = loading;
  }
  if (!own.empty()) co_await load(std::move(own));
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (loads[i] != nullptr) {
      while (!loads[i]->outcome.has_value()) co_await loads[i]->done.wait();
      if (!loads[i]->outcome->ok()) co_return loads[i]->outcome->error();
      found[i] = loads[i]->outcome->value();
    }
    if (places[i].index >= found[i]->block_count())
      co_return make_error(EIO, "the run at byte {} of {} has {} blocks, not a number {}",
                           places[i].run_offset, segment_name(places[i].segment),
                           found[i]->block_count(), places[i].index);
  }
  co_return found;
}

// Gives each of the loads its outcome.
Task<void> BlockReader::load(std::vector<LoadRef> loads) {
  const std::uint64_t generation = generation_;
  Status read = co_await load_stretch(loads);
  if (!read.ok() && loads.size() > 1) {
    // What cannot be read may lie between those that can.
    for (const LoadRef& one : loads) {
      Status single = co_await load_stretch({&one, 1});
      if (!single.ok()) one->outcome = std::move(single).error();
    }
  } else if (!read.ok()) {
    loads.front()->outcome = std::move(read).error();
  }
  for (const LoadRef& one : loads) {
    const Key key = key_of(one->place);
    if (generation == generation_) {
      loading_.erase(key);
      if (one->outcome->ok()) remember(key, one->outcome->value());
    }
    one->done.notify_all();
  }
}

// Reads from the first run to the end of the last and decodes each. An error when the disk cannot
// be read; what is wrong with a run itself becomes its outcome.
Task<Status> BlockReader::load_stretch(std::span<const LoadRef> loads) {
  const std::uint32_t segment = loads.front()->place.segment;
  const std::uint64_t from = loads.front()->place.run_offset / kAppendUnit * kAppendUnit;
  std::uint64_t end = 0;
  std::size_t wanted_bytes = 0;
  for (const LoadRef& one : loads) {
    const std::size_t bytes = std::min<std::size_t>(one->place.run_bytes, kRunBytesMax);
    end = std::max(end, one->place.run_offset + bytes);
    wanted_bytes += bytes;
  }
  AlignedBuffer buffer;
  if (!idle_buffers_.empty()) {
    buffer = std::move(idle_buffers_.back());
    idle_buffers_.pop_back();
  }
  Result<std::span<const std::byte>> read = co_await read_stretch(segment, from, end, buffer);
  if (!read.ok()) co_return std::move(read).error();
  // Beside the loads, whose outcomes others look for on this thread while a worker decodes.
  std::vector<Result<RunRef>> decoded;
  decoded.reserve(loads.size());
  const auto decode_all = [this, loads, from, bytes = *read, &decoded] {
    for (const LoadRef& one : loads) {
      const std::size_t at = std::min<std::size_t>(one->place.run_offset - from, bytes.size());
      decoded.push_back(decode(one->place, bytes.subspan(at)));
    }
  };
  if (wanted_bytes <= kInlineDecodeBytes) {
    decode_all();
  } else {
    co_await cdp::on_worker(scheduler_, decode_all);
  }
  for (std::size_t i = 0; i < loads.size(); ++i) loads[i]->outcome = std::move(decoded[i]);
  if (idle_buffers_.size() < kIdleBuffersMax && buffer.capacity() <= kIdleBufferBytesMax)
    idle_buffers_.push_back(std::move(buffer));
  co_return Status();
}

// Bytes [from, end) of the segment, or up to its end: run_bytes may promise too much there.
Task<Result<std::span<const std::byte>>> BlockReader::read_stretch(std::uint32_t segment,
                                                                   std::uint64_t from,
                                                                   std::uint64_t end,
                                                                   AlignedBuffer& buffer) {
  std::optional<std::uint64_t> failed_at_size;
  for (;;) {
    Result<std::shared_ptr<cdp::Disk>> disk = co_await disk_of(segment);
    if (!disk.ok()) co_return disk.error();
    const std::uint64_t upto = std::min(cdp::round_up(end, kAppendUnit),
                                        (*disk)->size_bytes() / kAppendUnit * kAppendUnit);
    if (upto <= from)
      co_return make_error(EIO, "there is no run at byte {} of {}, which has {}", from,
                           segment_name(segment), (*disk)->size_bytes());
    const std::span<std::byte> bytes = buffer.reserve(upto - from);
    Status read = co_await (*disk)->read(from, bytes);
    if (read.ok()) co_return std::span<const std::byte>(bytes);
    // It may have been opened before the segment was sealed, which cuts the file to what is used.
    forget_disk(segment);
    if (failed_at_size == (*disk)->size_bytes()) co_return std::move(read).error();
    failed_at_size = (*disk)->size_bytes();
  }
}

Task<Result<FrameMetadata>> BlockReader::metadata(std::uint32_t segment, std::uint32_t offset) {
  FrameMetadata frame;
  std::uint64_t wanted = kMetadataWindowBytes;
  for (;;) {
    Result<std::span<const std::byte>> read =
        co_await read_stretch(segment, offset, offset + wanted, frame.buffer);
    if (!read.ok()) co_return read.error();
    Result<FrameHeader> header =
        decode_frame_header(vault_, segment, offset, read->first<kFrameHeaderBytes>());
    if (!header.ok()) co_return header.error();
    frame.header = *header;
    if (header->metadata_end() <= read->size()) co_return std::move(frame);
    if (header->metadata_end() <= wanted)
      co_return make_error(EIO, "the frame at byte {} of {} is cut off", offset,
                           segment_name(segment));
    wanted = header->metadata_end();
  }
}

// `bytes` begin where the run does, and may reach beyond it.
Result<RunRef> BlockReader::decode(const BlockPlace& place,
                                   std::span<const std::byte> bytes) const {
  std::span<const std::byte> raw =
      bytes.first(std::min({bytes.size(), std::size_t{place.run_bytes}, kRunBytesMax}));
  if (raw.size() <= kRunHeaderBytes)
    return make_error(EIO, "there is no run of {} bytes at byte {} of {}", place.run_bytes,
                      place.run_offset, segment_name(place.segment));
  // Only a hint until decode_run has checked that the run is whole and belongs there.
  const std::uint32_t stored_bytes = stored_run_bytes(raw);
  if (stored_bytes > kRunHeaderBytes && stored_bytes < raw.size()) raw = raw.first(stored_bytes);
  Result<std::vector<std::byte>> blocks = decode_run(vault_, place.segment, place.run_offset, raw);
  if (!blocks.ok()) return blocks.error();
  return std::make_shared<const Run>(*std::move(blocks));
}

Task<Status> BlockReader::read(BlockPlace place, const Fingerprint* expected,
                               std::span<std::byte, cdp::kBlockBytes> into) {
  Result<RunRef> found = co_await run(place);
  if (!found.ok()) co_return found.error();
  const auto block = (*found)->block(place.index);
  if (expected != nullptr && fingerprint(vault_.secret, block) != *expected)
    co_return make_error(EIO,
                         "block {} of the run at byte {} of {} is not the one referred to: "
                         "its fingerprint does not match",
                         place.index, place.run_offset, segment_name(place.segment));
  std::memcpy(into.data(), block.data(), block.size());
  co_return Status();
}

}  // namespace journal
