// SPDX-License-Identifier: Apache-2.0
//
// Runs of the time index that go bad while they are open: what they covered is read from the
// segments once more, and who asks meanwhile gets the right answer later, or an error where the
// segments have become unreadable too.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/journal/time_index_world.h"

namespace journal::index {
namespace {

class RepairWorld : public TimeIndexWorld {
 public:
  using TimeIndexWorld::TimeIndexWorld;

  // Everything that the index knows is stored, and nothing is cached.
  void open_index_again() {
    for (int i = 0; i < 2; ++i) {
      const Status closed = close_index();
      EXPECT_TRUE(closed.ok()) << closed.error().message;
      options.report = [this](const std::string& sentence) { reports.push_back(sentence); };
      open_index();
      settle();
    }
  }
  // An idle journal adds to history now and then, and one that is closed once more.
  void end_history() {
    last_ = TimeIndexWorld::durable();
    close_journal();
    open_index_again();
    last_ = index->learnt();
  }
  Lsn durable() const { return machine.journal == nullptr ? last_ : TimeIndexWorld::durable(); }
  void settle() {
    pass(3);
    const std::optional<Error> problem = index->statistics().problem;
    EXPECT_FALSE(problem.has_value()) << problem->message;
  }

  static std::string path_of(std::uint32_t run) { return kPath + run_name(run); }
  std::uint32_t pages_of(std::uint32_t run) const { return header_of(run).pages; }
  RunHeader header_of(std::uint32_t run) const {
    const auto bytes = machine.store->content(path_of(run), 0, kPageBytes);
    return cdp::value_or_throw(
        decode_run_header(machine.vault, run, PageBytes{bytes.data(), kPageBytes}));
  }
  void rot(std::uint32_t run, std::uint32_t page) {
    const std::uint64_t bit = machine.random.below(kPageBytes * 8);
    machine.store->flip_bit(path_of(run), std::uint64_t{page} * kPageBytes * 8 + bit);
  }
  PageKind kind(std::uint32_t run, std::uint32_t page) const {
    const auto bytes =
        machine.store->content(path_of(run), std::uint64_t{page} * kPageBytes, kPageBytes);
    return kind_of(PageBytes{bytes.data(), kPageBytes});
  }
  // A run of the manifest, and a page of it that is read when questions are answered.
  std::pair<std::uint32_t, std::uint32_t> random_page() {
    const Manifest saved = manifest();
    const std::uint32_t run = saved.runs[machine.random.below(saved.runs.size())].number;
    return {run, static_cast<std::uint32_t>(machine.random.between(1, pages_of(run)))};
  }
  bool names(std::uint32_t run) const {
    const Manifest saved = manifest();
    return std::any_of(saved.runs.begin(), saved.runs.end(),
                       [&](const Manifest::RunName& name) { return name.number == run; });
  }

  // Questions that together need every page of every run.
  void check_everything(const restore::ModelBlockMap& oracle) {
    const Lsn upto = durable();
    auto snapshot = cdp::value_or_throw(machine.scheduler.run(index->snapshot(upto)));
    check_everything(*snapshot, oracle, upto);
  }
  void check_everything(const Snapshot& map, const restore::ModelBlockMap& oracle, Lsn upto) {
    for (const VolumeId volume : volumes) {
      const Visibility visible{{volume, {{{}, upto}}}};
      for (std::uint64_t block = 0; block < kBlocks; block += 3) {
        std::vector<BlockVersion> found(1);
        const Status looked = machine.scheduler.run(map.lookup(visible, block, found));
        ASSERT_TRUE(looked.ok()) << looked.error().message;
        ASSERT_EQ(found[0].lsn, oracle.version(visible, block).lsn) << "block " << block;
      }
      const auto scan = map.scan(visible, 0, kVolumeBlocksMax);
      for (;;) {
        auto extents = machine.scheduler.run(scan->next());
        ASSERT_TRUE(extents.ok()) << extents.error().message;
        if (extents->empty()) break;
      }
    }
    check_map(map, oracle, upto);
    for (std::uint64_t lsn = 1; lsn <= upto.value; ++lsn) {
      const auto frame = machine.scheduler.run(map.frame_at({lsn}));
      ASSERT_TRUE(frame.ok()) << frame.error().message;
      ASSERT_TRUE(frame->has_value() && (*frame)->last_lsn.value >= lsn);
    }
  }

  std::vector<std::string> reports;

 private:
  Lsn last_;
};

class IndexRepairSeeds : public testing::TestWithParam<std::uint64_t> {
 protected:
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Seeds, IndexRepairSeeds, testing::Range<std::uint64_t>(1, 5));

TEST_P(IndexRepairSeeds, AnyPageOfAnyRunMayRotWhileItIsOpen) {
  RepairWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(1500);
  world.end_history();
  const auto oracle = world.model();
  const auto saved = world.manifest().runs;
  ASSERT_GT(saved.size(), 1u);
  std::set<PageKind> kinds;
  for (const Manifest::RunName& name : saved) {
    // As those are numbered that take its place.
    std::uint32_t run = name.number;
    for (std::uint32_t page = 1; page < world.pages_of(run); ++page) {
      SCOPED_TRACE(fmt::format("page {} of run {}", page, run));
      kinds.insert(world.kind(run, page));
      world.open_index_again();
      const RunHeader header = world.header_of(run);
      world.rot(run, page);
      ASSERT_NO_FATAL_FAILURE(world.check_everything(*oracle));
      EXPECT_EQ(world.index->statistics().repairs, 1u);
      world.settle();
      EXPECT_FALSE(world.names(run));
      EXPECT_FALSE(world.machine.store->exists(world.path_of(run)));
      EXPECT_EQ(world.index_files().size(), world.manifest().runs.size() + 1);
      const auto now = world.manifest().runs;
      ASSERT_EQ(now.size(), saved.size());
      for (std::size_t i = 0; i < saved.size(); ++i) {
        EXPECT_EQ(now[i].after, saved[i].after);
        EXPECT_EQ(now[i].upto, saved[i].upto);
        if (now[i].after == name.after) run = now[i].number;
      }
      EXPECT_EQ(world.header_of(run).entries.rows, header.entries.rows);
      EXPECT_EQ(world.header_of(run).frames.rows, header.frames.rows);
      EXPECT_EQ(world.header_of(run).keys, header.keys);
      if (HasFailure()) return;
    }
  }
  EXPECT_TRUE(kinds.contains(PageKind::kEntries) && kinds.contains(PageKind::kFrames));
  ASSERT_FALSE(world.reports.empty());
  EXPECT_NE(world.reports.front().find("was damaged"), std::string::npos);
}

// More than fits memory at once; with fences and a filter.
TEST_P(IndexRepairSeeds, ALargeRunIsMadeAnewInParts) {
  RepairWorld world(GetParam(), 1, 4);
  ASSERT_NO_FATAL_FAILURE(world.start());
  for (int i = 0; i < 20; ++i) {
    world.steps(150);
    world.pass(1);
  }
  world.settle();
  world.end_history();
  const auto oracle = world.model();
  std::uint32_t run = 0;
  std::uint64_t rows = 0;
  for (const Manifest::RunName& name : world.manifest().runs) {
    if (world.header_of(name.number).entries.rows < rows) continue;
    run = name.number;
    rows = world.header_of(run).entries.rows;
  }
  const RunHeader header = world.header_of(run);
  ASSERT_GT(header.entries.rows, 64u * 16) << "it should be larger than what waits in memory";
  std::map<PageKind, std::uint32_t> pages;
  for (std::uint32_t page = 1; page < header.pages; ++page) pages[world.kind(run, page)] = page;
  EXPECT_TRUE(pages.contains(PageKind::kEntryFences) && pages.contains(PageKind::kFilter));
  for (const auto& [kind, page] : pages) {
    SCOPED_TRACE(fmt::format("kind {}", static_cast<int>(kind)));
    world.open_index_again();
    const auto runs = world.manifest().runs;
    const auto largest = std::max_element(runs.begin(), runs.end(), [&](auto& a, auto& b) {
      return world.header_of(a.number).entries.rows < world.header_of(b.number).entries.rows;
    });
    run = largest->number;
    std::uint32_t of_kind = 1;
    while (of_kind < world.pages_of(run) && world.kind(run, of_kind) != kind) ++of_kind;
    if (of_kind == world.pages_of(run)) continue;
    world.rot(run, of_kind);
    ASSERT_NO_FATAL_FAILURE(world.check_everything(*oracle));
    EXPECT_EQ(world.index->statistics().repairs, 1u);
    world.settle();
    EXPECT_FALSE(world.names(run));
    EXPECT_EQ(world.index_files().size(), world.manifest().runs.size() + 1);
    ASSERT_NO_FATAL_FAILURE(world.check_everything(*oracle));
  }
}

Task<void> ask(const BlockMap& map, Visibility visible, std::vector<BlockVersion>& into,
               Status& result) {
  result = co_await map.lookup(visible, 0, into);
}

TEST_P(IndexRepairSeeds, ManyQuestionsWaitForOneRepair) {
  RepairWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(800);
  world.end_history();
  const auto oracle = world.model();
  std::uint64_t rotten = 0;  // a small one may not be needed at once
  for (const Manifest::RunName& name : world.manifest().runs) {
    world.open_index_again();
    ++rotten;
    // The root of its entries.
    world.rot(name.number, world.header_of(name.number).entries.root);
    auto snapshot =
        cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(world.durable())));
    constexpr std::size_t kQuestions = 30;
    std::vector<Status> results(kQuestions);
    std::vector<std::vector<BlockVersion>> found(kQuestions);
    std::vector<Visibility> points;
    cdp::TaskGroup group(world.machine.scheduler);
    for (std::size_t i = 0; i < kQuestions; ++i) {
      found[i].resize(RepairWorld::kBlocks);
      const VolumeId volume = world.volumes[i % world.volumes.size()];
      points.push_back({{volume, {{{}, {world.machine.random.between(1, world.durable().value)}}}}});
      group.spawn(ask(*snapshot, points[i], found[i], results[i]));
    }
    world.machine.scheduler.run(group.join());
    for (std::size_t i = 0; i < kQuestions; ++i) {
      ASSERT_TRUE(results[i].ok()) << results[i].error().message;
      for (std::uint64_t block = 0; block < RepairWorld::kBlocks; ++block)
        ASSERT_EQ(found[i][block].lsn, oracle->version(points[i], block).lsn) << "block " << block;
    }
    ASSERT_LE(world.index->statistics().repairs, rotten);
    rotten -= world.index->statistics().repairs;
    world.settle();
  }
}

// A view keeps its snapshot; a scan goes on in the middle.
TEST_P(IndexRepairSeeds, ASnapshotThatIsHeldAndAScanUnderWayGoOn) {
  RepairWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(600);
  world.settle();
  world.open_index_again();
  const Lsn then = world.durable();
  const auto oracle = world.model();
  auto snapshot = cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(then)));
  for (int i = 0; i < 8; ++i) {
    const auto [run, page] = world.random_page();
    if (page < world.pages_of(run)) world.rot(run, page);
    ASSERT_NO_FATAL_FAILURE(world.check_everything(*snapshot, *oracle, then));
    world.steps(60);
    world.pass(2);
    ASSERT_NO_FATAL_FAILURE(world.check_everything(*snapshot, *oracle, then));
  }
  EXPECT_GT(world.index->statistics().repairs, 0u);
  world.check();
  snapshot.reset();
  world.stop();
}

// Nobody asks, but runs are merged.
TEST_P(IndexRepairSeeds, AMergeThatMeetsABadPageHasTheRunReplaced) {
  RepairWorld world(GetParam(), 16, 3);
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(200);
  world.settle();
  world.open_index_again();
  for (const Manifest::RunName& name : world.manifest().runs)
    world.rot(name.number, world.header_of(name.number).frames.root);
  const std::uint64_t merges = world.index->statistics().merges;
  for (int i = 0; i < 40; ++i) {
    world.steps(40);
    world.pass(6);
  }
  EXPECT_GT(world.index->statistics().merges, merges);
  EXPECT_GT(world.index->statistics().repairs, 0u);
  EXPECT_FALSE(world.index->statistics().problem.has_value());
  world.check();
  world.check_states(5);
  world.stop();
}

// The disk of the index takes nothing: what was made anew is kept in memory, and saved later.
TEST_P(IndexRepairSeeds, IsMadeAnewInMemoryWhileTheDiskOfTheIndexIsFull) {
  RepairWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(600);
  world.settle();
  world.open_index_again();
  const auto oracle = world.model();
  const auto saved = world.manifest();
  const std::uint32_t run = saved.runs.front().number;
  world.rot(run, world.header_of(run).entries.first_leaf);
  world.machine.store->inject(
      {.path_contains = "vault/index", .kind = sim::IoKind::kCreate, .sticky = true, .code = ENOSPC});
  for (int i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(world.check_everything(*oracle));
    world.pass(10);
  }
  EXPECT_EQ(world.index->statistics().repairs, 1u);
  EXPECT_TRUE(world.index->statistics().problem.has_value());
  EXPECT_EQ(world.manifest(), saved) << "it may be needed yet";
  if (world.machine.random.coin()) {
    world.steps(300);
    world.check();
  }
  world.machine.store->clear_faults();
  world.pass(6);
  world.settle();
  EXPECT_FALSE(world.names(run));
  EXPECT_FALSE(world.machine.store->exists(world.path_of(run)));
  EXPECT_EQ(world.index_files().size(), world.manifest().runs.size() + 1);
  world.stop();
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.check();
  world.stop();
}

// At whatever I/O of the repair the machine stops.
TEST_P(IndexRepairSeeds, ACrashAtAnyMomentOfTheRepairDoesNoHarm) {
  RepairWorld world(GetParam(), 32, 3);
  auto& random = world.machine.random;
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(120);
  std::uint64_t ios = 1;  // of the repair, before it crashes
  int whole = 0;
  while (whole < 3) {
    SCOPED_TRACE(fmt::format("crash at I/O {}", ios));
    ASSERT_LT(ios, 3000u);
    world.settle();
    world.open_index_again();
    const Manifest saved = world.manifest();
    const std::uint32_t run = saved.runs[random.below(saved.runs.size())].number;
    world.rot(run, world.header_of(run).frames.root);
    const Lsn lsn = world.header_of(run).upto;
    auto snapshot = cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(lsn)));
    world.machine.store->crash_at(world.machine.store->ios() + ios);
    static_cast<void>(world.machine.scheduler.run(snapshot->frame_at(lsn)).ok());
    world.pass(2);
    snapshot.reset();
    if (!world.machine.store->crashed()) {
      EXPECT_FALSE(world.names(run));
      ++whole;
    } else {
      ios += random.between(1, 4);
    }
    world.crash(random.next());
    ASSERT_NO_FATAL_FAILURE(world.start());
    world.check(2);
    world.settle();
    EXPECT_EQ(world.index_files().size(), world.manifest().runs.size() + 1);
    if (HasFailure()) return;
    if (random.chance(20)) world.steps(10);
  }
  EXPECT_GT(ios, 10u);
  world.check();
  world.check_states(5);
  world.stop();
}

// The journal cannot be read: a sentence, no wrong answer; and all is well when it can be again.
TEST_P(IndexRepairSeeds, FailsWithASentenceWhileTheSegmentsCannotBeRead) {
  RepairWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(800);
  world.end_history();
  const auto oracle = world.model();
  const Manifest saved = world.manifest();
  const std::uint32_t run = saved.runs[world.machine.random.below(saved.runs.size())].number;
  const RunHeader header = world.header_of(run);
  auto snapshot =
      cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(world.durable())));
  world.rot(run, header.entries.root);
  world.machine.store->inject(
      {.path_contains = "vault/segments", .kind = sim::IoKind::kRead, .sticky = true});
  int refused = 0;
  for (int i = 0; i < 40; ++i) {
    const VolumeId volume = world.volumes[world.machine.random.below(world.volumes.size())];
    const Lsn upto{world.machine.random.between(header.after.value + 1, header.upto.value)};
    const Visibility visible{{volume, {{{}, upto}}}};
    std::vector<BlockVersion> found(RepairWorld::kBlocks);
    const Status looked = world.machine.scheduler.run(snapshot->lookup(visible, 0, found));
    if (looked.ok()) {
      for (std::uint64_t block = 0; block < RepairWorld::kBlocks; ++block)
        ASSERT_EQ(found[block].lsn, oracle->version(visible, block).lsn) << "block " << block;
      continue;
    }
    ++refused;
    EXPECT_EQ(looked.error().code, EIO);
    EXPECT_NE(looked.error().message.find("the time index is damaged between LSN"),
              std::string::npos)
        << looked.error().message;
  }
  EXPECT_GT(refused, 0);
  world.pass(10);
  ASSERT_TRUE(world.index->statistics().problem.has_value());
  EXPECT_EQ(world.reports.size(), 1u) << "it is said once";
  EXPECT_EQ(world.index->statistics().repairs, 0u);
  EXPECT_TRUE(world.names(run));
  world.machine.store->clear_faults();
  ASSERT_NO_FATAL_FAILURE(world.check_everything(*snapshot, *oracle, world.durable()));
  EXPECT_EQ(world.index->statistics().repairs, 1u);
  snapshot.reset();
}

// What the segments have lost since, the index does not take for something that never was.
TEST_P(IndexRepairSeeds, ARottenFrameOfTheRunsHistoryIsNotPassedOver) {
  RepairWorld world(GetParam());
  ASSERT_NO_FATAL_FAILURE(world.start());
  world.steps(800);
  world.end_history();
  const auto oracle = world.model();
  const auto saved = world.manifest().runs;
  auto snapshot =
      cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(world.durable())));
  std::uint32_t run = saved[world.machine.random.below(saved.size())].number;
  const LsnInterval covers{world.header_of(run).after, world.header_of(run).upto};
  std::vector<FrameRow> frames;
  for (Lsn lsn{covers.after.value + 1}; lsn <= covers.upto; lsn.value = frames.back().last_lsn.value + 1)
    frames.push_back(*cdp::value_or_throw(world.machine.scheduler.run(snapshot->frame_at(lsn))));
  snapshot.reset();
  for (int i = 0; i < 6; ++i) {
    world.open_index_again();
    world.rot(run, world.header_of(run).entries.root);
    const FrameRow& frame = frames[world.machine.random.below(frames.size())];
    // Its header, or its records.
    const std::uint64_t bit = std::uint64_t{frame.offset} * 8 + world.machine.random.below(256 * 8);
    const std::string segment = world.machine.path_of(frame.segment);
    world.machine.store->flip_bit(segment, bit);
    snapshot =
        cdp::value_or_throw(world.machine.scheduler.run(world.index->snapshot(world.durable())));
    int refused = 0;
    for (const VolumeId volume : world.volumes) {
      for (std::uint64_t block = 0; block < RepairWorld::kBlocks; ++block) {
        const Visibility visible{{volume, {{{}, covers.upto}}}};
        std::vector<BlockVersion> found(1);
        const Status looked = world.machine.scheduler.run(snapshot->lookup(visible, block, found));
        if (!looked.ok()) {
          ++refused;
          break;
        }
        ASSERT_EQ(found[0].lsn, oracle->version(visible, block).lsn) << "block " << block;
      }
    }
    EXPECT_GT(refused, 0);
    EXPECT_EQ(world.index->statistics().repairs, 0u);
    // Somebody brings the frame back from a copy.
    world.machine.store->flip_bit(segment, bit);
    ASSERT_NO_FATAL_FAILURE(world.check_everything(*snapshot, *oracle, world.durable()));
    EXPECT_EQ(world.index->statistics().repairs, 1u);
    snapshot.reset();
    world.settle();
    const auto now = world.manifest().runs;
    const auto same = std::find_if(now.begin(), now.end(), [&](const Manifest::RunName& name) {
      return name.after == covers.after;
    });
    ASSERT_NE(same, now.end());
    ASSERT_EQ(same->upto, covers.upto);
    run = same->number;
  }
}

}  // namespace
}  // namespace journal::index
