// SPDX-License-Identifier: Apache-2.0
//
// Rot: a byte of a vault's files changes after it was written, and whoever reads gets what was
// written, or is told. Two ways of trying, on one vault with records of every kind, segments that
// were sealed and cut, and an index:
//
//  - Every byte of every file, in what the format checks at once: the smallest thing that any reader
//    takes a byte of (header, records, run, page, file) is decoded after the byte has changed. That
//    is some 5 * 10^6 flips; HINDSIGHT_BYTE_FLIPS asks for more, by other values and on other vaults.
//  - A few thousand (HINDSIGHT_VAULT_FLIPS) where the whole vault is read: its identity, records,
//    blocks, index and state, a deep verify, and what a starting journal would recover.
//
// HINDSIGHT_BYTE_FLIPS_SEED sets another vault and other flips. Under a sanitizer there are fewer.
//
// The vault was closed: of one that was not, nobody can tell a rotten last frame from a torn one,
// but by the newest LSN that the state directory remembers (rule 3).
#include <gtest/gtest.h>

#include <xxhash.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "journal/durable_note.h"
#include "journal/format.h"
#include "journal/index/run_file.h"
#include "journal/recovery.h"
#include "journal/state_codec.h"
#include "tests/sim/effort.h"
#include "tests/sim/tally.h"
#include "tests/unit/journal/time_index_world.h"

namespace journal {
namespace {

using Bytes = std::vector<std::byte>;
using index::TimeIndexWorld;

constexpr std::uint64_t kVaultFlips = 2'000;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// A hash of what was read; order counts.
class Trace {
 public:
  void add(std::span<const std::byte> bytes) {
    value_ = XXH3_64bits_withSeed(bytes.data(), bytes.size(), value_ + 1);
  }
  template <typename T>
    requires std::is_integral_v<T>
  void add(T value) {
    add(std::as_bytes(std::span(&value, 1)));
  }
  std::uint64_t value() const { return value_; }
  bool operator==(const Trace&) const = default;

 private:
  std::uint64_t value_ = 0;
};

// What is read of a changed part: nothing where it was refused.
using Reading = std::optional<std::uint64_t>;

struct Part {
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::function<Reading(std::span<const std::byte>)> read;
  const char* what = "";
  bool is_footer = false;  // a part of one
};

struct Count {
  std::uint64_t refused = 0;
  std::uint64_t without_effect = 0;
  std::uint64_t silent = 0;
  std::uint64_t all() const { return refused + without_effect + silent; }
  std::string text() const {
    return fmt::format("{} byte flips: {} refused, {} without effect, {} silent", all(), refused,
                       without_effect, silent);
  }
};

class FlippedVault : public TimeIndexWorld {
 public:
  explicit FlippedVault(std::uint64_t seed) : TimeIndexWorld(seed, 64, 4) {}

  void build() {
    const auto root = machine.store->directory("vault");
    ASSERT_TRUE(machine.scheduler
                    .run(root->write_small(kVaultFileName, encode_vault(machine.vault)))
                    .ok());
    ASSERT_NO_FATAL_FAILURE(start());
    steps(150);
    control_records();
    steps(100);
    stop();
    ASSERT_NO_FATAL_FAILURE(start());
    steps(150);
    machine.clock.step(cdp::seconds(-20));
    steps(20);
    crash(machine.random.next());
    ASSERT_NO_FATAL_FAILURE(start());
    steps(200);
    control_records();
    pass(70);
    stop();
    // As the next start finds it; without one, the vault is as it is.
    ASSERT_GE(segment_count(), 3u);
  }
  std::uint32_t segment_count() const {
    std::uint32_t count = 0;
    while (machine.store->exists(machine.path_of(count + 1))) ++count;
    return count;
  }
  Bytes content(const std::string& path) const { return machine.store->content(path); }

  // All of every file, but for what lies behind the end of a segment that was cut, or of a page of
  // the index's files that was given back.
  std::vector<Part> parts() {
    std::vector<Part> all;
    whole_file(all, "vault/VAULT", "VAULT", [](auto bytes) -> Reading {
      const auto vault = decode_vault(bytes);
      return vault.ok() ? Reading(trace_of(encode_vault(*vault))) : std::nullopt;
    });
    whole_file(all, "state/durable", "durable note", [this](auto bytes) -> Reading {
      const auto note = decode_durable_note(bytes, machine.vault);
      if (!note.ok()) return std::nullopt;
      return trace_of(encode_durable_note(*note, machine.vault));
    });
    whole_file(all, std::string(kPath) + index::kManifestName, "manifest",
               [this](auto bytes) -> Reading {
                 const auto read = index::decode_manifest(bytes, machine.vault);
                 if (!read.ok()) return std::nullopt;
                 return trace_of(index::encode_manifest(*read, machine.vault));
               });
    for (const index::Manifest::RunName& run : manifest().runs) add_pages(all, run.number);
    for (std::uint32_t number = 1; number <= segment_count(); ++number) add_segment(all, number);
    return all;
  }

 private:
  static std::uint64_t trace_of(std::span<const std::byte> bytes) {
    Trace trace;
    trace.add(bytes);
    return trace.value();
  }

  void control_records() {
    const auto stamp = [&] { return machine.sequencer->next(); };
    Journal& journal = *machine.journal;
    const Lsn before = durable();
    const VolumeId extra = machine.create_volume(fmt::format("extra-{}", before.value), 1u << 20);
    ASSERT_TRUE(machine.flush().ok());
    const Lsn point = durable();
    std::vector<RollbackRecord::Volume> rolled;
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}})
      rolled.push_back({volumes[i], journal.state().find(volumes[i])->size_bytes});
    steps(20);
    EXPECT_TRUE(journal.record_rollback(stamp(), point, rolled, "ops", true).ok());
    for (const auto& one : rolled)
      EXPECT_TRUE(journal.record_volume_resumed(one.volume, stamp()).ok());
    Uuid uuid;
    uuid.bytes.fill(static_cast<std::byte>(point.value));
    EXPECT_TRUE(journal
                    .record_volume_created_from(stamp(), uuid, fmt::format("copy-{}", point.value),
                                                1u << 20, "/some/where", volumes[0], point)
                    .ok());
    EXPECT_TRUE(journal.record_gap(volumes[1], stamp(), "the journal took no more").ok());
    steps(2);
    EXPECT_TRUE(journal.record_gap_over(volumes[1], stamp()).ok());
    EXPECT_TRUE(journal.record_volume_renamed(extra, stamp(), fmt::format("gone-{}", point.value)).ok());
    EXPECT_TRUE(journal.record_volume_removed(extra, stamp()).ok());
    EXPECT_TRUE(journal.record_mark({}, stamp(), fmt::format("mark of all {}", point.value), "ops").ok());
    const Digest digest = sha256(std::as_bytes(std::span(&point, 1)));
    UserRecord user{.stamp = stamp(), .name = fmt::format("ops-{}", point.value), .rights = 5};
    user.verifier = "$argon2id$v=19$m=65536";
    EXPECT_TRUE(journal.record_user(user).ok());
    TokenRecord token{.stamp = stamp(), .digest = digest, .user = user.name, .label = "backups"};
    token.expires = {INT64_MAX};
    EXPECT_TRUE(journal.record_token(token).ok());
    AuditRecord audit{.stamp = stamp(), .status = 200, .actor = user.name};
    audit.origin = "10.0.0.1";
    audit.act = "rollBack";
    audit.detail = "of two volumes";
    EXPECT_TRUE(journal.record_audit(audit).ok());
    for (const auto step : {PulseRecord::Step::kSecond, PulseRecord::Step::kDay}) {
      PulseRecord pulse{.volume = volumes[0], .stamp = stamp(), .step = step, .begin = 86400};
      pulse.writes = 3;
      pulse.stored_bytes = 1000;
      EXPECT_TRUE(journal.record_pulse(pulse).ok());
    }
    EXPECT_TRUE(machine.scheduler.run(journal.admit(0)).ok());
    journal.record_checkpoint(volumes[0], stamp(), point, std::nullopt);
    steps(5);
  }

  void whole_file(std::vector<Part>& all, std::string path, const char* what,
                  std::function<Reading(std::span<const std::byte>)> read) {
    const std::uint64_t bytes = machine.store->size_of(path);
    all.push_back({std::move(path), 0, bytes, std::move(read), what});
  }

  void add_pages(std::vector<Part>& all, std::uint32_t run) {
    const std::string path = kPath + index::run_name(run);
    const Bytes bytes = content(path);
    const auto header = cdp::value_or_throw(index::decode_run_header(
        machine.vault, run, index::PageBytes(bytes.data(), index::kPageBytes)));
    all.push_back({path, 0, index::kPageBytes,
                   [this, run](auto page) -> Reading {
                     const auto read = index::decode_run_header(
                         machine.vault, run, index::PageBytes(page.data(), index::kPageBytes));
                     return read.ok() ? Reading(trace_of(page)) : std::nullopt;
                   },
                   "index header"});
    for (std::uint32_t page = 1; page < header.pages; ++page)
      all.push_back({path, std::uint64_t{page} * index::kPageBytes, index::kPageBytes,
                     [this, run, page](auto of) -> Reading {
                       const Status checked =
                           index::check_page(machine.vault.secret, {run, page},
                                             index::PageBytes(of.data(), index::kPageBytes));
                       return checked.ok() ? Reading(trace_of(of)) : std::nullopt;
                     },
                     "index page"});
  }

  void add_segment(std::vector<Part>& all, std::uint32_t number) {
    const std::string path = machine.path_of(number);
    const Bytes bytes = content(path);
    all.push_back({path, 0, kSegmentHeaderBytes,
                   [this, number](auto of) -> Reading {
                     const std::span<const std::byte, kSegmentHeaderBytes> raw(of.data(),
                                                                               of.size());
                     const auto read = decode_segment_header(machine.vault, number, raw);
                     return read.ok() ? Reading(trace_of(of)) : std::nullopt;
                   },
                   "segment header"});
    for (std::uint64_t at = kSegmentHeaderBytes; at + kFrameHeaderBytes <= bytes.size();) {
      const auto header = decode_frame_header(
          machine.vault, number, at,
          std::span<const std::byte, kFrameHeaderBytes>(bytes.data() + at, kFrameHeaderBytes));
      if (!header.ok()) break;
      add_frame(all, path, *header, std::span(bytes).subspan(at, header->total_bytes));
      at += header->total_bytes;
    }
  }

  void add_frame(std::vector<Part>& all, const std::string& path, const FrameHeader& header,
                 std::span<const std::byte> frame) {
    const std::size_t first = all.size();
    add_parts(all, path, header, frame);
    for (std::size_t i = first; i < all.size(); ++i)
      all[i].is_footer = header.kind == FrameKind::kFooter;
  }
  void add_parts(std::vector<Part>& all, const std::string& path, const FrameHeader& header,
                 std::span<const std::byte> frame) {
    const std::uint64_t at = header.offset;
    const std::uint32_t number = header.segment;
    all.push_back({path, at, kFrameHeaderBytes,
                   [this, number, at](auto of) -> Reading {
                     const std::span<const std::byte, kFrameHeaderBytes> raw(of.data(), of.size());
                     const auto read = decode_frame_header(machine.vault, number, at, raw);
                     return read.ok() ? Reading(trace_of(of)) : std::nullopt;
                   },
                   "frame header"});
    all.push_back({path, at + kFrameHeaderBytes, header.metadata_end() - kFrameHeaderBytes,
                   [this, header](auto of) -> Reading {
                     auto records = RecordDecoder::open(header, machine.vault, of);
                     while (records.ok() && !records->at_end())
                       if (!records->next().ok()) return std::nullopt;
                     return records.ok() ? Reading(trace_of(of)) : std::nullopt;
                   },
                   "records"});
    const auto table = cdp::value_or_throw(decode_run_table(
        header, frame.subspan(kFrameHeaderBytes + header.record_bytes,
                              header.run_count * kRunEntryBytes)));
    for (const RunEntry& run : table)
      all.push_back({path, at + run.offset, run.stored_bytes,
                     [this, number, place = at + run.offset](auto of) -> Reading {
                       const auto blocks = decode_run(machine.vault, number, place, of);
                       return blocks.ok() ? Reading(trace_of(*blocks)) : std::nullopt;
                     },
                     "run"});
    // Padding is read by nobody but verify, and by recovery at the end.
    if (header.used_bytes() < header.total_bytes)
      all.push_back({path, at + header.used_bytes(), header.total_bytes - header.used_bytes(),
                     [this, header, whole = Bytes(frame.begin(), frame.end())](auto of) mutable
                     -> Reading {
                       std::copy(of.begin(), of.end(),
                                 whole.begin() + static_cast<std::ptrdiff_t>(header.used_bytes()));
                       const Status checked = check_frame_body(header, machine.vault, whole, false);
                       return checked.ok() ? Reading(trace_of(of)) : std::nullopt;
                     },
                     "padding"});
  }
};

TEST(ByteFlips, NoByteOfAnyFileCanChangeUnnoticed) {
  const std::uint64_t wanted = number_from("HINDSIGHT_BYTE_FLIPS", 1);
  std::uint64_t seed = number_from("HINDSIGHT_BYTE_FLIPS_SEED", 3);
  std::map<std::string, Count> counts;
  Count total;
  for (; total.all() < wanted; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    FlippedVault vault(seed);
    ASSERT_NO_FATAL_FAILURE(vault.build());
    sim::Random random(seed);
    for (const Part& part : vault.parts()) {
      Bytes bytes = vault.machine.store->content(part.path, part.offset, part.bytes);
      const Reading right = part.read(bytes);
      ASSERT_TRUE(right.has_value()) << part.what << " at " << part.offset << " of " << part.path;
      Count& count = counts[part.what];
      const std::size_t step = bytes.size() > 4096 ? sim::stride() : 1;
      for (std::size_t at = random.below(step); at < bytes.size(); at += step) {
        const auto by = static_cast<std::byte>(random.between(1, 255));
        bytes[at] ^= by;
        const Reading reading = part.read(bytes);
        bytes[at] ^= by;
        if (!reading.has_value()) {
          ++count.refused;
          ++total.refused;
        } else if (*reading == *right) {
          ++count.without_effect;
          ++total.without_effect;
        } else {
          ++count.silent;
          ++total.silent;
          ADD_FAILURE() << "byte " << part.offset + at << " of " << part.path << ", in a "
                        << part.what << ", may change by " << std::to_integer<int>(by);
        }
        if (total.silent > 10) return;
      }
    }
  }
  for (const auto& [what, count] : counts) std::cout << "  " << what << ": " << count.text() << "\n";
  std::cout << total.text() << "\n";
  sim::tally("byte flips", total.all());
  EXPECT_EQ(total.silent, 0u);
}

// ---------------------------------------------------------------- the whole vault

// Every record by its LSN, and where blocks lie.
class History final : public RecordVisitor {
 public:
  bool on_frame(const FrameInfo&) override { return true; }
  void on_write(const WriteRecord& record) override {
    Trace trace;
    trace.add(record.volume.value);
    trace.add(record.stamp.time.value);
    trace.add(record.first_block);
    trace.add(record.block_count);
    for (const WritePiece& piece : record.pieces) {
      trace.add(static_cast<std::uint8_t>(piece.kind));
      trace.add(piece.count);
      trace.add(piece.place.segment);
      trace.add(piece.place.run_offset);
      trace.add(piece.place.index);
      trace.add(std::as_bytes(piece.fingerprints));
      for (std::uint32_t i = 0; piece.has_place() && i < piece.count; ++i) {
        BlockPlace place = piece.place;
        place.index = static_cast<std::uint16_t>(place.index + i);
        places.push_back(place);
      }
    }
    keep(record.stamp.lsn, RecordType::kWrite, trace);
  }
  void on_zero(const ZeroRecord& r) override { add(r, RecordType::kZero); }
  void on_volume_created(const VolumeCreated& r) override { add(r, RecordType::kVolumeCreated); }
  void on_volume_created_from(const VolumeCreatedFrom& r) override {
    add(r, RecordType::kVolumeCreatedFrom);
  }
  void on_volume_resized(const VolumeResized& r) override { add(r, RecordType::kVolumeResized); }
  void on_volume_renamed(const VolumeRenamed& r) override { add(r, RecordType::kVolumeRenamed); }
  void on_volume_removed(const VolumeRemoved& r) override { add(r, RecordType::kVolumeRemoved); }
  void on_mark(const MarkRecord& r) override { add(r, RecordType::kMark); }
  void on_rollback(const RollbackRecord& r) override { add(r, RecordType::kRollback); }
  void on_gap(const GapRecord& r) override { add(r, RecordType::kGap); }
  void on_volume_resumed(const VolumeResumed& r) override { add(r, RecordType::kVolumeResumed); }
  void on_user(const UserRecord& r) override { add(r, RecordType::kUser); }
  void on_token(const TokenRecord& r) override { add(r, RecordType::kToken); }
  void on_audit(const AuditRecord& r) override { add(r, RecordType::kAudit); }
  void on_pulse(const PulseRecord& r) override { add(r, RecordType::kPulse); }
  void on_checkpoint(const CheckpointRecord& r) override { add(r, RecordType::kCheckpoint); }
  void on_crash(const CrashRecord& r) override { add(r, RecordType::kCrash); }
  void on_clock(const ClockRecord& r) override { add(r, RecordType::kClock); }
  void on_damage(const Damage& damage) override { damages.push_back(damage); }

  bool reports_loss_of(std::uint64_t lsn) const {
    return std::any_of(damages.begin(), damages.end(), [lsn](const Damage& damage) {
      return damage.after.value < lsn && (damage.before.value == 0 || lsn < damage.before.value);
    });
  }

  std::map<std::uint64_t, Trace> records;
  std::map<RecordType, int> kinds;
  std::vector<BlockPlace> places;
  std::vector<Damage> damages;

 private:
  void keep(Lsn lsn, RecordType type, Trace trace) {
    ++kinds[type];
    EXPECT_TRUE(records.emplace(lsn.value, trace).second) << "LSN " << lsn.value << " came twice";
  }
  template <typename Record>
  void add(const Record& record, RecordType type) {
    RecordEncoder encoder;
    encoder.add(record);
    Trace trace;
    trace.add(encoder.bytes());
    keep(record.stamp.lsn, type, trace);
  }
};

Trace trace_of(const JournalState& state) {
  Trace trace;
  for (const RecordEncoder& frame : encode_state(state, 1u << 20)) trace.add(frame.bytes());
  return trace;
}

// What everybody who reads the vault finds. Of a vault that has not changed it is what is right; of
// a changed one `compare` says in what it is wrong without a word.
class WholeVault {
 public:
  WholeVault(FlippedVault& vault, sim::Random& random) : vault_(vault), random_(random) {
    right_ = history();
    EXPECT_TRUE(right_->damages.empty());
    for (const BlockPlace& place : right_->places) {
      const auto found = block(place);
      EXPECT_TRUE(found.has_value());
      blocks_[place] = found.value_or(0);
    }
    newest_ = Lsn{right_->records.rbegin()->first};
    middle_ = Lsn{std::next(right_->records.begin(),
                            static_cast<std::ptrdiff_t>(right_->records.size() / 2))->first};
    index_ = index().answers;
    EXPECT_TRUE(index_.has_value());
    std::vector<Damage> lost;
    state_ = trace_of(cdp::value_or_throw(state(lost)));
  }
  const History& right() const { return *right_; }
  // The footer that says that the vault was closed: without it, it was not, as far as anybody knows.
  // No history is in it.
  bool is_last_frame(const Part& part) const {
    return part.path == vault_.machine.path_of(vault_.segment_count()) && part.is_footer;
  }

  // Sentences; `told` becomes whether anybody said that something is wrong.
  std::vector<std::string> compare(const Part& part, std::uint64_t at, bool& told) {
    std::vector<std::string> wrong;
    const auto root = machine().store->directory("vault");
    const auto identity = machine().scheduler.run(open_vault(*root));
    if (!identity.ok()) {
      told = true;
      return wrong;  // nobody comes farther
    }
    if (encode_vault(*identity) != encode_vault(machine().vault)) wrong.push_back("the identity");
    compare_history(wrong, told);
    compare_blocks(part, at, wrong, told);
    compare_index(wrong, told);
    compare_state(wrong, told);
    compare_recovery(wrong, told);
    const auto report = machine().scheduler.run(
        verify(machine().scheduler, *machine().segments, machine().vault,
               {.deep = true, .progress = {}}));
    const bool verified = report.ok() && report->ok();
    if (!verified) told = true;
    if (verified && part.path.find("segments") != std::string::npos && !is_last_frame(part))
      wrong.push_back("a deep verify finds nothing");
    return wrong;
  }

 private:
  JournalWorld& machine() { return vault_.machine; }

  // Nothing where it cannot be read to its end.
  std::optional<History> history() {
    auto reader = machine().scheduler.run(
        VaultReader::open(machine().scheduler, *machine().segments, machine().vault));
    if (!reader.ok()) return std::nullopt;
    History found;
    if (!machine().scheduler.run((*reader)->visit({}, {UINT64_MAX}, found)).ok())
      return std::nullopt;
    return found;
  }
  void compare_history(std::vector<std::string>& wrong, bool& told) {
    const std::optional<History> now = history();
    if (!now.has_value() || !now->damages.empty()) told = true;
    if (!now.has_value()) return;
    for (const auto& [lsn, trace] : now->records) {
      const auto expected = right_->records.find(lsn);
      if (expected == right_->records.end() || !(expected->second == trace))
        wrong.push_back(fmt::format("the record with LSN {}", lsn));
    }
    for (const auto& [lsn, trace] : right_->records)
      if (!now->records.contains(lsn) && !now->reports_loss_of(lsn))
        wrong.push_back(fmt::format("the record with LSN {} is missing", lsn));
  }

  Reading block(const BlockPlace& place) {
    BlockReader reader(machine().scheduler, *machine().segments, machine().vault, {});
    std::array<std::byte, cdp::kBlockBytes> bytes;
    if (!machine().scheduler.run(reader.read(place, nullptr, bytes)).ok()) return std::nullopt;
    Trace trace;
    trace.add(bytes);
    return trace.value();
  }
  void compare_blocks(const Part& part, std::uint64_t at, std::vector<std::string>& wrong,
                      bool& told) {
    int others = 4;
    for (const auto& [place, expected] : blocks_) {
      const bool hit = part.path == machine().path_of(place.segment) && at >= place.run_offset &&
                       at < std::uint64_t{place.run_offset} + place.run_bytes;
      if (!hit && (others == 0 || !random_.chance(2))) continue;
      if (!hit) --others;
      const Reading now = block(place);
      if (!now.has_value()) told = true;
      if (now.has_value() && *now != expected)
        wrong.push_back(fmt::format("block {} of the run at {}", place.index, place.run_offset));
    }
  }

  struct IndexAnswers {
    std::optional<std::uint64_t> answers{};  // nothing: none was given
    bool tells_damage = false;
  };
  IndexAnswers index() {
    IndexAnswers found;
    const auto saved = machine().store->directory("vault/index");
    const auto scratch = machine().store->directory(fmt::format("scratch-{}", ++scratches_));
    auto opened = machine().scheduler.run(index::TimeIndex::open_beside(
        machine().scheduler, saved.get(), *scratch, *machine().segments, machine().vault,
        vault_.options));
    if (!opened.ok()) return found;
    ask_index(**opened, found);
    static_cast<void>(machine().scheduler.run((*opened)->close()).ok());
    return found;
  }
  void ask_index(index::TimeIndex& of, IndexAnswers& found) {
    if (!machine().scheduler.run(of.catch_up({UINT64_MAX})).ok()) return;
    Trace trace;
    for (const Lsn lsn : {newest_, middle_}) {
      auto snapshot = machine().scheduler.run(of.snapshot(lsn));
      if (!snapshot.ok()) return;
      for (const VolumeId volume : vault_.volumes) {
        std::vector<index::BlockVersion> versions(TimeIndexWorld::kBlocks);
        const Visibility visible{{volume, {{{}, lsn}}}};
        if (!machine().scheduler.run((*snapshot)->lookup(visible, 0, versions)).ok()) return;
        for (const index::BlockVersion& version : versions) {
          trace.add(static_cast<std::uint8_t>(version.state));
          trace.add(version.lsn.value);
          trace.add(version.place.segment);
          trace.add(version.place.run_offset);
          trace.add(version.place.index);
        }
      }
      const auto frames = machine().scheduler.run((*snapshot)->control_frames({{}, lsn}));
      if (!frames.ok()) return;
      for (const index::FrameRow& row : *frames)
        if ((row.flags & index::FrameRow::kDamaged) != 0) found.tells_damage = true;
    }
    found.answers = trace.value();
  }
  void compare_index(std::vector<std::string>& wrong, bool& told) {
    const IndexAnswers now = index();
    if (!now.answers.has_value() || now.tells_damage) told = true;
    if (now.answers.has_value() && *now.answers != *index_ && !now.tells_damage)
      wrong.push_back("what the time index says");
  }

  Result<JournalState> state(std::vector<Damage>& lost) {
    return machine().scheduler.run(
        newest_state(machine().scheduler, *machine().segments, machine().vault, &lost));
  }
  void compare_state(std::vector<std::string>& wrong, bool& told) {
    std::vector<Damage> lost;
    const Result<JournalState> now = state(lost);
    if (!now.ok() || !lost.empty()) told = true;
    if (now.ok() && lost.empty() && !(trace_of(*now) == state_)) wrong.push_back("the newest state");
    const Result<JournalState> strict = machine().scheduler.run(
        newest_state(machine().scheduler, *machine().segments, machine().vault));
    if (strict.ok() && !(trace_of(*strict) == state_)) wrong.push_back("the newest state");
  }
  void compare_recovery(std::vector<std::string>& wrong, bool& told) {
    DedupTable table(1u << 16);
    const auto now =
        machine().scheduler.run(recover(machine().scheduler, *machine().segments, machine().vault, {}, table));
    if (!now.ok() || now->crash.has_value()) told = true;
    if (now.ok() && !(now->crash.has_value() && now->crash->corrupt()) &&
        !(trace_of(now->state) == state_))
      wrong.push_back("the state that is recovered");
  }

  FlippedVault& vault_;
  sim::Random& random_;
  std::optional<History> right_;
  std::map<BlockPlace, std::uint64_t> blocks_;
  Lsn newest_{};
  Lsn middle_{};
  std::optional<std::uint64_t> index_;
  Trace state_;
  int scratches_ = 0;
};

TEST(ByteFlips, WhoeverReadsTheVaultGetsWhatWasWrittenOrIsTold) {
  const std::uint64_t seed = number_from("HINDSIGHT_BYTE_FLIPS_SEED", 4);
  SCOPED_TRACE(fmt::format("seed {}", seed));
  FlippedVault vault(seed);
  ASSERT_NO_FATAL_FAILURE(vault.build());
  const std::vector<Part> parts = vault.parts();
  sim::Random random(seed);
  WholeVault whole(vault, random);
  for (const RecordType kind :
       {RecordType::kWrite, RecordType::kZero, RecordType::kVolumeCreated,
        RecordType::kVolumeResized, RecordType::kVolumeRenamed, RecordType::kVolumeRemoved,
        RecordType::kMark, RecordType::kCheckpoint, RecordType::kCrash, RecordType::kClock,
        RecordType::kRollback, RecordType::kGap, RecordType::kVolumeCreatedFrom,
        RecordType::kVolumeResumed, RecordType::kUser, RecordType::kToken, RecordType::kAudit,
        RecordType::kPulse})
    EXPECT_TRUE(whole.right().kinds.contains(kind)) << "no record of type " << static_cast<int>(kind);

  std::map<std::string, std::vector<const Part*>> by_kind;
  for (const Part& part : parts) by_kind[part.what].push_back(&part);
  Count total;
  const std::uint64_t wanted = number_from("HINDSIGHT_VAULT_FLIPS", sim::rounds(kVaultFlips));
  while (total.all() < wanted && total.silent < 5) {
    // As many of each kind, however small.
    const auto& kind = std::next(by_kind.begin(), static_cast<std::ptrdiff_t>(
                                                      random.below(by_kind.size())))->second;
    const Part& part = *kind[random.below(kind.size())];
    const std::uint64_t at = part.offset + random.below(part.bytes);
    const std::uint64_t bit = at * 8 + random.below(8);
    vault.machine.store->flip_bit(part.path, bit);
    bool told = false;
    const std::vector<std::string> wrong = whole.compare(part, at, told);
    vault.machine.store->flip_bit(part.path, bit);
    if (!wrong.empty()) {
      ++total.silent;
      ADD_FAILURE() << "bit " << bit % 8 << " of byte " << at << " of " << part.path << ", in a "
                    << part.what << ", changes unnoticed: " << wrong.front();
    } else if (told) {
      ++total.refused;
    } else {
      ++total.without_effect;
    }
  }
  std::cout << "of a whole vault, " << total.text() << "\n";
  sim::tally("byte flips", total.all());
}

}  // namespace
}  // namespace journal
