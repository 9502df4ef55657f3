// SPDX-License-Identifier: Apache-2.0
#include "journal/verify.h"

#include <algorithm>

#include "journal/block_reader.h"
#include "journal/format.h"
#include "journal/record_codec.h"
#include "journal/segment_reader.h"

namespace journal {
namespace {

class Verifier {
 public:
  Verifier(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault, VerifyOptions options)
      : scheduler_(scheduler),
        segments_(segments),
        vault_(vault),
        options_(std::move(options)),
        blocks_(scheduler, segments, vault, {.cache_bytes = 16u << 20, .open_segments = 32}) {}

  Task<Result<VerifyReport>> run();

 private:
  Task<Status> check_segment(const SegmentInfo& info);
  Task<void> check_frame(SegmentReader& reader);
  Task<void> check_body(SegmentReader& reader);
  Task<void> check_records(FrameHeader frame, std::vector<std::byte> metadata);
  Task<void> check_piece(WritePiece piece);
  // The digest that the next segment must carry, for a segment that ended at `end`.
  void check_link(const SegmentHeader& header);
  void problem(std::string what);
  bool is_cancelled() const { return options_.is_cancelled && options_.is_cancelled(); }

  cdp::Scheduler& scheduler_;
  cdp::Directory& segments_;
  const Vault vault_;
  const VerifyOptions options_;
  BlockReader blocks_;
  VerifyReport report_;

  // Of the segment before the one that is looked at.
  bool any_ = false;
  Digest last_digest_{};
  std::uint64_t last_end_ = 0;
  std::uint64_t next_sequence_ = 0;
  bool last_was_footer_ = false;
  bool damaged_ = false;  // in it, the chain broke already
};

void Verifier::problem(std::string what) {
  if (report_.problems.size() < VerifyReport::kMaxProblems) {
    report_.problems.push_back(std::move(what));
  } else {
    ++report_.problems_left_out;
  }
}

Task<Result<VerifyReport>> Verifier::run() {
  Result<std::unique_ptr<VaultReader>> reader =
      co_await VaultReader::open(scheduler_, segments_, vault_);
  if (!reader.ok()) co_return reader.error();
  const std::vector<SegmentInfo> infos = (*reader)->segments();
  std::uint64_t total = 0;
  for (const SegmentInfo& info : infos) total += info.length_bytes;
  for (const SegmentInfo& info : infos) {
    Status checked = co_await check_segment(info);
    if (is_cancelled()) co_return make_error(ECANCELED, "the verification was cancelled");
    if (!checked.ok()) problem(checked.error().message);
    ++report_.segments;
    ++report_.unsigned_segments;
    report_.bytes += last_end_;
    if (options_.progress) options_.progress(std::min(report_.bytes, total), total);
  }
  co_return report_;
}

void Verifier::check_link(const SegmentHeader& header) {
  const std::string name = segment_name(header.segment);
  if (!any_) return;
  if (header.previous_length != last_end_)
    problem(
        fmt::format("{} says that the segment before it ends at byte {}, but its frames end at "
                    "byte {}",
                    name, header.previous_length, last_end_));
  else if (header.previous_digest != last_digest_)
    problem(
        fmt::format("the chain is broken at {}: the digest it carries is not that of the "
                    "segment before it",
                    name));
  else if (header.first_sequence != next_sequence_)
    problem(fmt::format("the frames of {} do not continue the numbering", name));
  else if (last_was_footer_ != (header.previous_end == PreviousEnd::kSealed))
    problem(fmt::format("{} contradicts the segment before it about how that ended", name));
}

Task<Status> Verifier::check_segment(const SegmentInfo& info) {
  std::string name = segment_name(info.number);
  Result<std::unique_ptr<cdp::Disk>> disk =
      co_await segments_.open(std::move(name), cdp::OpenMode::kReadOnly);
  if (!disk.ok()) co_return disk.error();
  Result<LoadedSegmentHeader> header = co_await read_segment_header(**disk, vault_, info.number);
  if (!header.ok()) co_return header.error();
  if (!damaged_) check_link(header->header);
  const bool newest = info.end == SegmentInfo::End::kOpen;
  SegmentReader reader(**disk, vault_, *header,
                       newest ? std::nullopt : std::optional(info.length_bytes));
  damaged_ = false;
  bool any_state = false;
  for (;;) {
    Result<bool> there = co_await reader.next();
    if (!there.ok()) co_return there.error();
    if (reader.damage().has_value()) {
      problem(reader.damage()->what);
      damaged_ = true;
    }
    if (!*there || is_cancelled()) break;
    any_state = any_state || reader.frame().kind == FrameKind::kState;
    last_was_footer_ = reader.frame().kind == FrameKind::kFooter;
    next_sequence_ = reader.frame().sequence + 1;
    co_await check_frame(reader);
  }
  if (!any_state) problem(fmt::format("{} does not open with a state", segment_name(info.number)));
  any_ = true;
  last_digest_ = reader.digest();
  last_end_ = reader.position();
  report_.bytes_read += options_.deep ? last_end_ : 0;
  co_return Status();
}

Task<void> Verifier::check_frame(SegmentReader& reader) {
  ++report_.frames;
  const FrameHeader frame = reader.frame();
  report_.last_lsn = std::max(report_.last_lsn, frame.last_lsn);
  if (options_.deep) co_await check_body(reader);
  Result<std::span<const std::byte>> metadata = co_await reader.metadata();
  if (!metadata.ok()) {
    problem(metadata.error().message);
    co_return;
  }
  if (!options_.deep) report_.bytes_read += metadata->size() + kFrameHeaderBytes;
  co_await check_records(frame, std::vector<std::byte>(metadata->begin(), metadata->end()));
}

Task<void> Verifier::check_body(SegmentReader& reader) {
  const FrameHeader frame = reader.frame();
  Result<std::span<const std::byte>> all = co_await reader.whole();
  if (!all.ok()) {
    problem(all.error().message);
    co_return;
  }
  const std::span<const std::byte> bytes = *all;
  Status body;
  co_await cdp::on_worker(scheduler_, [this, &body, &frame, bytes] {
    body = check_frame_body(frame, vault_, bytes, true);
  });
  if (!body.ok()) problem(body.error().message);
  report_.runs += frame.run_count;
}

Task<void> Verifier::check_records(FrameHeader frame, std::vector<std::byte> metadata) {
  Result<RecordDecoder> records = RecordDecoder::open(frame, vault_, metadata);
  if (!records.ok()) {
    problem(records.error().message);
    co_return;
  }
  while (!records->at_end()) {
    Result<AnyRecord> record = records->next();
    if (!record.ok()) {
      problem(record.error().message);
      co_return;
    }
    ++report_.records;
    if (std::holds_alternative<CrashRecord>(*record) && frame.kind == FrameKind::kRecords)
      ++report_.crashes;
    const auto* write = std::get_if<WriteRecord>(&*record);
    if (write == nullptr || !options_.deep) continue;
    for (const WritePiece& piece : write->pieces) co_await check_piece(piece);
  }
}

// Whether the blocks that a piece names are the ones that it names.
Task<void> Verifier::check_piece(WritePiece piece) {
  if (piece.kind != PieceKind::kNew && piece.kind != PieceKind::kReference) co_return;
  Result<RunRef> run = co_await blocks_.run(piece.place);
  if (!run.ok()) {
    problem(run.error().message);
    co_return;
  }
  for (std::uint32_t i = 0; i < piece.count; ++i) {
    const std::size_t index = piece.place.index + i;
    const bool same = index < (*run)->block_count() &&
                      fingerprint(vault_.secret, (*run)->block(index)) == piece.fingerprints[i];
    if (!same)
      problem(
          fmt::format("block {} of the run at byte {} of {} does not have the fingerprint that "
                      "its record names",
                      index, piece.place.run_offset, segment_name(piece.place.segment)));
    ++(piece.kind == PieceKind::kNew ? report_.blocks : report_.references);
  }
}

}  // namespace

Task<Result<VerifyReport>> verify(cdp::Scheduler& scheduler, cdp::Directory& segments, Vault vault,
                                  VerifyOptions options) {
  Verifier verifier(scheduler, segments, vault, std::move(options));
  co_return co_await verifier.run();
}

}  // namespace journal
