// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_store.h"

#include <algorithm>
#include <set>

#include "cdp/base/check.h"
#include "tests/sim/same_bytes.h"
#include "tests/sim/tally.h"

namespace sim {

using cdp::Result;
using cdp::Status;
using cdp::Task;

struct SimStore::IoAwaiter {
  SimStore& store;
  IoEvent event;
  FaultEffect* effect = nullptr;  // where what is not a failure can be told
  int fault = 0;

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> then) {
    FaultEffect ignored = FaultEffect::kFails;
    store.issue(std::move(event), then, fault, effect != nullptr ? *effect : ignored);
  }
  // The errno value of the failure, or 0. After a crash everything fails.
  int await_resume() { return store.crashed_ ? EIO : fault; }
};

SimStore::IoAwaiter SimStore::io(IoEvent event, FaultEffect* effect) {
  return IoAwaiter{*this, std::move(event), effect};
}

void SimStore::issue(IoEvent event, std::coroutine_handle<> then, int& fault,
                     FaultEffect& effect) {
  if (!crashed_) {
    ++ios_;
    ++by_kind_[static_cast<std::size_t>(event.kind)];
    if (observer_) observer_(event);
    if (ios_ == crash_at_) crashed_ = true;
  }
  for (auto match = faults_.begin(); match != faults_.end(); ++match) {
    if (event.path.find(match->path_contains) == std::string::npos) continue;
    if (match->kind && *match->kind != event.kind) continue;
    const bool changes = event.kind == IoKind::kWrite || event.kind == IoKind::kWriteDurably ||
                         event.kind == IoKind::kZeroRange;
    if (match->effect != FaultEffect::kFails && !changes) continue;
    if (match->skip > 0) {
      --match->skip;
      continue;
    }
    effect = match->effect;
    fault = effect == FaultEffect::kFails ? match->code : 0;
    ++faults_struck_;
    tally("I/Os struck by faults");
    if (!match->sticky) faults_.erase(match);
    break;
  }
  const cdp::Nanos latency = random_.chance(options_.slow_percent)
                                 ? options_.slow
                                 : random_.nanos(options_.latency_min, options_.latency_max);
  SimScheduler& scheduler = scheduler_;
  scheduler.at(scheduler.now() + latency, [&scheduler, then] { scheduler.post(then); });
}

namespace {

cdp::Error failed(int code, const char* doing, const std::string& path) {
  return cdp::errno_error(code, fmt::format("{} {} (simulated)", doing, path));
}

}  // namespace

class SimDisk final : public cdp::Disk {
 public:
  SimDisk(std::shared_ptr<SimStore> store, std::string path, std::shared_ptr<SimFile> file,
          bool writable)
      : store_(std::move(store)),
        path_(std::move(path)),
        file_(std::move(file)),
        writable_(writable) {}

  using Disk::read;
  using Disk::write;
  using Disk::write_durably;

  Task<Status> read(std::uint64_t offset, std::span<const iovec> into) override {
    const std::uint64_t bytes = check_aligned(offset, into);
    IoEvent event{IoKind::kRead, path_, offset, bytes, {}};
    const int fault = co_await store_->io(std::move(event));
    if (fault != 0) co_return failed(fault, "reading", path_);
    if (offset + bytes > file_->size_bytes()) {
      co_return cdp::make_error(EIO, "reading {}: past its end", path_);
    }
    for (const iovec& part : into) {
      file_->read(offset, {static_cast<std::byte*>(part.iov_base), part.iov_len}, store_->random_);
      offset += part.iov_len;
    }
    co_return Status{};
  }

  Task<Status> write(std::uint64_t offset, std::span<const iovec> from) override {
    return change(IoKind::kWrite, offset, check_aligned(offset, from), from);
  }
  Task<Status> write_durably(std::uint64_t offset, std::span<const iovec> from) override {
    return change(IoKind::kWriteDurably, offset, check_aligned(offset, from), from);
  }
  Task<Status> zero_range(std::uint64_t offset, std::uint64_t bytes, bool) override {
    CHECK(offset % cdp::kBlockBytes == 0 && bytes % cdp::kBlockBytes == 0 && bytes > 0);
    return change(IoKind::kZeroRange, offset, bytes, {});
  }

  Task<Status> sync() override {
    const std::uint64_t upto = file_->completed();
    IoEvent event{IoKind::kSync, path_, 0, 0, {}};
    const int fault = co_await store_->io(std::move(event));
    if (fault != 0) {
      if (!store_->crashed()) file_->fail_sync(upto);
      co_return failed(fault, "syncing", path_);
    }
    file_->sync(upto);
    co_return Status{};
  }

  std::uint64_t size_bytes() const override { return file_->size_bytes(); }

  Task<Status> resize(std::uint64_t bytes) override {
    IoEvent event{IoKind::kResize, path_, 0, bytes, {}};
    const int fault = co_await store_->io(std::move(event));
    if (fault != 0) co_return failed(fault, "resizing", path_);
    file_->resize(bytes);
    co_return Status{};
  }

 private:
  static std::uint64_t check_aligned(std::uint64_t offset, std::span<const iovec> parts) {
    std::uint64_t bytes = 0;
    CHECK(offset % cdp::kBlockBytes == 0);
    CHECK(!parts.empty() && parts.size() <= 1024);  // IOV_MAX
    for (const iovec& part : parts) {
      CHECK(part.iov_len % cdp::kBlockBytes == 0 && part.iov_len > 0);
      CHECK(reinterpret_cast<std::uintptr_t>(part.iov_base) % cdp::kBlockBytes == 0);
      bytes += part.iov_len;
    }
    return bytes;
  }

  static std::vector<std::byte> gather(std::span<const iovec> parts) {
    std::vector<std::byte> data;
    for (const iovec& part : parts) {
      const auto* bytes = static_cast<const std::byte*>(part.iov_base);
      data.insert(data.end(), bytes, bytes + part.iov_len);
    }
    return data;
  }

  static bool holds(std::span<const iovec> parts, std::span<const std::byte> data) {
    for (const iovec& part : parts) {
      const std::span bytes{static_cast<const std::byte*>(part.iov_base), part.iov_len};
      if (!same_bytes(bytes, data.first(part.iov_len))) return false;
      data = data.subspan(part.iov_len);
    }
    return true;
  }

  Task<Status> change(IoKind kind, std::uint64_t offset, std::uint64_t bytes,
                      std::span<const iovec> from) {
    if (!writable_ || file_->sealed()) co_return failed(EPERM, "writing", path_);
    if (offset + bytes > file_->size_bytes()) {
      co_return cdp::make_error(EIO, "writing {}: past its end", path_);
    }
    if (!store_->crashed() && file_->busy(offset, bytes)) ++store_->overlapping_writes_;
    IoEvent event{kind, path_, offset, bytes, gather(from)};
    SimChange what{.offset = offset, .bytes = bytes, .data = event.data};
    // What is issued after the crash does not reach the file.
    const bool reaches = !store_->crashed();
    SimFile::InFlight in_flight{};
    if (reaches) in_flight = file_->begin_change(std::move(what));
    FaultEffect effect = FaultEffect::kFails;
    const int fault = co_await store_->io(std::move(event), &effect);
    // After a crash the change stays in flight for ever: its fate is drawn by reboot().
    if (store_->crashed()) co_return failed(EIO, "writing", path_);
    CHECK(holds(from, in_flight->data));  // nobody may change a buffer that is being written
    if (fault != 0) {
      file_->fail(in_flight, store_->random_);
      co_return failed(fault, "writing", path_);
    }
    if (effect == FaultEffect::kIsLost) {
      file_->lose(in_flight);
      co_return Status{};
    }
    if (effect == FaultEffect::kIsMisplaced) {
      const std::uint64_t places = (file_->size_bytes() - bytes) / cdp::kBlockBytes + 1;
      in_flight->offset = store_->random_.below(places) * cdp::kBlockBytes;
    }
    file_->complete(in_flight, kind == IoKind::kWriteDurably);
    co_return Status{};
  }

  const std::shared_ptr<SimStore> store_;
  const std::string path_;
  const std::shared_ptr<SimFile> file_;
  const bool writable_;
};

class SimDirectory final : public cdp::Directory {
 public:
  SimDirectory(std::shared_ptr<SimStore> store, std::string name)
      : store_(std::move(store)), prefix_(std::move(name) + "/") {}

  Task<Result<std::vector<std::string>>> list() override {
    const int fault = co_await io(IoKind::kList, prefix_);
    if (fault != 0) co_return failed(fault, "listing", prefix_);
    std::vector<std::string> names;
    for (const auto& [path, file] : store_->names_) {
      if (!path.starts_with(prefix_)) continue;
      std::string name = path.substr(prefix_.size());
      if (const std::size_t slash = name.find('/'); slash != std::string::npos) name.resize(slash);
      if (names.empty() || names.back() != name) names.push_back(std::move(name));
    }
    co_return names;
  }

  Task<Result<std::unique_ptr<cdp::Disk>>> create(std::string name, std::uint64_t bytes) override {
    const std::string path = prefix_ + name;
    const int fault = co_await io(IoKind::kCreate, path);
    if (fault != 0) co_return failed(fault, "creating", path);
    if (store_->names_.contains(path)) co_return failed(EEXIST, "creating", path);
    if (!has_room(bytes)) co_return failed(ENOSPC, "creating", path);
    auto file = std::make_shared<SimFile>(bytes);
    store_->change_names({.remove = {}, .add = path, .file = file, .created = true});
    co_return std::unique_ptr<cdp::Disk>{std::make_unique<SimDisk>(store_, path, file, true)};
  }

  Task<Result<std::unique_ptr<cdp::Disk>>> open(std::string name, cdp::OpenMode mode) override {
    const std::string path = prefix_ + name;
    const int fault = co_await io(IoKind::kOpen, path);
    if (fault != 0) co_return failed(fault, "opening", path);
    const auto found = store_->names_.find(path);
    if (found == store_->names_.end()) co_return failed(ENOENT, "opening", path);
    const bool writable = mode == cdp::OpenMode::kReadWrite;
    if (writable && found->second->sealed()) co_return failed(EPERM, "opening", path);
    co_return std::unique_ptr<cdp::Disk>{
        std::make_unique<SimDisk>(store_, path, found->second, writable)};
  }

  Task<Result<std::vector<std::byte>>> read_small(std::string name) override {
    const std::string path = prefix_ + name;
    const int fault = co_await io(IoKind::kReadSmall, path);
    if (fault != 0) co_return failed(fault, "reading", path);
    const auto found = store_->names_.find(path);
    if (found == store_->names_.end()) co_return failed(ENOENT, "reading", path);
    co_return found->second->content(0, found->second->size_bytes());
  }

  Task<Status> write_small(std::string name, std::vector<std::byte> bytes) override {
    const std::string path = prefix_ + name;
    auto file = std::make_shared<SimFile>(bytes.size());
    if (!bytes.empty()) file->store_durably(0, bytes);
    const int fault = co_await io(IoKind::kWriteSmall, path);
    if (fault != 0) co_return failed(fault, "writing", path);
    if (!has_room(bytes.size())) co_return failed(ENOSPC, "writing", path);
    // A crash while it is in flight leaves the old one: whether the new one is there an instant
    // earlier or later is for the crash at the next I/O to show.
    store_->change_names({.remove = {}, .add = path, .file = file, .durable = true});
    co_return Status{};
  }

  Task<Status> rename(std::string from, std::string to) override {
    const std::string old_path = prefix_ + from;
    const std::string new_path = prefix_ + to;
    const int fault = co_await io(IoKind::kRename, old_path);
    if (fault != 0) co_return failed(fault, "renaming", old_path);
    const auto found = store_->names_.find(old_path);
    if (found == store_->names_.end()) co_return failed(ENOENT, "renaming", old_path);
    if (store_->names_.contains(new_path)) co_return failed(EEXIST, "renaming to", new_path);
    const std::shared_ptr<SimFile> file = found->second;
    store_->change_names({.remove = old_path, .add = new_path, .file = file});
    co_return Status{};
  }

  Task<Status> seal(std::string name, std::uint64_t bytes) override {
    const std::string path = prefix_ + name;
    const int fault = co_await io(IoKind::kSeal, path);
    if (fault != 0) co_return failed(fault, "sealing", path);
    const auto found = store_->names_.find(path);
    if (found == store_->names_.end()) co_return failed(ENOENT, "sealing", path);
    SimFile& file = *found->second;
    if (file.sealed() && file.size_bytes() == bytes) co_return Status{};
    if (file.sealed()) co_return failed(EPERM, "sealing", path);
    if (bytes > file.size_bytes()) co_return failed(EINVAL, "sealing", path);
    file.cut_and_seal(bytes);
    co_return Status{};
  }

  Task<Status> remove(std::string name) override {
    const std::string path = prefix_ + name;
    const int fault = co_await io(IoKind::kRemove, path);
    if (fault != 0) co_return failed(fault, "removing", path);
    if (!store_->names_.contains(path)) co_return failed(ENOENT, "removing", path);
    store_->change_names({.remove = path, .add = {}, .file = {}});
    co_return Status{};
  }

  Task<Status> sync() override {
    const std::uint64_t upto = store_->name_sequence_;
    const int fault = co_await io(IoKind::kSyncNames, prefix_);
    if (fault != 0) co_return failed(fault, "syncing", prefix_);
    store_->sync_names(prefix_, upto);
    co_return Status{};
  }

  Task<Result<std::uint64_t>> free_bytes() override {
    const int fault = co_await io(IoKind::kFreeBytes, prefix_);
    if (fault != 0) co_return failed(fault, "asking for the free space of", prefix_);
    const std::uint64_t capacity = store_->options_.capacity_bytes;
    co_return capacity - std::min(capacity, store_->used_bytes());
  }

 private:
  SimStore::IoAwaiter io(IoKind kind, const std::string& path) {
    IoEvent event;
    event.kind = kind;
    event.path = path;
    return store_->io(std::move(event));
  }
  bool has_room(std::uint64_t bytes) const {
    const std::uint64_t capacity = store_->options_.capacity_bytes;
    const std::uint64_t used = store_->used_bytes();
    return used <= capacity && bytes <= capacity - used;
  }

  const std::shared_ptr<SimStore> store_;
  const std::string prefix_;
};

std::shared_ptr<SimStore> SimStore::make(SimScheduler& scheduler, std::uint64_t seed,
                                         StoreOptions options) {
  return std::shared_ptr<SimStore>(new SimStore(scheduler, seed, options));
}

std::unique_ptr<cdp::Disk> SimStore::create_disk(std::string path, std::uint64_t size_bytes) {
  CHECK(!names_.contains(path) && size_bytes % cdp::kBlockBytes == 0);
  auto file = std::make_shared<SimFile>(size_bytes);
  change_names({.remove = {}, .add = path, .file = file, .durable = true});
  return std::make_unique<SimDisk>(shared_from_this(), std::move(path), file, true);
}

std::unique_ptr<cdp::Disk> SimStore::open_disk(const std::string& path) {
  CHECK(names_.contains(path));
  return std::make_unique<SimDisk>(shared_from_this(), path, names_.at(path), true);
}

std::unique_ptr<cdp::Directory> SimStore::directory(std::string name) {
  return std::make_unique<SimDirectory>(shared_from_this(), std::move(name));
}

void SimStore::apply(const NameChange& change, Names& names) {
  if (!change.remove.empty()) names.erase(change.remove);
  if (!change.add.empty()) names[change.add] = change.file;
}

void SimStore::change_names(NameChange change) {
  change.sequence = ++name_sequence_;
  apply(change, names_);
  name_changes_.push_back(std::move(change));
  sync_names("", 0);
}

void SimStore::sync_names(const std::string& prefix, std::uint64_t upto) {
  for (NameChange& change : name_changes_) {
    const std::string& path = change.add.empty() ? change.remove : change.add;
    if (change.sequence <= upto && path.starts_with(prefix)) change.durable = true;
  }
  const auto first = std::find_if(name_changes_.begin(), name_changes_.end(),
                                  [](const NameChange& change) { return !change.durable; });
  for (auto done = name_changes_.begin(); done != first; ++done) apply(*done, durable_names_);
  name_changes_.erase(name_changes_.begin(), first);
}

std::shared_ptr<SimStore> SimStore::reboot(SimScheduler& scheduler, std::uint64_t seed) const {
  CHECK(crashed_);
  tally("crash states");
  Random random(seed ^ 0xdeadu);
  const auto unsynced = static_cast<std::uint64_t>(
      std::count_if(name_changes_.begin(), name_changes_.end(),
                    [](const NameChange& change) { return !change.durable; }));
  std::uint64_t kept = random.below(unsynced + 1);
  Names names = durable_names_;
  std::set<const SimFile*> of_any_size;
  for (const NameChange& change : name_changes_) {
    if (!change.durable) {
      if (kept == 0) continue;
      --kept;
      if (change.created) of_any_size.insert(change.file.get());
    }
    apply(change, names);
  }
  std::shared_ptr<SimStore> store = make(scheduler, random.next(), options_);
  for (const auto& [path, file] : names) {
    std::shared_ptr<SimFile> survivor = file->after_crash(random);
    if (of_any_size.contains(file.get()) && !file->sealed() && random.coin()) {
      survivor->set_size(random.below(file->size_bytes() / cdp::kBlockBytes + 1) *
                         cdp::kBlockBytes);
    }
    store->names_[path] = std::move(survivor);
  }
  store->durable_names_ = store->names_;
  return store;
}

const SimFile& SimStore::file(const std::string& path) const {
  const auto found = names_.find(path);
  CHECK(found != names_.end());
  return *found->second;
}

std::uint64_t SimStore::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, file] : names_) bytes += file->size_bytes();
  return bytes;
}

void SimStore::remove_file(const std::string& path) {
  if (crashed_ || !names_.contains(path)) return;
  change_names({.remove = path, .add = {}, .file = {}});
}

std::vector<std::string> SimStore::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : names_) paths.push_back(path);
  return paths;
}

std::vector<std::byte> SimStore::content(const std::string& path) const {
  return content(path, 0, file(path).size_bytes());
}

std::vector<std::byte> SimStore::content(const std::string& path, std::uint64_t offset,
                                         std::uint64_t bytes) const {
  return file(path).content(offset, bytes);
}

void SimStore::overwrite(const std::string& path, std::uint64_t offset,
                         std::span<const std::byte> bytes) {
  CHECK(names_.contains(path));
  names_.at(path)->store_durably(offset, bytes);
}

void SimStore::flip_bit(const std::string& path, std::uint64_t bit) {
  std::vector<std::byte> one = content(path, bit / 8, 1);
  one[0] ^= static_cast<std::byte>(1u << (bit % 8));
  overwrite(path, bit / 8, one);
}

}  // namespace sim
