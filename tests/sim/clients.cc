// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/clients.h"

#include <algorithm>
#include <optional>

#include "cdp/volume.h"
#include "tests/sim/random.h"

namespace sim {

using cdp::kBlockBytes;
using cdp::PageList;
using cdp::Result;
using cdp::Status;
using cdp::Task;

Task<std::vector<std::byte>> read_whole(cdp::BlockDevice& device) {
  std::vector<std::byte> content;
  const std::uint64_t size = device.size_bytes();
  for (std::uint64_t offset = 0; offset < size;) {
    const auto bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(size - offset, 64 * kBlockBytes));
    Result<PageList> pages = co_await device.read(offset, bytes);
    CHECK(pages.ok());
    for (const cdp::PageRef& page : *pages) {
      content.insert(content.end(), page.data(), page.data() + kBlockBytes);
    }
    offset += bytes;
    content.resize(offset);
  }
  co_return content;
}

namespace {

bool fine(Clients& clients, const Status& status, const char* what) {
  // A range that was chosen before a resize or rollback may lie behind the end afterwards.
  const bool behind_end =
      !status.ok() && status.error().message.find("ends at byte") != std::string::npos;
  if (!status.ok() && !clients.errors_expected && !behind_end) {
    clients.findings.push_back(fmt::format("{}: {}", what, status.error().message));
  }
  return status.ok();
}

Status status_of(const auto& result) { return result.ok() ? Status{} : Status{result.error()}; }

void look(Clients& clients, std::uint64_t offset, std::span<const std::byte> found,
          std::uint64_t from, const char* what) {
  const auto wrong = clients.model.check(offset, found, from);
  if (wrong) {
    clients.findings.push_back(
        fmt::format("{} of {} bytes at {}: {}", what, found.size(), offset, *wrong));
  }
}

}  // namespace

Task<bool> client_write(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset, std::uint32_t bytes,
                        Written* written, bool again) {
  Result<PageList> pages = co_await device.pages_for_write(offset, bytes);
  if (!fine(clients, status_of(pages), "pages for a write")) co_return false;
  const ByteModel::Change change =
      again ? clients.model.begin_write_again(offset, bytes, written->change)
            : clients.model.begin_write(offset, bytes);
  if (written != nullptr) *written = {offset, bytes, change};
  for (std::uint64_t at = offset; at < offset + bytes;) {
    cdp::PageRef& page = (*pages)[at / kBlockBytes - offset / kBlockBytes];
    const std::uint64_t within = at % kBlockBytes;
    const std::uint64_t part = std::min(kBlockBytes - within, offset + bytes - at);
    clients.model.fill(change, at, {page.data() + within, part});
    at += part;
  }
  const Status status = co_await device.write(offset, bytes, std::move(*pages));
  if (!fine(clients, status, "a write")) co_return false;
  clients.model.end(change);
  co_return true;
}

Task<bool> client_read(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                       std::uint32_t bytes) {
  const std::uint64_t from = clients.model.tick();
  const Result<PageList> pages = co_await device.read(offset, bytes);
  if (!fine(clients, status_of(pages), "a read")) co_return false;
  std::vector<std::byte> found;
  for (const cdp::PageRef& page : *pages) {
    found.insert(found.end(), page.data(), page.data() + kBlockBytes);
  }
  const std::span<const std::byte> asked = std::span{found}.subspan(offset % kBlockBytes, bytes);
  look(clients, offset, asked, from, "a read");
  co_return true;
}

Task<bool> client_flush(cdp::BlockDevice& device, Clients& clients) {
  const std::uint64_t from = clients.model.tick();
  const Status status = co_await device.flush();
  if (!fine(clients, status, "a flush")) co_return false;
  clients.flushed = std::max(clients.flushed, from);
  co_return true;
}

Task<bool> client_zero(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                       std::uint64_t bytes) {
  const ByteModel::Change change = clients.model.begin_zero(offset, bytes);
  const Status status = co_await device.zero(offset, bytes, {});
  if (!fine(clients, status, "a zeroing")) co_return false;
  clients.model.end(change);
  co_return true;
}

Task<bool> client_trim(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                       std::uint64_t bytes) {
  // Whole blocks read as zeroes, the last one of the volume too; edges stay as they are.
  const std::uint64_t first = cdp::round_up(offset, kBlockBytes);
  const std::uint64_t end = offset + bytes;
  const std::uint64_t last = end == device.size_bytes() ? end : end - end % kBlockBytes;
  std::optional<ByteModel::Change> change;
  if (first < last) change = clients.model.begin_zero(first, last - first);
  const Status status = co_await device.trim(offset, bytes);
  if (!fine(clients, status, "a trim")) co_return false;
  if (change) clients.model.end(*change);
  co_return true;
}

namespace {

Task<bool> client_allocation(cdp::BlockDevice& device, Clients& clients, std::uint64_t offset,
                             std::uint64_t bytes) {
  const std::uint64_t from = clients.model.tick();
  const auto extents = co_await device.allocation(offset, bytes, 8);
  if (!fine(clients, status_of(extents), "allocation")) co_return false;
  std::uint64_t at = offset;
  for (const cdp::AllocationExtent& extent : *extents) {
    if (extent.bytes == 0) clients.findings.push_back("an empty extent");
    if (extent.zero) {
      const std::vector<std::byte> zeroes(extent.bytes);
      look(clients, at, zeroes, from, "an extent of zeroes");
    }
    at += extent.bytes;
  }
  if (at == offset || at > offset + bytes) clients.findings.push_back("extents out of range");
  co_return true;
}

struct Range {
  std::uint64_t offset;
  std::uint64_t bytes;
};

Range any_range(Random& random, std::uint64_t size, const Mix& mix) {
  const std::uint64_t blocks = std::max<std::uint64_t>(1, size / kBlockBytes);
  const std::uint64_t block =
      random.coin() ? random.below(std::min(mix.hot_blocks, blocks)) : random.below(blocks);
  const std::uint64_t longest = random.coin() ? 2 : mix.max_blocks;
  Range range{block * kBlockBytes, random.between(1, longest) * kBlockBytes};
  if (!random.chance(mix.aligned)) {
    range.offset += random.below(kBlockBytes);
    range.bytes = random.between(1, random.coin() ? 2 * kBlockBytes : longest * kBlockBytes);
  }
  if (range.offset >= size) range.offset = random.below(size);
  if (random.chance(5)) range.offset = size - std::min(range.bytes, size);  // up to the end
  range.bytes = std::min(range.bytes, size - range.offset);
  return range;
}

}  // namespace

Task<void> client(cdp::BlockDevice& device, Clients& clients, std::uint64_t seed, std::size_t count,
                  Mix mix) {
  Random random(seed);
  auto* const volume = dynamic_cast<cdp::Volume*>(&device);  // null: behind a connection
  ++clients.running;
  bool well = true;
  Written written;
  for (std::size_t i = 0; i < count && well; ++i) {
    const Range range = any_range(random, device.size_bytes(), mix);
    const auto bytes = static_cast<std::uint32_t>(range.bytes);
    std::uint64_t choice = random.below(100);
    const auto chosen = [&choice](unsigned weight) {
      const bool taken = choice < weight;
      choice -= taken ? 0 : weight;
      return taken;
    };
    if (chosen(mix.repeats)) {
      const Written again = written;
      if (again.bytes > 0) {
        well = co_await client_write(device, clients, again.offset, again.bytes, &written, true);
      }
    } else if (chosen(mix.writes)) {
      well = co_await client_write(device, clients, range.offset, bytes, &written, false);
    } else if (chosen(mix.flushes)) {
      well = co_await client_flush(device, clients);
    } else if (chosen(mix.zeroes)) {
      well = co_await client_zero(device, clients, range.offset, bytes);
    } else if (chosen(mix.trims)) {
      well = co_await client_trim(device, clients, range.offset, bytes);
    } else if (chosen(mix.checkpoints)) {
      if (volume == nullptr) continue;
      const Status status = co_await volume->checkpoint();
      well = fine(clients, status, "a checkpoint");
    } else if (chosen(mix.allocations)) {
      well = co_await client_allocation(device, clients, range.offset, bytes);
    } else {
      well = co_await client_read(device, clients, range.offset, bytes);
    }
    // One that came too late for a nearer end; the next may fit.
    const bool is_fenced = volume != nullptr && volume->fence_reason();
    well = well || (!clients.errors_expected && !is_fenced);
  }
  --clients.running;
}

}  // namespace sim
