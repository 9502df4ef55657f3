// SPDX-License-Identifier: Apache-2.0
#include "journal/index/level_cursor.h"

#include <algorithm>

namespace journal::index {
namespace {

constexpr unsigned kRowsAtOnce = 32768;  // a millisecond or so
constexpr std::uint32_t kAheadMax = 31;  // 128 KiB a read

}  // namespace

LevelCursor::LevelCursor(const Run& run, std::uint64_t tree, std::uint64_t first_node,
                         std::uint64_t end_node, Intervals intervals)
    : run_(&run),
      tree_(tree),
      end_node_(end_node),
      intervals_(intervals),
      key_{tree, first_node, 0} {
  CHECK(!intervals.empty());
  if (run.header().entries.rows == 0 || first_node >= end_node) state_ = State::kEnd;
}

LevelCursor::State LevelCursor::end() {
  page_.reset();
  return state_ = State::kEnd;
}

void LevelCursor::enter(CachedPage* page, unsigned row) {
  page_ = page;
  rows_ = PackedPage(page->data);
  row_count_ = rows_.rows();
  row_ = row;
  // Where no LSN of the page is visible, none of its rows is looked at.
  const Intervals old = at_or_below(intervals_, {~rows_.base(kAge)});
  if (old.empty() || old.front().upto.value < ~rows_.limit(kAge)) row_ = row_count_;
}

// Makes page_ the one in which the first row that is not below key_ is, if any is left; false where
// pages are missing.
bool LevelCursor::find_page(PageReader& pages) {
  while (page_ == nullptr) {
    const bool sought = seeking_;
    if (seeking_) {
      if (run_->leaf_for(pages, key_, leaf_) == Run::Attempt::kMissing) return false;
      seeking_ = false;
      ahead_ = 0;
    }
    if (leaf_ == run_->header().entries.end_leaf()) {
      end();
      return true;
    }
    const std::uint32_t behind = run_->header().entries.end_leaf() - 1 - leaf_;
    CachedPage* const page = pages.find(*run_, leaf_, std::min(ahead_, behind));
    if (page == nullptr) return false;
    ahead_ = std::min(2 * ahead_ + 1, kAheadMax);
    const PackedPage rows(page->data);
    const unsigned row = Run::lower_bound(rows, key_);
    if (row < rows.rows() || sought) {
      enter(page, row);
    } else {
      seeking_ = true;  // it is far
    }
  }
  return true;
}

LevelCursor::State LevelCursor::settle(PageReader& pages) {
  for (unsigned left = kRowsAtOnce; left > 0; --left) {
    if (page_ == nullptr) {
      if (!find_page(pages)) return wait();
      if (state_ == State::kEnd) return state_;
    }
    if (row_ >= row_count_) {
      ++leaf_;
      page_.reset();
      continue;
    }
    node_ = rows_.get(kNode, row_);
    if (node_ >= end_node_ || rows_.get(kTree, row_) != tree_) return end();
    lsn_ = {~rows_.get(kAge, row_)};
    const Intervals from =
        intervals_.front().after < lsn_ ? intervals_ : at_or_below(intervals_, lsn_);
    if (!from.empty() && from.front().contains(lsn_)) return state_ = State::kAt;
    key_ = from.empty() ? Run::EntryKey{tree_, node_ + 1, 0}
                        : Run::EntryKey{tree_, node_, ~from.front().upto.value};
    skip();
  }
  return wait();
}

LevelCursor::State LevelCursor::advance(PageReader& pages) {
  key_ = {tree_, node_ + 1, 0};
  skip();
  return settle(pages);
}

// To the first row behind row_ that is not below key_; mostly it is the next one.
void LevelCursor::skip() {
  ++row_;
  if (row_ < row_count_ && Run::key_at(rows_, row_) < key_)
    row_ = Run::lower_bound(rows_, key_, row_ + 1);
}

}  // namespace journal::index
