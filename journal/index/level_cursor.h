// SPDX-License-Identifier: Apache-2.0
//
// LevelCursor: walks the nodes of one level of one volume in one run, in order, and stops at those
// of which a version is visible, at the newest such version. It passes over other versions without
// looking at each of them.
//
// One scheduler's thread. What it refers to must outlive it.
#pragma once

#include "journal/index/run.h"

namespace journal::index {

class LevelCursor {
 public:
  enum class State {
    kWaiting,  // not there yet: load what is missing, or let others run, then settle
    kAt,
    kEnd,
  };

  // Nodes in [first_node, end_node) of `tree`; the intervals meet the run.
  LevelCursor(const Run& run, std::uint64_t tree, std::uint64_t first_node, std::uint64_t end_node,
              Intervals intervals);

  State state() const { return state_; }
  // Goes on, from kWaiting, to the first node that has something. Looks at a bounded number of
  // rows.
  State settle(PageReader& pages);
  // From kAt, to the next one.
  State advance(PageReader& pages);

  // While kAt:
  std::uint64_t node() const { return node_; }
  Lsn lsn() const { return lsn_; }
  Entry entry() const { return entry_at(rows_, row_); }

 private:
  State end();
  State wait() { return state_ = State::kWaiting; }
  bool find_page(PageReader& pages);
  void enter(CachedPage* page, unsigned row);
  void skip();

  const Run* run_;
  std::uint64_t tree_;
  std::uint64_t end_node_;
  Intervals intervals_;

  State state_ = State::kWaiting;
  Run::EntryKey key_;    // nothing below it is wanted
  bool seeking_ = true;  // the leaf is not known
  std::uint32_t leaf_ = 0;
  std::uint32_t ahead_ = 0;  // pages to be read together with the next one
  CachedPageRef page_;       // of leaf_; null: to be found
  PackedPage rows_;
  unsigned row_count_ = 0;
  unsigned row_ = 0;
  std::uint64_t node_ = 0;
  Lsn lsn_{};
};

}  // namespace journal::index
