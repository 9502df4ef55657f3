// SPDX-License-Identifier: Apache-2.0
#include "journal/frame_builder.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <unordered_map>

#include "cdp/base/planted_bug.h"
#include "cdp/io/signal.h"
#include "cdp/io/worker_pool.h"
#include "journal/activity.h"

namespace journal {
namespace {

// A worker's jobs, and what it does of one before it lets others run.
constexpr std::size_t kClassifyPart = 128;  // blocks
constexpr std::size_t kClassifyStep = 32;
constexpr std::size_t kStorePart = 4;       // runs
constexpr std::size_t kOpsPerBlock = 4;     // changes of a small frame, for each block it may have
constexpr std::size_t kRunsOfARead = 4;     // to compare with, side by side
constexpr std::uint32_t kListsOfReads = 4;  // one of so many reads may be of a list
constexpr std::size_t kSparseTry = 8;       // of so many runs, one is tried
// Compressed runs that save less than 6 % are stored raw: reading them is faster.
constexpr std::size_t worthwhile(std::size_t raw_bytes) { return raw_bytes / 100 * 94; }

bool follows(const BlockPlace& before, const BlockPlace& run) {
  return run.segment == before.segment && run.run_offset == before.run_offset + before.run_bytes;
}
bool lies_in(const BlockPlace& run, const BuiltFrame* frame) {
  return frame != nullptr && frame->header.segment == run.segment &&
         run.run_offset >= frame->header.offset &&
         run.run_offset - frame->header.offset < frame->header.total_bytes;
}

}  // namespace

Stamp stamp_of(const Op& op) {
  return std::visit([](const auto& of) { return of.stamp; }, op);
}

void OpenFrame::add(Op op, std::uint32_t op_blocks, std::uint64_t op_record_bytes,
                    std::uint64_t bound, Nanos now) {
  const Nanos time = stamp_of(op).time;
  if (ops.empty()) {
    opened = now;
    min_time = max_time = time;
  }
  min_time = std::min(min_time, time);
  max_time = std::max(max_time, time);
  blocks += op_blocks;
  record_bytes += op_record_bytes;
  bytes_bound += bound;
  ops.push_back(std::move(op));
}

void apply_ops(JournalState& state, const OpenFrame& frame) {
  for (const Op& op : frame.ops) {
    std::visit(
        [&state](const auto& of) {
          using Type = std::decay_t<decltype(of)>;
          if constexpr (std::is_same_v<Type, WriteOp> || std::is_same_v<Type, ZeroRecord>)
            state.advance(of.stamp);
          else
            state.apply(of);
        },
        op);
  }
}

std::uint64_t frame_bytes_bound(std::uint64_t blocks) {
  // Were every block alone in a run, and every change alone in a frame.
  const std::uint64_t records = blocks == 0 ? kControlRecordBound : write_record_bound(blocks);
  const std::uint64_t data = blocks * (cdp::kBlockBytes + kRunHeaderBytes + kRunEntryBytes);
  return cdp::round_up(kFrameHeaderBytes + records + data, kAppendUnit);
}

std::size_t encode_run_payload(std::span<const std::byte* const> blocks, std::optional<int> level,
                               std::span<std::byte> into, Codec& codec) {
  const std::size_t raw_bytes = blocks.size() * cdp::kBlockBytes;
  CHECK(blocks.size() <= kRunBlocksMax && into.size() >= kRunHeaderBytes + raw_bytes);
  std::byte* const payload = into.data() + kRunHeaderBytes;
  if (level.has_value()) {
    struct Workspace {
      std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context{ZSTD_createCCtx(),
                                                                   &ZSTD_freeCCtx};
      std::vector<std::byte> blocks = std::vector<std::byte>(kRunBlocksMax * cdp::kBlockBytes);
    };
    thread_local Workspace workspace;
    const std::byte* source = blocks.front();
    if (blocks.size() > 1) {
      for (std::size_t i = 0; i < blocks.size(); ++i)
        std::memcpy(workspace.blocks.data() + i * cdp::kBlockBytes, blocks[i], cdp::kBlockBytes);
      source = workspace.blocks.data();
    }
    const std::size_t stored = ZSTD_compressCCtx(workspace.context.get(), payload,
                                                 worthwhile(raw_bytes), source, raw_bytes, *level);
    if (!ZSTD_isError(stored)) {
      codec = Codec::kZstd;
      return kRunHeaderBytes + stored;
    }
  }
  for (std::size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(payload + i * cdp::kBlockBytes, blocks[i], cdp::kBlockBytes);
  codec = Codec::kRaw;
  return kRunHeaderBytes + raw_bytes;
}

FrameBuilder::FrameBuilder(cdp::Scheduler& scheduler, const Vault& vault, DedupTable& table,
                           SparseIndex& old_blocks, BlockReader& reader,
                           FrameBuilderOptions options)
    : scheduler_(scheduler),
      vault_(vault),
      table_(table),
      old_blocks_(old_blocks),
      reader_(reader),
      options_(options) {
  CHECK(options_.run_blocks > 0 && options_.run_blocks <= kRunBlocksMax);
}

// Runs `work`, on a worker where it would hold the scheduler's thread up.
Task<void> FrameBuilder::run(std::function<void()> work) {
  if (is_small_) {
    work();
    co_return;
  }
  co_await cdp::on_worker(scheduler_, std::move(work));
}

template <typename Part>
Task<void> FrameBuilder::in_parts(std::size_t count, std::size_t part_size, Part part) {
  if (is_small_) {
    part(std::size_t{0}, count);
    co_return;
  }
  cdp::TaskGroup group(scheduler_);
  for (std::size_t from = 0; from < count; from += part_size) {
    const std::size_t to = std::min(count, from + part_size);
    group.spawn(run([&part, from, to] { part(from, to); }));
  }
  co_await group.join();
}

Task<BuiltFrame> FrameBuilder::build(OpenFrame& frame, FrameEffort effort, AlignedBuffer buffer,
                                     std::shared_ptr<const BuiltFrame> in_flight) {
  BuiltFrame built;
  built.buffer = std::move(buffer);
  is_small_ = frame.blocks <= options_.inline_blocks &&
              frame.ops.size() <= kOpsPerBlock * options_.inline_blocks;
  if (table_.wants_to_grow()) co_await cdp::on_worker(scheduler_, [this] { table_.grow(); });
  flatten(frame);
  co_await in_parts(blocks_.size(), kClassifyPart,
                    [this](std::size_t from, std::size_t to) { classify(from, to); });
  for (Op& op : frame.ops)
    if (auto* write = std::get_if<WriteOp>(&op)) write->previous.clear();
  co_await find_by_hooks(effort.dedup_reads, built.counts);
  co_await find_duplicates(effort.dedup_reads, in_flight.get(), built.counts);
  co_await run([this, &frame, &built] { lay_out(frame, built); });
  co_await store_runs(built, effort.level);
  for (const RunEntry& entry : built.runs) built.header.data_bytes += entry.stored_bytes;
  built.header.total_bytes =
      static_cast<std::uint32_t>(cdp::round_up(built.header.used_bytes(), kAppendUnit));
  co_return std::move(built);
}

// One entry for each block of each write, in the order of the frame.
void FrameBuilder::flatten(const OpenFrame& frame) {
  blocks_.clear();
  for (const Op& op : frame.ops) {
    const auto* write = std::get_if<WriteOp>(&op);
    if (write == nullptr) continue;
    for (std::size_t i = 0; i < write->pages.size(); ++i) {
      Block block;
      block.data = write->pages[i].data();
      if (i < write->previous.size() && write->previous[i])
        block.previous = write->previous[i].data();
      blocks_.push_back(block);
    }
  }
  fingerprints_.resize(blocks_.size());
}

void FrameBuilder::classify(std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    if (i % kClassifyStep == 0) cdp::let_others_run();
    Block& block = blocks_[i];
    const std::span<const std::byte, cdp::kBlockBytes> data(block.data, cdp::kBlockBytes);
    if (block.previous != nullptr &&
        (block.previous == block.data ||
         std::memcmp(block.data, block.previous, cdp::kBlockBytes) == 0)) {
      block.fate = Fate::kSame;
    } else if (all_zero(data)) {
      block.fate = Fate::kZero;
    } else {
      fingerprints_[i] = options_.fingerprint(vault_.secret, data);
      std::optional<BlockPlace> place = table_.find(fingerprints_[i]);
      if (!place.has_value()) place = old_blocks_.find(fingerprints_[i]);
      block.fate = place.has_value() ? Fate::kCandidate : Fate::kNew;
      if (place.has_value()) block.place = *place;
    }
  }
}

// Of blocks that are not known, those that are hooks say which frames' lists are worth reading.
// All blocks are looked up in these: a run of duplicates has blocks before its hook, too.
Task<void> FrameBuilder::find_by_hooks(std::uint32_t reads, FrameCounts& counts) {
  std::map<FramePosition, std::uint32_t> hits;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].fate != Fate::kNew || !HookIndex::is_hook(fingerprints_[i])) continue;
    const std::optional<FramePosition> frame = old_blocks_.frame_of(fingerprints_[i]);
    if (frame.has_value()) ++hits[*frame];
  }
  std::vector<FramePosition> frames;
  for (const auto& [frame, count] : hits) frames.push_back(frame);
  std::stable_sort(frames.begin(), frames.end(),
                   [&hits](const auto& a, const auto& b) { return hits[a] > hits[b]; });
  if (frames.size() > reads / kListsOfReads) frames.resize(reads / kListsOfReads);
  if (frames.empty()) co_return;
  counts.reads += static_cast<std::uint32_t>(frames.size());
  const std::vector<SparseIndex::List> lists = co_await old_blocks_.read(std::move(frames));
  // A list is long, even where the frame is not.
  co_await cdp::on_worker(scheduler_, [this, &lists] {
    for (const SparseIndex::List& list : lists) {
      old_blocks_.remember(list);
      for (std::size_t i = 0; i < blocks_.size(); ++i) {
        if (blocks_[i].fate != Fate::kNew) continue;
        const std::optional<BlockPlace> place = old_blocks_.find(fingerprints_[i]);
        if (!place.has_value()) continue;
        blocks_[i].fate = Fate::kCandidate;
        blocks_[i].place = *place;
      }
      cdp::let_others_run();
    }
  });
}

Task<void> FrameBuilder::find_duplicates(std::uint32_t reads, const BuiltFrame* in_flight,
                                         FrameCounts& counts) {
  // Candidates by run, since one read serves all of a run, and of runs that lie side by side.
  std::map<std::pair<std::uint32_t, std::uint32_t>, Candidates> by_run;
  for (std::uint32_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].fate != Fate::kCandidate) continue;
    const BlockPlace& place = blocks_[i].place;
    Candidates& candidates = by_run[{place.segment, place.run_offset}];
    if (candidates.runs.empty()) {
      candidates.runs.push_back(place);
      candidates.runs.front().index = 0;
    }
    candidates.blocks.push_back(i);
  }
  std::vector<Candidates> groups;
  for (auto& [key, candidates] : by_run) {
    if (!groups.empty() && groups.back().runs.size() < kRunsOfARead &&
        follows(groups.back().runs.back(), candidates.runs.front())) {
      Candidates& group = groups.back();
      group.runs.push_back(candidates.runs.front());
      group.blocks.insert(group.blocks.end(), candidates.blocks.begin(), candidates.blocks.end());
    } else {
      groups.push_back(std::move(candidates));
    }
  }
  // The most promising ones first; what is over the budget is stored once more.
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.blocks.size() > b.blocks.size(); });
  cdp::TaskGroup comparing(scheduler_);
  for (const Candidates& group : groups) {
    const bool in_memory = std::ranges::all_of(group.runs, [&](const BlockPlace& run) {
      return lies_in(run, in_flight) || reader_.cached(run) != nullptr;
    });
    if (!in_memory && counts.reads == reads) continue;
    if (!in_memory) ++counts.reads;
    comparing.spawn(compare(&group, in_flight, &counts));
  }
  co_await comparing.join();
}

// Compares the candidates with the blocks of the runs that hold them.
Task<void> FrameBuilder::compare(const Candidates* candidates, const BuiltFrame* in_flight,
                                 FrameCounts* counts) {
  std::vector<RunRef> runs;
  if (lies_in(candidates->runs.front(), in_flight)) {
    for (const BlockPlace& place : candidates->runs) {
      const std::size_t at = place.run_offset - in_flight->header.offset;
      Result<std::vector<std::byte>> blocks = decode_run(
          vault_, place.segment, place.run_offset, in_flight->bytes().subspan(at, place.run_bytes));
      CHECK(blocks.ok());
      runs.push_back(std::make_shared<const Run>(*std::move(blocks)));
    }
  } else {
    Result<std::vector<RunRef>> read = co_await reader_.runs(candidates->runs);
    if (!read.ok()) co_return;  // they cannot be compared, so they are not shared
    runs = *std::move(read);
  }
  for (const std::uint32_t i : candidates->blocks) {
    Block& block = blocks_[i];
    std::size_t of = 0;
    while (candidates->runs[of].run_offset != block.place.run_offset) ++of;
    if (block.place.index < runs[of]->block_count() &&
        (std::memcmp(runs[of]->block(block.place.index).data(), block.data, cdp::kBlockBytes) ==
             0 ||
         cdp::planted(cdp::PlantedBug::kFingerprintsAreTrusted))) {
      block.fate = Fate::kReference;
    } else {
      ++counts->mismatches;
    }
  }
}

// All of the frame up to its runs' payloads. Every run has its own room, as if none compressed;
// seal_frame closes the gaps.
void FrameBuilder::lay_out(const OpenFrame& frame, BuiltFrame& built) {
  number_new_blocks(built.counts);
  encode_records(frame, built);
  const std::size_t run_count =
      (new_blocks_.size() + options_.run_blocks - 1) / options_.run_blocks;
  built.header.kind = FrameKind::kRecords;
  built.header.record_count = records_.count();
  built.header.record_bytes = static_cast<std::uint32_t>(records_.bytes().size());
  built.header.run_count = static_cast<std::uint32_t>(run_count);
  built.header.first_lsn = frame.first_lsn();
  built.header.last_lsn = frame.last_lsn();
  built.header.min_time = frame.min_time;
  built.header.max_time = frame.max_time;

  const std::uint64_t data_at = built.header.metadata_end();
  const std::uint64_t raw_bytes =
      new_blocks_.size() * cdp::kBlockBytes + run_count * kRunHeaderBytes;
  const std::uint64_t total = cdp::round_up(data_at + raw_bytes, kAppendUnit);
  CHECK(total <= kFrameBytesMax);
  built.buffer.reserve(total);
  std::memcpy(built.buffer.data() + kFrameHeaderBytes, records_.bytes().data(),
              records_.bytes().size());
  built.runs.resize(run_count);
  built.codecs.resize(run_count);
  built.entropies.assign(run_count, PulseRecord::kUnknown);
  for (std::size_t i = 0; i < run_count; ++i) {
    const std::size_t first = i * options_.run_blocks;
    built.runs[i] = {.offset = static_cast<std::uint32_t>(data_at + first * cdp::kBlockBytes +
                                                          i * kRunHeaderBytes),
                     .first_block = static_cast<std::uint32_t>(first),
                     .block_count = static_cast<std::uint16_t>(
                         std::min<std::size_t>(options_.run_blocks, new_blocks_.size() - first))};
  }
  built.fingerprints.reserve(new_blocks_.size());
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    if (blocks_[i].fate == Fate::kNew) built.fingerprints.push_back(fingerprints_[i]);
}

void FrameBuilder::number_new_blocks(FrameCounts& counts) {
  new_blocks_.clear();
  std::unordered_map<Fingerprint, std::uint32_t> stored;  // in this frame
  stored.reserve(blocks_.size());
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = blocks_[i];
    switch (block.fate) {
      case Fate::kZero:
        ++counts.zero;
        continue;
      case Fate::kSame:
        ++counts.same;
        continue;
      case Fate::kReference:
        ++counts.duplicate;
        continue;
      default:
        break;
    }
    const auto number = static_cast<std::uint32_t>(new_blocks_.size());
    const auto [found, first] = stored.try_emplace(fingerprints_[i], number);
    if (!first) {
      if (std::memcmp(new_blocks_[found->second], block.data, cdp::kBlockBytes) == 0 ||
          cdp::planted(cdp::PlantedBug::kFingerprintsAreTrusted)) {
        block.fate = Fate::kRepeat;
        block.number = found->second;
        ++counts.duplicate;
        continue;
      }
      ++counts.mismatches;
    }
    block.fate = Fate::kNew;
    block.number = number;
    new_blocks_.push_back(block.data);
    ++counts.stored;
  }
}

void FrameBuilder::encode_records(const OpenFrame& frame, BuiltFrame& built) {
  records_.clear({.lsn = frame.first_lsn(), .time = frame.min_time});
  std::size_t first = 0;
  for (const Op& op : frame.ops) {
    std::visit(
        [&](const auto& of) {
          if constexpr (std::is_same_v<std::decay_t<decltype(of)>, WriteOp>) {
            encode_write(of, first);
            const auto of_write = std::span(blocks_).subspan(first, of.pages.size());
            built.stored_of_writes.push_back(static_cast<std::uint32_t>(std::ranges::count_if(
                of_write, [](const Block& block) { return block.fate == Fate::kNew; })));
            first += of.pages.size();
          } else {
            records_.add(of);
          }
        },
        op);
  }
}

void FrameBuilder::encode_write(const WriteOp& op, std::size_t first) {
  const auto kind_of = [](Fate fate) {
    switch (fate) {
      case Fate::kZero:
        return PieceKind::kZero;
      case Fate::kSame:
        return PieceKind::kSame;
      case Fate::kReference:
        return PieceKind::kReference;
      case Fate::kRepeat:
        return PieceKind::kRepeat;
      default:
        return PieceKind::kNew;
    }
  };
  pieces_.clear();
  for (std::size_t i = first; i < first + op.pages.size(); ++i) {
    const Block& block = blocks_[i];
    const PieceKind kind = kind_of(block.fate);
    const bool has_fingerprint = kind == PieceKind::kNew || kind == PieceKind::kReference;
    StoredPiece* const last = pieces_.empty() ? nullptr : &pieces_.back();
    bool extends = last != nullptr && last->kind == kind && last->count < UINT16_MAX;
    if (extends && (kind == PieceKind::kNew || kind == PieceKind::kRepeat))
      extends = block.number == last->first_new + last->count;
    if (extends && kind == PieceKind::kReference)
      extends = block.place.segment == last->place.segment &&
                block.place.run_offset == last->place.run_offset &&
                block.place.index == last->place.index + last->count;
    if (extends) {
      ++last->count;
      if (has_fingerprint)
        last->fingerprints = {last->fingerprints.data(), last->fingerprints.size() + 1};
      continue;
    }
    StoredPiece piece{.kind = kind, .count = 1};
    if (kind == PieceKind::kNew || kind == PieceKind::kRepeat) piece.first_new = block.number;
    if (kind == PieceKind::kReference) piece.place = block.place;
    if (has_fingerprint) piece.fingerprints = std::span(fingerprints_).subspan(i, 1);
    pieces_.push_back(piece);
  }
  records_.write(op.volume, op.stamp, op.first_block, pieces_);
}

Task<void> FrameBuilder::store_runs(BuiltFrame& built, std::optional<int> level) {
  BuiltFrame* const frame = &built;
  co_await in_parts(built.runs.size(), kStorePart,
                    [this, frame, level](std::size_t from, std::size_t to) {
                      for (std::size_t i = from; i < to; ++i) {
                        store_run(*frame, i, level);
                        cdp::let_others_run();
                      }
                    });
  runs_stored_ += built.runs.size();
  if (level.has_value() && !built.runs.empty())
    sparse_ = std::all_of(built.codecs.begin(), built.codecs.end(),
                          [](Codec codec) { return codec == Codec::kRaw; });
}

void FrameBuilder::store_run(BuiltFrame& built, std::size_t run, std::optional<int> level) const {
  RunEntry& entry = built.runs[run];
  if (sparse_ && (runs_stored_ + run) % kSparseTry != 0) level.reset();
  const std::size_t room = kRunHeaderBytes + entry.block_count * cdp::kBlockBytes;
  entry.stored_bytes = static_cast<std::uint32_t>(
      encode_run_payload(std::span(new_blocks_).subspan(entry.first_block, entry.block_count),
                         level, {built.buffer.data() + entry.offset, room}, built.codecs[run]));
  if ((runs_stored_ + run) % kEntropyEvery == 0)
    built.entropies[run] = entropy_of(std::span<const std::byte, cdp::kBlockBytes>(
        new_blocks_[entry.first_block], cdp::kBlockBytes));
}

Task<void> FrameBuilder::finish(BuiltFrame& built, FramePlace place) {
  co_await run([this, &built, &place] {
    seal_frame(built, place, vault_);
    for (const RunEntry& entry : built.runs) {
      table_.begin_run(place.segment, built.header.offset + entry.offset, entry.stored_bytes);
      for (std::uint16_t i = 0; i < entry.block_count; ++i)
        table_.insert(built.fingerprints[entry.first_block + i], i);
    }
  });
}

}  // namespace journal
