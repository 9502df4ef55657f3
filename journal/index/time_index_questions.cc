// SPDX-License-Identifier: Apache-2.0
//
// What a time index is asked.
#include <algorithm>
#include <bitset>
#include <map>
#include <utility>

#include "journal/index/filter.h"
#include "journal/index/history_reader.h"
#include "journal/index/time_index.h"

namespace journal::index {

Task<Result<std::shared_ptr<const Snapshot>>> TimeIndex::snapshot(Lsn lsn) {
  const Question question(*this);
  while (runs_upto() < lsn) {
    Status status;
    if (!behind_ && is_memory_full()) let_go();
    if (behind_)
      status = co_await catch_up(lsn);
    else if (learnt_ >= lsn)
      co_await make_run();
    else
      status = make_error(ERANGE, "the time index knows history up to LSN {}, not {}",
                          learnt_.value, lsn.value);
    if (!status.ok()) co_return status.error();
  }
  co_return std::make_shared<const Snapshot>(scheduler_, all_runs(),
                                                static_cast<RunKeeper*>(this));
}

Task<Status> TimeIndex::visit_pulses(PulseRecord::Step step, Nanos from, Nanos until,
                                     RecordVisitor& visitor) {
  const Question question(*this);
  for (;;) {
    if (behind_) {
      Status known = co_await catch_up(head_);
      if (!known.ok()) co_return known;
    } else if (making_run_) {
      co_await changed_.wait();
    } else {
      break;
    }
  }
  std::vector<FrameRow> gathered = gathered_.frames();
  std::erase_if(gathered, [&](const FrameRow& row) {
    if ((row.flags & FrameRow::pulse_flag(step)) == 0) return true;
    return (row.flags & FrameRow::kPulseOfOtherTime) == 0 &&
           (row.max_time < from || row.min_time > until);
  });
  const auto stored =
      std::make_shared<const Snapshot>(scheduler_, all_runs(), static_cast<RunKeeper*>(this));
  Result<std::vector<FrameRow>> frames = co_await stored->pulse_frames(step, from, until);
  if (!frames.ok()) co_return frames.error();
  frames->insert(frames->end(), gathered.begin(), gathered.end());
  HistoryReader reader(segments_, vault_, stored);
  co_return co_await reader.visit_all(*std::move(frames), visitor);
}

Task<Result<std::vector<bool>>> TimeIndex::held_data(std::vector<BlockBefore> blocks) {
  const Question question(*this);
  std::vector<bool> held(blocks.size());
  std::vector<bool> is_known(blocks.size());
  // What is gathered has no order but that of LSNs: all of it is looked through, most of it no
  // further than `wanted`.
  constexpr std::size_t kWantedBits = 1u << 16;
  std::bitset<kWantedBits> wanted;
  const auto bit_of = [](std::uint64_t tree, std::uint64_t node) {
    return FilterKey(tree, node).line_hash % kWantedBits;
  };
  std::multimap<std::pair<std::uint64_t, std::uint64_t>, std::size_t> by_node;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (unsigned level = 0; level < kLevels; ++level) {
      const std::pair key(tree_of(blocks[i].volume, level), node_of(blocks[i].block, level));
      wanted.set(bit_of(key.first, key.second));
      by_node.emplace(key, i);
    }
  }
  for (const Entry& entry : gathered_.entries()) {
    if (!wanted.test(bit_of(entry.tree, entry.node))) continue;
    const auto [from, to] = by_node.equal_range({entry.tree, entry.node});
    for (auto at = from; at != to; ++at) {
      if (entry.lsn >= blocks[at->second].lsn) continue;
      is_known[at->second] = true;
      held[at->second] = !entry.zero();
    }
  }
  const Snapshot stored(scheduler_, all_runs(), this);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (is_known[i] || blocks[i].lsn <= Lsn{1}) continue;
    VisibleLayer layer{.volume = blocks[i].volume};
    layer.intervals.push_back({{}, {blocks[i].lsn.value - 1}});
    const Visibility before(1, layer);
    BlockVersion version;
    Status found = co_await stored.lookup(before, blocks[i].block, std::span(&version, 1));
    if (!found.ok()) co_return found.error();
    held[i] = version.state == BlockState::kData;
  }
  co_return held;
}

// What was passed over may decide. What is gathered decides nothing where all of it is later.
Task<Result<std::shared_ptr<const Snapshot>>> TimeIndex::snapshot_for(Nanos time) {
  const Question question(*this);
  while (behind_) {
    Status known = co_await catch_up(head_);
    if (!known.ok()) co_return known.error();
  }
  const std::vector<FrameRow>& frames = gathered_.frames();
  const bool is_later = !behind_ && !making_run_ && !runs_.empty() &&
                        runs_.back().run->header().max_time > time &&
                        std::all_of(frames.begin(), frames.end(),
                                    [time](const FrameRow& row) { return row.min_time > time; });
  const Lsn needed = is_later ? runs_upto() : learnt_;
  Result<std::shared_ptr<const Snapshot>> taken = co_await snapshot(needed);
  co_return taken;
}

}  // namespace journal::index
