// SPDX-License-Identifier: Apache-2.0
//
// Makes the vault and the state directory that a daemon would have left behind after recording one
// volume for a long time, without taking that time.
//
//   make_history --vault DIR --state DIR --seconds N [--every N] [--writes N] [--size-mib N]
//                [--gap N[:N]]
//
// Both directories must be empty or missing. The history is made by the journal, the time index and
// the keeper of pulses themselves, as the daemon runs them: a VOLUME record, then N seconds with
// some single-block writes in each (4) at random places of the volume `vol` (2048 MiB), a frame for
// each second, pulses in the next one, and a clean close. Only three things are not as they were:
// the clock, which goes a second ahead when a second is written; the disk, which is not asked to
// make frames durable one by one; and the payload, which is one of 256 random blocks, so that all
// but the first writes of them refer to what is stored already. The metadata is what such a history
// has. The backing file has the volume's newest state, and a checkpoint says so: a start replays
// nothing. With --every one second in so many has writes, and its pulse a frame of its own; the
// frames that say that nothing happens, one a minute, are left out. With --gap the journal says
// that before the second of the first number a gap began, and that before the one of the second
// number, or never, it was over.
//
// A million seconds take 4 GiB of journal, at most --size-mib of backing file, and a minute or two.
// Segments are immutable where the file system knows that: chattr -R -i before rm. Prints a JSON
// line: when the history begins and ends (seconds since 1970), and the newest LSN.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cdp/io/file_disk.h"
#include "cdp/io/pages.h"
#include "cdp/io/reactor.h"
#include "journal/index/time_index.h"
#include "journal/journal.h"
#include "tools/daemon/pulse_keeper.h"

namespace journal {
namespace {

constexpr std::uint64_t kMib = 1u << 20;
constexpr std::size_t kDistinctBlocks = 256;
// What pulses look up in the index is in memory.
constexpr std::size_t kIndexCacheBytes = 512 * kMib;
constexpr char kVolumeName[] = "vol";

struct Wanted {
  std::string vault_path;
  std::string state_path;
  std::uint64_t seconds = 0;
  std::uint64_t every = 1;
  std::uint64_t writes_per_second = 4;
  std::uint64_t size_mib = 2048;
  std::optional<std::uint64_t> gap_from{};
  std::optional<std::uint64_t> gap_to{};
};

// Goes on when it is told to, and never steps.
class WrittenClock final : public cdp::Clock {
 public:
  explicit WrittenClock(Nanos start) : start_(start), now_(start) {}
  Nanos realtime() const override { return now_; }
  Nanos boottime() const override { return now_ - start_; }
  void advance(Nanos by) { now_ = now_ + by; }

 private:
  const Nanos start_;
  Nanos now_;
};

// A file in the page cache, for which being written is durable enough.
class UnsyncedDisk final : public cdp::Disk {
 public:
  explicit UnsyncedDisk(std::unique_ptr<cdp::Disk> disk) : disk_(std::move(disk)) {
    const int fd = static_cast<cdp::FileDisk&>(*disk_).fd();
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT);
  }
  cdp::Task<Status> read(std::uint64_t offset, std::span<const iovec> into) override {
    return disk_->read(offset, into);
  }
  cdp::Task<Status> write(std::uint64_t offset, std::span<const iovec> from) override {
    return disk_->write(offset, from);
  }
  cdp::Task<Status> write_durably(std::uint64_t offset, std::span<const iovec> from) override {
    return disk_->write(offset, from);
  }
  cdp::Task<Status> sync() override { co_return Status(); }
  cdp::Task<Status> zero_range(std::uint64_t offset, std::uint64_t bytes,
                               bool may_deallocate) override {
    return disk_->zero_range(offset, bytes, may_deallocate);
  }
  std::uint64_t size_bytes() const override { return disk_->size_bytes(); }

 private:
  const std::unique_ptr<cdp::Disk> disk_;
};

// The segments, as such files; they become durable when they are sealed.
class UnsyncedDirectory final : public cdp::Directory {
 public:
  using Opened = Result<std::unique_ptr<cdp::Disk>>;

  explicit UnsyncedDirectory(cdp::FileDirectory& directory) : directory_(directory) {}

  cdp::Task<Result<std::vector<std::string>>> list() override { return directory_.list(); }
  cdp::Task<Opened> create(std::string name, std::uint64_t bytes) override {
    Opened made = co_await directory_.create(std::move(name), bytes);
    co_return unsynced(std::move(made));
  }
  cdp::Task<Opened> open(std::string name, cdp::OpenMode mode) override {
    Opened opened = co_await directory_.open(std::move(name), mode);
    co_return unsynced(std::move(opened));
  }
  cdp::Task<Result<std::vector<std::byte>>> read_small(std::string name) override {
    return directory_.read_small(std::move(name));
  }
  cdp::Task<Status> write_small(std::string name, std::vector<std::byte> bytes) override {
    return directory_.write_small(std::move(name), std::move(bytes));
  }
  cdp::Task<Status> rename(std::string from, std::string to) override {
    return directory_.rename(std::move(from), std::move(to));
  }
  cdp::Task<Status> seal(std::string name, std::uint64_t bytes) override {
    return directory_.seal(std::move(name), bytes);
  }
  cdp::Task<Status> remove(std::string name) override {
    return directory_.remove(std::move(name));
  }
  cdp::Task<Status> sync() override { co_return Status(); }
  cdp::Task<Result<std::uint64_t>> free_bytes() override { return directory_.free_bytes(); }

 private:
  static Opened unsynced(Opened opened) {
    if (!opened.ok()) return opened;
    return std::make_unique<UnsyncedDisk>(*std::move(opened));
  }

  cdp::FileDirectory& directory_;
};

cdp::Task<void> make_durable(Journal& journal, cdp::Sequencer& sequencer) {
  Status durable = co_await journal.flush(sequencer.last());
  cdp::value_or_throw(durable);
}

// The seconds, one after the other, and what the volume holds after them.
class History {
 public:
  // `payload` are the pages to fill and to write again and again.
  History(cdp::PageList payload, const Wanted& wanted)
      : wanted_(wanted),
        payload_(std::move(payload)),
        newest_(wanted.size_mib * kMib / cdp::kBlockBytes) {
    for (const cdp::PageRef& page : payload_) {
      for (std::size_t at = 0; at < cdp::kBlockBytes; at += sizeof(std::uint64_t)) {
        const std::uint64_t bits = random_();
        std::memcpy(page.data() + at, &bits, sizeof bits);
      }
    }
  }

  cdp::Task<void> write_second(Journal& journal, cdp::Sequencer& sequencer, WrittenClock& clock,
                               VolumeId volume) {
    const Nanos step{cdp::seconds(1).value / static_cast<std::int64_t>(wanted_.writes_per_second)};
    for (std::uint64_t i = 0; i < wanted_.writes_per_second; ++i) {
      Status admitted = co_await journal.admit(1);
      cdp::value_or_throw(admitted);
      const std::uint64_t block = random_() % newest_.size();
      newest_[block] = static_cast<std::uint16_t>(1 + random_() % payload_.size());
      journal.record_write(volume, sequencer.next(), block, {payload_[newest_[block] - 1u]}, {});
      clock.advance(step);
    }
    co_await make_durable(journal, sequencer);
  }

  // A file that holds the volume's newest state, durably.
  void write_backing(const std::string& path) const {
    const cdp::FileDescriptor file{open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    constexpr auto kBytes = static_cast<off_t>(cdp::kBlockBytes);
    bool done =
        file.valid() && ftruncate(file.get(), static_cast<off_t>(newest_.size()) * kBytes) == 0;
    for (std::size_t block = 0; done && block < newest_.size(); ++block) {
      if (newest_[block] == 0) continue;
      done = pwrite(file.get(), payload_[newest_[block] - 1u].data(), cdp::kBlockBytes,
                    static_cast<off_t>(block) * kBytes) == kBytes;
    }
    if (!done || fsync(file.get()) != 0) throw std::runtime_error("cannot write " + path);
  }

 private:
  const Wanted wanted_;
  std::mt19937_64 random_{20200223};
  const cdp::PageList payload_;
  std::vector<std::uint16_t> newest_;  // by block: which payload, from 1; 0 was never written
};

std::unique_ptr<cdp::FileDirectory> made(cdp::Reactor& reactor, const std::string& path) {
  std::filesystem::create_directories(path);
  return cdp::value_or_throw(cdp::FileDirectory::open(reactor, path, true));
}

Nanos whole_seconds(Nanos time) { return {time.value / 1'000'000'000 * 1'000'000'000}; }

cdp::Task<void> make_history(cdp::Reactor& reactor, Wanted wanted) {
  const auto root = made(reactor, wanted.vault_path);
  const auto state = made(reactor, wanted.state_path);
  const auto volumes = made(reactor, wanted.state_path + "/volumes");
  const auto segment_files = made(reactor, wanted.vault_path + "/" + kSegmentsDirectoryName);
  const auto index_files = made(reactor, wanted.vault_path + "/" + index::kIndexDirectoryName);
  UnsyncedDirectory segments(*segment_files);

  // It ends just now, so that a daemon goes on from there.
  const Nanos now = cdp::SystemClock{}.realtime();
  const auto length = static_cast<std::int64_t>(wanted.seconds * wanted.every);
  const Nanos start = whole_seconds(now) - cdp::seconds(length + 2);
  WrittenClock clock(start);
  Result<Vault> vault = co_await create_vault(*root, start);
  cdp::value_or_throw(vault);
  JournalOptions options;
  options.zero_ahead = false;
  options.meters_activity = true;
  cdp::Sequencer sequencer(clock);
  auto opened = co_await Journal::open(reactor, clock, sequencer, segments, state.get(), *vault,
                                       options, index_files.get());
  const std::unique_ptr<Journal> journal = cdp::value_or_throw(std::move(opened));
  index::TimeIndexOptions of_index;
  of_index.cache_bytes = kIndexCacheBytes;
  auto indexed =
      co_await index::TimeIndex::open(reactor, *index_files, segments, *vault, of_index);
  const std::unique_ptr<index::TimeIndex> time_index = cdp::value_or_throw(std::move(indexed));
  journal->set_listener(time_index.get());
  Status known = co_await time_index->catch_up(journal->durable_lsn());
  cdp::value_or_throw(known);

  const Uuid uuid = Uuid::random();
  const VolumeId volume = cdp::value_or_throw(journal->record_volume_created(
      sequencer.next(), uuid, kVolumeName, wanted.size_mib * kMib, {}));
  clock.advance(cdp::seconds(1));
  const Nanos first = clock.realtime();
  tools::PulseKeeper pulses({.scheduler = reactor,
                             .clock = clock,
                             .sequencer = sequencer,
                             .journal = *journal,
                             .index = *time_index,
                             .statistics_of = [](VolumeId) { return nullptr; }});
  cdp::PagePool pool(reactor, kDistinctBlocks);
  {
    cdp::PageList payload = co_await pool.acquire(kDistinctBlocks);
    History history(std::move(payload), wanted);
    for (std::uint64_t second = 0; second < wanted.seconds; ++second) {
      if (second == wanted.gap_from)
        cdp::value_or_throw(journal->record_gap(volume, sequencer.next(), "the vault was full"));
      if (second == wanted.gap_to)
        cdp::value_or_throw(journal->record_gap_over(volume, sequencer.next()));
      co_await history.write_second(*journal, sequencer, clock, volume);
      co_await pulses.look(second_of(clock.realtime()));
      if (wanted.every == 1) continue;
      co_await make_durable(*journal, sequencer);
      clock.advance(cdp::seconds(static_cast<std::int64_t>(wanted.every) - 1));
      co_await pulses.look(second_of(clock.realtime()));
    }
    history.write_backing(
        fmt::format("{}/volumes/{}.raw", wanted.state_path, uuid.to_string()));
    const Lsn covered = sequencer.last();
    Status admitted = co_await journal->admit(0);
    cdp::value_or_throw(admitted);
    journal->record_checkpoint(volume, sequencer.next(), covered, {});
    co_await pulses.stop();
    Status closed = co_await journal->close();
    cdp::value_or_throw(closed);
  }
  journal->set_listener(nullptr);
  known = co_await time_index->catch_up(journal->durable_lsn());
  cdp::value_or_throw(known);
  Status saved = co_await time_index->close();
  cdp::value_or_throw(saved);
  fmt::print("{{\"volume\":\"{}\",\"first_s\":{},\"last_s\":{},\"lsn\":{},\"journal_bytes\":{}}}\n",
             kVolumeName, first.value / 1'000'000'000, clock.realtime().value / 1'000'000'000,
             sequencer.last().value, journal->statistics().journal_bytes);
}

}  // namespace
}  // namespace journal

int main(int argc, char** argv) {
  journal::Wanted wanted;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--vault") wanted.vault_path = argv[i + 1];
    if (option == "--state") wanted.state_path = argv[i + 1];
    if (option == "--seconds") wanted.seconds = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--every") wanted.every = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--writes") wanted.writes_per_second = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--gap") {
      char* end = nullptr;
      wanted.gap_from = std::strtoull(argv[i + 1], &end, 10);
      if (*end == ':') wanted.gap_to = std::strtoull(end + 1, nullptr, 10);
    }
    if (option == "--size-mib") wanted.size_mib = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (wanted.vault_path.empty() || wanted.state_path.empty() || wanted.seconds == 0 ||
      wanted.every == 0 || wanted.writes_per_second == 0 || wanted.size_mib == 0) {
    fmt::print(stderr,
               "make_history --vault DIR --state DIR --seconds N [--every N] [--writes N] "
               "[--size-mib N] [--gap N[:N]]\n");
    return 2;
  }
  cdp::Reactor reactor({});
  reactor.run(journal::make_history(reactor, wanted));
  return 0;
}
