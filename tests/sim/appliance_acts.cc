// SPDX-License-Identifier: Apache-2.0
//
// What an operator does in a simulated life, and what is looked at then.
#include <algorithm>
#include <cstring>
#include <utility>

#include "journal/format.h"
#include "journal/vault_reader.h"
#include "journal/verify.h"
#include "restore/point.h"
#include "tests/sim/appliance_life.h"
#include "tests/sim/same_bytes.h"

namespace sim {

using cdp::kBlockBytes;
using cdp::Result;
using cdp::Status;
using cdp::Task;
using cdp::VolumeId;

namespace {

constexpr std::size_t kVolumesMax = 8;

}  // namespace

std::string ApplianceLife::by_id(VolumeId id) const {
  return "id:" + world_->appliance().journal().state().find(id)->uuid.to_string();
}

bool ApplianceLife::has_volumes() const {
  return std::any_of(volumes_.begin(), volumes_.end(),
                     [this](const auto& each) { return !is_pair(each.second); });
}

ApplianceLife::Tracked& ApplianceLife::any_volume() {
  std::vector<Tracked*> all;
  for (auto& [id, volume] : volumes_) {
    if (!is_pair(volume)) all.push_back(&volume);
  }
  return *all[random_.below(all.size())];
}

Task<Result<ApplianceLife::Content>> ApplianceLife::read_export(std::string name) {
  const std::unique_ptr<NbdDevice> device = world_->connect();
  Status connected = co_await device->connect(std::move(name));
  if (!connected.ok()) {
    device->vanish(false);
    co_return std::move(connected).error();
  }
  Content content;
  constexpr std::uint64_t kPieceBytes = 32 * kBlockBytes;
  for (std::uint64_t at = 0; at < device->size_bytes(); at += kPieceBytes) {
    const auto bytes =
        static_cast<std::uint32_t>(std::min(kPieceBytes, device->size_bytes() - at));
    Result<cdp::PageList> pages = co_await device->read(at, bytes);
    if (!pages.ok()) {
      device->vanish(false);
      co_return std::move(pages).error();
    }
    for (const cdp::PageRef& page : *pages) {
      content.insert(content.end(), page.data(), page.data() + kBlockBytes);
    }
    content.resize(at + bytes);
  }
  co_await device->disconnect();
  co_return content;
}

Task<Result<std::uint64_t>> ApplianceLife::counter_in(std::string name) {
  Result<Content> content = co_await read_export(std::move(name));
  if (!content.ok()) co_return std::move(content).error();
  std::uint64_t counter = 0;
  std::memcpy(&counter, content->data(), sizeof counter);
  co_return counter;
}

// At one point, or now, where the suffix is empty.
Task<void> ApplianceLife::check_pair(std::string suffix) {
  const Result<std::uint64_t> first = co_await counter_in("pair-a" + suffix);
  const Result<std::uint64_t> second = co_await counter_in("pair-b" + suffix);
  if (!first.ok() || !second.ok()) co_return;  // told elsewhere
  if (*second <= *first && *first <= *second + 1) co_return;
  find(fmt::format("promise 3: the counters of the pair{} are {} and {}", suffix, *first, *second));
}

void ApplianceLife::add_volume(const std::string& name, std::uint64_t size_bytes,
                               std::optional<tools::Appliance::VolumePoint> origin,
                               Content content) {
  note(fmt::format("creating {} with {} bytes{}", name, size_bytes,
                   origin ? fmt::format(" from LSN {}", origin->lsn.value) : ""));
  being_made_[name] = content;
  tools::Appliance::NewVolume wanted;
  wanted.name = name;
  wanted.size_bytes = size_bytes;
  wanted.origin = origin;
  const Result<VolumeId> id =
      scheduler_.run(world_->appliance().create_volume(std::move(wanted)));
  if (!id.ok()) {
    tell(id.error(), "creating " + name);
    return;
  }
  being_made_.erase(name);
  Tracked& volume = volumes_[*id];
  volume.name = name;
  volume.id = *id;
  reset(volume, std::move(content));
}

// ---------------------------------------------------------------- acts

void ApplianceLife::quiet_phase() {
  rot();
  for (std::uint64_t i = random_.between(1, 4); i > 0 && !over() && world_ != nullptr; --i) {
    if (options_.crashes && random_.chance(15)) {
      store_->crash_at(store_->ios() + random_.between(1, 60));
    }
    random_act();
    if (store_->crashed()) {
      crash_and_restart();
    } else {
      store_->crash_at(0);
    }
  }
  if (!over() && world_ != nullptr) take_point();
  if (!over() && world_ != nullptr) check_points(3);
}

void ApplianceLife::random_act() {
  constexpr Act kActs[] = {Act::kRollBack,     Act::kRollBack, Act::kRollBack, Act::kResize,
                           Act::kRename,       Act::kCreate,   Act::kRecoverAsNew,
                           Act::kRecoverAsNew, Act::kClone,    Act::kRemove,   Act::kStepClock,
                           Act::kVerify,       Act::kRestart};
  perform(kActs[random_.below(std::size(kActs))]);
}

void ApplianceLife::perform(Act act) {
  switch (act) {
    case Act::kWork:
      return busy_phase();
    case Act::kTakePoint:
      return take_point();
    case Act::kRollBack:
      return roll_back();
    case Act::kResize:
      return resize();
    case Act::kRename:
      return rename();
    case Act::kCreate:
      return create();
    case Act::kRecoverAsNew:
      return recover_as_new();
    case Act::kClone:
      return clone();
    case Act::kRemove:
      return remove();
    case Act::kStepClock:
      return step_clock();
    case Act::kVerify:
      return verify();
    case Act::kCheckPoints:
      return check_points(points_.size());
    case Act::kRestart:
      return restart_in_good_order();
    case Act::kCrash:
      return crash_and_restart();
  }
}

void ApplianceLife::restart_in_good_order() {
  stop_well();
  if (store_->crashed() || over()) return;
  if (!tell(start(), "a start after a stop") || store_->crashed()) return;
  judge();
}

void ApplianceLife::take_point() {
  Point point;
  for (auto& [id, volume] : volumes_) {
    Result<Content> live = scheduler_.run(read_export(volume.name));
    if (!live.ok()) {
      tell(live.error(), "reading " + volume.name);
      return;
    }
    point.content[id] = *std::move(live);
  }
  const Result<cdp::Stamp> stamp = scheduler_.run(
      world_->appliance().mark(VolumeId{0}, fmt::format("point{}", ++names_), "sim"));
  if (!stamp.ok()) {
    tell(stamp.error(), "a mark");
    return;
  }
  point.lsn = stamp->lsn;
  note(fmt::format("point {} at LSN {}", points_.size(), point.lsn.value));
  points_.push_back(std::move(point));
  ++counts_.points;
}

void ApplianceLife::roll_back() {
  if (random_.coin()) take_point();  // where it can be undone to
  if (points_.empty() || over() || store_->crashed()) return;
  const Status status =
      scheduler_.run(roll_back_to(points_[random_.below(points_.size())]));
  if (tell(status, "a rollback")) judge();
}

// Some of the volumes that there were, all by one record; the pair only together. One that an act
// was to replace and that could not be read since is left alone: what it holds is not known.
Task<Status> ApplianceLife::roll_back_to(const Point& point) {
  const auto of_pair = std::count_if(volumes_.begin(), volumes_.end(), [&](const auto& each) {
    return is_pair(each.second) && !each.second.instead && point.content.contains(each.first);
  });
  const bool with_pair = of_pair == 2 && random_.coin();
  const cdp::Lsn lsn = point.lsn;
  std::vector<tools::Appliance::VolumePoint> to;
  for (const auto& [id, content] : point.content) {
    const auto found = volumes_.find(id);
    if (found == volumes_.end() || found->second.instead) continue;
    if (is_pair(found->second) ? !with_pair : random_.chance(30)) continue;
    to.push_back({id, lsn, content.size()});
  }
  if (to.empty()) co_return Status{};
  for (const auto& one : to) {
    note(fmt::format("rolling back {} to LSN {}", volumes_.at(one.volume).name, lsn.value));
  }
  std::map<VolumeId, Content> contents = point.content;
  ++acts_;
  for (const auto& one : to) {
    Tracked& volume = volumes_.at(one.volume);
    volume.clients->errors_expected = true;  // they are cut off
    volume.instead = std::move(contents[one.volume]);
    volume.act = acts_;
  }
  tools::Appliance& appliance = world_->appliance();
  Status status = appliance.begin_roll_back(to);
  if (status.ok()) {
    for (const auto& one : to) {
      std::shared_ptr<const cdp::BlockDevice> device =
          appliance.live_volumes().at(one.volume).volume;
      co_await world_->server().disconnect(std::move(device));
    }
    const Result<cdp::Stamp> stamp =
        co_await appliance.roll_back(to, "sim", false);
    if (!stamp.ok()) status = stamp.error();
  }
  if (!status.ok()) co_return status;
  ++counts_.rollbacks;
  for (const auto& one : to) volumes_.at(one.volume).replaced = true;
  co_return status;
}

void ApplianceLife::resize() {
  if (!has_volumes()) return;
  Tracked& volume = any_volume();
  const Result<Content> live = scheduler_.run(read_export(volume.name));
  if (!live.ok()) {
    tell(live.error(), "reading " + volume.name);
    return;
  }
  const std::uint64_t size = random_.between(1, 80 * kBlockBytes);
  // What lies behind a nearer end is cut; what comes back is zeroes.
  Content resized = *live;
  resized.resize(size);
  volume.instead = resized;
  volume.act = ++acts_;
  note(fmt::format("resizing {} from {} to {}", volume.name, live->size(), size));
  const Status status = scheduler_.run(world_->appliance().resize_volume(volume.id, size));
  if (!tell(status, "resizing")) return;
  ++counts_.resizes;
  volume.replaced = true;
  judge();
}

void ApplianceLife::rename() {
  if (!has_volumes()) return;
  Tracked& volume = any_volume();
  const std::string name = fmt::format("volume{}", ++names_);
  if (tell(scheduler_.run(world_->appliance().rename_volume(volume.id, name)), "renaming")) {
    volume.name = name;
  }
}

void ApplianceLife::create() {
  if (volumes_.size() >= kVolumesMax) return;
  const std::uint64_t size = random_.between(1, 60 * kBlockBytes);
  add_volume(fmt::format("volume{}", ++names_), size, {}, Content(size));
}

void ApplianceLife::recover_as_new() {
  if (volumes_.size() >= kVolumesMax || points_.empty()) return;
  const Point& point = points_[random_.below(points_.size())];
  auto from = point.content.begin();
  std::advance(from, static_cast<long>(random_.below(point.content.size())));
  ++counts_.recoveries;
  add_volume(fmt::format("volume{}", ++names_), from->second.size(),
             tools::Appliance::VolumePoint{from->first, point.lsn, from->second.size()},
             from->second);
  if (!over() && !store_->crashed()) judge();
}

// A clone shows its point, takes writes, and keeps what was flushed through restarts and crashes;
// no volume and no point knows anything of it.
void ApplianceLife::clone() {
  if (!clones_.empty() && random_.chance(60)) {
    auto which = clones_.begin();
    std::advance(which, static_cast<long>(random_.below(clones_.size())));
    if (random_.coin()) return write_to_clone(which->first, which->second);
    const Status removed =
        scheduler_.run(world_->appliance().point_exports().remove_clone(which->first));
    // Where it failed it may be gone, and where the machine stopped, too.
    tell(removed, "removing a clone");
    clones_.erase(which);
    return;
  }
  if (points_.empty()) return;
  const Point& point = points_[random_.below(points_.size())];
  auto of = point.content.begin();
  std::advance(of, static_cast<long>(random_.below(point.content.size())));
  restore::ResolvedPoint at;
  at.at.lsn = point.lsn;
  at.volume = *world_->appliance().journal().state().find(of->first);
  at.volume.size_bytes = of->second.size();
  const std::string name = fmt::format("clone{}", ++names_);
  note(fmt::format("cloning volume {} at LSN {}", of->first.value, point.lsn.value));
  const auto made = scheduler_.run(world_->appliance().point_exports().create_clone(name, at));
  if (!made.ok()) {
    tell(made.error(), "making a clone");
    return;
  }
  ++counts_.clones;
  TrackedClone& clone = clones_[name];
  clone.model = std::make_unique<ByteModel>(of->second);
  clone.clients = std::make_unique<Clients>(*clone.model);
  judge_clone(name, clone);
  if (!over() && !store_->crashed()) write_to_clone(name, clone);
}

void ApplianceLife::write_to_clone(const std::string& name, TrackedClone& clone) {
  // The machine may stop meanwhile.
  clone.clients->errors_expected = errors_expected_ || rotten_ || store_->may_crash();
  const std::unique_ptr<NbdDevice> device = world_->connect();
  if (tell(scheduler_.run(device->connect(name)), "connecting to a clone")) {
    const Mix mix{.flushes = 20, .checkpoints = 0, .max_blocks = 2, .hot_blocks = 2};
    scheduler_.run(client(*device, *clone.clients, random_.next(), 12, mix));
  }
  device->vanish(false);
  for (const std::string& finding : clone.clients->findings) find("a clone: " + finding);
}

void ApplianceLife::remove() {
  if (volumes_.size() <= 4) return;  // two of them, or three, are not of the pair
  Tracked& volume = any_volume();
  note("removing " + volume.name);
  being_removed_ = volume.id;
  const Status status = scheduler_.run(world_->appliance().remove_volume(volume.id));
  if (!tell(status, "removing")) return;
  volumes_.erase(*being_removed_);
  being_removed_.reset();
}

void ApplianceLife::step_clock() {
  constexpr std::int64_t kSteps[] = {1, 60, 3600, 86'400, 365 * 86'400};
  const std::int64_t seconds = kSteps[random_.below(std::size(kSteps))];
  clock_.step(cdp::seconds(random_.coin() ? seconds : -seconds));
}

// Bits of what is kept flip: of the index at any time, of sealed history where faults are anywhere.
void ApplianceLife::rot() {
  if (options_.faults == FaultMode::kNone || random_.coin()) return;
  if (options_.faults == FaultMode::kAnywhere && random_.chance(20)) return rot_history();
  std::vector<std::string> files;
  for (const std::string& path : store_->paths()) {
    if (path.starts_with(kIndexPath) && store_->size_of(path) > 0) files.push_back(path);
  }
  if (files.empty()) return;
  const std::string& path = files[random_.below(files.size())];
  flip_bit(path, store_->size_of(path));
}

// In the newest segments lies what a start reads, and there is one of that only. Behind the end of
// a segment that was cut lies nothing that anybody reads.
void ApplianceLife::rot_history() {
  constexpr std::size_t kSpared = 3;
  const auto reader = scheduler_.run(journal::VaultReader::open(
      scheduler_, world_->appliance().segments(), world_->appliance().vault()));
  if (!reader.ok() || (*reader)->segments().size() <= kSpared) return;
  const std::vector<journal::SegmentInfo>& segments = (*reader)->segments();
  const journal::SegmentInfo& segment = segments[random_.below(segments.size() - kSpared)];
  flip_bit(kSegmentsPath + journal::segment_name(segment.number), segment.length_bytes);
  rotten_ = true;
}

void ApplianceLife::flip_bit(const std::string& path, std::uint64_t length_bytes) {
  note("a bit flips in " + path);
  store_->flip_bit(path, random_.below(length_bytes * 8));
  ++counts_.faults;
}

void ApplianceLife::verify() {
  const auto report = scheduler_.run(journal::verify(scheduler_, world_->appliance().segments(),
                                                     world_->appliance().vault(), {.deep = true}));
  if (!report.ok()) {
    tell(report.error(), "verify --deep");
    return;
  }
  if (errors_expected_ || store_->crashed()) return;
  if (!report->ok() && !rotten_) find("verify --deep: " + report->problems.front());
  if (report->ok() && rotten_) find("verify --deep does not see that a bit has flipped");
}

void ApplianceLife::check_points(std::size_t how_many) {
  for (std::size_t i = 0; i < how_many && !points_.empty() && !over() && !store_->crashed(); ++i) {
    const std::size_t which = how_many == points_.size() ? i : random_.below(points_.size());
    scheduler_.run(check_point(points_[which]));
  }
}

// Points never change, and never go: of volumes that were removed, too.
Task<void> ApplianceLife::check_point(const Point& point) {
  const cdp::Lsn lsn = point.lsn;
  std::vector<std::pair<VolumeId, const Content*>> all;
  for (const auto& [id, content] : point.content) all.emplace_back(id, &content);
  const std::string suffix = fmt::format("@lsn:{}", lsn.value);
  for (const auto& [id, content] : all) {
    if (store_->crashed()) co_return;
    const std::string name = by_id(id) + suffix;
    Result<Content> shown = co_await read_export(name);
    if (!shown.ok()) {
      tell(shown.error(), "a view of " + name);
      continue;
    }
    ++counts_.points_checked;
    if (shown->size() != content->size() || !same_bytes(*shown, *content)) {
      find(name + " is not what it was");
    }
  }
  if (!store_->crashed()) co_await check_pair(suffix);
}

}  // namespace sim
