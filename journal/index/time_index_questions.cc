// SPDX-License-Identifier: Apache-2.0
//
// What a time index is asked.
#include <algorithm>
#include <bitset>
#include <map>
#include <span>
#include <type_traits>
#include <utility>

#include "journal/index/filter.h"
#include "journal/index/history_reader.h"
#include "journal/index/time_index.h"

namespace journal::index {
namespace {

// Frames of which the pulses are held at once, beside those in the cache.
constexpr std::size_t kPulseFramesAtOnce = 4096;
constexpr std::size_t kAuditFramesAtOnce = 128;
// Changes that are found by their frames rather than by a scan: so many at most, of so many frames,
// and fewer than one to so many entries of the runs that would be scanned.
constexpr std::uint64_t kFewLsns = 65'536;
constexpr std::size_t kFewFrames = 1024;
constexpr std::uint64_t kScannedAsOneLsn = 64;
// Frames that cannot be read, after which an answer ends.
constexpr std::size_t kLostMax = 64;
constexpr std::uint16_t kAuditOrDamage = FrameRow::kAudit | FrameRow::kDamaged;

// What frames have of pulses, or of audits, by frame.
template <typename Record>
class RecordsByFrame final : public RecordVisitor {
 public:
  struct Frame {
    std::vector<Record> records{};  // oldest first
    std::optional<Damage> damage{};
  };

  bool on_frame(const FrameInfo&) override {
    frames.emplace_back();
    return true;
  }
  void on_pulse(const PulseRecord& pulse) override { add(pulse); }
  void on_audit(const AuditRecord& audit) override { add(audit); }
  void on_damage(const Damage& damage) override { frames.back().damage = damage; }

  std::vector<Frame> frames;

 private:
  template <typename Of>
  void add(const Of& record) {
    if constexpr (std::is_same_v<Of, Record>) frames.back().records.push_back(record);
  }
};

// In order of blocks, without overlaps.
std::vector<BlockRange> joined(std::vector<BlockRange> ranges) {
  std::ranges::sort(ranges, {}, &BlockRange::first_block);
  std::vector<BlockRange> all;
  for (const BlockRange& range : ranges) {
    const std::uint64_t end = range.first_block + range.block_count;
    if (!all.empty() && range.first_block <= all.back().first_block + all.back().block_count) {
      BlockRange& last = all.back();
      last.block_count = std::max(last.block_count, end - last.first_block);
    } else {
      all.push_back(range);
    }
  }
  return all;
}

// The frames that have AUDIT records and an LSN up to `upto`, newest first: of those that are
// gathered, then of the runs.
class AuditFrames {
 public:
  AuditFrames(const Snapshot& stored, std::span<const FrameRow> gathered, Lsn upto)
      : stored_(stored), gathered_(gathered), upto_(upto) {}

  Task<Result<std::optional<FrameRow>>> next() {
    while (!gathered_.empty()) {
      const FrameRow& row = gathered_.back();
      gathered_ = gathered_.first(gathered_.size() - 1);
      if ((row.flags & FrameRow::kAudit) != 0) co_return row;
    }
    Result<std::optional<FrameRow>> row = std::optional<FrameRow>();
    if (!is_within_) {
      is_within_ = true;
      row = co_await stored_.frame_at(upto_);
      if (!row.ok()) co_return row.error();
      const bool has_it = row->has_value() && (*row)->first_lsn <= upto_;
      if (!has_it || ((*row)->flags & FrameRow::kAudit) == 0) *row = std::nullopt;
    }
    if (!row->has_value()) {
      const LsnInterval older{{}, upto_};
      row = co_await stored_.last_frame(older, {.flags = FrameRow::kAudit});
      if (!row.ok()) co_return row.error();
    }
    if (row->has_value()) upto_ = {(*row)->first_lsn.value - 1};
    co_return *row;
  }

 private:
  const Snapshot& stored_;
  std::span<const FrameRow> gathered_;
  Lsn upto_;
  bool is_within_ = false;  // upto_ is before a frame's first LSN, or no frame with audits has it
};

}  // namespace

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
  co_return std::make_shared<const Snapshot>(scheduler_, all_runs(), static_cast<RunKeeper*>(this));
}

Task<Status> TimeIndex::settle() {
  for (;;) {
    if (behind_) {
      Status known = co_await catch_up(head_);
      if (!known.ok()) co_return known;
    } else if (making_run_) {
      co_await changed_.wait();
    } else {
      co_return Status();
    }
  }
}

Task<Status> TimeIndex::visit_pulses(PulseRecord::Step step, Nanos from, Nanos until,
                                     RecordVisitor& visitor) {
  const Question question(*this);
  Status settled = co_await settle();
  if (!settled.ok()) co_return settled;
  std::vector<FrameRow> gathered;
  for (const FrameRow& row : gathered_.frames()) {
    const bool may_be_in = (row.flags & FrameRow::kPulseOfOtherTime) != 0 ||
                           (row.max_time >= from && row.min_time <= until);
    if ((row.flags & FrameRow::pulse_flag(step)) != 0 && may_be_in) gathered.push_back(row);
  }
  const auto stored =
      std::make_shared<const Snapshot>(scheduler_, all_runs(), static_cast<RunKeeper*>(this));
  Result<std::vector<FrameRow>> frames = co_await stored->pulse_frames(step, from, until);
  if (!frames.ok()) co_return frames.error();
  frames->insert(frames->end(), gathered.begin(), gathered.end());
  HistoryReader reader(segments_, vault_, stored);
  for (std::size_t begin = 0; begin < frames->size(); begin += kPulseFramesAtOnce) {
    const std::size_t count = std::min(frames->size() - begin, kPulseFramesAtOnce);
    const std::span<const FrameRow> rows(frames->data() + begin, count);
    std::vector<PulseCache::Pulses> pulses;
    std::vector<FrameRow> unknown;
    for (const FrameRow& row : rows) {
      pulses.push_back(pulses_.find(row.last_lsn));
      if (pulses.back() == nullptr) unknown.push_back(row);
    }
    RecordsByFrame<PulseRecord> read;
    Status visited = co_await reader.visit_all(std::move(unknown), read);
    if (!visited.ok()) co_return visited;
    auto next = read.frames.begin();
    for (std::size_t i = 0; i < count; ++i) {
      if (pulses[i] == nullptr) {
        pulses[i] = std::make_shared<const std::vector<PulseRecord>>(std::move(next++->records));
        pulses_.add(rows[i].last_lsn, pulses[i]);
      }
      for (const PulseRecord& pulse : *pulses[i])
        if (pulse.step == step) visitor.on_pulse(pulse);
    }
  }
  co_return Status();
}

// From the newest frame on that has some.
Task<Result<TimeIndex::Audits>> TimeIndex::audits_before(Lsn before, std::size_t limit) {
  const Question question(*this);
  Status settled = co_await settle();
  if (!settled.ok()) co_return settled.error();
  const LsnInterval asked{{}, {std::max<std::uint64_t>(before.value, 1) - 1}};
  std::vector<FrameRow> gathered;
  for (const FrameRow& row : gathered_.frames())
    if ((row.flags & kAuditOrDamage) != 0 && row.first_lsn <= asked.upto) gathered.push_back(row);
  const auto stored =
      std::make_shared<const Snapshot>(scheduler_, all_runs(), static_cast<RunKeeper*>(this));
  AuditFrames frames(*stored, gathered, asked.upto);
  HistoryReader reader(segments_, vault_, stored);
  Audits found;
  for (bool is_end = false; !is_end && !found.before.has_value();) {
    std::vector<FrameRow> rows;
    const std::size_t wanted = std::min(kAuditFramesAtOnce, limit - found.records.size() + 1);
    while (!is_end && rows.size() < wanted) {
      Result<std::optional<FrameRow>> row = co_await frames.next();
      if (!row.ok()) co_return row.error();
      is_end = !row->has_value();
      if (!is_end) rows.push_back(**row);
    }
    RecordsByFrame<AuditRecord> read;
    static_cast<void>(co_await reader.visit_all(rows, read));  // the damage tells
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto& [audits, damage] = read.frames[i];
      if (found.records.size() == limit || found.lost.size() == kLostMax) {
        found.before = {rows[i].last_lsn.value + 1};
      } else {
        if (damage.has_value()) found.lost.push_back(*std::move(damage));
        std::erase_if(audits, [asked](const AuditRecord& of) { return of.stamp.lsn > asked.upto; });
        for (; !audits.empty() && found.records.size() < limit; audits.pop_back())
          found.records.push_back(std::move(audits.back()));
        if (!audits.empty()) found.before = found.records.back().stamp.lsn;
      }
      if (found.before.has_value()) break;
    }
  }
  LsnInterval told = asked;
  if (found.before.has_value()) told.after = {found.before->value - 1};
  Result<std::vector<FrameRow>> damaged = co_await stored->damaged_frames(told);
  if (!damaged.ok()) co_return damaged.error();
  damaged->insert(damaged->end(), gathered.begin(), gathered.end());
  for (const FrameRow& row : *damaged)
    if ((row.flags & FrameRow::kDamaged) != 0 && row.last_lsn > told.after)
      found.lost.push_back(damage_of(row));
  co_return found;
}

Task<Result<std::optional<std::vector<BlockRange>>>> TimeIndex::touched_by_few(Visibility changes) {
  const Question question(*this);
  std::uint64_t lsns = 0;
  Lsn newest{};
  for (const VisibleLayer& layer : changes) {
    for (const LsnInterval& interval : layer.intervals) {
      lsns += interval.upto.value - interval.after.value;
      newest = std::max(newest, interval.upto);
    }
  }
  std::vector<BlockRange> touched;
  if (lsns == 0) co_return touched;
  Result<std::shared_ptr<const Snapshot>> stored = co_await snapshot(newest);
  if (!stored.ok()) co_return stored.error();
  std::uint64_t scanned = 0;
  for (const RunPtr& run : *(*stored)->runs()) {
    const auto meets = [&run](const VisibleLayer& layer) {
      return !meeting(layer.intervals, run->covers()).empty();
    };
    if (std::any_of(changes.begin(), changes.end(), meets)) scanned += run->header().entries.rows;
  }
  if (lsns > kFewLsns || lsns > scanned / kScannedAsOneLsn) co_return std::nullopt;
  HistoryReader reader(segments_, vault_, *stored);
  for (const VisibleLayer& layer : changes) {
    for (const LsnInterval& interval : layer.intervals) {
      Result<std::vector<FrameRow>> frames = co_await (*stored)->frames_in(interval);
      if (!frames.ok()) co_return frames.error();
      if (frames->size() > kFewFrames) co_return std::nullopt;
      for (const FrameRow& row : *frames)
        if ((row.flags & FrameRow::kDamaged) != 0) co_return std::nullopt;
      Collector read;
      const Status visited = co_await reader.visit_all(*std::move(frames), read);
      if (!visited.ok()) co_return std::nullopt;
      for (const Entry& entry : read.entries()) {
        if (volume_of(entry.tree) != layer.volume || !interval.contains(entry.lsn)) continue;
        const unsigned level = level_of(entry.tree);
        touched.push_back({first_block_of(entry.node, level), first_block_of(1, level)});
      }
    }
  }
  co_return joined(std::move(touched));
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
