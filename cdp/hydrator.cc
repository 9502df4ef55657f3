// SPDX-License-Identifier: Apache-2.0
#include "cdp/hydrator.h"

#include <algorithm>
#include <utility>

namespace cdp {
namespace {

constexpr std::uint64_t kZeroPieceBlocks = (std::uint64_t{1} << 30) / kBlockBytes;
constexpr std::size_t kMaxPieces = 4096;      // of one step
constexpr std::size_t kMaxWantedZones = 64;   // further reads do not come first
constexpr std::uint64_t kStepsPerSecond = 8;  // under a rate limit
constexpr std::uint64_t kSmallestStepBlocks = 16;

}  // namespace

void Hydrator::begin(std::shared_ptr<HydrationSource> source, std::uint64_t first_block,
                     std::uint64_t end_block) {
  CHECK(group_.running() == 0 && source != nullptr);
  source_ = std::move(source);
  cursor_ = std::min(first_block, end_block);
  end_ = end_block;
  ahead_.clear();
  wanted_.clear();
  plan_ = {};
  problem_.reset();
  ready_at_ = scheduler_.now();
}

BlockSet::Stretch Hydrator::stretch_at(std::uint64_t block, std::uint64_t limit) const {
  if (!active() || block >= end_) return {true, limit};
  if (block < cursor_) return {true, std::min(limit, cursor_ - block)};
  return ahead_.stretch_at(block, limit);
}

void Hydrator::written(std::uint64_t first, std::uint64_t end) {
  if (!active()) return;
  ahead_.add(std::max(first, cursor_), std::min(end, end_));
}

void Hydrator::touched(std::uint64_t block) {
  const std::uint64_t zone = block / options_.zone_blocks;
  if (wanted_.size() >= kMaxWantedZones || std::ranges::find(wanted_, zone) != wanted_.end())
    return;
  wanted_.push_back(zone);
}

std::optional<std::uint64_t> Hydrator::cursor() const {
  return active() ? std::optional(cursor_) : std::nullopt;
}

std::uint64_t Hydrator::remaining_blocks() const {
  return active() ? end_ - cursor_ - ahead_.blocks() : 0;
}

void Hydrator::set_rate(std::uint64_t bytes_per_second) {
  options_.bytes_per_second = bytes_per_second;
  // What the old limit made it wait for does not count any more.
  if (!problem_) ready_at_ = std::min(ready_at_, scheduler_.now());
}

bool Hydrator::crowded() const {
  return active() && ahead_.intervals() > options_.intervals_max &&
         ahead_.most_crowded(options_.zone_blocks).has_value();
}

void Hydrator::synced() {
  needs_sync_ = false;
  if (!active()) return;
  cursor_ = ahead_.end_of(cursor_);
  ahead_.remove_before(cursor_);
  if (cursor_ < end_) return;
  source_.reset();
  wanted_.clear();
  plan_ = {};
  problem_.reset();
}

std::uint64_t Hydrator::budget_blocks() const {
  std::uint64_t blocks = options_.step_bytes / kBlockBytes;
  if (options_.bytes_per_second > 0)
    blocks = std::min(blocks, options_.bytes_per_second / kStepsPerSecond / kBlockBytes);
  return std::max(blocks, kSmallestStepBlocks);
}

// What the next step is about: what helps memory first, then clients, then the rest in order.
Hydrator::Range Hydrator::next_range() {
  const auto zone_range = [this](std::uint64_t zone) {
    const std::uint64_t first = zone * options_.zone_blocks;
    return Range{ahead_.end_of(std::max(first, cursor_)),
                 std::min(first + options_.zone_blocks, end_)};
  };
  if (ahead_.intervals() > options_.intervals_max) {
    const auto zone = ahead_.most_crowded(options_.zone_blocks);
    if (zone) return zone_range(*zone);
  }
  while (!wanted_.empty()) {
    const Range range = zone_range(wanted_.front());
    if (range.first < range.end) return range;
    wanted_.pop_front();
  }
  return {ahead_.end_of(cursor_), end_};
}

bool Hydrator::add_pieces(std::uint64_t& from, std::uint64_t to, bool zeroes,
                          std::vector<Piece>& pieces) {
  while (from < to) {
    const BlockSet::Stretch stretch = stretch_at(from, to - from);
    if (stretch.in && !options_.ignores_what_is_ahead) {
      from += stretch.blocks;
      continue;
    }
    const DirtyMap::Stretch dirty = dirty_.stretch_at(from, stretch.blocks);
    if (dirty.state != DirtyMap::State::kUnknown) {
      from += dirty.blocks;
      continue;
    }
    const std::uint64_t budget = budget_blocks();
    if (copied_blocks_ >= budget || pieces.size() >= kMaxPieces) return false;
    const std::uint64_t longest = zeroes ? kZeroPieceBlocks : kMaxPieceBlocks;
    std::uint64_t count = std::min(dirty.blocks, longest);
    if (!zeroes) count = std::min(count, budget - copied_blocks_);
    // The source need not have joined neighbours.
    const bool continues = !pieces.empty() && pieces.back().zeroes == zeroes &&
                           pieces.back().first + pieces.back().count == from &&
                           pieces.back().count + count <= longest;
    if (continues) {
      pieces.back().count += count;
    } else {
      pieces.push_back({.first = from, .count = count, .zeroes = zeroes, .outcome = {}});
    }
    if (!zeroes) copied_blocks_ += count;
    from += count;
  }
  return true;
}

// Fills `pieces` from the beginning of `range` on; the answer is how far they, and what needs no
// copying, reach.
Task<Result<std::uint64_t>> Hydrator::plan_pieces(Range range, std::vector<Piece>& pieces) {
  const std::shared_ptr<HydrationSource> source = source_;
  const bool in_order = range.end == end_;
  std::uint64_t at = range.first;
  while (at < range.end) {
    if (at < plan_.from || at >= plan_.differing.next) {
      // A walk in order asks for all that is left, so that what is the same costs nothing.
      Result<HydrationSource::Differing> differing =
          co_await source->differing(at, in_order ? end_ : range.end);
      if (!differing.ok()) co_return differing.error();
      CHECK(differing->next > at);
      plan_ = {at, *std::move(differing)};
    }
    for (const HydrationSource::Stretch& stretch : plan_.differing.stretches) {
      const std::uint64_t to = std::min(stretch.first_block + stretch.block_count, range.end);
      at = std::max(at, std::min(stretch.first_block, range.end));
      if (!add_pieces(at, to, stretch.zeroes, pieces)) co_return at;
    }
    at = std::max(at, std::min(plan_.differing.next, range.end));
  }
  co_return at;
}

Task<Status> Hydrator::step() {
  CHECK(active() && group_.running() == 0);
  const Range range = next_range();
  std::vector<Piece> pieces;
  copied_blocks_ = 0;
  const Result<std::uint64_t> planned = co_await plan_pieces(range, pieces);
  if (!planned.ok()) {
    pause(planned.error());
    co_return Status{};
  }
  failed_ = false;
  for (Piece& piece : pieces) {
    while (group_.running() >= kMaxInFlight) co_await slot_.wait();
    piece.skipped = failed_;
    if (!failed_) group_.spawn(copy(source_, piece));
  }
  co_await group_.join();

  // Up to the first failure it is hydrated; the rest is copied again.
  std::uint64_t end = *planned;
  Status failure;
  std::uint64_t copied = 0;
  for (const Piece& piece : pieces) {
    if (!piece.skipped && piece.outcome.ok()) {
      copied += piece.zeroes ? 0 : piece.count * kBlockBytes;
      continue;
    }
    end = std::min(end, piece.first);
    if (piece.skipped) continue;
    const Error& error = piece.outcome.error();
    if (!piece.from_source && error.code != ENOSPC) co_return error;
    if (failure.ok()) failure = error;
  }
  written(range.first, end);
  hydrated_bytes_ += copied;
  ready_at_ = scheduler_.now();
  if (options_.bytes_per_second > 0) {
    const std::uint64_t wait_ns = copied * 1'000'000'000 / options_.bytes_per_second;
    ready_at_ = ready_at_ + Nanos{static_cast<std::int64_t>(wait_ns)};
  }
  if (failure.ok()) {
    problem_.reset();
  } else {
    pause(failure.error());
  }
  co_return Status{};
}

Task<void> Hydrator::copy(std::shared_ptr<HydrationSource> source, Piece& piece) {
  needs_sync_ = true;
  if (piece.zeroes) {
    piece.outcome =
        co_await backing_.zero_range(piece.first * kBlockBytes, piece.count * kBlockBytes, true);
  } else {
    const Result<PageList> pages =
        co_await source->read(piece.first, static_cast<std::uint32_t>(piece.count));
    if (!pages.ok()) {
      piece.from_source = true;
      piece.outcome = pages.error();
    } else {
      const IoVectors vectors = vectors_of(*pages);
      piece.outcome = co_await backing_.write(piece.first * kBlockBytes, vectors);
    }
  }
  if (!piece.outcome.ok()) failed_ = true;
  slot_.notify_all();
}

void Hydrator::pause(const Error& why) {
  problem_ = why;
  ready_at_ = scheduler_.now() + options_.retry_after;
}

}  // namespace cdp
