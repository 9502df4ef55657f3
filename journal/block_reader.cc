// SPDX-License-Identifier: Apache-2.0
#include "journal/block_reader.h"

#include <cstring>

#include "journal/aligned_buffer.h"
#include "journal/format.h"

namespace journal {
namespace {

// Decoding less than this costs no more than handing it to a worker.
constexpr std::size_t kInlineDecodeBytes = 16u << 10;

}  // namespace

BlockReader::BlockReader(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
                         BlockReaderOptions options)
    : scheduler_(scheduler), segments_(segments), vault_(vault), options_(options) {}

BlockReader::~BlockReader() = default;

void BlockReader::clear() {
  runs_.clear();
  by_key_.clear();
  disks_.clear();
}

RunRef BlockReader::cached(const BlockPlace& place) {
  const auto found = by_key_.find({place.segment, place.run_offset});
  if (found == by_key_.end()) return nullptr;
  runs_.splice(runs_.begin(), runs_, found->second);
  return runs_.front().second;
}

void BlockReader::remember(Key key, RunRef run) {
  if (options_.cached_runs == 0 || by_key_.contains(key)) return;
  runs_.emplace_front(key, std::move(run));
  by_key_[key] = runs_.begin();
  if (runs_.size() > options_.cached_runs) {
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
  std::string name = segment_name(segment);
  Result<std::unique_ptr<cdp::Disk>> opened =
      co_await segments_.open(std::move(name), cdp::OpenMode::kReadOnly);
  if (!opened.ok()) co_return opened.error();
  std::shared_ptr<cdp::Disk> disk = *std::move(opened);
  disks_.push_front({segment, disk});
  if (disks_.size() > options_.open_segments) disks_.pop_back();
  co_return disk;
}

Task<Result<RunRef>> BlockReader::run(BlockPlace place) {
  RunRef known = cached(place);
  if (known == nullptr) {
    Result<std::shared_ptr<cdp::Disk>> disk = co_await disk_of(place.segment);
    if (!disk.ok()) co_return disk.error();
    const std::uint64_t from = place.run_offset / kAppendUnit * kAppendUnit;
    const std::uint64_t end = std::uint64_t{place.run_offset} + place.run_bytes;
    const std::uint64_t upto = cdp::round_up(end, kAppendUnit);
    if (place.run_bytes <= kRunHeaderBytes || place.run_bytes > kRunBytesMax ||
        upto > (*disk)->size_bytes())
      co_return make_error(EIO, "there is no run of {} bytes at byte {} of {}", place.run_bytes,
                           place.run_offset, segment_name(place.segment));
    AlignedBuffer buffer;
    const std::span<std::byte> bytes = buffer.reserve(upto - from);
    Status read = co_await (*disk)->read(from, bytes);
    if (!read.ok()) co_return read.error();
    const std::span<const std::byte> raw = bytes.subspan(place.run_offset - from, place.run_bytes);
    Result<std::vector<std::byte>> blocks = std::vector<std::byte>();
    if (raw.size() <= kInlineDecodeBytes) {
      blocks = decode_run(vault_, place.segment, place.run_offset, raw);
    } else {
      co_await cdp::on_worker(scheduler_, [this, &blocks, &place, raw] {
        blocks = decode_run(vault_, place.segment, place.run_offset, raw);
      });
    }
    if (!blocks.ok()) co_return blocks.error();
    known = std::make_shared<const Run>(*std::move(blocks));
    remember({place.segment, place.run_offset}, known);
  }
  if (place.index >= known->block_count())
    co_return make_error(EIO, "the run at byte {} of {} has {} blocks, not a number {}",
                         place.run_offset, segment_name(place.segment), known->block_count(),
                         place.index);
  co_return known;
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
