// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/machine.h"

#include <algorithm>
#include <cstring>

#include "tests/sim/volume_world.h"

namespace sim {

using cdp::kBlockBytes;
using cdp::Lsn;
using cdp::PageList;
using cdp::Result;
using cdp::Stamp;
using cdp::Status;
using cdp::Task;
using cdp::Volume;
using cdp::VolumeId;
using journal::PieceKind;

namespace {

journal::JournalOptions small_journal() {
  journal::JournalOptions options;
  options.frame_blocks = 32;  // so that segments are small, and many
  options.queue_blocks = 96;
  options.run_blocks = 4;
  options.inline_blocks = 4;
  options.dedup_bytes = 1 << 20;
  options.segment_bytes = cdp::round_up(options.minimum_segment_bytes(), kBlockBytes);
  return options;
}

std::string name_of(std::size_t index) { return fmt::format("volume{}", index); }
std::string backing_of(std::size_t index) { return fmt::format("backing/{}", index); }

}  // namespace

void TapRecorder::record_write(VolumeId volume, Stamp stamp, std::uint64_t first_block,
                               const PageList& pages, const PageList& previous) {
  LogRecord record{
      LogRecord::Kind::kWrite,         volume, stamp.lsn, stamp.time, first_block, pages.size(), {},
      std::vector<bool>(pages.size()), {}};
  for (const cdp::PageRef& page : pages) {
    record.data.insert(record.data.end(), page.data(), page.data() + kBlockBytes);
  }
  log_.push_back(std::move(record));
  to_.record_write(volume, stamp, first_block, pages, previous);
}

void TapRecorder::record_zero(VolumeId volume, Stamp stamp, cdp::ZeroKind kind,
                              std::uint64_t first_block, std::uint64_t count) {
  const auto what = kind == cdp::ZeroKind::kTrim ? LogRecord::Kind::kTrim : LogRecord::Kind::kZero;
  log_.push_back({what, volume, stamp.lsn, stamp.time, first_block, count, {}, {}, {}});
  to_.record_zero(volume, stamp, kind, first_block, count);
}

Task<Status> TapRecorder::flush(Lsn lsn) {
  if (lies_) co_return Status{};
  co_return co_await to_.flush(lsn);
}

Machine::Machine(SimScheduler& scheduler, std::shared_ptr<SimStore> store,
                 std::shared_ptr<SimLog> log, bool flushes_lie)
    : scheduler_(scheduler),
      flushes_lie_(flushes_lie),
      clock_(scheduler),
      sequencer_(clock_),
      store_(std::move(store)),
      log_(std::move(log)),
      root_(store_->directory("vault")),
      segments_(store_->directory("vault-segments")),
      state_(store_->directory("state")),
      write_pages_(scheduler, 1024),
      read_pages_(scheduler, 300) {
  for (std::size_t i = 0; i < kVolumes; ++i) {
    const std::string path = backing_of(i);
    backings_.push_back(store_->exists(path)
                            ? store_->open_disk(path)
                            : store_->create_disk(path, Volume::backing_bytes(kSizeBytes[i])));
  }
}

bool Machine::start() {
  const Status begun = scheduler_.run(begin());
  if (!begun.ok() && !store_->crashed()) {
    findings_.push_back("the machine does not start: " + begun.error().message);
  }
  return begun.ok();
}

Task<Status> Machine::begin() {
  Status status = co_await open_journal();
  if (!status.ok()) co_return status;
  const Result<std::vector<Change>> changes = co_await history(Lsn{0});
  if (!changes.ok()) co_return changes.error();
  drop_lost(*changes);
  status = co_await create_volumes();
  if (!status.ok()) co_return status;
  status = co_await replay_history(*changes);
  if (!status.ok()) co_return status;
  tap_ = std::make_unique<TapRecorder>(*journal_, *log_, flushes_lie_);
  for (std::size_t i = 0; i < kVolumes; ++i) {
    const cdp::VolumeParts parts{scheduler_,    sequencer_,   *tap_,
                                 *backings_[i], write_pages_, read_pages_};
    volumes_.push_back(std::make_unique<Volume>(
        parts, cdp::VolumeOptions{.id = ids_[i],
                                  .name = name_of(i),
                                  .size_bytes = kSizeBytes[i],
                                  .dirty_budget_bytes = 24 * kBlockBytes,
                                  .checkpoint_interval = cdp::milliseconds(20)}));
  }
  co_return Status{};
}

Task<Status> Machine::open_journal() {
  Result<journal::Vault> vault = co_await journal::open_vault(*root_);
  if (!vault.ok() && vault.error().code == ENOENT) {
    vault = co_await journal::create_vault(*root_, clock_.realtime());
  }
  if (!vault.ok()) co_return vault.error();
  const journal::JournalOptions options = small_journal();
  Result<std::unique_ptr<journal::Journal>> opened = co_await journal::Journal::open(
      scheduler_, clock_, sequencer_, *segments_, state_.get(), *vault, options);
  if (!opened.ok()) co_return opened.error();
  journal_ = std::move(*opened);
  co_return Status{};
}

Task<Status> Machine::create_volumes() {
  for (std::size_t i = 0; i < kVolumes; ++i) {
    if (const journal::VolumeState* known = journal_->state().find(name_of(i))) {
      ids_.push_back(known->id);
      continue;
    }
    const Stamp stamp = sequencer_.next();
    journal::Uuid uuid;
    uuid.bytes[0] = static_cast<std::byte>(i + 1);
    const Result<VolumeId> id =
        journal_->record_volume_created(stamp, uuid, name_of(i), kSizeBytes[i], backing_of(i));
    if (!id.ok()) co_return id.error();
    ids_.push_back(*id);
    const Status flushed = co_await journal_->flush(stamp.lsn);
    if (!flushed.ok()) co_return flushed;
  }
  co_return Status{};
}

class Machine::ChangeCollector final : public journal::RecordVisitor {
 public:
  struct Found {
    Change change;
    std::vector<journal::WritePiece> pieces;  // their fingerprints are gone
    std::vector<std::vector<journal::Fingerprint>> fingerprints;
  };

  void on_write(const journal::WriteRecord& record) override {
    Found found;
    found.change = {
        record.volume, record.stamp.lsn, record.first_block, record.block_count, false, {}, {}};
    for (const journal::WritePiece& piece : record.pieces) {
      found.pieces.push_back(piece);
      found.fingerprints.emplace_back(piece.fingerprints.begin(), piece.fingerprints.end());
    }
    all.push_back(std::move(found));
  }
  void on_zero(const journal::ZeroRecord& record) override {
    Found found;
    found.change = {
        record.volume, record.stamp.lsn, record.first_block, record.block_count, true, {}, {}};
    all.push_back(std::move(found));
  }
  void on_damage(const journal::Damage& damage) override { damages.push_back(damage.what); }

  std::vector<Found> all;
  std::vector<std::string> damages;
};

Task<Result<std::vector<Machine::Change>>> Machine::history(Lsn after) {
  auto reader = co_await journal::VaultReader::open(scheduler_, *segments_, journal_->vault());
  if (!reader.ok()) co_return reader.error();
  ChangeCollector collector;
  const Status visited = co_await (*reader)->visit(after, Lsn{UINT64_MAX}, collector);
  if (!visited.ok()) co_return visited.error();
  for (const std::string& damage : collector.damages) findings_.push_back("damage: " + damage);

  journal::BlockReader blocks(scheduler_, *segments_, journal_->vault());
  std::vector<Change> changes;
  for (ChangeCollector::Found& found : collector.all) {
    Change& change = found.change;
    if (!change.zero) {
      change.data.resize(change.blocks * kBlockBytes);
      change.same.resize(change.blocks);
    }
    for (std::size_t p = 0; p < found.pieces.size(); ++p) {
      const journal::WritePiece& piece = found.pieces[p];
      for (std::uint32_t b = 0; b < piece.count; ++b) {
        const std::uint64_t at = piece.first_block + b - change.first_block;
        change.same[at] = piece.kind == PieceKind::kSame;
        if (!piece.has_place()) continue;
        journal::BlockPlace place = piece.place;
        place.index = static_cast<std::uint16_t>(place.index + b);
        const journal::Fingerprint* expected =
            found.fingerprints[p].empty() ? nullptr : &found.fingerprints[p][b];
        const std::span<std::byte, kBlockBytes> into{change.data.data() + at * kBlockBytes,
                                                     kBlockBytes};
        const Status read = co_await blocks.read(place, expected, into);
        if (!read.ok()) co_return read.error();
      }
    }
    changes.push_back(std::move(change));
  }
  co_return changes;
}

// What was recorded and is not in the recovered history never happened.
void Machine::drop_lost(const std::vector<Change>& changes) {
  const Lsn newest = changes.empty() ? Lsn{0} : changes.back().lsn;
  std::erase_if(*log_, [newest](const LogRecord& record) { return record.lsn > newest; });
}

Task<Status> Machine::replay_history(const std::vector<Change>& changes) {
  const PageList buffer = co_await write_pages_.acquire(1);
  const std::span<const std::byte> block{buffer.front().data(), kBlockBytes};
  for (const Change& change : changes) {
    const auto index =
        static_cast<std::size_t>(std::find(ids_.begin(), ids_.end(), change.volume) - ids_.begin());
    CHECK(index < kVolumes);
    if (change.lsn <= journal_->state().find(change.volume)->checkpoint) continue;
    cdp::Disk& backing = *backings_[index];
    if (change.zero) {
      const Status zeroed = co_await backing.zero_range(change.first_block * kBlockBytes,
                                                        change.blocks * kBlockBytes, true);
      if (!zeroed.ok()) co_return zeroed;
      continue;
    }
    for (std::uint64_t b = 0; b < change.blocks; ++b) {
      if (change.same[b]) continue;
      std::memcpy(buffer.front().data(), change.data.data() + b * kBlockBytes, kBlockBytes);
      const Status written = co_await backing.write((change.first_block + b) * kBlockBytes, block);
      if (!written.ok()) co_return written;
    }
  }
  for (const auto& backing : backings_) {
    const Status synced = co_await backing->sync();
    if (!synced.ok()) co_return synced;
  }
  co_return Status{};
}

Status Machine::stop() {
  Status first;
  for (auto& volume : volumes_) {
    const Status closed = scheduler_.run(volume->close());
    if (first.ok()) first = closed;
  }
  volumes_.clear();
  if (journal_) {
    const Status closed = scheduler_.run(journal_->close());
    if (first.ok()) first = closed;
  }
  tap_.reset();
  journal_.reset();
  return first;
}

std::vector<std::byte> Machine::logged(std::size_t index) const {
  std::vector<std::byte> content(Volume::backing_bytes(kSizeBytes[index]));
  replay(*log_, ids_[index], Lsn{0}, Lsn{UINT64_MAX}, content);
  content.resize(kSizeBytes[index]);
  return content;
}

std::vector<std::byte> Machine::live(std::size_t index) {
  return scheduler_.run(read_whole(*volumes_[index]));
}

void Machine::check_history() {
  const Status flushed = scheduler_.run(journal_->flush(sequencer_.last()));
  if (!flushed.ok()) findings_.push_back("flushing: " + flushed.error().message);
  const Result<std::vector<Change>> changes = scheduler_.run(history(Lsn{0}));
  if (!changes.ok()) {
    findings_.push_back("history cannot be read: " + changes.error().message);
    return;
  }
  if (changes->size() != log_->size()) {
    findings_.push_back(
        fmt::format("history has {} changes, {} were recorded", changes->size(), log_->size()));
    return;
  }
  // The state at every point, since every change is compared as it is applied.
  std::map<VolumeId, std::map<std::uint64_t, std::vector<std::byte>>> blocks;
  for (std::size_t i = 0; i < changes->size(); ++i) {
    const Change& change = (*changes)[i];
    const LogRecord& logged = (*log_)[i];
    const bool alike = change.lsn == logged.lsn && change.volume == logged.volume &&
                       change.first_block == logged.first_block && change.blocks == logged.blocks &&
                       change.zero == (logged.kind != LogRecord::Kind::kWrite);
    if (!alike) {
      findings_.push_back(fmt::format("history has LSN {} where {} was recorded", change.lsn.value,
                                      logged.lsn.value));
      return;
    }
    for (std::uint64_t b = 0; b < change.blocks; ++b) {
      std::vector<std::byte>& block = blocks[change.volume][change.first_block + b];
      if (block.empty() || change.zero) block.assign(kBlockBytes, std::byte{0});
      if (change.zero) continue;
      const std::byte* stored = change.data.data() + b * kBlockBytes;
      if (!change.same[b]) block.assign(stored, stored + kBlockBytes);
      if (std::memcmp(block.data(), logged.data.data() + b * kBlockBytes, kBlockBytes) != 0) {
        findings_.push_back(fmt::format("at LSN {}, block {} of history is not what was recorded",
                                        change.lsn.value, change.first_block + b));
        return;
      }
    }
  }
}

}  // namespace sim
