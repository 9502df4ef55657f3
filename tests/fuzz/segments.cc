// SPDX-License-Identifier: Apache-2.0
//
// A vault's segments, read as a reader, a verifier, a time index and a starting journal read them.
// The first byte says what is done besides reading (bit 0 a journal is opened, bit 1 a time index),
// and whether an LSN is remembered (bit 2). The rest are operations that write the segments, with
// checksums and the chain as a writer would make them:
//
//   0 to 2  a state, record or footer frame: see frame_from (journal_input.h)
//   3       a chunk of bytes, as it is, up to the next multiple of 4096
//   4       the next segment: how the one before ended (1), how far off its length is (1, pages)
//   5       a page of zeroes
//   6       a byte of the segment is changed: where (4), by what (1)
//
// Bits 4 to 7 of an operation break the chain: its digest, sequence, epoch, or place.
#include <memory>
#include <optional>

#include "journal/block_reader.h"
#include "journal/durable_note.h"
#include "journal/index/time_index.h"
#include "journal/journal.h"
#include "journal/vault_reader.h"
#include "journal/verify.h"
#include "tests/fuzz/journal_input.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_store.h"

namespace {

using namespace journal;

class Writer {
 public:
  std::vector<fuzz::Bytes> segments;

  void write(fuzz::Input& in) {
    begin_segment(PreviousEnd::kNone, 0);
    for (int left = 48; left > 0 && !in.empty(); --left) {
      const std::uint8_t operation = in.u8();
      switch (operation % 8) {
        case 0:
        case 1:
        case 2:
          frame(in, static_cast<FrameKind>(operation % 8 + 1), operation >> 4);
          break;
        case 3: {
          const auto chunk = in.chunk();
          fuzz::Bytes& now = segments.back();
          now.insert(now.end(), chunk.begin(), chunk.end());
          pad();
          break;
        }
        case 4: {
          const std::uint8_t end = in.u8();
          const auto off = static_cast<std::int8_t>(in.u8());
          if (segments.size() < 4) begin_segment(static_cast<PreviousEnd>(end % 4), off);
          break;
        }
        case 5:
          segments.back().resize(segments.back().size() + kAppendUnit);
          break;
        case 6: {
          const std::size_t at = in.number<std::uint32_t>() % segments.back().size();
          segments.back()[at] ^= static_cast<std::byte>(in.u8());
          break;
        }
        default:
          break;
      }
      if (segments.back().size() > 1u << 20) return;
    }
  }

 private:
  void pad() { segments.back().resize(cdp::round_up(segments.back().size(), kAppendUnit)); }

  void begin_segment(PreviousEnd end, std::int8_t pages_off) {
    SegmentHeader header{.segment = static_cast<std::uint32_t>(segments.size() + 1),
                         .epoch = end == PreviousEnd::kSealed ? epoch_ : epoch_ + 1,
                         .first_sequence = place_.sequence + 1,
                         .base_lsn = newest_.lsn,
                         .created = newest_.time,
                         .previous_end = end,
                         .previous_length = 0,
                         .previous_digest = {},
                         .capacity_bytes = 1u << 20};
    if (!segments.empty()) {
      header.previous_length = end_ + static_cast<std::uint64_t>(pages_off * 4096);
      header.previous_digest = place_.previous_digest;
    }
    epoch_ = header.epoch;
    segments.emplace_back(kSegmentHeaderBytes);
    const std::span<std::byte, kSegmentHeaderBytes> into(segments.back().data(),
                                                         kSegmentHeaderBytes);
    encode_segment_header(header, fuzz::vault(), into);
    place_ = {.segment = header.segment,
              .epoch = epoch_,
              .sequence = place_.sequence,
              .offset = 0,
              .previous_digest = digest_of(into)};
    end_ = kSegmentHeaderBytes;
  }

  void frame(fuzz::Input& in, FrameKind kind, int flaws) {
    FramePlace place = place_;
    place.offset = segments.back().size();
    place.sequence += 1;
    if ((flaws & 1) != 0) place.previous_digest[5] ^= std::byte{1};
    if ((flaws & 2) != 0) place.sequence += 1;
    if ((flaws & 4) != 0) place.epoch += 1;
    if ((flaws & 8) != 0) place.offset += kAppendUnit;
    const BuiltFrame built =
        fuzz::frame_from(in, kind, place, {{newest_.lsn.value + 1}, newest_.time});
    const auto bytes = built.bytes();
    segments.back().insert(segments.back().end(), bytes.begin(), bytes.end());
    place_.sequence = place.sequence;
    place_.previous_digest = built.digest;
    end_ = segments.back().size();
    newest_ = std::max(newest_, Stamp{built.header.last_lsn, built.header.max_time},
                       [](const Stamp& a, const Stamp& b) { return a.lsn < b.lsn; });
  }

  std::uint32_t epoch_ = 0;
  FramePlace place_{};
  std::uint64_t end_ = 0;
  Stamp newest_{};
};

// Follows a visit: LSNs grow, and damage is where nothing is given.
class Follower final : public RecordVisitor {
 public:
  void on_write(const WriteRecord& r) override {
    note(r.stamp.lsn);
    for (const WritePiece& piece : r.pieces)
      if (piece.has_place() && places.size() < 16) places.push_back(piece.place);
  }
  void on_zero(const ZeroRecord& r) override { note(r.stamp.lsn); }
  void on_volume_created(const VolumeCreated& r) override { note(r.stamp.lsn); }
  void on_volume_created_from(const VolumeCreatedFrom& r) override { note(r.stamp.lsn); }
  void on_volume_resized(const VolumeResized& r) override { note(r.stamp.lsn); }
  void on_volume_renamed(const VolumeRenamed& r) override { note(r.stamp.lsn); }
  void on_volume_removed(const VolumeRemoved& r) override { note(r.stamp.lsn); }
  void on_mark(const MarkRecord& r) override { note(r.stamp.lsn); }
  void on_rollback(const RollbackRecord& r) override { note(r.stamp.lsn); }
  void on_gap(const GapRecord& r) override { note(r.stamp.lsn); }
  void on_volume_resumed(const VolumeResumed& r) override { note(r.stamp.lsn); }
  void on_user(const UserRecord& r) override { note(r.stamp.lsn); }
  void on_token(const TokenRecord& r) override { note(r.stamp.lsn); }
  void on_audit(const AuditRecord& r) override { note(r.stamp.lsn); }
  void on_pulse(const PulseRecord& r) override { note(r.stamp.lsn); }
  void on_checkpoint(const CheckpointRecord& r) override { note(r.stamp.lsn); }
  void on_crash(const CrashRecord& r) override { note(r.stamp.lsn); }
  void on_clock(const ClockRecord& r) override { note(r.stamp.lsn); }
  void on_damage(const Damage&) override { ++damages; }

  std::vector<Lsn> lsns;
  std::vector<BlockPlace> places;
  std::size_t damages = 0;

 private:
  void note(Lsn lsn) {
    CHECK(lsns.empty() || lsns.back() < lsn);
    lsns.push_back(lsn);
  }
};

struct Machine {
  sim::SimScheduler scheduler{1};
  sim::SimClock clock{scheduler};
  std::shared_ptr<sim::SimStore> store = sim::SimStore::make(scheduler, 2);
  std::unique_ptr<cdp::Directory> segments = store->directory("vault/segments");
  std::unique_ptr<cdp::Directory> state = store->directory("state");

  explicit Machine(const std::vector<fuzz::Bytes>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const std::string name = segment_name(static_cast<std::uint32_t>(i + 1));
      CHECK(scheduler.run(segments->create(name, files[i].size())).ok());
      store->overwrite("vault/segments/" + name, 0, files[i]);
    }
  }
  // Nothing: it could not be read to its end.
  std::optional<Follower> history() {
    auto reader = scheduler.run(VaultReader::open(scheduler, *segments, fuzz::vault()));
    if (!reader.ok()) return std::nullopt;
    Follower follower;
    if (!scheduler.run((*reader)->visit({}, {UINT64_MAX}, follower)).ok()) return std::nullopt;
    static_cast<void>(scheduler.run((*reader)->state_at({UINT64_MAX})).ok());
    return follower;
  }
};

void read_blocks(Machine& machine, const Follower& history) {
  BlockReader blocks(machine.scheduler, *machine.segments, fuzz::vault(), {});
  for (const BlockPlace& place : history.places) {
    std::array<std::byte, cdp::kBlockBytes> block;
    static_cast<void>(machine.scheduler.run(blocks.read(place, nullptr, block)).ok());
  }
}

void ask_index(Machine& machine) {
  const auto scratch = machine.store->directory("scratch");
  auto opened = machine.scheduler.run(index::TimeIndex::open_beside(
      machine.scheduler, nullptr, *scratch, *machine.segments, fuzz::vault(), {}));
  if (!opened.ok()) return;
  index::TimeIndex& of = **opened;
  if (machine.scheduler.run(of.catch_up({UINT64_MAX})).ok() && of.learnt() > Lsn{}) {
    const auto snapshot = machine.scheduler.run(of.snapshot(of.learnt()));
    if (snapshot.ok()) {
      const Visibility visible{{VolumeId{1}, {{{}, of.learnt()}}}};
      std::vector<index::BlockVersion> found(64);
      static_cast<void>(machine.scheduler.run((*snapshot)->lookup(visible, 0, found)).ok());
    }
  }
  static_cast<void>(machine.scheduler.run(of.close()).ok());
}

// A journal starts on them, goes on, and stops: what could be read before can be afterwards.
void open_journal(Machine& machine, const Follower& before, bool remember) {
  if (remember) {
    const Stamp far{.lsn = {1u << 30}, .time = {}};
    CHECK(machine.scheduler
              .run(machine.state->write_small(kDurableNoteName,
                                              encode_durable_note(far, fuzz::vault())))
              .ok());
  }
  JournalOptions options;
  options.frame_blocks = 32;
  options.queue_blocks = 64;
  options.dedup_bytes = 1u << 20;
  options.zero_ahead = false;
  options.segment_bytes = cdp::round_up(options.minimum_segment_bytes(), 4096);
  cdp::Sequencer sequencer(machine.clock);
  auto opened =
      machine.scheduler.run(Journal::open(machine.scheduler, machine.clock, sequencer,
                                          *machine.segments, machine.state.get(), fuzz::vault(),
                                          options));
  if (!opened.ok()) return;
  static_cast<void>((*opened)->record_mark({}, sequencer.next(), "after", "fuzzer").ok());
  CHECK(machine.scheduler.run((*opened)->close()).ok());
  const std::optional<Follower> after = machine.history();
  CHECK(after.has_value() && after->lsns.size() > before.lsns.size());
  CHECK(std::equal(before.lsns.begin(), before.lsns.end(), after->lsns.begin()));
}

}  // namespace

FUZZ_TARGET(segments) {
  fuzz::Input in(input);
  const std::uint8_t how = in.u8();
  Writer writer;
  writer.write(in);
  Machine machine(writer.segments);

  const std::optional<Follower> history = machine.history();
  const auto checked = machine.scheduler.run(
      verify(machine.scheduler, *machine.segments, fuzz::vault(), {.deep = true, .progress = {}}));
  if (checked.ok() && checked->ok()) CHECK(history.has_value() && history->damages == 0);
  if (!history.has_value()) return;
  read_blocks(machine, *history);
  if ((how & 2) != 0) ask_index(machine);
  if ((how & 1) != 0) open_journal(machine, *history, (how & 4) != 0);
}
