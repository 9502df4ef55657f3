// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/journal/journal_world.h"

#include <gtest/gtest.h>

#include <cstring>

#include "journal/format.h"

namespace journal {

void fill_block(std::uint64_t seed, std::span<std::byte, cdp::kBlockBytes> block) {
  if (seed == 0) {
    std::memset(block.data(), 0, block.size());
    return;
  }
  sim::Random random(sim::Random(seed).next());
  const std::size_t random_bytes = seed % 2 == 0 ? 256 : block.size();
  for (std::size_t at = 0; at < random_bytes; at += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(block.data() + at, &word, sizeof word);
  }
  for (std::size_t at = random_bytes; at < block.size(); ++at)
    block[at] = static_cast<std::byte>("a row of a table "[at % 17]);
  std::memcpy(block.data(), &seed, sizeof seed);
}

Vault test_vault(std::uint8_t fill) {
  Vault vault;
  for (std::size_t i = 0; i < vault.uuid.bytes.size(); ++i)
    vault.uuid.bytes[i] = static_cast<std::byte>(0x10 + i);
  for (std::size_t i = 0; i < vault.secret.size(); ++i)
    vault.secret[i] = static_cast<std::byte>(i * 37 + fill);
  vault.created = {1'582'455'360'000'000'000};
  return vault;
}

JournalOptions small_options() {
  JournalOptions options;
  options.frame_blocks = 32;
  options.queue_blocks = 64;
  options.inline_blocks = 4;
  options.dedup_bytes = 1u << 20;
  options.segment_bytes = cdp::round_up(options.minimum_segment_bytes(), 4096);
  return options;
}

void Collector::on_write(const WriteRecord& record) {
  ReadRecord copy{.is_write = true,
                  .volume = record.volume,
                  .stamp = record.stamp,
                  .first_block = record.first_block,
                  .block_count = record.block_count};
  for (const WritePiece& piece : record.pieces)
    copy.pieces.push_back({piece, {piece.fingerprints.begin(), piece.fingerprints.end()}});
  records.push_back(std::move(copy));
}

void Collector::on_zero(const ZeroRecord& record) {
  records.push_back({.is_write = false,
                     .volume = record.volume,
                     .stamp = record.stamp,
                     .first_block = record.first_block,
                     .block_count = record.block_count});
}

std::map<PieceKind, std::size_t> Collector::blocks_by_kind() const {
  std::map<PieceKind, std::size_t> counts;
  for (const ReadRecord& record : records)
    for (const auto& piece : record.pieces) counts[piece.piece.kind] += piece.piece.count;
  return counts;
}

JournalWorld::JournalWorld(std::uint64_t seed_in, JournalOptions options_in)
    : seed(seed_in),
      options(options_in),
      scheduler(seed_in),
      clock(scheduler),
      random(seed_in + 1),
      store(sim::SimStore::make(scheduler, seed_in + 2)),
      segments(store->directory("vault/segments")),
      state(store->directory("state")),
      index(store->directory("vault/index")),
      pool(std::make_unique<cdp::PagePool>(scheduler, 4096)),
      sequencer(std::make_unique<cdp::Sequencer>(clock)) {}

JournalWorld::~JournalWorld() {
  if (journal != nullptr) static_cast<void>(close().ok());
  dirty_.clear();
}

Status JournalWorld::open() {
  CHECK(journal == nullptr);
  sequencer = std::make_unique<cdp::Sequencer>(clock);
  auto opened =
      scheduler.run(Journal::open(scheduler, clock, *sequencer, *segments, state.get(), vault,
                                  options, saves_hooks ? index.get() : nullptr));
  if (!opened.ok()) return opened.error();
  journal = *std::move(opened);
  return {};
}

Status JournalWorld::close() {
  Status closed = scheduler.run(journal->close());
  journal.reset();
  return closed;
}

void JournalWorld::crash_and_reboot(std::uint64_t fate) {
  store->crash_now();
  if (journal != nullptr) static_cast<void>(close().ok());  // every I/O of it fails
  boot(store->reboot(scheduler, fate));
}

void JournalWorld::boot(std::shared_ptr<sim::SimStore> with) {
  CHECK(journal == nullptr);
  dirty_.clear();
  store = std::move(with);
  segments = store->directory("vault/segments");
  state = store->directory("state");
  index = store->directory("vault/index");
}

VolumeId JournalWorld::create_volume(const std::string& name, std::uint64_t size_bytes) {
  const Stamp stamp = sequencer->next();
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), &stamp.lsn.value, sizeof stamp.lsn.value);
  auto created = journal->record_volume_created(stamp, uuid, name, size_bytes, "");
  if (!created.ok()) ADD_FAILURE() << created.error().message;
  return created.ok() ? *created : VolumeId{};
}

bool JournalWorld::write(VolumeId volume, std::uint64_t first_block,
                         std::vector<std::uint64_t> seeds, bool with_previous) {
  const auto count = static_cast<std::uint32_t>(seeds.size());
  cdp::PageList pages = scheduler.run(pool->acquire(count));
  cdp::PageList previous(count);
  for (std::uint32_t i = 0; i < count; ++i)
    fill_block(seeds[i], std::span<std::byte, cdp::kBlockBytes>(pages[i].data(), cdp::kBlockBytes));
  Status admitted = scheduler.run(journal->admit(count));
  if (!admitted.ok()) {
    last_refusal = admitted.error();
    return false;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto key = std::pair(volume, first_block + i);
    if (const auto at = dirty_.find(key); with_previous && at != dirty_.end())
      previous[i] = at->second;
    dirty_[key] = pages[i];
    seeds_[key] = seeds[i];
  }
  if (dirty_.size() > 1000) dirty_.clear();  // written back
  const Stamp stamp = sequencer->next();
  journal->record_write(volume, stamp, first_block, pages, previous);
  model.push_back({.kind = ModelChange::Kind::kWrite,
                   .volume = volume,
                   .stamp = stamp,
                   .first_block = first_block,
                   .block_count = count,
                   .seeds = std::move(seeds)});
  return true;
}

bool JournalWorld::zero(VolumeId volume, std::uint64_t first_block, std::uint64_t count,
                        ZeroKind kind) {
  Status admitted = scheduler.run(journal->admit(0));
  if (!admitted.ok()) {
    last_refusal = admitted.error();
    return false;
  }
  const Stamp stamp = sequencer->next();
  journal->record_zero(volume, stamp, kind, first_block, count);
  for (std::uint64_t i = 0; i < count; ++i) {
    seeds_.erase({volume, first_block + i});
    dirty_.erase({volume, first_block + i});
  }
  model.push_back({.kind = ModelChange::Kind::kZero,
                   .volume = volume,
                   .stamp = stamp,
                   .first_block = first_block,
                   .block_count = count});
  return true;
}

void JournalWorld::random_step(const std::vector<VolumeId>& volumes) {
  const VolumeId volume = volumes[random.below(volumes.size())];
  const std::uint64_t first = random.below(64);
  if (random.chance(8)) {
    zero(volume, first, random.between(1, 40), random.coin() ? ZeroKind::kTrim : ZeroKind::kZero);
  } else {
    std::vector<std::uint64_t> seeds(random.between(1, random.chance(20) ? 40 : 3));
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      const auto now = seeds_.find({volume, first + i});
      if (random.chance(10))
        seeds[i] = 0;
      else if (random.chance(15) && now != seeds_.end())
        seeds[i] = now->second;
      else if (random.chance(30) && next_seed_ > 1)
        seeds[i] = random.between(1, next_seed_ - 1);
      else
        seeds[i] = next_seed_++;
    }
    write(volume, first, std::move(seeds));
  }
  if (random.chance(10)) {
    const Status flushed = flush();
    if (!flushed.ok()) last_refusal = flushed.error();
  }
  if (random.chance(5)) scheduler.run_for(random.nanos({0}, cdp::milliseconds(300)));
}

Status JournalWorld::work_with_a_failing_append(VolumeId volume) {
  store->clear_faults();
  store->inject({.path_contains = "vault/segments",
                 .kind = sim::IoKind::kWriteDurably,
                 .skip = random.below(6)});
  for (int i = 0; i < 60; ++i) random_step({volume});
  return flush();
}

std::unique_ptr<VaultReader> JournalWorld::reader() {
  auto opened = scheduler.run(VaultReader::open(scheduler, *segments, vault));
  if (!opened.ok()) {
    ADD_FAILURE() << opened.error().message;
    return nullptr;
  }
  return *std::move(opened);
}

Collector JournalWorld::collect(Lsn after, Lsn upto) {
  Collector collector;
  const auto of = reader();
  if (of == nullptr) return collector;
  const Status visited = scheduler.run(of->visit(after, upto, collector));
  EXPECT_TRUE(visited.ok()) << visited.error().message;
  return collector;
}

VerifyReport JournalWorld::verify_all(bool deep) {
  auto report = scheduler.run(verify(scheduler, *segments, vault, {.deep = deep, .progress = {}}));
  if (!report.ok()) {
    ADD_FAILURE() << report.error().message;
    return {};
  }
  return *report;
}

Collector JournalWorld::check_history() {
  Collector history = collect();
  BlockReader blocks(scheduler, *segments, vault, {.cache_bytes = 1u << 20, .open_segments = 4});
  map_.clear();
  EXPECT_LE(history.records.size(), model.size()) << "seed " << seed;
  const std::size_t count = std::min(history.records.size(), model.size());
  for (std::size_t i = 0; i < count && !testing::Test::HasFailure(); ++i)
    check_record(history.records[i], model[i], blocks);
  return history;
}

void JournalWorld::check_record(const ReadRecord& read, const ModelChange& expected,
                                BlockReader& blocks) {
  SCOPED_TRACE(fmt::format("seed {}, LSN {}", seed, expected.stamp.lsn.value));
  ASSERT_EQ(read.stamp.lsn.value, expected.stamp.lsn.value);
  EXPECT_EQ(read.stamp.time.value, expected.stamp.time.value);
  EXPECT_EQ(read.is_write, expected.kind == ModelChange::Kind::kWrite);
  EXPECT_EQ(read.volume, expected.volume);
  EXPECT_EQ(read.first_block, expected.first_block);
  ASSERT_EQ(read.block_count, expected.block_count);
  if (!read.is_write) {
    for (std::uint64_t i = 0; i < read.block_count; ++i)
      map_.erase({read.volume, read.first_block + i});
    return;
  }
  std::uint64_t block = read.first_block;
  for (const ReadRecord::Piece& of : read.pieces) {
    ASSERT_EQ(of.piece.first_block, block);
    for (std::uint32_t i = 0; i < of.piece.count; ++i, ++block) {
      const auto key = std::pair(read.volume, block);
      BlockPlace place = of.piece.place;
      place.index = static_cast<std::uint16_t>(place.index + i);
      if (of.piece.kind == PieceKind::kZero)
        map_.erase(key);
      else if (of.piece.has_place())
        map_[key] = place;
      std::array<std::byte, cdp::kBlockBytes> actual{};
      if (const auto at = map_.find(key); at != map_.end()) {
        const Fingerprint* print = of.fingerprints.empty() ? nullptr : &of.fingerprints[i];
        if (options.fingerprint != fingerprint) print = nullptr;  // a test's own function
        const Status got = scheduler.run(blocks.read(at->second, print, actual));
        ASSERT_TRUE(got.ok()) << got.error().message;
      }
      std::array<std::byte, cdp::kBlockBytes> wanted;
      fill_block(expected.seeds[block - expected.first_block], wanted);
      ASSERT_TRUE(actual == wanted) << "block " << block;
    }
  }
  ASSERT_EQ(block, read.first_block + read.block_count);
}

std::uint64_t JournalWorld::model_seed(VolumeId volume, std::uint64_t block, Lsn at) const {
  std::uint64_t seed_now = 0;
  for (const ModelChange& change : model) {
    if (change.stamp.lsn > at) break;
    if (change.volume != volume || block < change.first_block ||
        block >= change.first_block + change.block_count)
      continue;
    seed_now =
        change.kind == ModelChange::Kind::kZero ? 0 : change.seeds[block - change.first_block];
  }
  return seed_now;
}

void JournalWorld::forget_after(Lsn last) {
  while (!model.empty() && model.back().stamp.lsn > last) model.pop_back();
  seeds_.clear();
  dirty_.clear();
  for (const ModelChange& change : model) {
    for (std::uint64_t i = 0; i < change.block_count; ++i) {
      if (change.kind == ModelChange::Kind::kZero)
        seeds_.erase({change.volume, change.first_block + i});
      else
        seeds_[{change.volume, change.first_block + i}] = change.seeds[i];
    }
  }
}

std::string JournalWorld::path_of(std::uint32_t segment) const {
  return "vault/segments/" + segment_name(segment);
}

}  // namespace journal
