// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/appliance_life.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cdp/base/random_bytes.h"
#include "tests/sim/same_bytes.h"
#include "tests/sim/tally.h"

namespace sim {

using cdp::kBlockBytes;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

namespace {

constexpr std::uint64_t kPairBytes = 2 * kBlockBytes;
constexpr cdp::Nanos kPhaseMax = cdp::seconds(3600);

// Uuids and secrets of a life, apart from everything else that is drawn.
std::function<void(std::span<std::byte>)> bytes_of(std::uint64_t seed) {
  return [random = Random(seed ^ 0x1de57u)](std::span<std::byte> into) mutable {
    for (std::byte& byte : into) byte = static_cast<std::byte>(random.next());
  };
}

}  // namespace

void LifeCounts::add(const LifeCounts& other) {
  lives += other.lives;
  starts += other.starts;
  crashes += other.crashes;
  faults += other.faults;
  ios += other.ios;
  points += other.points;
  points_checked += other.points_checked;
  rollbacks += other.rollbacks;
  recoveries += other.recoveries;
  pair_counts += other.pair_counts;
  clones += other.clones;
  resizes += other.resizes;
}

ApplianceLife::ApplianceLife(std::uint64_t seed, LifeOptions options)
    : seed_(seed),
      options_(options),
      random_(seed ^ 0x11feu),
      scheduler_(seed),
      clock_(scheduler_),
      store_(SimStore::make(scheduler_, seed)) {}

ApplianceLife::~ApplianceLife() = default;

void ApplianceLife::find(const std::string& what) {
  note("FOUND: " + what);
  findings_.push_back(fmt::format("seed {}: {}", seed_, what));
}

void ApplianceLife::note(std::string what) {
  story_.push_back(fmt::format("{:>10} us, I/O {:>5}: {}",
                               (scheduler_.now() - cdp::seconds(1000)).value / 1000, store_->ios(),
                               std::move(what)));
}

bool ApplianceLife::tell(const Status& status, const std::string& what) {
  if (!status.ok()) note(what + ": " + status.error().message);
  // What rotted may be what is asked for; then it says so.
  if (!status.ok() && !store_->crashed() && !errors_expected_ && !rotten_) {
    find(what + ": " + status.error().message);
  }
  return status.ok();
}

void ApplianceLife::expect_errors() {
  errors_expected_ = true;
  for (auto& [id, volume] : volumes_) volume.clients->errors_expected = true;
}

void ApplianceLife::reset(Tracked& volume, Content content) {
  volume.size_bytes = content.size();
  volume.model = std::make_unique<ByteModel>(std::move(content));
  volume.clients = std::make_unique<Clients>(*volume.model);
  volume.clients->errors_expected = errors_expected_;
  volume.instead.reset();
  volume.replaced = false;
}

void ApplianceLife::run() {
  const cdp::SimulatedRandomBytes identities(bytes_of(seed_));
  ++counts_.lives;
  tally("simulated lives (seeds)");
  if (!options_.script.empty()) return live_by_script();
  begin_history();
  for (unsigned phase = 0; phase < options_.phases && !over() && world_ != nullptr; ++phase) {
    busy_phase();
    if (!over() && world_ != nullptr) quiet_phase();
  }
  if (!over() && world_ != nullptr) {
    check_points(points_.size());
    verify();
    stop_well();
  } else if (world_ != nullptr) {
    store_->crash_now();
    (void)world_->stop();
  }
  leave_store();
}

// ---------------------------------------------------------------- sweeps

// A sweep strikes one I/O of the script. Whatever that ends, the appliance is started again on a
// store that has come to itself, and judged.
void ApplianceLife::live_by_script() {
  is_sweeping_ = true;
  arm_sweep();
  if (options_.failing_io) expect_errors();
  begin_history();
  for (const Act act : options_.script) {
    if (over()) break;
    if (store_->crashed() || world_ == nullptr) come_to_itself();
    if (over() || world_ == nullptr) continue;
    make_first_volumes();
    perform(act);
  }
  is_sweeping_ = false;
  script_ios_ = counts_.ios + store_->ios();
  if (!over() && (options_.failing_io || store_->crashed() || world_ == nullptr)) come_to_itself();
  if (!over() && world_ != nullptr) {
    check_points(points_.size());
    verify();
    stop_well();
  } else if (world_ != nullptr) {
    store_->crash_now();
    (void)world_->stop();
    world_.reset();
  }
  leave_store();
}

// What is left of the way to the I/O, on the store as it is now.
void ApplianceLife::arm_sweep() {
  if (!is_sweeping_) return;
  const std::uint64_t passed = counts_.ios;
  if (options_.failing_io && *options_.failing_io > passed) {
    store_->inject({.skip = *options_.failing_io - passed - 1, .sticky = options_.sticky});
  }
  if (options_.killing_io && *options_.killing_io > passed) {
    store_->crash_at(*options_.killing_io - passed);
  }
}

void ApplianceLife::come_to_itself() {
  store_->clear_faults();
  crash_and_restart();
}

// What is known of a store once nothing runs on it any more.
void ApplianceLife::leave_store() {
  counts_.ios += store_->ios();
  counts_.faults += store_->faults_struck();
  if (store_->overlapping_writes() != 0) find("rule 5: two writes of a block in flight");
}

// ---------------------------------------------------------------- starts and ends

Status ApplianceLife::start() {
  ++counts_.starts;
  note("start");
  old_segments_.clear();
  for (const std::string& path : store_->paths()) {
    if (path.starts_with(kSegmentsPath) && path.ends_with(".seg")) old_segments_.insert(path);
  }
  store_->set_observer([this](const IoEvent& event) { watch(event); });
  tools::ApplianceOptions options = ApplianceWorld::small_options();
  options.journal.fingerprint = options_.fingerprint;
  if (random_.coin()) options.hydration_bytes_per_second = random_.between(1, 200) * kBlockBytes;
  world_ = std::make_unique<ApplianceWorld>(scheduler_, clock_, store_, options, &trace_);
  Status started = world_->start();
  if (!started.ok()) world_.reset();
  return started;
}

void ApplianceLife::watch(const IoEvent& event) {
  trace_.add(static_cast<std::uint64_t>(event.kind));
  trace_.add(event.path);
  trace_.add(event.offset ^ event.bytes << 32);
  trace_.add(event.data);
  trace_.add(static_cast<std::uint64_t>(scheduler_.now().value));
  const bool writes = event.kind == IoKind::kWrite || event.kind == IoKind::kWriteDurably ||
                      event.kind == IoKind::kZeroRange || event.kind == IoKind::kRemove;
  if (writes && old_segments_.contains(event.path) && findings_.empty()) {
    find("rule 2: " + event.path + " is written to, or removed, though it was there at the start");
  }
}

void ApplianceLife::begin_history() {
  if (!tell(start(), "the first start")) return;
  make_first_volumes();
  take_point();
}

void ApplianceLife::make_first_volumes() {
  constexpr std::pair<const char*, std::uint64_t> kFirst[] = {
      {"pair-a", kPairBytes},
      {"pair-b", kPairBytes},
      {"first", 64 * kBlockBytes},
      {"second", 40 * kBlockBytes + 777}};
  for (const auto& [name, size] : kFirst) {
    if (first_made_.contains(name)) continue;
    add_volume(name, size, {}, Content(size));
    if (world_->appliance().journal().state().find(name) != nullptr) first_made_.insert(name);
  }
}

void ApplianceLife::stop_well() {
  tell(world_->stop(), "stopping");
  world_.reset();
}

void ApplianceLife::crash_and_restart() {
  ++counts_.crashes;
  note("crash");
  expect_errors();
  if (!store_->crashed()) store_->crash_now();
  if (world_ != nullptr) (void)world_->stop();
  world_.reset();
  leave_store();
  if (over()) return;
  store_ = store_->reboot(scheduler_, random_.next());
  arm_sweep();
  restart();
}

// On a store without faults; the first start may be cut short by another crash.
void ApplianceLife::restart() {
  const bool is_swept = !options_.script.empty();
  if (options_.crashes && !is_swept && random_.chance(30)) {
    store_->crash_at(random_.between(1, 80));
  }
  const bool is_struck = is_swept && store_->has_faults();
  Status started = start();
  if (store_->crashed()) return crash_and_restart();
  if (!is_swept) store_->crash_at(0);
  errors_expected_ = is_struck;
  if (!started.ok()) {
    // What rotted is older than what a start needs.
    if (!errors_expected_) find("it does not start: " + started.error().message);
    return;
  }
  judge();
}

// What is there must be what the clients know, or what an operator's act was about to make of it: of
// all its volumes or of none. Of two such acts the first may have happened and the second not.
void ApplianceLife::judge() {
  if (being_removed_ && !world_->appliance().live_volumes().contains(*being_removed_)) {
    volumes_.erase(*being_removed_);
  }
  being_removed_.reset();
  // What is read from here on is what the models begin with, so no crash may take it back.
  if (!tell(scheduler_.run(world_->appliance().make_durable()), "making all durable")) return;
  std::map<std::uint64_t, Outcome> by_act;
  for (auto& [id, volume] : volumes_) {
    judge(volume, by_act);
    if (over() || store_->crashed()) return;
  }
  std::erase_if(volumes_, [](const auto& each) { return each.second.unreadable; });
  for (const auto& [act, happened] : by_act) {
    if (!happened.to_none && !happened.to_all) find("a rollback happened to some of its volumes only");
  }
  adopt_new_volumes();
  if (!over() && !store_->crashed()) scheduler_.run(check_pair(""));
  for (auto& [name, clone] : clones_) {
    if (!over() && !store_->crashed()) judge_clone(name, clone);
  }
}

// A clone is no volume: it has no history, but what was flushed is there. What is read is made durable
// first, as the model begins anew with it.
void ApplianceLife::judge_clone(const std::string& name, TrackedClone& clone) {
  const std::unique_ptr<NbdDevice> device = world_->connect();
  Status flushed = scheduler_.run(device->connect(name));
  if (flushed.ok()) flushed = scheduler_.run(device->flush());
  device->vanish(false);
  if (!tell(flushed, "flushing the clone " + name)) return;
  Result<Content> live = scheduler_.run(read_export(name));
  if (!live.ok()) {
    tell(live.error(), "the clone " + name);
    return;
  }
  if (const auto wrong = clone.model->check(0, *live, clone.clients->flushed)) {
    return find("the clone " + name + ": " + *wrong);
  }
  clone.model = std::make_unique<ByteModel>(*std::move(live));
  clone.clients = std::make_unique<Clients>(*clone.model);
}

void ApplianceLife::judge(Tracked& volume, std::map<std::uint64_t, Outcome>& by_act) {
  const journal::VolumeState* state = world_->appliance().journal().state().find(volume.id);
  if (state == nullptr) return find("the volume " + volume.name + " is gone");
  volume.name = state->name;
  Result<Content> live = scheduler_.run(read_export(volume.name));
  if (!live.ok()) {
    tell(live.error(), volume.name + " cannot be read");
    volume.unreadable = rotten_ && !store_->crashed();
    return;
  }
  std::optional<std::string> wrong;
  if (volume.replaced) {
    wrong = "it was rolled back";
  } else if (live->size() != volume.size_bytes) {
    wrong = fmt::format("it has {} bytes, not {}", live->size(), volume.size_bytes);
  } else {
    wrong = volume.model->check(0, *live, volume.clients->flushed);
  }
  const bool is_instead = volume.instead && live->size() == volume.instead->size() &&
                          same_bytes(*live, *volume.instead);
  if (wrong && !is_instead) return find(volume.name + " after a restart: " + *wrong);
  if (volume.instead) {
    Outcome& happened = by_act[volume.act];
    if (wrong) happened.to_none = false;
    if (!is_instead) happened.to_all = false;
  }
  reset(volume, *std::move(live));
}

// Whether it was made is known by its being there.
void ApplianceLife::adopt_new_volumes() {
  for (const auto& [name, content] : std::exchange(being_made_, {})) {
    adopt(name, content);
    if (over() || store_->crashed()) return;
  }
}

void ApplianceLife::adopt(const std::string& name, const Content& content) {
  const journal::VolumeState* state = world_->appliance().journal().state().find(name);
  if (state == nullptr || volumes_.contains(state->id)) return;
  Result<Content> live = scheduler_.run(read_export(name));
  if (!live.ok()) {
    tell(live.error(), name + " cannot be read");
    return;
  }
  if (live->size() != content.size() || !same_bytes(*live, content)) {
    return find("the new volume " + name + " is not what it was made from");
  }
  Tracked& volume = volumes_[state->id];
  volume.name = name;
  volume.id = state->id;
  reset(volume, *std::move(live));
}

// ---------------------------------------------------------------- clients at work

void ApplianceLife::inject_faults() {
  if (random_.chance(20)) store_->set_latency(cdp::milliseconds(1), cdp::milliseconds(100));
  if (options_.faults == FaultMode::kNone || random_.chance(20)) return;
  const bool anywhere = options_.faults == FaultMode::kAnywhere;
  for (std::uint64_t i = random_.between(1, 3); i > 0; --i) {
    Fault fault{.skip = random_.below(60), .sticky = random_.coin()};
    if (random_.coin()) fault.code = ENOSPC;
    constexpr IoKind kKinds[] = {IoKind::kRead, IoKind::kWrite,      IoKind::kWriteDurably,
                                 IoKind::kSync, IoKind::kWriteSmall, IoKind::kCreate};
    if (random_.coin()) fault.kind = kKinds[random_.below(std::size(kKinds))];
    if (anywhere && random_.coin()) {
      constexpr const char* kPaths[] = {kSegmentsPath, kBackingPath, kStatePath, kVaultPath};
      fault.path_contains = kPaths[random_.below(std::size(kPaths))];
      expect_errors();
    } else if (i == 1 && random_.chance(50)) {
      // The frame is still in memory, and goes to a fresh segment (rule 13); a second failure, of
      // that, would end it.
      fault = {.path_contains = kSegmentsPath, .kind = IoKind::kWriteDurably, .skip = fault.skip};
    } else {
      fault.path_contains = kIndexPath;
      if (random_.chance(30)) fault.effect = FaultEffect::kIsLost;
      if (random_.chance(30)) fault.effect = FaultEffect::kIsMisplaced;
    }
    note(fmt::format("fault {} in {}, kind {}, after {}{}", fault.code, fault.path_contains,
                     fault.kind ? static_cast<int>(*fault.kind) : -1, fault.skip,
                     fault.sticky ? ", sticky" : ""));
    store_->inject(std::move(fault));
  }
  // The index is worked at all the time, so that it takes many to disturb all of that.
  const std::uint64_t many = random_.below(20);
  note(fmt::format("{} faults more in the index, once each", many));
  for (std::uint64_t i = many; i > 0; --i) {
    store_->inject({.path_contains = kIndexPath, .skip = random_.below(3 * i)});
  }
}

void ApplianceLife::busy_phase() {
  note("clients at work");
  inject_faults();
  if (options_.crashes && options_.script.empty() && random_.chance(50)) {
    store_->crash_at(store_->ios() + random_.between(1, 500));
  }
  cdp::TaskGroup group(scheduler_);
  for (auto& [id, volume] : volumes_) {
    if (is_pair(volume)) continue;
    for (std::uint64_t i = random_.between(0, 2); i > 0; --i) {
      group.spawn(session(volume, random_.next()));
    }
  }
  group.spawn(count_in_pair());
  group.spawn(operator_at_work(random_.next()));
  if (random_.chance(15)) group.spawn(roll_back_under_fire());
  const bool ended = scheduler_.run_until(
      [&] { return store_->crashed() || group.running() == 0; }, kPhaseMax);
  const bool crashed = store_->crashed();
  if (crashed) expect_errors();
  // Whoever waits for an answer gets one, or the end of his connection.
  if (!ended) find("clients wait for ever");
  if (crashed || !ended) {
    if (!crashed) store_->crash_now();
    world_->hang_up();
  }
  scheduler_.run(group.join());
  for (auto& [id, volume] : volumes_) {
    for (const std::string& finding : volume.clients->findings) {
      find(volume.name + ": " + finding);
    }
  }
  note("clients have ended");
  if (options_.script.empty()) store_->clear_faults();
  store_->set_latency(StoreOptions{}.latency_min, StoreOptions{}.latency_max);
  if (over()) return;
  if (crashed) return crash_and_restart();
  if (errors_expected_ && options_.script.empty()) {
    if (random_.coin()) return crash_and_restart();
    // As far as it gets, and then on the same store.
    (void)world_->stop();
    world_.reset();
    return restart();
  }
  if (options_.script.empty()) store_->crash_at(0);
  // The server ends what vanished clients began.
  if (!scheduler_.run_until([&] { return world_->server().connections().empty(); }, kPhaseMax)) {
    return find("sessions of clients that are gone do not end");
  }
  judge();
}

Task<void> ApplianceLife::session(Tracked& volume, std::uint64_t seed) {
  Random random(seed);
  const std::unique_ptr<NbdDevice> device = world_->connect();
  const Status connected = co_await device->connect(volume.name);
  if (!connected.ok()) {
    if (!volume.clients->errors_expected) tell(connected, "connecting to " + volume.name);
    device->vanish(false);
    co_return;
  }
  // Who comes while it is being rolled back stays a reader.
  if (volume.instead) {
    device->vanish(false);
    co_return;
  }
  const Mix mix{.flushes = 10, .checkpoints = 0, .max_blocks = 12, .hot_blocks = 8};
  co_await client(*device, *volume.clients, random.next(), random.between(1, 25), mix);
  if (random.chance(30)) {
    co_await vanish_while_writing(*device, volume);
  } else {
    co_await device->disconnect();
  }
}

// Whether such a write was done, and when, nobody is ever told.
Task<void> ApplianceLife::unanswered_write(NbdDevice& device, Clients& clients,
                                           std::uint64_t offset, std::uint32_t bytes) {
  Result<cdp::PageList> pages = co_await device.pages_for_write(offset, bytes);
  const ByteModel::Change change = clients.model.begin_write(offset, bytes);
  for (std::size_t i = 0; i < pages->size(); ++i) {
    clients.model.fill(change, offset + i * kBlockBytes, {(*pages)[i].data(), kBlockBytes});
  }
  (void)co_await device.write(offset, bytes, *std::move(pages));
}

Task<void> ApplianceLife::vanish_while_writing(NbdDevice& device, Tracked& volume) {
  cdp::TaskGroup writes(scheduler_);
  const std::uint64_t blocks = volume.size_bytes / kBlockBytes;
  for (std::uint64_t i = random_.between(1, 4); i > 0 && blocks > 0; --i) {
    const std::uint64_t first = random_.below(blocks);
    const std::uint64_t count = random_.between(1, std::min<std::uint64_t>(6, blocks - first));
    writes.spawn(unanswered_write(device, *volume.clients, first * kBlockBytes,
                                  static_cast<std::uint32_t>(count * kBlockBytes)));
  }
  co_await cdp::sleep_for(scheduler_, random_.nanos({0}, cdp::milliseconds(2)));
  device.vanish(random_.coin());
  co_await writes.join();
}

// The counter in the one is never behind the other's, and never more than one ahead, at any point.
Task<void> ApplianceLife::count_in_pair() {
  Tracked* tracked[2] = {};
  for (auto& [id, volume] : volumes_) {
    if (volume.name == "pair-a") tracked[0] = &volume;
    if (volume.name == "pair-b") tracked[1] = &volume;
  }
  if (tracked[0] == nullptr || tracked[1] == nullptr) co_return;
  const std::unique_ptr<NbdDevice> first = world_->connect();
  const std::unique_ptr<NbdDevice> second = world_->connect();
  Status status = co_await first->connect("pair-a");
  if (status.ok()) status = co_await second->connect("pair-b");
  std::uint64_t counter = 0;
  bool has_caught_up = false;
  for (std::uint64_t i = random_.between(0, 20); status.ok() && i > 0; --i) {
    NbdDevice* const devices[2] = {first.get(), second.get()};
    if (has_caught_up) {
      ++counter;
    } else {
      const Result<cdp::PageList> page = co_await first->read(0, 8);
      if (!page.ok()) break;
      std::memcpy(&counter, page->front().data(), 8);  // the other may be one behind it
      has_caught_up = true;
    }
    bool well = true;
    for (int side = 0; side < 2 && well; ++side) {
      Result<cdp::PageList> page = co_await devices[side]->pages_for_write(0, kBlockBytes);
      std::memset(page->front().data(), 0, kBlockBytes);
      std::memcpy(page->front().data(), &counter, 8);
      Content bytes(page->front().data(), page->front().data() + kBlockBytes);
      ByteModel& model = *tracked[side]->model;
      const ByteModel::Change change = model.begin_content(std::move(bytes));
      status = co_await devices[side]->write(0, kBlockBytes, *std::move(page));
      well = status.ok();
      if (well) model.end(change);
    }
    if (well && random_.chance(20)) status = co_await second->flush();
    counts_.pair_counts += well ? 1 : 0;
  }
  if (!tracked[0]->clients->errors_expected) tell(status, "counting in the pair");
  first->vanish(false);
  second->vanish(false);
}

Task<void> ApplianceLife::operator_at_work(std::uint64_t seed) {
  Random random(seed);
  for (std::uint64_t i = random.between(0, 4); i > 0 && !store_->crashed(); --i) {
    co_await cdp::sleep_for(scheduler_, random.nanos({0}, cdp::milliseconds(60)));
    if (random.coin()) {
      co_await look_at_this_moment();
    } else if (!points_.empty()) {
      co_await check_point(points_[random.below(points_.size())]);
    }
  }
}

// What a mark shows of a volume is what a client might have read between asking for the mark and
// having it.
Task<void> ApplianceLife::look_at_this_moment() {
  std::map<VolumeId, std::uint64_t> from;
  for (auto& [id, volume] : volumes_) from[id] = volume.model->tick();
  const Result<cdp::Stamp> stamp =
      co_await world_->appliance().mark(VolumeId{0}, fmt::format("moment{}", ++names_), "sim");
  if (!stamp.ok()) {
    tell(stamp.error(), "a mark");
    co_return;
  }
  const std::string suffix = fmt::format("@lsn:{}", stamp->lsn.value);
  for (const auto& [id, began] : from) {
    const auto found = volumes_.find(id);
    if (found == volumes_.end() || found->second.instead) continue;
    Result<Content> content = co_await read_export(by_id(id) + suffix);
    if (!content.ok()) {
      tell(content.error(), "a view of this moment");
      co_return;
    }
    const auto wrong = found->second.model->check(0, *content, began);
    if (wrong && !found->second.instead) {
      find(fmt::format("{}{} is not what it was: {}", found->second.name, suffix, *wrong));
    }
  }
  co_await check_pair(suffix);
}

// Under connected writers: they are cut off, and what they wrote is history.
Task<void> ApplianceLife::roll_back_under_fire() {
  co_await cdp::sleep_for(scheduler_, random_.nanos({0}, cdp::milliseconds(40)));
  if (points_.empty() || store_->crashed()) co_return;
  const Point& point = points_[random_.below(points_.size())];
  const Status status = co_await roll_back_to(point);
  tell(status, "a rollback under connected writers");
}

}  // namespace sim
