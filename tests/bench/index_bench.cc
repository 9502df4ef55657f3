// SPDX-License-Identifier: Apache-2.0
//
// What the time index costs: entries made into runs per second and core, bytes of an entry, time of
// a look-up over histories of growing length, blocks swept per second. Prints a JSON line each.
//
//   index_bench [--entries N]... [--dir PATH]
//
// Histories are single random blocks of a 1 TiB volume, stored in runs of 16, in tiers as the index
// keeps them: 65536 entries make a run, eight runs of a size become one. The pages are in memory
// when look-ups are measured.
#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"
#include "journal/index/merge.h"
#include "journal/index/run_writer.h"
#include "journal/index/snapshot.h"

namespace journal::index {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::uint64_t kBlocks = std::uint64_t{1} << 28;  // 1 TiB
constexpr VolumeId kVolume{1};
constexpr std::size_t kSmallest = 65536;
constexpr std::size_t kFanOut = 8;
constexpr std::uint64_t kFrameEntries = 64;

double now() {
  return std::chrono::duration_cast<Seconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Of this thread: what else the machine does is not measured.
double cpu_now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
  return value ^ value >> 33;
}

// The `i`th change of the history: LSN i + 1 writes this block.
std::uint64_t block_of(std::uint64_t i) { return mixed(i + 1) % kBlocks; }

// Changes one after another, with the places that a journal would have given them.
class History {
 public:
  Entry next() {
    if (in_run_ == 16) {
      in_run_ = 0;
      offset_ += run_bytes_;
      run_bytes_ = static_cast<std::uint32_t>(20000 + mixed(lsn_) % 20000);
      if (offset_ > (256u << 20)) {
        offset_ = 8192;
        ++segment_;
      }
    }
    Entry entry{.tree = tree_of(kVolume, 0), .node = block_of(lsn_), .lsn = {lsn_ + 1}};
    entry.place = {segment_, offset_, run_bytes_, in_run_++};
    ++lsn_;
    if (lsn_ % kFrameEntries == 0) frame();
    return entry;
  }
  std::vector<FrameRow> take_frames() { return std::exchange(frames_, {}); }
  Lsn last() const { return {lsn_}; }

 private:
  void frame() {
    const auto time = static_cast<std::int64_t>(lsn_ * 20'000);
    frames_.push_back({.segment = segment_,
                       .offset = offset_ / 4096 * 4096,
                       .total_bytes = 4 * 28672,
                       .first_lsn = {lsn_ - kFrameEntries + 1},
                       .last_lsn = {lsn_},
                       .min_time = {time},
                       .max_time = {time + 1'000'000}});
  }

  std::uint64_t lsn_ = 0;
  std::uint32_t segment_ = 1;
  std::uint32_t offset_ = 8192;
  std::uint32_t run_bytes_ = 30000;
  std::uint16_t in_run_ = 0;
  std::vector<FrameRow> frames_;
};

void check(const Status& status) { cdp::value_or_throw(status); }

// One core, in memory: sort, pack, checksum, filter.
void bench_build(const Vault& vault, std::size_t count) {
  History history;
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < count; ++i) entries.push_back(history.next());
  const std::vector<FrameRow> frames = history.take_frames();
  double best = 1e9;
  double best_sort = 1e9;
  RunImage image;
  Sorter sorter;
  for (int round = 0; round < 30; ++round) {
    const double start = cpu_now();
    std::uint64_t sum = 0;
    sorter.sort(entries, [&](const Entry& entry) { sum += entry.node; });
    CHECK(sum != 0);
    best_sort = std::min(best_sort, cpu_now() - start);
    const double from = cpu_now();
    image = build_run(vault, 1, {{}, history.last()}, entries, frames, sorter);
    best = std::min(best, cpu_now() - from);
  }
  fmt::print(
      "{{\"bench\":\"index_build\",\"entries\":{},\"million_entries_per_s\":{:.1f},"
      "\"sort_million_per_s\":{:.1f},\"bytes_per_entry\":{:.2f}}}\n",
      count, static_cast<double>(count) / best / 1e6, static_cast<double>(count) / best_sort / 1e6,
      static_cast<double>(image.header.used_bytes()) / static_cast<double>(count));
}

// The runs of a history in tiers.
class Tiers {
 public:
  Tiers(cdp::Scheduler& scheduler, cdp::Directory& directory, const Vault& vault)
      : scheduler_(scheduler), directory_(directory), vault_(vault) {}

  cdp::Task<void> grow(std::uint64_t entries) {
    while (history_.last().value < entries) {
      std::vector<Entry> some;
      const Lsn after = history_.last();
      while (some.size() < kSmallest && history_.last().value < entries)
        some.push_back(history_.next());
      RunImage image;
      const std::vector<FrameRow> frames = history_.take_frames();
      co_await cdp::on_worker(scheduler_, [&] {
        image = build_run(vault_, ++number_, {after, history_.last()}, some, frames);
      });
      Status written = co_await write_run(directory_, vault_, image);
      check(written);
      co_await open(0);
      for (std::size_t tier = 0; tier < tiers_.size() && tiers_[tier].size() == kFanOut; ++tier)
        co_await merge(tier);
    }
  }

  std::vector<RunPtr> runs() const {
    std::vector<RunPtr> all;
    for (auto tier = tiers_.rbegin(); tier != tiers_.rend(); ++tier)
      all.insert(all.end(), tier->begin(), tier->end());
    return all;
  }
  Lsn last() const { return history_.last(); }
  double merge_seconds = 0;
  std::uint64_t merged_entries = 0;

 private:
  cdp::Task<void> open(std::size_t tier) {
    auto opened = co_await Run::open(directory_, vault_, cache_, number_);
    if (tier == tiers_.size()) tiers_.emplace_back();
    tiers_[tier].push_back(cdp::value_or_throw(std::move(opened)));
  }
  cdp::Task<void> merge(std::size_t tier) {
    const double start = now();
    Status merged = co_await merge_runs(scheduler_, directory_, vault_, tiers_[tier], ++number_);
    check(merged);
    co_await open(tier + 1);
    merge_seconds += now() - start;
    merged_entries += tiers_[tier + 1].back()->header().entries.rows;
    for (const RunPtr& run : tiers_[tier]) {
      Status removed = co_await directory_.remove(run_name(run->number()));
      check(removed);
    }
    tiers_[tier].clear();
  }

  cdp::Scheduler& scheduler_;
  cdp::Directory& directory_;
  const Vault& vault_;
  PageCache cache_{std::size_t{16} << 30};  // no limit
  History history_;
  std::vector<std::vector<RunPtr>> tiers_;
  std::uint32_t number_ = 0;
};

cdp::Task<double> lookup_ns(const Snapshot& map, std::uint64_t entries, bool present, bool past) {
  constexpr int kRounds = 9;
  constexpr std::uint64_t kLookups = 200'000;
  double best = 1e9;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const double start = cpu_now();
    for (std::uint64_t i = 0; i < kLookups; ++i) {
      const std::uint64_t change = mixed(i * 77 + 1) % entries;
      const std::uint64_t block = present ? block_of(change) : mixed(~i) % kBlocks;
      const Lsn at = past ? Lsn{change + 1 + mixed(i + 5) % (entries - change)} : Lsn{entries};
      const Visibility visible{{kVolume, {{{}, at}}}};
      BlockVersion version;
      Status done = co_await map.lookup(visible, block, {&version, 1});
      check(done);
      CHECK(!present || (version.state == BlockState::kData && version.lsn.value > change));
    }
    best = std::min(best, (cpu_now() - start) / kLookups * 1e9);
  }
  co_return best;
}

cdp::Task<double> sweep_blocks_per_s(const Snapshot& map, std::uint64_t end) {
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const double start = cpu_now();
    const std::unique_ptr<Scan> sweep = map.scan({{kVolume, {{{}, map.upto()}}}}, 0, end);
    std::uint64_t blocks = 0;
    for (;;) {
      auto some = co_await sweep->next();
      const std::vector<Extent> extents = cdp::value_or_throw(std::move(some));
      if (extents.empty()) break;
      for (const Extent& extent : extents) blocks += extent.block_count;
    }
    best = std::max(best, static_cast<double>(blocks) / (cpu_now() - start));
  }
  co_return best;
}

// A volume that was written once from end to end, and a tenth of it again in three runs.
cdp::Task<void> bench_dense(cdp::Scheduler& scheduler, cdp::Directory& directory,
                            const Vault& vault) {
  constexpr std::uint64_t kDense = 2u << 20;
  PageCache cache(std::size_t{1} << 30);
  History history;
  std::vector<RunPtr> runs;
  for (std::uint32_t number = 1000001; number <= 1000004; ++number) {
    const Lsn after = history.last();
    std::vector<Entry> entries;
    const std::uint64_t count = number == 1000001 ? kDense : kDense / 30;
    for (std::uint64_t i = 0; i < count; ++i) {
      entries.push_back(history.next());
      entries.back().node = count == kDense ? i : entries.back().node % kDense;
    }
    const RunImage image =
        build_run(vault, number, {after, history.last()}, entries, history.take_frames());
    Status written = co_await write_run(directory, vault, image);
    check(written);
    auto opened = co_await Run::open(directory, vault, cache, number);
    runs.push_back(cdp::value_or_throw(std::move(opened)));
  }
  const Snapshot map(scheduler, runs);
  const double blocks_per_s = co_await sweep_blocks_per_s(map, kDense);
  fmt::print("{{\"bench\":\"index_sweep_dense\",\"million_blocks_per_s\":{:.1f}}}\n",
             blocks_per_s / 1e6);
}

cdp::Task<void> bench_tiers(cdp::Scheduler& scheduler, cdp::Directory& directory,
                            const Vault& vault, std::vector<std::uint64_t> lengths) {
  std::uint64_t last_entries = 0;
  double last_ns = 0;
  Tiers tiers(scheduler, directory, vault);
  for (const std::uint64_t entries : lengths) {
    co_await tiers.grow(entries);
    const std::vector<RunPtr> runs = tiers.runs();
    std::uint64_t bytes = 0;
    for (const RunPtr& run : runs) bytes += run->header().used_bytes();
    const Snapshot map(scheduler, runs);
    const double sweep = co_await sweep_blocks_per_s(map, kBlocks);  // brings the leaves in
    const double present = co_await lookup_ns(map, entries, true, false);
    const double past = co_await lookup_ns(map, entries, true, true);
    const double any = co_await lookup_ns(map, entries, false, false);
    const double exponent =
        last_entries == 0
            ? 0
            : std::log(present / last_ns) /
                  std::log(static_cast<double>(entries) / static_cast<double>(last_entries));
    fmt::print(
        "{{\"bench\":\"index_tiers\",\"entries\":{},\"runs\":{},\"bytes_per_entry\":{:.2f},"
        "\"merge_million_per_s\":{:.1f},\"lookup_ns\":{:.0f},\"lookup_past_ns\":{:.0f},"
        "\"lookup_random_block_ns\":{:.0f},\"exponent\":{:.3f},"
        "\"sweep_million_blocks_per_s\":{:.1f}}}\n",
        entries, runs.size(), static_cast<double>(bytes) / static_cast<double>(entries),
        tiers.merge_seconds == 0
            ? 0.0
            : static_cast<double>(tiers.merged_entries) / tiers.merge_seconds / 1e6,
        present, past, any, exponent, sweep / 1e6);
    std::fflush(stdout);
    last_entries = entries;
    last_ns = present;
  }
}

int main_with(std::vector<std::uint64_t> lengths, const std::string& path) {
  cdp::Reactor reactor({});
  auto directory = cdp::value_or_throw(cdp::FileDirectory::open(reactor, path, true));
  const Vault vault = Vault::generate({});
  bench_build(vault, kSmallest);
  bench_build(vault, 1u << 20);
  if (lengths.front() == 0) return 0;
  reactor.run(bench_dense(reactor, *directory, vault));
  reactor.run(bench_tiers(reactor, *directory, vault, std::move(lengths)));
  return 0;
}

}  // namespace
}  // namespace journal::index

int main(int argc, char** argv) {
  std::vector<std::uint64_t> lengths;
  std::string path =
      fmt::format("{}/index_bench.{}", std::filesystem::temp_directory_path().string(), getpid());
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--entries")
      lengths.push_back(std::strtoull(argv[i + 1], nullptr, 10));
    else if (std::string(argv[i]) == "--dir")
      path = std::string(argv[i + 1]) + "/index_bench";
  }
  if (lengths.empty()) lengths = {1'000'000, 10'000'000};
  const int result = journal::index::main_with(std::move(lengths), path);
  std::filesystem::remove_all(path);
  return result;
}
