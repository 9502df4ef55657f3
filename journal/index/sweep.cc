// SPDX-License-Identifier: Apache-2.0
#include "journal/index/sweep.h"

#include <algorithm>

namespace journal::index {
namespace {

using State = LevelCursor::State;

constexpr std::size_t kExtentsAtOnce = 4096;
constexpr unsigned kStepsAtOnce = 64;        // between two yields
constexpr std::size_t kPagesHeldMax = 4096;  // 16 MiB

}  // namespace

Sweep::Sweep(const Snapshot& map, Visibility visible, std::uint64_t first_block,
             std::uint64_t end_block)
    : map_(map),
      pages_(map.scheduler()),
      visible_(std::move(visible)),
      at_(first_block),
      end_(end_block) {
  start();
}

void Sweep::start() {
  runs_ = map_.runs();
  if (at_ == end_) return;
  for (std::uint32_t layer = 0; layer < visible_.size(); ++layer) {
    for (auto run = runs_->rbegin(); run != runs_->rend(); ++run) {
      const Intervals intervals = meeting(visible_[layer].intervals, (*run)->covers());
      if (intervals.empty()) continue;
      std::uint32_t levels = (*run)->header().level_mask;
      for (unsigned level = 0; levels != 0; ++level, levels >>= 1) {
        if ((levels & 1) == 0) continue;
        LevelCursor cursor(**run, tree_of(visible_[layer].volume, level),
                           node_of(at_, level), node_of(end_ - 1, level) + 1,
                           intervals);
        (level < kWindowLevel ? lower_ : higher_).push_back({std::move(cursor), layer, level});
      }
    }
  }
}

// What lies below at_ was given or is in out_; a window that is half painted begins at at_.
Task<Status> Sweep::restart(Error failure) {
  Status replaced = co_await map_.replace_damaged(runs_, std::move(failure));
  if (!replaced.ok()) co_return replaced;
  lower_.clear();
  higher_.clear();
  pages_.release();
  painting_ = false;
  start();
  co_return Status{};
}

Task<Result<std::vector<Extent>>> Sweep::next() {
  out_.clear();
  unsigned steps = 0;
  while (at_ < end_ && out_.size() < kExtentsAtOnce) {
    if (Status settled = co_await settle(); !settled.ok()) {
      Status restarted = co_await restart(settled.error());
      if (!restarted.ok()) co_return restarted.error();
      continue;
    }
    if (lower_.empty() && higher_.empty() && !painting_) {
      at_ = end_;
      break;
    }
    if (++steps % kStepsAtOnce == 0) {
      if (!out_.empty()) break;
      co_await cdp::yield(pages_.scheduler());
    }
    step();
  }
  co_return std::exchange(out_, {});
}

// Brings every cursor to a node, or to its end, where it is dropped.
Task<Status> Sweep::settle() {
  for (;;) {
    bool waiting = false;
    for (std::vector<Cursor>* const cursors : {&lower_, &higher_}) {
      std::erase_if(*cursors, [&](Cursor& cursor) {
        State state = cursor.at.state();
        if (state == State::kWaiting) state = cursor.at.settle(pages_);
        waiting |= state == State::kWaiting;
        return state == State::kEnd;
      });
    }
    if (!waiting) break;
    if (pages_.has_missing()) {
      if (pages_.held() > kPagesHeldMax) pages_.release();
      if (Status loaded = co_await pages_.load(); !loaded.ok()) co_return loaded;
    } else {
      co_await cdp::yield(pages_.scheduler());
    }
  }
  pages_.release();
  co_return Status{};
}

// One window, or one stretch of windows in which nothing begins or ends; false where a cursor has
// to settle first, and the step is to be taken again. Cursors have settled.
bool Sweep::step() {
  if (!pass_higher()) return false;
  const std::uint64_t window_end =
      std::min(end_, at_ / kWindowBlocks * kWindowBlocks + kWindowBlocks);
  std::uint64_t low_next = end_;
  for (const Cursor& cursor : lower_) low_next = std::min(low_next, cursor.first_block());
  if (low_next >= window_end && !painting_) {
    put_stretch(low_next);
    return true;
  }
  if (!paint(window_end)) return false;
  put_window(window_end);
  return true;
}

// Moves the cursors of the higher levels on until they end behind at_.
bool Sweep::pass_higher() {
  bool settled = true;
  for (Cursor& cursor : higher_) {
    while (cursor.at.state() == State::kAt && cursor.end_block() <= at_) cursor.at.advance(pages_);
    settled &= cursor.at.state() == State::kAt;
  }
  return settled;
}

Sweep::Candidate Sweep::best_higher() const {
  Candidate best;
  for (const Cursor& cursor : higher_) {
    if (cursor.first_block() <= at_ && best.yields_to(cursor.layer, cursor.at.lsn()))
      best = {cursor.layer, cursor.at.lsn(), {}};
  }
  return best;
}

// From at_ on, up to where the next window begins that has lower nodes, or a higher node begins or
// ends.
void Sweep::put_stretch(std::uint64_t low_next) {
  std::uint64_t to = low_next == end_ ? end_ : low_next / kWindowBlocks * kWindowBlocks;
  for (const Cursor& cursor : higher_) {
    to = std::min(to, cursor.first_block() > at_ ? cursor.first_block() : cursor.end_block());
  }
  const Candidate found = best_higher();
  if (found.exists()) append(found, at_, to - at_);
  at_ = to;
}

// Puts every lower node that begins before window_end into the window.
bool Sweep::paint(std::uint64_t window_end) {
  if (!std::exchange(painting_, true)) {
    for (Candidate& candidate : window_) candidate.layer = ~std::uint32_t{0};
  }
  const std::uint64_t window_first = at_ / kWindowBlocks * kWindowBlocks;
  bool settled = true;
  for (Cursor& cursor : lower_) {
    while (cursor.at.state() == State::kAt && cursor.first_block() < window_end) {
      const std::uint64_t first = std::max(cursor.first_block(), window_first);
      const std::uint64_t end = std::min(cursor.end_block(), window_end);
      const Lsn lsn = cursor.at.lsn();
      for (std::uint64_t block = first; block < end; ++block) {
        Candidate& candidate = window_[block - window_first];
        if (!candidate.yields_to(cursor.layer, lsn)) continue;
        candidate = {cursor.layer, lsn, cursor.at.entry().place};
      }
      cursor.at.advance(pages_);
    }
    settled &= cursor.at.state() != State::kWaiting;
  }
  return settled;
}

void Sweep::put_window(std::uint64_t window_end) {
  const Candidate higher = best_higher();
  const std::uint64_t window_first = at_ / kWindowBlocks * kWindowBlocks;
  for (; at_ < window_end; ++at_) {
    const Candidate& lower = window_[at_ - window_first];
    const Candidate& best =
        higher.exists() && lower.yields_to(higher.layer, higher.lsn) ? higher : lower;
    if (best.exists()) append(best, at_, 1);
  }
  painting_ = false;
}

void Sweep::append(const Candidate& found, std::uint64_t first, std::uint64_t count) {
  const BlockState state = found.place.run_bytes == 0 ? BlockState::kZero : BlockState::kData;
  if (!out_.empty()) {
    Extent& last = out_.back();
    if (last.first_block + last.block_count == first && last.state == state) {
      BlockPlace expected = last.place;
      if (state == BlockState::kData)
        expected.index = static_cast<std::uint16_t>(expected.index + last.block_count);
      if (expected == found.place) {
        last.block_count += count;
        return;
      }
    }
  }
  out_.push_back({first, count, state, found.place});
}

}  // namespace journal::index
