// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_file.h"

#include <algorithm>
#include <cstring>

#include "cdp/base/check.h"

namespace sim {
namespace {

void apply(const SimChange& change, SimImage& image) {
  if (change.data.empty()) {
    image.zero(change.offset, change.bytes);
  } else {
    image.store(change.offset, change.data);
  }
}

void apply_part(const SimChange& change, std::uint64_t from, std::uint64_t bytes, SimImage& image) {
  if (change.data.empty()) {
    image.zero(change.offset + from, bytes);
  } else {
    image.store(change.offset + from, std::span{change.data}.subspan(from, bytes));
  }
}

// Some of its sectors: any for a short change, one stretch for a long one.
void apply_torn(const SimChange& change, SimImage& image, Random& random) {
  const std::uint64_t sectors = (change.bytes + kSectorBytes - 1) / kSectorBytes;
  const auto part = [&](std::uint64_t first, std::uint64_t count) {
    const std::uint64_t from = first * kSectorBytes;
    apply_part(change, from, std::min(count * kSectorBytes, change.bytes - from), image);
  };
  if (sectors > 4096 || random.coin()) {
    const std::uint64_t first = random.coin() ? 0 : random.below(sectors);
    part(first, random.between(1, sectors - first));
    return;
  }
  for (std::uint64_t i = 0; i < sectors; ++i) {
    if (random.coin()) part(i, 1);
  }
}

void apply_by_chance(const SimChange& change, SimImage& image, Random& random) {
  switch (random.below(3)) {
    case 0:
      return apply(change, image);
    case 1:
      return apply_torn(change, image, random);
    default:
      return;
  }
}

}  // namespace

void SimImage::store(std::uint64_t offset, std::span<const std::byte> from) {
  while (!from.empty()) {
    const std::uint64_t within = offset % cdp::kBlockBytes;
    const std::size_t part = std::min<std::size_t>(cdp::kBlockBytes - within, from.size());
    Block& block = blocks_[offset / cdp::kBlockBytes];
    std::memcpy(block.data() + within, from.data(), part);
    offset += part;
    from = from.subspan(part);
  }
}

void SimImage::zero(std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t end = offset + bytes;
  auto block = blocks_.lower_bound(offset / cdp::kBlockBytes);
  while (block != blocks_.end() && block->first * cdp::kBlockBytes < end) {
    const std::uint64_t start = block->first * cdp::kBlockBytes;
    const std::uint64_t from = std::max(start, offset) - start;
    const std::uint64_t to = std::min(start + cdp::kBlockBytes, end) - start;
    if (to - from == cdp::kBlockBytes) {
      block = blocks_.erase(block);
    } else {
      std::memset(block->second.data() + from, 0, to - from);
      ++block;
    }
  }
}

void SimImage::load(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const std::uint64_t within = offset % cdp::kBlockBytes;
    const std::size_t part = std::min<std::size_t>(cdp::kBlockBytes - within, into.size());
    const auto block = blocks_.find(offset / cdp::kBlockBytes);
    if (block == blocks_.end()) {
      std::memset(into.data(), 0, part);
    } else {
      std::memcpy(into.data(), block->second.data() + within, part);
    }
    offset += part;
    into = into.subspan(part);
  }
}

SimFile::InFlight SimFile::begin_change(SimChange change) {
  in_flight_.push_back(std::move(change));
  return std::prev(in_flight_.end());
}

void SimFile::complete(InFlight change, bool durable) {
  change->durable = durable;
  change->sequence = ++completed_;
  apply(*change, visible_);
  changes_.splice(changes_.end(), in_flight_, change);
  fold();
}

void SimFile::fail(InFlight change, Random& random) {
  // Each part that got through is a change of its own; which ones did is not known to anyone.
  SimImage torn = visible_;
  apply_by_chance(*change, torn, random);
  if (!change->data.empty()) {
    torn.load(change->offset, change->data);
    complete(change, false);
  } else {
    in_flight_.erase(change);
  }
}

void SimFile::read(std::uint64_t offset, std::span<std::byte> into, Random& random) const {
  visible_.load(offset, into);
  for (const SimChange& change : in_flight_) {
    if (!change.overlaps(offset, into.size())) continue;
    const std::uint64_t from = std::max(offset, change.offset);
    const std::uint64_t to = std::min(offset + into.size(), change.offset + change.bytes);
    for (std::uint64_t at = from; at < to; at += kSectorBytes) {
      if (random.coin()) continue;
      const std::uint64_t part = std::min(kSectorBytes, to - at);
      if (change.data.empty()) {
        std::memset(into.data() + (at - offset), 0, part);
      } else {
        std::memcpy(into.data() + (at - offset), change.data.data() + (at - change.offset), part);
      }
    }
  }
}

bool SimFile::busy(std::uint64_t offset, std::uint64_t bytes) const {
  return std::any_of(in_flight_.begin(), in_flight_.end(),
                     [&](const SimChange& change) { return change.overlaps(offset, bytes); });
}

void SimFile::sync(std::uint64_t upto) {
  for (SimChange& change : changes_) {
    if (change.sequence <= upto && !change.lost) change.durable = true;
  }
  fold();
}

void SimFile::fail_sync(std::uint64_t upto) {
  for (SimChange& change : changes_) {
    if (change.sequence <= upto && !change.durable) change.lost = true;
  }
}

void SimFile::fold() {
  while (!changes_.empty() && changes_.front().durable) {
    apply(changes_.front(), durable_);
    changes_.pop_front();
  }
}

void SimFile::cut_and_seal(std::uint64_t bytes) {
  sync(completed_);
  CHECK(bytes <= size_bytes_);
  visible_.zero(bytes, size_bytes_ - bytes);
  durable_.zero(bytes, size_bytes_ - bytes);
  size_bytes_ = bytes;
  sealed_ = true;
}

void SimFile::resize(std::uint64_t bytes) {
  sync(completed_);
  if (bytes < size_bytes_) {
    visible_.zero(bytes, size_bytes_ - bytes);
    durable_.zero(bytes, size_bytes_ - bytes);
  }
  size_bytes_ = bytes;
}

std::shared_ptr<SimFile> SimFile::after_crash(Random& random) const {
  auto file = std::make_shared<SimFile>(size_bytes_);
  file->sealed_ = sealed_;
  file->durable_ = durable_;
  for (const SimChange& change : changes_) {
    if (change.durable) {
      apply(change, file->durable_);
    } else {
      apply_by_chance(change, file->durable_, random);
    }
  }
  std::vector<const SimChange*> unfinished;
  for (const SimChange& change : in_flight_) unfinished.push_back(&change);
  while (!unfinished.empty()) {
    const std::size_t next = random.below(unfinished.size());
    apply_by_chance(*unfinished[next], file->durable_, random);
    unfinished.erase(unfinished.begin() + static_cast<std::ptrdiff_t>(next));
  }
  file->visible_ = file->durable_;
  return file;
}

std::vector<std::byte> SimFile::durable_content(std::uint64_t offset, std::uint64_t bytes) const {
  SimImage image = durable_;
  for (const SimChange& change : changes_) {
    if (change.durable) apply(change, image);
  }
  std::vector<std::byte> into(bytes);
  image.load(offset, into);
  return into;
}

std::vector<std::byte> SimFile::content(std::uint64_t offset, std::uint64_t bytes) const {
  std::vector<std::byte> into(bytes);
  visible_.load(offset, into);
  return into;
}

void SimFile::store_durably(std::uint64_t offset, std::span<const std::byte> bytes) {
  const InFlight change =
      begin_change({.offset = offset, .bytes = bytes.size(), .data = {bytes.begin(), bytes.end()}});
  complete(change, true);
}

}  // namespace sim
