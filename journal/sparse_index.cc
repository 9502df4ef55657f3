// SPDX-License-Identifier: Apache-2.0
#include "journal/sparse_index.h"

#include <algorithm>
#include <utility>

#include "journal/record_codec.h"
#include "journal/segment_reader.h"

namespace journal {
namespace {

// The lists of four full frames at the least, and of some 250 at the most.
constexpr std::size_t kListBytesMin = 64u << 10;
constexpr std::size_t kListBytesMax = 4u << 20;
std::size_t list_bytes(std::size_t bytes) {
  return bytes == 0 ? 0 : std::clamp(bytes / 4, kListBytesMin, kListBytesMax);
}
// Reading segments behind the start leaves the disk to others: so much, then a pause.
constexpr std::uint64_t kReadAtOnceBytes = 256u << 10;
constexpr std::uint64_t kWindowBytes = 64u << 10;  // that a frame costs, at the most
constexpr Nanos kPause = cdp::milliseconds(20);

// Calls take(fingerprint, place) for each block that the frame stores.
template <typename Take>
Status visit_new_blocks(const FrameHeader& frame, const Vault& vault,
                        std::span<const std::byte> metadata, Take take) {
  Result<RecordDecoder> records = RecordDecoder::open(frame, vault, metadata);
  if (!records.ok()) return records.error();
  while (!records->at_end()) {
    Result<AnyRecord> record = records->next();
    if (!record.ok()) return record.error();
    const auto* write = std::get_if<WriteRecord>(&*record);
    if (write == nullptr) continue;
    for (const WritePiece& piece : write->pieces) {
      if (piece.kind != PieceKind::kNew) continue;
      BlockPlace place = piece.place;
      for (const Fingerprint& fingerprint : piece.fingerprints) {
        take(fingerprint, place);
        ++place.index;
      }
    }
  }
  return {};
}

}  // namespace

SparseIndex::SparseIndex(cdp::Scheduler& scheduler, cdp::Directory& segments, cdp::Directory* files,
                         const Vault& vault, BlockReader& reader, std::size_t bytes)
    : scheduler_(scheduler),
      segments_(segments),
      files_(files),
      vault_(vault),
      reader_(reader),
      hooks_(bytes - std::min(bytes, list_bytes(bytes))),
      lists_(list_bytes(bytes)),
      tasks_(scheduler) {}

// ---------------------------------------------------------------- lists

Task<std::vector<SparseIndex::List>> SparseIndex::read(std::vector<FramePosition> frames) {
  std::vector<List> lists(frames.size());
  cdp::TaskGroup reads(scheduler_);
  for (std::size_t i = 0; i < frames.size(); ++i) reads.spawn(read_one(frames[i], &lists[i]));
  co_await reads.join();
  co_return lists;
}

Task<void> SparseIndex::read_one(FramePosition frame, List* list) {
  const Result<FrameMetadata> read = co_await reader_.metadata(frame.segment, frame.offset);
  if (!read.ok() || read->header.kind != FrameKind::kRecords) co_return;
  co_await cdp::on_worker(scheduler_, [this, &read, list] {
    const Status visited =
        visit_new_blocks(read->header, vault_, read->metadata(),
                         [list](const Fingerprint& fingerprint, const BlockPlace& place) {
                           list->push_back({.fingerprint = fingerprint, .place = place});
                         });
    if (!visited.ok()) list->clear();
  });
}

void SparseIndex::remember(const List& list) {
  BlockPlace run;
  for (const ListedBlock& block : list) {
    if (block.place.segment != run.segment || block.place.run_offset != run.run_offset) {
      run = block.place;
      lists_.begin_run(run.segment, run.run_offset, run.run_bytes);
    }
    lists_.insert(block.fingerprint, block.place.index);
    if (lists_.wants_to_grow()) lists_.grow();
  }
}

// ---------------------------------------------------------------- hooks

void SparseIndex::learn(const FrameHeader& frame, std::span<const Fingerprint> new_blocks) {
  if (frame.segment != newest_.segment) {
    SegmentHooks before = std::exchange(newest_, SegmentHooks{.segment = frame.segment});
    if (files_ != nullptr && before.segment != 0) tasks_.spawn(save(std::move(before)));
  }
  for (const Fingerprint& fingerprint : new_blocks) {
    if (!HookIndex::is_hook(fingerprint)) continue;
    hooks_.insert(fingerprint, {.segment = frame.segment, .offset = frame.offset});
    if (files_ != nullptr)
      newest_.hooks.push_back({.fingerprint = fingerprint, .frame_offset = frame.offset});
  }
}

void SparseIndex::insert(const SegmentHooks& hooks) {
  for (const Hook& hook : hooks.hooks)
    hooks_.insert(hook.fingerprint, {.segment = hooks.segment, .offset = hook.frame_offset});
}

void SparseIndex::start(std::uint32_t newest, std::vector<Hook> hooks) {
  newest_ = {.segment = newest, .hooks = std::move(hooks)};
  insert(newest_);
  if (files_ != nullptr && newest > 1) tasks_.spawn(load(newest));
}

Task<void> SparseIndex::stop() {
  stopping_ = true;
  co_await tasks_.join();
}

// Those before the newest, which is known, from the newer ones on.
Task<void> SparseIndex::load(std::uint32_t newest) {
  for (std::uint32_t segment = newest - 1; segment > 0 && !stopping_; --segment)
    co_await load_segment(segment);
}

Task<void> SparseIndex::load_segment(std::uint32_t segment) {
  Result<SegmentHooks> end = co_await ended(segment);
  if (!end.ok()) co_return;
  std::string name = hook_file_name(segment);
  const Result<std::vector<std::byte>> bytes = co_await files_->read_small(std::move(name));
  if (bytes.ok()) {
    const Result<SegmentHooks> saved = decode_hooks(*bytes, vault_);
    if (saved.ok() && saved->segment == segment && saved->length == end->length &&
        saved->digest == end->digest) {
      insert(*saved);
      co_return;
    }
  }
  const Status collected = co_await collect(*end);
  if (!collected.ok() || stopping_) co_return;
  insert(*end);
  co_await save(*std::move(end));
}

Task<Result<SegmentHooks>> SparseIndex::ended(std::uint32_t segment) {
  Result<std::unique_ptr<cdp::Disk>> disk =
      co_await segments_.open(segment_name(segment + 1), cdp::OpenMode::kReadOnly);
  if (!disk.ok()) co_return disk.error();
  const Result<LoadedSegmentHeader> next =
      co_await read_segment_header(**disk, vault_, segment + 1);
  if (!next.ok()) co_return next.error();
  co_return SegmentHooks{.segment = segment,
                         .length = next->header.previous_length,
                         .digest = next->header.previous_digest};
}

Task<Status> SparseIndex::collect(SegmentHooks& of) {
  Result<std::unique_ptr<cdp::Disk>> disk =
      co_await segments_.open(segment_name(of.segment), cdp::OpenMode::kReadOnly);
  if (!disk.ok()) co_return disk.error();
  const Result<LoadedSegmentHeader> header =
      co_await read_segment_header(**disk, vault_, of.segment);
  if (!header.ok()) co_return header.error();
  SegmentReader reader(**disk, vault_, *header, of.length);
  std::uint64_t read_bytes = 0;
  while (!stopping_) {
    const Result<bool> there = co_await reader.next();
    if (!there.ok()) co_return there.error();
    if (!*there) break;
    if (reader.frame().kind != FrameKind::kRecords) continue;
    const Result<std::span<const std::byte>> metadata = co_await reader.metadata();
    if (!metadata.ok()) co_return metadata.error();
    // What of a frame cannot be read is not found again: nothing else comes of it.
    static_cast<void>(visit_new_blocks(
        reader.frame(), vault_, *metadata,
        [&of, &reader](const Fingerprint& fingerprint, const BlockPlace&) {
          if (HookIndex::is_hook(fingerprint))
            of.hooks.push_back({.fingerprint = fingerprint, .frame_offset = reader.frame().offset});
        }));
    read_bytes += std::min<std::uint64_t>(reader.frame().total_bytes, kWindowBytes);
    if (read_bytes < kReadAtOnceBytes) continue;
    read_bytes = 0;
    co_await cdp::sleep_for(scheduler_, kPause);
  }
  co_return Status();
}

// A file that could not be written is made at a later start.
Task<void> SparseIndex::save(SegmentHooks hooks) {
  const Result<SegmentHooks> end = co_await ended(hooks.segment);
  if (!end.ok()) co_return;
  hooks.length = end->length;
  hooks.digest = end->digest;
  std::string name = hook_file_name(hooks.segment);
  std::vector<std::byte> bytes = encode_hooks(hooks, vault_);
  const Status written = co_await files_->write_small(std::move(name), std::move(bytes));
  static_cast<void>(written.ok());
}

}  // namespace journal
