// SPDX-License-Identifier: Apache-2.0
//
// SimStore: the storage of one simulated machine, files and devices by path, with what production
// storage does to us: random latency and order of completion, content and names that are lost,
// kept or torn at a crash unless they were synced, EIO, ENOSPC, flipped bits.
//
// Every operation on a Disk or Directory is one I/O and counted; the crash comes when the I/O with
// a chosen number is issued. From then on the store has no effect any more: what is in flight or
// issued later ends with EIO (so that a crashed world can be unwound), and `reboot` gives the
// store that the next start of the machine finds. It may be called several times: each seed is
// another fate of what was not durable.
//
// Names: create, rename and remove are durable once a directory sync that was issued after them has
// completed. A crash keeps a prefix of the other ones, as journaled file systems do. A file whose
// creation was not synced may have any size.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/io/disk.h"
#include "tests/sim/sim_file.h"
#include "tests/sim/sim_scheduler.h"

namespace sim {

enum class IoKind {
  kRead,
  kWrite,
  kWriteDurably,
  kSync,
  kZeroRange,
  kList,
  kCreate,
  kOpen,
  kReadSmall,
  kWriteSmall,
  kRename,
  kSeal,
  kRemove,
  kSyncNames,
  kFreeBytes,
  kResize,
};
inline constexpr std::size_t kIoKinds = 16;

struct IoEvent {
  IoKind kind = IoKind::kRead;
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::vector<std::byte> data;  // of writes
};

// What becomes of an I/O that a fault strikes.
enum class FaultEffect {
  kFails,        // with the fault's code
  kIsLost,       // a write or zeroing is answered as done and reaches nothing
  kIsMisplaced,  // a write lands elsewhere in the file, and is answered as done
};

// Strikes matching I/Os, after the first `skip` of them: one, or all from there on.
struct Fault {
  std::string path_contains = {};
  std::optional<IoKind> kind = {};
  std::uint64_t skip = 0;
  bool sticky = false;
  int code = EIO;
  FaultEffect effect = FaultEffect::kFails;
};

struct StoreOptions {
  cdp::Nanos latency_min{5'000};
  cdp::Nanos latency_max{300'000};
  unsigned slow_percent = 2;
  cdp::Nanos slow{20'000'000};
  std::uint64_t capacity_bytes = std::numeric_limits<std::uint64_t>::max();
};

class SimStore : public std::enable_shared_from_this<SimStore> {
 public:
  static std::shared_ptr<SimStore> make(SimScheduler& scheduler, std::uint64_t seed,
                                        StoreOptions options = {});

  // A device or file outside of any directory; its name is durable at once.
  std::unique_ptr<cdp::Disk> create_disk(std::string path, std::uint64_t size_bytes);
  std::unique_ptr<cdp::Disk> open_disk(const std::string& path);
  // The files whose paths are `name` + "/" + file.
  std::unique_ptr<cdp::Directory> directory(std::string name);

  std::uint64_t ios() const { return ios_; }
  std::uint64_t ios(IoKind kind) const { return by_kind_[static_cast<std::size_t>(kind)]; }
  // Writes and zeroings that were issued while another one in flight touched the same range.
  std::uint64_t overlapping_writes() const { return overlapping_writes_; }

  // The machine stops when this I/O, counted by ios(), is issued: it may still have effect.
  void crash_at(std::uint64_t io) { crash_at_ = io; }
  void crash_now() { crashed_ = true; }
  bool crashed() const { return crashed_; }
  bool may_crash() const { return crash_at_ > ios_; }
  std::shared_ptr<SimStore> reboot(SimScheduler& scheduler, std::uint64_t seed) const;

  void inject(Fault fault) { faults_.push_back(std::move(fault)); }
  void clear_faults() { faults_.clear(); }
  bool has_faults() const { return !faults_.empty(); }
  // I/Os that a fault has struck.
  std::uint64_t faults_struck() const { return faults_struck_; }
  void set_capacity(std::uint64_t bytes) { options_.capacity_bytes = bytes; }
  // Of this moment on, I/Os take so long.
  void set_latency(cdp::Nanos min, cdp::Nanos max) {
    options_.latency_min = min;
    options_.latency_max = max;
  }
  // Called when an I/O is issued, before it has any effect.
  void set_observer(std::function<void(const IoEvent&)> observer) {
    observer_ = std::move(observer);
  }

  // Straight to the medium, without an I/O.
  void remove_file(const std::string& path);
  bool exists(const std::string& path) const { return names_.contains(path); }
  std::vector<std::string> paths() const;
  std::uint64_t size_of(const std::string& path) const { return file(path).size_bytes(); }
  std::vector<std::byte> content(const std::string& path) const;
  std::vector<std::byte> content(const std::string& path, std::uint64_t offset,
                                 std::uint64_t bytes) const;
  void overwrite(const std::string& path, std::uint64_t offset, std::span<const std::byte> bytes);
  void flip_bit(const std::string& path, std::uint64_t bit);

 private:
  friend class SimDisk;
  friend class SimDirectory;

  using Names = std::map<std::string, std::shared_ptr<SimFile>>;
  struct NameChange {
    std::string remove;  // empty: none
    std::string add;     // empty: none
    std::shared_ptr<SimFile> file;
    bool created = false;
    bool durable = false;
    std::uint64_t sequence = 0;
  };
  struct IoAwaiter;

  SimStore(SimScheduler& scheduler, std::uint64_t seed, StoreOptions options)
      : scheduler_(scheduler), random_(seed), options_(options) {}

  // One I/O: counted, observed, and over after a while.
  IoAwaiter io(IoEvent event, FaultEffect* effect = nullptr);
  void issue(IoEvent event, std::coroutine_handle<> then, int& fault, FaultEffect& effect);
  const SimFile& file(const std::string& path) const;
  std::uint64_t used_bytes() const;
  void change_names(NameChange change);
  void sync_names(const std::string& prefix, std::uint64_t upto);
  static void apply(const NameChange& change, Names& names);

  SimScheduler& scheduler_;
  Random random_;
  StoreOptions options_;
  Names names_;
  Names durable_names_;  // before `name_changes_`
  std::vector<NameChange> name_changes_;
  std::uint64_t name_sequence_ = 0;
  std::vector<Fault> faults_;
  std::uint64_t faults_struck_ = 0;
  std::function<void(const IoEvent&)> observer_;
  std::uint64_t ios_ = 0;
  std::uint64_t by_kind_[kIoKinds] = {};
  std::uint64_t overlapping_writes_ = 0;
  std::uint64_t crash_at_ = 0;
  bool crashed_ = false;
};

}  // namespace sim
