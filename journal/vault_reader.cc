// SPDX-License-Identifier: Apache-2.0
#include "journal/vault_reader.h"

#include <algorithm>

#include "journal/format.h"
#include "journal/record_codec.h"
#include "journal/segment_reader.h"
#include "journal/visit_records.h"

namespace journal {
namespace {

class LossyStateBuilder final : public StateBuilder {
 public:
  using StateBuilder::StateBuilder;
  void on_damage(const Damage& damage) override { lost.push_back(damage); }

  std::vector<Damage> lost;
};

}  // namespace

struct VaultReader::Impl {
  cdp::Scheduler& scheduler;
  cdp::Directory& directory;
  const Vault vault;
  const std::uint32_t first_number;
  const std::uint32_t last_number;
  std::vector<SegmentInfo> infos{};
  std::vector<LoadedSegmentHeader> headers{};

  Task<Status> load(std::uint32_t number);
  Task<Result<std::unique_ptr<cdp::Disk>>> open_segment(std::uint32_t number);
  Task<Result<JournalState>> opening_state(std::size_t index);
  // The records of one segment; `delivered` follows what the visitor got.
  Task<Status> visit_segment(std::size_t index, Lsn upto, Lsn& delivered, RecordVisitor& visitor);
};

Task<Result<std::unique_ptr<cdp::Disk>>> VaultReader::Impl::open_segment(std::uint32_t number) {
  return directory.open(segment_name(number), cdp::OpenMode::kReadOnly);
}

Task<Result<JournalState>> VaultReader::Impl::opening_state(std::size_t index) {
  const SegmentInfo& info = infos[index];
  Result<std::unique_ptr<cdp::Disk>> disk = co_await open_segment(info.number);
  if (!disk.ok()) co_return disk.error();
  const bool newest = info.end == SegmentInfo::End::kOpen;
  SegmentReader reader(**disk, vault, headers[index],
                       newest ? std::nullopt : std::optional(info.length_bytes));
  Result<JournalState> state = co_await read_opening_state(reader, vault);
  co_return state;
}

Task<Status> VaultReader::Impl::load(std::uint32_t number) {
  Result<std::unique_ptr<cdp::Disk>> disk = co_await open_segment(number);
  if (!disk.ok()) co_return disk.error();
  Result<LoadedSegmentHeader> loaded = co_await read_segment_header(**disk, vault, number);
  if (!loaded.ok()) co_return loaded.error();
  const SegmentHeader& header = loaded->header;
  if (!infos.empty()) {
    SegmentInfo& previous = infos.back();
    if (header.base_lsn < previous.base_lsn || header.epoch < previous.epoch)
      co_return make_error(EIO, "{} begins before the segment that precedes it",
                           segment_name(number));
    previous.length_bytes = header.previous_length;
    previous.end = header.previous_end == PreviousEnd::kSealed ? SegmentInfo::End::kSealed
                                                               : SegmentInfo::End::kCut;
  }
  infos.push_back({.number = number,
                   .epoch = header.epoch,
                   .base_lsn = header.base_lsn,
                   .created = header.created,
                   .length_bytes = (*disk)->size_bytes(),
                   .end = SegmentInfo::End::kOpen});
  headers.push_back(*loaded);
  co_return Status();
}

VaultReader::VaultReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VaultReader::~VaultReader() = default;

const std::vector<SegmentInfo>& VaultReader::segments() const { return impl_->infos; }
const Vault& VaultReader::vault() const { return impl_->vault; }

Task<Result<std::unique_ptr<VaultReader>>> VaultReader::open(cdp::Scheduler& scheduler,
                                                             cdp::Directory& segments, Vault vault,
                                                             std::uint32_t from,
                                                             std::uint32_t upto) {
  auto impl = std::make_unique<Impl>(scheduler, segments, vault, from, upto);
  std::unique_ptr<VaultReader> reader(new VaultReader(std::move(impl)));
  Status loaded = co_await reader->refresh();
  if (!loaded.ok()) co_return loaded.error();
  co_return std::move(reader);
}

Task<Status> VaultReader::refresh() {
  Result<std::vector<std::string>> names = co_await impl_->directory.list();
  if (!names.ok()) co_return names.error();
  for (const std::string& name : *names) {
    const std::optional<std::uint32_t> number = segment_number(name);
    if (!number.has_value()) continue;
    const std::uint32_t expected =
        impl_->infos.empty() ? impl_->first_number : impl_->infos.back().number + 1;
    if (*number < expected || *number > impl_->last_number) continue;
    if (*number > expected)
      co_return make_error(EIO,
                           "segments {} to {} of the vault are missing: bring the files back from "
                           "a copy",
                           expected, *number - 1);
    Status loaded = co_await impl_->load(*number);
    if (!loaded.ok()) co_return loaded;
  }
  co_return Status();
}

Task<Status> VaultReader::Impl::visit_segment(std::size_t index, Lsn upto, Lsn& delivered,
                                              RecordVisitor& visitor) {
  Result<std::unique_ptr<cdp::Disk>> disk = co_await open_segment(infos[index].number);
  if (!disk.ok()) co_return disk.error();
  const bool newest = infos[index].end == SegmentInfo::End::kOpen;
  SegmentReader reader(**disk, vault, headers[index],
                       newest ? std::nullopt : std::optional(infos[index].length_bytes));
  for (;;) {
    Result<bool> there = co_await reader.next();
    if (!there.ok()) co_return there.error();
    if (reader.damage().has_value() && reader.damage()->after < upto) {
      Damage damage = *reader.damage();
      const bool has_successor = index + 1 < infos.size();
      if (!*there && has_successor) damage.before = {infos[index + 1].base_lsn.value + 1};
      if (damage.before.value == 0 || damage.before > delivered) visitor.on_damage(damage);
    }
    if (!*there) co_return Status();
    const FrameHeader& frame = reader.frame();
    if (frame.kind != FrameKind::kRecords || frame.last_lsn <= delivered) continue;
    if (frame.first_lsn > upto) co_return Status();
    FrameInfo info = frame.info();
    info.digest = reader.digest();
    if (!visitor.on_frame(info)) {
      if (visitor.done()) co_return Status();
      delivered = std::max(delivered, frame.last_lsn);  // it is not shown again
      continue;
    }
    Result<std::span<const std::byte>> metadata = co_await reader.metadata();
    if (!metadata.ok()) co_return metadata.error();
    Status visited = visit_records(frame, vault, *metadata, upto, delivered, visitor);
    if (!visited.ok()) {
      if (visited.error().code == ENOTSUP) co_return visited;
      visitor.on_damage({.segment = frame.segment,
                         .from_offset = frame.offset,
                         .to_offset = std::uint64_t{frame.offset} + frame.total_bytes,
                         .after = delivered,
                         .before = {frame.last_lsn.value + 1},
                         .what = visited.error().message});
    }
    if (visitor.done() || frame.last_lsn >= upto) co_return Status();
  }
}

Task<Status> VaultReader::visit(Lsn after, Lsn upto, RecordVisitor& visitor) {
  Lsn delivered = after;
  for (std::size_t i = 0; i < impl_->infos.size(); ++i) {
    const bool newest = i + 1 == impl_->infos.size();
    if (!newest && impl_->infos[i + 1].base_lsn <= delivered) continue;
    if (impl_->infos[i].base_lsn >= upto || visitor.done()) break;
    Status visited = co_await impl_->visit_segment(i, upto, delivered, visitor);
    if (visited.ok()) continue;
    if (!newest) co_return visited;
    // The newest segment may have been sealed, and so shortened, while it was read.
    Status refreshed = co_await refresh();
    if (!refreshed.ok() || i + 1 == impl_->infos.size()) co_return visited;
    Status again = co_await impl_->visit_segment(i, upto, delivered, visitor);
    if (!again.ok()) co_return again;
  }
  co_return Status();
}

Task<Result<JournalState>> VaultReader::state_at(Lsn lsn, std::vector<Damage>* lost) {
  if (impl_->infos.empty()) co_return make_error(ERANGE, "nothing has been recorded yet");
  std::size_t index = impl_->infos.size();
  while (index > 0 && impl_->infos[index - 1].base_lsn > lsn) --index;
  if (index == 0)
    co_return make_error(ERANGE, "LSN {} lies before the oldest one that is kept, {}", lsn.value,
                         impl_->infos.front().base_lsn.value);
  // What a segment opens with is what the one before it ended with.
  Result<JournalState> opening = co_await impl_->opening_state(--index);
  for (std::size_t tried = 1; tried < kOpeningStatesTried && index > 0; ++tried) {
    if (opening.ok() || opening.error().code != EIO) break;
    Result<JournalState> earlier = co_await impl_->opening_state(--index);
    if (earlier.ok()) opening = std::move(earlier);
  }
  if (!opening.ok()) co_return opening.error();
  JournalState state = std::move(opening).value();
  LossyStateBuilder builder(state);
  Status visited = co_await visit(state.lsn, lsn, builder);
  if (!visited.ok()) co_return visited.error();
  if (!builder.lost.empty() && lost == nullptr)
    co_return make_error(EIO, "the state at LSN {} is not known: {}", lsn.value,
                         builder.lost.front().what);
  if (lost != nullptr) *lost = std::move(builder.lost);
  co_return state;
}

Task<Result<JournalState>> newest_state(cdp::Scheduler& scheduler, cdp::Directory& segments,
                                        Vault vault, std::vector<Damage>* lost) {
  Result<std::vector<std::string>> names = co_await segments.list();
  if (!names.ok()) co_return names.error();
  std::uint32_t newest = 0;
  for (const std::string& name : *names)
    newest = std::max(newest, segment_number(name).value_or(0));
  if (newest == 0) co_return make_error(ERANGE, "nothing has been recorded yet");
  Result<std::unique_ptr<VaultReader>> reader =
      co_await VaultReader::open(scheduler, segments, vault, newest);
  if (!reader.ok()) co_return reader.error();
  Result<JournalState> state = co_await (*reader)->state_at({UINT64_MAX}, lost);
  if (state.ok() || state.error().code != EIO || newest == 1) co_return state;
  reader = co_await VaultReader::open(scheduler, segments, vault);
  if (!reader.ok()) co_return reader.error();
  state = co_await (*reader)->state_at({UINT64_MAX}, lost);
  co_return state;
}

}  // namespace journal
