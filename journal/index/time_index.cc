// SPDX-License-Identifier: Apache-2.0
#include "journal/index/time_index.h"

#include <algorithm>
#include <utility>

#include "journal/index/image_disk.h"
#include "journal/index/merge.h"
#include "journal/record_codec.h"
#include "journal/segment_reader.h"
#include "journal/visit_records.h"

namespace journal::index {
namespace {

// Gathered entries, in runs' worth, at which the index lets go and reads them later.
constexpr std::size_t kGatheredRunsMax = 4;
// After a failure of the index's disk.
constexpr Nanos kRetryInterval = cdp::seconds(5);

}  // namespace

// ---------------------------------------------------------------- opening

TimeIndex::TimeIndex(cdp::Scheduler& scheduler, cdp::Directory& directory, bool is_saved,
                     cdp::Directory& segments, Vault vault, TimeIndexOptions options)
    : scheduler_(scheduler),
      directory_(directory),
      is_saved_(is_saved),
      segments_(segments),
      vault_(std::move(vault)),
      options_(std::move(options)),
      cache_(options_.cache_bytes),
      pulses_(options_.pulse_cache_bytes),
      wake_(scheduler),
      changed_(scheduler),
      tasks_(scheduler) {}

TimeIndex::~TimeIndex() { CHECK(tasks_.running() == 0); }

Task<Result<std::unique_ptr<TimeIndex>>> TimeIndex::open(cdp::Scheduler& scheduler,
                                                         cdp::Directory& directory,
                                                         cdp::Directory& segments, Vault vault,
                                                         TimeIndexOptions options) {
  std::unique_ptr<TimeIndex> index{
      new TimeIndex{scheduler, directory, true, segments, std::move(vault), std::move(options)}};
  // What cannot be used is as good as not there.
  Status loaded = co_await index->load(directory);
  if (!loaded.ok()) index->is_unsaved_ = true;
  co_await index->remove_strays();
  index->tasks_.spawn(index->maintain());
  co_return std::move(index);
}

Task<Result<std::unique_ptr<TimeIndex>>> TimeIndex::open_beside(
    cdp::Scheduler& scheduler, cdp::Directory* saved, cdp::Directory& scratch,
    cdp::Directory& segments, Vault vault, TimeIndexOptions options) {
  std::unique_ptr<TimeIndex> index{
      new TimeIndex{scheduler, scratch, false, segments, std::move(vault), std::move(options)}};
  if (saved != nullptr) {
    // A daemon may replace the manifest, and remove what it named, between two of our steps.
    Status loaded = co_await index->load(*saved);
    if (!loaded.ok()) loaded = co_await index->load(*saved);
  }
  index->tasks_.spawn(index->maintain());
  co_return std::move(index);
}

// Either everything that the manifest names, or nothing.
Task<Status> TimeIndex::load(cdp::Directory& from) {
  Result<std::vector<std::byte>> bytes = co_await from.read_small(kManifestName);
  if (!bytes.ok()) co_return bytes.error();
  Result<Manifest> manifest = decode_manifest(*bytes, vault_);
  if (!manifest.ok()) co_return manifest.error();
  // Numbers are not used twice, not even those of an index that is thrown away.
  next_number_ = std::max(next_number_, manifest->next_number);
  if (manifest->runs.empty()) co_return Status();
  Status known = co_await check_journal_has(manifest->last_frame);
  if (!known.ok()) co_return known;
  std::vector<KnownRun> runs;
  for (const Manifest::RunName& name : manifest->runs) {
    Result<std::shared_ptr<const Run>> run = co_await Run::open(from, vault_, cache_, name.number);
    if (!run.ok()) co_return run.error();
    if ((*run)->covers() != LsnInterval{name.after, name.upto})
      co_return make_error(EIO, "{} covers another range than the manifest says",
                           run_name(name.number));
    runs.push_back({.run = *run, .mark = manifest->last_frame});
  }
  runs_ = std::move(runs);
  gathered_mark_ = manifest->last_frame;
  learnt_ = runs_upto();
  co_return Status();
}

// Whether the frame is a part of history: in its place, and not behind a cut.
Task<Status> TimeIndex::check_journal_has(FrameMark mark) {
  Result<std::unique_ptr<cdp::Disk>> disk =
      co_await segments_.open(segment_name(mark.segment), cdp::OpenMode::kReadOnly);
  if (!disk.ok()) co_return disk.error();
  if (mark.offset + kAppendUnit > (*disk)->size_bytes())
    co_return make_error(EIO, "the journal ends before the time index");
  AlignedBuffer buffer;
  const std::span<std::byte> page = buffer.reserve(kAppendUnit);
  Status read = co_await (*disk)->read(mark.offset, page);
  if (!read.ok()) co_return read;
  const std::span<const std::byte, kFrameHeaderBytes> raw(page.data(), kFrameHeaderBytes);
  Result<FrameHeader> header = decode_frame_header(vault_, mark.segment, mark.offset, raw);
  if (!header.ok()) co_return header.error();
  if (digest_of(raw) != mark.digest)
    co_return make_error(EIO, "the journal has another frame where the time index ends");

  Result<std::unique_ptr<cdp::Disk>> next =
      co_await segments_.open(segment_name(mark.segment + 1), cdp::OpenMode::kReadOnly);
  if (!next.ok()) {
    if (next.error().code == ENOENT) co_return Status();
    co_return next.error();
  }
  Result<LoadedSegmentHeader> successor =
      co_await read_segment_header(**next, vault_, mark.segment + 1);
  if (!successor.ok()) co_return successor.error();
  if (successor->header.previous_length < std::uint64_t{mark.offset} + header->total_bytes)
    co_return make_error(EIO, "the journal was cut before the end of the time index");
  co_return Status();
}

Task<void> TimeIndex::remove_strays() {
  Result<std::vector<std::string>> names = co_await directory_.list();
  if (!names.ok()) co_return;
  for (const std::string& name : *names) {
    const bool is_ours = name == kManifestName ||
                         std::any_of(runs_.begin(), runs_.end(), [&](const KnownRun& known) {
                           return run_name(known.run->number()) == name;
                         });
    if (!is_ours && name.ends_with(".run")) static_cast<void>(co_await directory_.remove(name));
  }
}

// ---------------------------------------------------------------- learning

void TimeIndex::on_durable_frame(const FrameHeader& frame, const Digest& digest,
                                 std::span<const std::byte> metadata) {
  head_ = frame.last_lsn;
  if (behind_ || closing_) return;
  const std::size_t entries = gathered_.entries().size();
  if (entries >= kGatheredRunsMax * options_.run_entries) {
    let_go();
    wake_.notify_all();
    return;
  }
  const bool segment_ended = !gathered_.empty() && gathered_mark_.segment != frame.segment;
  FrameInfo info = frame.info();
  info.digest = digest;
  gathered_.on_frame(info);
  Lsn delivered = learnt_;
  const Status visited = visit_records(frame, vault_, metadata, head_, delivered, gathered_);
  CHECK(visited.ok());  // these are our own bytes
  gathered_mark_ = {.segment = frame.segment, .offset = frame.offset, .digest = digest};
  learnt_ = frame.last_lsn;
  if (segment_ended || gathered_.entries().size() >= options_.run_entries) wake_.notify_all();
}

void TimeIndex::let_go() {
  gathered_.clear();
  behind_ = true;
}

Task<Status> TimeIndex::catch_up(Lsn head) {
  const Question question(*this);
  head_ = std::max(head_, head);
  if (!behind_ && head > learnt_) {  // nobody tells a reader what came since
    let_go();
  }
  const std::uint64_t attempts = learn_attempts_;
  while (behind_ && learn_attempts_ == attempts) {
    wants_to_learn_ = true;
    wake_.notify_all();
    co_await changed_.wait();
  }
  if (!behind_) co_return Status();
  co_return last_attempt_;
}

Task<Status> TimeIndex::learn_from_segments() {
  while (making_run_) co_await changed_.wait();
  // What was gathered and not kept is read again.
  learnt_ = runs_upto();
  gathered_mark_ = runs_mark();
  for (;;) {
    // Reading goes faster than storing.
    if (unstored_runs() >= kUnstoredRunsMax || is_memory_full()) {
      Status stored = co_await store();
      if (!stored.ok()) co_return stored;
    }
    const Lsn head = head_;
    const std::uint32_t from = runs_.empty() ? 1 : runs_mark().segment;
    Result<std::unique_ptr<VaultReader>> reader =
        co_await VaultReader::open(scheduler_, segments_, vault_, from);
    if (!reader.ok()) co_return reader.error();
    CHECK(gathered_.empty());
    BoundedCollector collector(kRunsAtOnce * options_.run_entries);
    Status visited = co_await (*reader)->visit(learnt_, head, collector);
    if (!visited.ok()) co_return visited;
    gathered_ = static_cast<Collector&&>(collector);
    if (collector.mark().has_value()) gathered_mark_ = *collector.mark();
    if (!gathered_.empty()) learnt_ = std::max(learnt_, gathered_.upto());
    const bool has_more = collector.done();
    if (!has_more && head_ == head) {
      behind_ = false;  // in the step in which nothing is missing
      co_return Status();
    }
    co_await make_run();
    if (options_.progress) options_.progress(learnt_);
  }
}

// ---------------------------------------------------------------- runs

Task<void> TimeIndex::make_run() {
  while (making_run_) co_await changed_.wait();
  if (gathered_.empty()) co_return;
  making_run_ = true;
  Collector batch = std::move(gathered_);
  gathered_ = {};
  const LsnInterval covers{runs_upto(), batch.upto()};
  KnownRun known = co_await build(covers, std::move(batch), gathered_mark_);
  runs_.push_back(std::move(known));
  making_run_ = false;
  changed_.notify_all();
  wake_.notify_all();
}

Task<TimeIndex::KnownRun> TimeIndex::build(LsnInterval covers, Collector from, FrameMark mark) {
  const std::uint32_t number = next_number_++;
  auto image = std::make_shared<RunImage>();
  co_await cdp::on_worker(scheduler_, [&] {
    *image = build_run(vault_, number, covers, from.entries(), from.frames());
  });
  auto run = std::make_shared<const Run>(vault_, cache_, std::make_unique<ImageDisk>(image),
                                         image->header);
  co_return KnownRun{.run = std::move(run), .mark = mark, .image = std::move(image)};
}

std::size_t TimeIndex::stored_runs() const {
  std::size_t count = 0;
  while (count < runs_.size() && runs_[count].is_stored()) ++count;
  return count;
}

std::size_t TimeIndex::unstored_runs() const {
  return static_cast<std::size_t>(std::count_if(
      runs_.begin(), runs_.end(), [](const KnownRun& known) { return !known.is_stored(); }));
}

bool TimeIndex::is_memory_full() const {
  std::size_t entries = 0;
  for (const KnownRun& known : runs_)
    if (!known.is_stored()) entries += known.run->header().entries.rows;
  return entries >= kUnstoredRunsMax * kRunsAtOnce * options_.run_entries;
}

std::vector<RunPtr> TimeIndex::all_runs() const {
  std::vector<RunPtr> runs;
  for (const KnownRun& known : runs_) runs.push_back(known.run);
  return runs;
}

bool TimeIndex::wants_run() const {
  if (gathered_.empty() || behind_) return false;
  return gathered_.entries().size() >= options_.run_entries ||
         gathered_.frames().front().segment != gathered_.frames().back().segment;
}

TimeIndex::Range TimeIndex::next_store() const {
  Range range{stored_runs(), 0};
  while (range.end() < runs_.size() && !runs_[range.end()].is_stored()) ++range.count;
  return range;
}

bool TimeIndex::wants_store() const {
  const Range range = next_store();
  if (range.count >= options_.fan_out) return true;
  if (range.end() < runs_.size()) return true;  // nothing can be saved until it is
  std::uint64_t entries = 0;
  for (std::size_t i = range.first; i < range.end(); ++i) {
    entries += runs_[i].run->header().entries.rows;
    if (runs_[i].replaces_stored) return true;
    const std::uint32_t before = i == 0 ? 1 : runs_[i - 1].mark.segment;
    if (runs_[i].mark.segment != before) return true;
  }
  return entries >= options_.run_entries;
}

Task<void> TimeIndex::maintain() {
  while (!closing_) {
    Status status;
    if (RunPtr damaged = next_repair()) {
      status = co_await repair(std::move(damaged));
    } else if (behind_ && (wants_to_learn_ || head_ != Lsn{})) {
      status = co_await learn_from_segments();
      wants_to_learn_ = false;  // who waits takes this
      last_attempt_ = status;
      ++learn_attempts_;
      changed_.notify_all();
    } else if (wants_run()) {
      co_await make_run();
    } else if (wants_store()) {
      status = co_await store();
    } else if (is_unsaved_) {
      status = co_await save();
    } else if (const std::optional<Range> range = next_merge()) {
      status = co_await merge(*range);
    } else {
      problem_ = lasting_damage();
      co_await wake_.wait();
    }
    if (status.ok() || next_repair() != nullptr) continue;
    problem_ = status.error();
    const Nanos again = scheduler_.now() + kRetryInterval;
    // Whatever wakes it meanwhile can wait, but for the end and for a run's worth of entries.
    while (!closing_ && !wants_to_learn_ && next_repair() == nullptr && scheduler_.now() < again) {
      co_await wake_.wait_until(again);
      if (wants_run() && unstored_runs() < kUnstoredRunsMax) co_await make_run();
    }
  }
}

Task<Status> TimeIndex::store() {
  const Range range = next_store();
  if (range.count == 0) co_return Status();
  if (range.count > 1) co_return co_await merge(range);
  const KnownRun known = runs_[range.first];
  Status written = co_await write_run(directory_, vault_, *known.image);
  Result<RunPtr> run = co_await open_written(known.run->number(), written);
  if (!run.ok()) co_return run.error();
  replace(range, {{.run = *run, .mark = known.mark}});
  co_return Status();
}

// Runs may have been added behind the range meanwhile, and nothing else has changed.
void TimeIndex::replace(Range range, std::vector<KnownRun> by) {
  const auto first = runs_.begin() + static_cast<std::ptrdiff_t>(range.first);
  const auto after = runs_.erase(first, first + static_cast<std::ptrdiff_t>(range.count));
  runs_.insert(after, std::make_move_iterator(by.begin()), std::make_move_iterator(by.end()));
  is_unsaved_ = true;
  changed_.notify_all();
}

// The manifest, and then the files that it has ceased to name. Who is restarted in between goes by
// the old one, damaged runs and all.
Task<Status> TimeIndex::save() {
  CHECK(next_store().end() == runs_.size());
  std::vector<std::uint32_t> removable = std::exchange(merged_away_, {});
  is_unsaved_ = false;
  if (is_saved_) {
    Manifest manifest{.next_number = next_number_};
    for (std::size_t i = 0; i < stored_runs(); ++i) {
      const KnownRun& known = runs_[i];
      const LsnInterval covers = known.run->covers();
      manifest.runs.push_back({known.run->number(), covers.after, covers.upto});
      manifest.last_frame = known.mark;
    }
    Status written =
        co_await directory_.write_small(kManifestName, encode_manifest(manifest, vault_));
    if (!written.ok()) {
      is_unsaved_ = true;
      merged_away_.insert(merged_away_.end(), removable.begin(), removable.end());
      co_return written;
    }
  }
  for (const std::uint32_t number : removable)
    static_cast<void>(co_await directory_.remove(run_name(number)));
  co_return Status();
}

unsigned TimeIndex::tier_of(const Run& run) const {
  unsigned tier = 0;
  for (std::uint64_t size = options_.run_entries * options_.fan_out / 2;
       run.header().entries.rows >= size; size *= options_.fan_out)
    ++tier;
  return tier;
}

// The newest runs of a tier that has become full; tiers grow towards the past. What lies before a
// larger run counts as one of its tier: it can be merged with that one only. A damaged one is merged
// with none.
std::optional<TimeIndex::Range> TimeIndex::next_merge() const {
  const std::size_t end = stored_runs();
  std::size_t first = end;
  std::size_t of_tier = 0;
  unsigned tier = 0;
  for (; first > 0; --first) {
    if (runs_[first - 1].run->is_damaged()) break;
    const unsigned at = tier_of(*runs_[first - 1].run);
    if (at > tier) {
      if (of_tier >= options_.fan_out) break;
      tier = at;
      of_tier = 0;
    }
    ++of_tier;
  }
  if (of_tier < options_.fan_out) return std::nullopt;
  return Range{first, end - first};
}

Task<Status> TimeIndex::merge(Range range) {
  std::vector<RunPtr> inputs;
  std::vector<std::uint32_t> removable;
  for (std::size_t i = range.first; i < range.end(); ++i) {
    inputs.push_back(runs_[i].run);
    if (runs_[i].is_stored()) removable.push_back(runs_[i].run->number());
  }
  const FrameMark mark = runs_[range.end() - 1].mark;
  Result<RunPtr> run = co_await store_merged(std::move(inputs));
  if (!run.ok()) co_return run.error();
  replace(range, {{.run = *run, .mark = mark}});
  merged_away_.insert(merged_away_.end(), removable.begin(), removable.end());
  ++merges_;
  co_return Status();
}

Task<Result<RunPtr>> TimeIndex::store_merged(std::vector<RunPtr> inputs) {
  const std::uint32_t number = next_number_++;
  Status merged = co_await merge_runs(scheduler_, directory_, vault_, inputs, number);
  Result<RunPtr> run = co_await open_written(number, merged);
  co_return run;
}

Task<Result<RunPtr>> TimeIndex::open_written(std::uint32_t number, Status written) {
  Result<RunPtr> run = make_error(EIO, "no run was stored");
  if (written.ok()) run = co_await Run::open(directory_, vault_, cache_, number);
  if (!run.ok()) static_cast<void>(co_await directory_.remove(run_name(number)));
  if (!written.ok()) co_return written.error();
  co_return run;
}

// ---------------------------------------------------------------- ending

Task<Status> TimeIndex::close() {
  CHECK(!closing_ && questions_ == 0);
  closing_ = true;
  wake_.notify_all();
  co_await tasks_.join();
  if (!is_saved_) co_return Status();
  if (!behind_) co_await make_run();
  Status stored;
  while (stored.ok() && unstored_runs() != 0) stored = co_await store();
  if (stored.ok() && is_unsaved_) stored = co_await save();
  co_return stored;
}

TimeIndexStatistics TimeIndex::statistics() const {
  TimeIndexStatistics statistics{
      .upto = runs_upto(), .runs = runs_.size(), .merges = merges_, .repairs = repairs_,
      .problem = problem_};
  for (const KnownRun& known : runs_) {
    statistics.entries += known.run->header().entries.rows;
    statistics.bytes += known.run->header().used_bytes();
  }
  return statistics;
}

}  // namespace journal::index
