// SPDX-License-Identifier: Apache-2.0
//
// What a journal is after the machine stopped: exactly the valid prefix, never less than what was
// answered as durable; and what it says when storage lost or changed something.
#include <gtest/gtest.h>

#include <cstring>

#include "journal/durable_note.h"
#include "journal/format.h"
#include "tests/unit/journal/journal_world.h"

namespace journal {
namespace {

class RecoverySeeds : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RecoverySeeds, testing::Range<std::uint64_t>(1, 33));

// The LSN at which history ends, from the record of the crash.
Lsn recovered_end(const JournalWorld& world) {
  const auto& crashes = world.journal->state().crashes;
  EXPECT_FALSE(crashes.empty());
  return crashes.empty() ? Lsn{} : crashes.back().last_lsn;
}

TEST_P(RecoverySeeds, Rule2_ACrashAtAnyIoLeavesExactlyAPrefixWithAllThatWasAnswered) {
  JournalWorld world(GetParam());
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  ASSERT_TRUE(world.flush().ok());
  for (std::uint64_t generation = 0; generation < 6 && !testing::Test::HasFailure(); ++generation) {
    SCOPED_TRACE(fmt::format("seed {}, generation {}", GetParam(), generation));
    world.store->crash_at(world.store->ios() + world.random.between(1, 120));
    while (!world.store->crashed()) world.random_step({volume});
    const Lsn answered = world.journal->durable_lsn();
    const Lsn taken = world.sequencer->last();
    world.crash_and_reboot(GetParam() * 100 + generation);
    // The next start may be cut short as well.
    if (world.random.chance(30)) {
      world.store->crash_at(world.random.between(1, 20));
      if (world.open().ok()) static_cast<void>(world.close().ok());
      world.crash_and_reboot(GetParam() * 100 + 50 + generation);
    }
    const Status opened = world.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const auto& crashes = world.journal->state().crashes;
    ASSERT_FALSE(crashes.empty());
    Lsn end = crashes.back().last_lsn;
    // Where two starts were needed, the first may have recorded the crash itself.
    for (const CrashRecord& crash : crashes)
      if (crash.last_lsn >= answered && crash.stamp.lsn > taken)
        end = std::min(end, crash.last_lsn);
    EXPECT_GE(end, answered);
    for (const CrashRecord& crash : crashes) EXPECT_EQ(crash.flags, 0u) << "a false alarm";
    EXPECT_GT(world.sequencer->last(), taken) << "LSNs of lost changes are not given again";
    world.forget_after(end);
    const Collector history = world.check_history();
    EXPECT_EQ(history.records.size(), world.model.size());
    EXPECT_TRUE(history.damages.empty());
  }
  world.store->clear_faults();
  ASSERT_TRUE(world.close().ok());
  const VerifyReport report = world.verify_all(true);
  for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
}

// A world that has stopped with some flushed frames in segment 1, and where each of them lies.
struct Stopped {
  explicit Stopped(std::uint64_t seed) : world(seed) {
    CHECK(world.open().ok());
    volume = world.create_volume("db");
    for (int i = 0; i < 25; ++i) {
      world.random_step({volume});
      CHECK(world.flush().ok());
    }
    for (const FrameInfo& frame : world.collect().frames) frames.push_back(frame);
    world.store->crash_now();
    CHECK(!world.close().ok());
    crashed = world.store;
    all = world.model;
  }

  // Boots a copy of what the crash left (everything was flushed), with the model as it was.
  void boot() {
    world.boot(crashed->reboot(world.scheduler, ++fates));
    world.model = all;
  }
  void overwrite(std::uint64_t offset, std::vector<std::byte> bytes) {
    world.store->overwrite(world.path_of(1), offset, bytes);
  }

  JournalWorld world;
  VolumeId volume;
  std::vector<FrameInfo> frames;
  std::shared_ptr<sim::SimStore> crashed;
  std::vector<ModelChange> all;
  std::uint64_t fates = 0;
};

TEST(Rule1, ATailTornAtAnySectorIsCutAtTheLastWholeFrame) {
  Stopped stopped(2);
  JournalWorld& world = stopped.world;
  const FrameInfo last = stopped.frames.back();
  const FrameInfo first = stopped.frames[stopped.frames.size() - 3];
  const std::uint64_t file_end = last.offset + std::uint64_t{last.total_bytes};
  for (std::uint64_t cut = first.offset; cut <= file_end && !testing::Test::HasFailure();
       cut += 512) {
    SCOPED_TRACE(fmt::format("cut at byte {}", cut));
    stopped.boot();
    stopped.overwrite(cut, std::vector<std::byte>(file_end - cut + 4096));
    Lsn expected = first.first_lsn;
    std::uint64_t expected_cut = 0;
    for (const FrameInfo& frame : stopped.frames) {
      // A frame may end in padding, which is zero anyway.
      const std::vector<std::byte> rest =
          stopped.crashed->content(world.path_of(1), std::min<std::uint64_t>(cut, file_end),
                                   file_end - std::min<std::uint64_t>(cut, file_end));
      std::uint64_t used = frame.offset + std::uint64_t{frame.total_bytes};
      while (used > cut && used > frame.offset && rest[used - cut - 1] == std::byte{0}) --used;
      if (used > cut) break;
      expected = frame.last_lsn;
      expected_cut = frame.offset + std::uint64_t{frame.total_bytes};
    }
    const Status opened = world.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(recovered_end(world).value, expected.value);
    EXPECT_EQ(world.journal->state().crashes.back().cut_bytes, expected_cut);
    EXPECT_FALSE(world.journal->state().crashes.back().corrupt());
    world.forget_after(expected);
    EXPECT_EQ(world.check_history().records.size(), world.model.size());
    ASSERT_TRUE(world.close().ok());
  }
}

TEST(Rule1, ADamagedFrameWithAValidLaterOneIsCorruptionAndLaterHistoryIsServed) {
  Stopped stopped(3);
  JournalWorld& world = stopped.world;
  for (const std::size_t index : {std::size_t{1}, stopped.frames.size() / 2}) {
    SCOPED_TRACE(index);
    const FrameInfo hurt = stopped.frames[index];
    stopped.boot();
    world.store->flip_bit(world.path_of(1), (std::uint64_t{hurt.offset} + 100) * 8 + 3);
    const Status opened = world.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const CrashRecord crash = world.journal->state().crashes.back();
    EXPECT_TRUE(crash.corrupt());
    EXPECT_EQ(crash.last_lsn, stopped.frames.back().last_lsn) << "what came later is kept";
    const Collector history = world.collect();
    ASSERT_EQ(history.damages.size(), 1u);
    EXPECT_EQ(history.damages[0].from_offset, hurt.offset);
    EXPECT_EQ(history.damages[0].to_offset, hurt.offset + std::uint64_t{hurt.total_bytes});
    EXPECT_EQ(history.damages[0].before, stopped.frames[index + 1].first_lsn);
    std::size_t lost = 0;
    for (const ModelChange& change : stopped.all)
      if (change.stamp.lsn >= hurt.first_lsn && change.stamp.lsn <= hurt.last_lsn) ++lost;
    EXPECT_EQ(history.records.size() + lost, stopped.all.size());
    ASSERT_TRUE(world.close().ok());
    // It stays visible, start after start.
    ASSERT_TRUE(world.open().ok());
    EXPECT_TRUE(world.journal->state().crashes.back().corrupt());
    EXPECT_FALSE(world.verify_all(false).ok());
    ASSERT_TRUE(world.close().ok());
  }
}

TEST(Rule1, DamageInTheDataOfAFrameIsFoundByRecoveryAndByDeepVerify) {
  Stopped stopped(3);
  JournalWorld& world = stopped.world;
  std::size_t index = 2;
  while (stopped.frames[index].data_bytes < 2000) ++index;
  ASSERT_LT(index + 1, stopped.frames.size());
  const FrameInfo hurt = stopped.frames[index];
  stopped.boot();
  // Runs lie at the end of a frame, before its padding.
  const std::vector<std::byte> frame =
      world.store->content(world.path_of(1), hurt.offset, hurt.total_bytes);
  std::size_t last = frame.size();
  while (frame[last - 1] == std::byte{0}) --last;
  world.store->flip_bit(world.path_of(1), (hurt.offset + last - 20) * 8);
  EXPECT_FALSE(world.verify_all(true).ok());
  EXPECT_TRUE(world.verify_all(false).ok()) << "a quick verify reads no data";
  ASSERT_TRUE(world.open().ok());
  EXPECT_TRUE(world.journal->state().crashes.back().corrupt());
}

// A footer has the LSN of the record before it: the report must say that this one is lost.
TEST(Rule1, DamageBeforeAFooterIsReportedToItsLastLsn) {
  JournalWorld world(9);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (std::uint64_t i = 0; i < 3; ++i) {
    world.write(volume, i, {2 * i + 1});
    ASSERT_TRUE(world.flush().ok());
  }
  ASSERT_TRUE(world.close().ok());
  const std::vector<FrameInfo> frames = world.collect().frames;
  const FrameInfo& last = frames.back();
  world.store->flip_bit(world.path_of(1), (std::uint64_t{last.offset} + 100) * 8);
  const Collector history = world.collect();
  ASSERT_EQ(history.damages.size(), 1u);
  EXPECT_EQ(history.damages[0].after, frames[frames.size() - 2].last_lsn);
  EXPECT_EQ(history.damages[0].before.value, last.last_lsn.value + 1);
}

// A volume that was made in it would just not be there.
TEST(Rule1, AStateThatLacksWhatCannotBeReadIsNotGivenWithoutAWord) {
  JournalWorld world(9);
  ASSERT_TRUE(world.open().ok());
  for (const char* name : {"db", "log", "tmp"}) {
    world.create_volume(name);
    ASSERT_TRUE(world.flush().ok());
  }
  ASSERT_TRUE(world.close().ok());
  const std::vector<FrameInfo> frames = world.collect().frames;
  // The first one, behind the state: that can still be read, and so can what came later.
  const FrameInfo& hurt = frames.front();
  world.store->flip_bit(world.path_of(1), (std::uint64_t{hurt.offset} + 100) * 8);
  const auto strict =
      world.scheduler.run(newest_state(world.scheduler, *world.segments, world.vault));
  ASSERT_FALSE(strict.ok());
  EXPECT_NE(strict.error().message.find("cannot be read"), std::string::npos);
  std::vector<Damage> lost;
  const auto state =
      world.scheduler.run(newest_state(world.scheduler, *world.segments, world.vault, &lost));
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->find("db"), nullptr);
  EXPECT_NE(state->find("tmp"), nullptr);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].before.value, hurt.last_lsn.value + 1);
}

// A state of several frames, of which one but the first cannot be read, is not taken for whole:
// the volumes or rollbacks in it would be forgotten for good. It is made from the segment before, or
// refused where a part of that is lost too.
TEST(Rule7, AStateOfWhichAFrameIsDamagedIsNotTakenForWhole) {
  JournalOptions options = small_options();
  options.segment_bytes = 32u << 20;
  JournalWorld world(9, options);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  const std::string author(4000, 'a');
  for (int i = 0; i < 600; ++i) {
    const Status marked = world.journal->record_mark(volume, world.sequencer->next(),
                                                     fmt::format("mark {}", i), author);
    ASSERT_TRUE(marked.ok()) << marked.error().message;
    ASSERT_TRUE(world.flush().ok());
  }
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  world.write(volume, 1, {1});
  ASSERT_TRUE(world.close().ok());
  const std::string newest = world.path_of(world.reader()->segments().back().number);
  const auto header = [&](std::uint64_t at) {
    const std::vector<std::byte> bytes = world.store->content(newest, at, kFrameHeaderBytes);
    return cdp::value_or_throw(decode_frame_header(
        world.vault, world.reader()->segments().back().number, at,
        std::span<const std::byte, kFrameHeaderBytes>(bytes.data(), kFrameHeaderBytes)));
  };
  const FrameHeader first = header(kSegmentHeaderBytes);
  const FrameHeader second = header(kSegmentHeaderBytes + first.total_bytes);
  ASSERT_EQ(second.kind, FrameKind::kState) << "the state should need two frames";
  world.store->flip_bit(newest, (std::uint64_t{second.offset} + 100) * 8);
  const auto state =
      world.scheduler.run(newest_state(world.scheduler, *world.segments, world.vault));
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->marks.size(), 600u);

  const FrameInfo record = world.collect().frames[300];
  ASSERT_EQ(record.segment, 1u);
  world.store->flip_bit(world.path_of(1), (std::uint64_t{record.offset} + 100) * 8);
  const Status opened = world.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("the state that"), std::string::npos);
  EXPECT_FALSE(
      world.scheduler.run(newest_state(world.scheduler, *world.segments, world.vault)).ok());
}

std::string summary(const Result<JournalState>& state) {
  if (!state.ok()) return state.error().message;
  std::string text =
      fmt::format("up to {} at {}, {} marks, {} crashes, clock {}", state->lsn.value,
                  state->time.value, state->marks.size(), state->crashes.size(),
                  state->clock ? state->clock->stamp.lsn.value : 0);
  for (const auto& [id, volume] : state->volumes)
    text += fmt::format("; {} {} of {}, checkpoint {}", id.value, volume.name, volume.size_bytes,
                        volume.checkpoint.value);
  return text;
}

// One bit of it must not cost the points behind it, nor keep the appliance from starting.
TEST(Rule7, AStateThatIsDamagedIsMadeFromTheSegmentsBefore) {
  JournalWorld world(10);
  for (int life = 0; life < 3; ++life) {
    ASSERT_TRUE(world.open().ok());
    world.create_volume(fmt::format("db-{}", life));
    ASSERT_TRUE(world.flush().ok());
    ASSERT_TRUE(world.close().ok());
  }
  const auto state_at = [&](Lsn lsn) { return world.scheduler.run(world.reader()->state_at(lsn)); };
  const std::vector<SegmentInfo> segments = world.reader()->segments();
  ASSERT_GE(segments.size(), 3u);
  const auto newest_known = [&] {
    return world.scheduler.run(newest_state(world.scheduler, *world.segments, world.vault));
  };
  const Result<JournalState> newest = newest_known();
  ASSERT_TRUE(newest.ok() && newest->find("db-2") != nullptr);
  const Lsn inside = segments.back().base_lsn;
  const std::string before = summary(state_at(inside));
  for (std::size_t i = segments.size(); i-- > 1;) {
    world.store->flip_bit(world.path_of(segments[i].number), (kSegmentHeaderBytes + 100) * 8);
    EXPECT_EQ(summary(state_at(inside)), before);
    EXPECT_EQ(summary(newest_known()), summary(newest));
  }
  EXPECT_FALSE(world.verify_all(true).problems.empty());
  ASSERT_TRUE(world.open().ok());
  for (const auto& [id, volume] : newest->volumes) {
    ASSERT_NE(world.journal->state().find(id), nullptr);
    EXPECT_EQ(world.journal->state().find(id)->name, volume.name);
  }
  ASSERT_FALSE(world.journal->state().crashes.empty());
  EXPECT_TRUE(world.journal->state().crashes.back().corrupt()) << "the damage is told";
  // The next segment opens with the whole state again.
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(summary(state_at(inside)), before);
}

TEST(Rule2, RecoveryNeverAppendsAfterACut) {
  Stopped stopped(4);
  JournalWorld& world = stopped.world;
  stopped.boot();
  std::set<std::string> written;
  world.store->set_observer([&](const sim::IoEvent& event) {
    if (event.kind == sim::IoKind::kWrite || event.kind == sim::IoKind::kWriteDurably ||
        event.kind == sim::IoKind::kZeroRange)
      written.insert(event.path);
  });
  const std::vector<std::byte> before = world.store->content(
      world.path_of(1), 0, stopped.frames.back().offset + stopped.frames.back().total_bytes);
  ASSERT_TRUE(world.open().ok());
  for (int i = 0; i < 20; ++i) world.random_step({stopped.volume});
  ASSERT_TRUE(world.close().ok());
  EXPECT_FALSE(written.contains(world.path_of(1)));
  EXPECT_EQ(world.store->content(world.path_of(1), 0, before.size()), before);
  const auto segments = world.reader()->segments();
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].end, SegmentInfo::End::kCut);
  EXPECT_EQ(segments[0].length_bytes, before.size());
  EXPECT_GT(segments[1].epoch, segments[0].epoch);
  // The rest of the old one held nothing, and its space was given back.
  EXPECT_EQ(world.store->size_of(world.path_of(1)), before.size());
}

TEST(Rule2, TornBytesAreKept) {
  Stopped stopped(4);
  JournalWorld& world = stopped.world;
  stopped.boot();
  const std::uint64_t end = stopped.frames.back().offset + stopped.frames.back().total_bytes;
  stopped.overwrite(end + 8192 + 512, std::vector<std::byte>(512, std::byte{0x5a}));
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.close().ok());
  EXPECT_EQ(world.store->size_of(world.path_of(1)), end + 3 * 4096);
  EXPECT_EQ(world.store->content(world.path_of(1), end + 8192 + 512, 1)[0], std::byte{0x5a});
}

TEST(Rule2, ACleanCloseLeavesNoCrashAndSkipsNoLsn) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  ASSERT_TRUE(world.close().ok());
  const Lsn last = world.sequencer->last();
  ASSERT_TRUE(world.open().ok());
  EXPECT_TRUE(world.journal->state().crashes.empty());
  EXPECT_EQ(world.sequencer->next().lsn.value, last.value + 1);
}

TEST(Rule1, AFrameThatAClientWroteIsNotTakenForOne) {
  // The client's data holds a byte-exact copy of a real frame, stored uncompressed at a multiple
  // of 4096 in the file; then the frame behind which it lies is damaged.
  JournalOptions options = small_options();
  options.dedup_bytes = 0;
  JournalWorld world(6, options);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1});
  ASSERT_TRUE(world.flush().ok());
  const FrameInfo genuine = world.collect().frames.back();
  const std::vector<std::byte> copy =
      world.store->content(world.path_of(1), genuine.offset, genuine.total_bytes);
  cdp::PageList pages = world.scheduler.run(world.pool->acquire(32));
  const auto image_of = [&](std::size_t shift) {
    std::vector<std::byte> image(32 * cdp::kBlockBytes);
    sim::Random random(shift);
    for (std::byte& byte : image) byte = static_cast<std::byte>(random.next());
    std::memcpy(image.data() + 8192 + shift, copy.data(), copy.size());
    return image;
  };
  // First a frame to learn where payload begins in one like it, then the real thing.
  std::size_t shift = 0;
  for (int round = 0; round < 2; ++round) {
    const std::vector<std::byte> image = image_of(shift);
    for (std::size_t i = 0; i < 32; ++i)
      std::memcpy(pages[i].data(), image.data() + i * cdp::kBlockBytes, cdp::kBlockBytes);
    ASSERT_TRUE(world.scheduler.run(world.journal->admit(32)).ok());
    world.journal->record_write(volume, world.sequencer->next(), 0, pages, {});
    ASSERT_TRUE(world.flush().ok());
    const FrameInfo frame = world.collect().frames.back();
    const std::vector<std::byte> bytes =
        world.store->content(world.path_of(1), frame.offset, frame.total_bytes);
    const auto found = std::search(bytes.begin(), bytes.end(), copy.begin(), copy.end());
    ASSERT_NE(found, bytes.end()) << "the copy should be stored raw";
    const auto at = static_cast<std::size_t>(found - bytes.begin());
    EXPECT_TRUE(round == 0 || at % 4096 == 0);
    shift = (4096 - at % 4096) % 4096;
  }
  const FrameInfo carrier = world.collect().frames.back();
  world.crash_and_reboot(1);
  world.store->flip_bit(world.path_of(1), (std::uint64_t{carrier.offset} + 30) * 8);
  ASSERT_TRUE(world.open().ok());
  const CrashRecord crash = world.journal->state().crashes.back();
  EXPECT_EQ(crash.cut_bytes, carrier.offset) << "history ends before the damaged frame";
  EXPECT_FALSE(crash.corrupt()) << "the copy is no valid later frame";
  // But it was answered as durable, which the state directory may remember (rule 3).
}

TEST(Rule3, ALostTailThatWasAnsweredAsDurableIsAnAlarm) {
  Stopped stopped(7);
  JournalWorld& world = stopped.world;
  stopped.boot();
  const Stamp newest{.lsn = stopped.frames.back().last_lsn, .time = {}};
  ASSERT_TRUE(
      world.scheduler
          .run(world.state->write_small("durable", encode_durable_note(newest, world.vault)))
          .ok());
  const FrameInfo last = stopped.frames.back();
  stopped.overwrite(last.offset, std::vector<std::byte>(last.total_bytes));
  ASSERT_TRUE(world.open().ok());
  EXPECT_TRUE(world.journal->state().crashes.back().tail_lost());
  EXPECT_EQ(world.journal->state().crashes.back().remembered_lsn, newest.lsn);
  EXPECT_GT(world.sequencer->last(), newest.lsn);
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  EXPECT_TRUE(world.journal->state().crashes.back().tail_lost()) << "it stays visible";
}

TEST(Rule3, ALostNewestSegmentIsAnAlarmAlthoughTheOneBeforeEndsWell) {
  JournalWorld world(8);
  ASSERT_TRUE(world.open().ok());
  world.create_volume("db");
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  world.create_volume("log");
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.scheduler.run(world.segments->remove(segment_name(2))).ok());
  ASSERT_TRUE(world.open().ok());
  ASSERT_EQ(world.journal->state().crashes.size(), 1u);
  EXPECT_TRUE(world.journal->state().crashes.back().tail_lost());
}

TEST(Rule3, TheNoteIsWrittenLazilyAndFollows) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.scheduler.run_for(cdp::seconds(3));
  const std::uint64_t notes = world.store->ios(sim::IoKind::kWriteSmall);
  for (std::uint64_t i = 0; i < 50; ++i) {
    world.write(volume, i, {2 * i + 1});
    ASSERT_TRUE(world.flush().ok());
  }
  world.scheduler.run_for(cdp::seconds(3));
  EXPECT_LE(world.store->ios(sim::IoKind::kWriteSmall), notes + 3);  // one a second
  const auto note = world.scheduler.run(read_durable_note(*world.state, world.vault));
  ASSERT_TRUE(note.ok() && note->has_value());
  EXPECT_EQ((*note)->lsn, world.journal->durable_lsn());
}

TEST(Recovery, AStateDirectoryOfAnotherVaultIsRefused) {
  JournalWorld world(1);
  Vault other = world.vault;
  other.uuid.bytes[0] = std::byte{0xff};
  ASSERT_TRUE(world.scheduler
                  .run(world.state->write_small("durable", encode_durable_note({{1}, {}}, other)))
                  .ok());
  const Status opened = world.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, EINVAL);
}

TEST(Recovery, AMissingSegmentIsAClearError) {
  JournalWorld world(1);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(world.open().ok());
    ASSERT_TRUE(world.close().ok());
  }
  ASSERT_TRUE(world.scheduler.run(world.segments->remove(segment_name(2))).ok());
  const Status opened = world.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("segments 2 to 2"), std::string::npos);
  EXPECT_FALSE(
      world.scheduler.run(VaultReader::open(world.scheduler, *world.segments, world.vault)).ok());
}

TEST(Recovery, SegmentsOfAnotherVaultAreRefused) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.close().ok());
  world.vault.uuid.bytes[3] = std::byte{0xee};
  const Status opened = world.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("belongs to vault"), std::string::npos);
}

TEST(Recovery, BlocksOfTheNewestSegmentAreStillKnownAfterARestart) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  world.write(volume, 0, {1, 3, 5, 7});
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  world.write(volume, 100, {1, 3, 5, 7}, false);
  ASSERT_TRUE(world.flush().ok());
  EXPECT_EQ(world.journal->statistics().duplicate_blocks, 4u);
  ASSERT_TRUE(world.close().ok());
  world.check_history();
}

TEST(Verify, FindsASegmentThatWasReplacedByAnotherOfTheSameName) {
  JournalWorld world(1);
  ASSERT_TRUE(world.open().ok());
  world.create_volume("db");
  ASSERT_TRUE(world.close().ok());
  const std::vector<std::byte> first = world.store->content(world.path_of(1));
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.close().ok());
  EXPECT_TRUE(world.verify_all(true).ok());
  // Another history of the same vault, as an insider with the key could make it.
  JournalWorld other(2);
  ASSERT_TRUE(other.open().ok());
  other.create_volume("xx");
  ASSERT_TRUE(other.close().ok());
  const std::vector<std::byte> forged = other.store->content(other.path_of(1));
  ASSERT_EQ(forged.size(), first.size());
  world.store->overwrite(world.path_of(1), 0, forged);
  const VerifyReport report = world.verify_all(false);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.problems[0].find("chain is broken"), std::string::npos) << report.problems[0];
}

TEST_P(RecoverySeeds, AnySingleFlippedBitIsFoundByDeepVerify) {
  JournalWorld world(GetParam() + 500);
  ASSERT_TRUE(world.open().ok());
  const VolumeId volume = world.create_volume("db");
  for (int i = 0; i < 40; ++i) world.random_step({volume});
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.open().ok());
  ASSERT_TRUE(world.close().ok());
  ASSERT_TRUE(world.verify_all(true).ok());
  const std::uint64_t bits = world.store->size_of(world.path_of(1)) * 8;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t bit = world.random.below(bits);
    world.store->flip_bit(world.path_of(1), bit);
    auto report = world.scheduler.run(
        verify(world.scheduler, *world.segments, world.vault, {.deep = true, .progress = {}}));
    EXPECT_TRUE(!report.ok() || !report->ok()) << "seed " << world.seed << ", bit " << bit;
    world.store->flip_bit(world.path_of(1), bit);
  }
}

}  // namespace
}  // namespace journal
