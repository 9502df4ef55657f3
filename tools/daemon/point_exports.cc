// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/point_exports.h"

#include <algorithm>
#include <utility>

#include "journal/visibility.h"
#include "restore/point.h"

namespace tools {

using cdp::make_error;
using cdp::Result;
using cdp::Status;
using cdp::Task;

namespace {

constexpr std::size_t kViewPoolBytes = 64u << 20;
constexpr std::size_t kClonePoolBytes = 16u << 20;

using DevicePtr = std::shared_ptr<cdp::BlockDevice>;

}  // namespace

PointExports::PointExports(const cdp::Clock& clock, Host& host, api::VaultSource& source,
                           std::string clones_path)
    : clock_(clock),
      host_(host),
      source_(source),
      queries_(source),
      clones_path_(std::move(clones_path)),
      view_pages_(source.scheduler(), kViewPoolBytes / cdp::kBlockBytes),
      clone_pages_(source.scheduler(), kClonePoolBytes / cdp::kBlockBytes),
      reading_ahead_(source.scheduler()),
      catalogue_changed_(source.scheduler()),
      opened_(source.scheduler()) {}

Task<Result<std::unique_ptr<PointExports>>> PointExports::open(const cdp::Clock& clock, Host& host,
                                                               api::VaultSource& source,
                                                               std::string state_path) {
  std::unique_ptr<PointExports> exports{
      new PointExports{clock, host, source, state_path + kClonesDirectory}};
  const Host::DirectoryUse use{.create = true};
  auto directory = co_await host.open_directory(exports->clones_path_, use);
  if (!directory) co_return std::move(directory).error();
  exports->directory_ = *std::move(directory);
  Result<restore::CloneCatalogue> catalogue =
      co_await restore::CloneCatalogue::open(*exports->directory_);
  if (catalogue) {
    exports->catalogue_.emplace(*std::move(catalogue));
  } else {
    exports->problem_ = make_error(EIO, "the clones are not served, and none is made: {}/{}: {}",
                                   exports->clones_path_, restore::CloneCatalogue::kFileName,
                                   catalogue.error().message);
  }
  co_return exports;
}

Task<Status> PointExports::close() {
  Status outcome;
  for (auto& [name, clone] : open_clones_) {
    Status closed = co_await clone->close();
    if (!closed && outcome) outcome = std::move(closed);
  }
  open_clones_.clear();
  co_await reading_ahead_.join();
  co_return outcome;
}

Task<Result<DevicePtr>> PointExports::find(std::string name) {
  if (const restore::CloneEntry* entry = find_clone(name)) {
    Result<DevicePtr> clone = co_await open_clone(*entry);
    co_return clone;
  }
  const std::size_t at = name.find('@');
  if (at == std::string::npos) co_return DevicePtr{};
  Result<DevicePtr> view = co_await open_view(name.substr(0, at), name.substr(at + 1));
  co_return view;
}

// ---------------------------------------------------------------- views

void PointExports::forget_closed_views() {
  std::erase_if(views_, [](const auto& view) { return view.second.device.expired(); });
}

std::vector<PointExports::OpenView> PointExports::views() const {
  std::vector<OpenView> open;
  for (const auto& [key, view] : views_) {
    if (auto device = view.device.lock())
      open.push_back({key.volume, view.at, view.opened, std::move(device)});
  }
  return open;
}

std::optional<PointExports::OpenView> PointExports::view_of(const cdp::BlockDevice& device) const {
  for (OpenView& view : views()) {
    if (view.device.get() == &device) return std::move(view);
  }
  return std::nullopt;
}

PointExports::Leases PointExports::leases() const {
  Leases leases;
  const auto needs = [&leases](cdp::Lsn lsn) {
    if (!leases.oldest || lsn < *leases.oldest) leases.oldest = lsn;
  };
  for (const auto& [key, view] : views_) {
    if (view.device.expired()) continue;
    ++leases.views;
    needs(key.lsn);
  }
  for (const restore::CloneEntry& clone : clones()) needs(clone.lsn);
  return leases;
}

Task<Result<DevicePtr>> PointExports::open_view(std::string volume, std::string point) {
  Result<restore::Point> parsed = restore::parse_absolute_point(point);
  if (!parsed) co_return std::move(parsed).error();
  Result<restore::History> history = co_await queries_.history(restore::TimeZone::utc());
  if (!history) co_return std::move(history).error();
  const bool is_forced = parsed->force;
  Result<api::VaultQueries::PointOfVolume> opened =
      co_await queries_.open_point(*history, volume, *std::move(parsed));
  if (!opened) co_return std::move(opened).error();
  // A reader of an export is told nothing but its bytes.
  const Result<std::vector<std::string>> damage = co_await queries_.damage_of(*history, *opened);
  if (!damage) co_return damage.error();
  if (!damage->empty() && !is_forced) {
    co_return make_error(EIO, "{}@{} is not known to be what it was: {}; force:{} gives what is",
                         volume, point, damage->front(), point);
  }
  Result<std::shared_ptr<restore::View>> view =
      co_await shared_view(opened->point.volume.id, opened->point.at,
                           opened->point.volume.size_bytes, opened->point.volume.name);
  if (!view) co_return std::move(view).error();
  co_return DevicePtr{*std::move(view)};
}

// Views of one point are one device, and share what it has learnt of its readers.
Task<Result<std::shared_ptr<restore::View>>> PointExports::shared_view(cdp::VolumeId volume,
                                                                       cdp::Stamp at,
                                                                       std::uint64_t size_bytes,
                                                                       std::string name) {
  const cdp::Lsn lsn = at.lsn;
  const ViewKey key{volume, lsn};
  if (const auto open = views_.find(key); open != views_.end()) {
    KnownView& known = open->second;
    if (known.at.time == cdp::Nanos{}) known.at = at;
    if (auto view = known.device.lock()) co_return view;
  }
  forget_closed_views();
  if (views_.size() >= kViewsMax) {
    co_return make_error(EBUSY,
                         "{} points are being viewed, which is the most at once: disconnect from "
                         "one of them first",
                         kViewsMax);
  }
  auto reader = co_await reader_of(volume, lsn, size_bytes, std::move(name));
  if (!reader) co_return std::move(reader).error();
  auto view = std::make_shared<restore::View>(*std::move(reader),
                                              restore::ViewParts{view_pages_, reading_ahead_});
  views_[key] = {at, clock_.realtime(), view};
  co_return view;
}

Task<Result<std::shared_ptr<const restore::PointReader>>> PointExports::reader_of(
    cdp::VolumeId volume, cdp::Lsn lsn, std::uint64_t size_bytes, std::string name) {
  Result<journal::index::TimeIndex*> index = co_await source_.index();
  if (!index) co_return std::move(index).error();
  auto map = co_await (*index)->snapshot(lsn);
  if (!map) co_return std::move(map).error();
  Result<api::VaultSource::Newest> newest = co_await source_.newest();
  if (!newest) co_return std::move(newest).error();
  co_return std::make_shared<const restore::PointReader>(
      restore::PointParts{source_.scheduler(), *std::move(map), source_.blocks()},
      restore::PointContent{journal::visible_at(newest->state, volume, lsn), size_bytes,
                            fmt::format("{}@lsn:{}", name, lsn.value)});
}

// ---------------------------------------------------------------- clones

const std::vector<restore::CloneEntry>& PointExports::clones() const {
  static const std::vector<restore::CloneEntry> kNone;
  return catalogue_ ? catalogue_->clones() : kNone;
}

const restore::CloneEntry* PointExports::find_clone(std::string_view name) const {
  return catalogue_ ? catalogue_->find(name) : nullptr;
}

std::string PointExports::file_of(const restore::CloneEntry& entry, const char* kind) const {
  return fmt::format("{}/{}.{}", clones_path_, entry.uuid.to_string(), kind);
}

Task<Result<DevicePtr>> PointExports::open_clone(restore::CloneEntry entry) {
  while (opening_.contains(entry.name)) co_await opened_.wait();
  if (const auto open = open_clones_.find(entry.name); open != open_clones_.end()) {
    co_return DevicePtr{open->second};
  }
  opening_.insert(entry.name);
  Result<std::shared_ptr<restore::Clone>> clone = co_await open_files(entry);
  opening_.erase(entry.name);
  opened_.notify_all();
  if (!clone) co_return std::move(clone).error();
  // It may have been removed meanwhile, and another one made that is called so.
  const restore::CloneEntry* const still = find_clone(entry.name);
  if (still == nullptr || still->uuid != entry.uuid) {
    (void)co_await (*clone)->close();
    co_return DevicePtr{};
  }
  open_clones_.emplace(entry.name, *clone);
  co_return DevicePtr{*std::move(clone)};
}

Task<Result<std::shared_ptr<restore::Clone>>> PointExports::open_files(restore::CloneEntry entry) {
  Result<std::shared_ptr<restore::View>> base =
      co_await shared_view(entry.volume, {entry.lsn, {}}, entry.size_bytes, entry.name);
  if (!base) co_return std::move(base).error();
  auto data = co_await host_.open_backing(file_of(entry, "data"),
                                          restore::Clone::data_bytes(entry.size_bytes));
  if (!data) co_return std::move(data).error();
  auto map = co_await host_.open_backing(file_of(entry, "map"),
                                         restore::Clone::map_bytes(entry.size_bytes));
  if (!map) co_return std::move(map).error();
  auto clone = restore::Clone::open(
      {source_.scheduler(), *std::move(base), *std::move(data), *std::move(map), clone_pages_},
      entry.name);
  if (!clone) co_return std::move(clone).error();
  co_return std::shared_ptr<restore::Clone>{*std::move(clone)};
}

Task<Result<restore::CloneEntry>> PointExports::create_clone(std::string name,
                                                             restore::ResolvedPoint at) {
  if (problem_) co_return *problem_;
  if (clones().size() + creating_.size() >= kClonesMax) {
    co_return make_error(EBUSY, "there are {} clones, which is the most: remove one first",
                         kClonesMax);
  }
  restore::CloneEntry entry{.name = std::move(name),
                            .uuid = journal::Uuid::random(),
                            .volume = at.volume.id,
                            .lsn = at.at.lsn,
                            .size_bytes = at.volume.size_bytes,
                            .created = clock_.realtime()};
  if (!creating_.insert(entry.name).second) {
    co_return make_error(EEXIST, "a clone named {} is being made", entry.name);
  }
  Status made = co_await create_files(entry);
  if (!made) remove_files(entry);
  // Where this fails, the list may be on its disk all the same: the files stay, for the next start.
  CatalogueChange add = [&entry](restore::CloneCatalogue& list) { return list.add(entry); };
  if (made) made = co_await change_catalogue(std::move(add));
  creating_.erase(entry.name);
  if (!made) co_return std::move(made).error();
  co_return entry;
}

Task<Status> PointExports::create_files(restore::CloneEntry entry) {
  auto data = co_await host_.create_backing(file_of(entry, "data"),
                                            restore::Clone::data_bytes(entry.size_bytes));
  if (!data) co_return std::move(data).error();
  auto map = co_await host_.create_backing(file_of(entry, "map"),
                                           restore::Clone::map_bytes(entry.size_bytes));
  if (!map) co_return std::move(map).error();
  co_return co_await directory_->sync();
}

Task<Status> PointExports::change_catalogue(CatalogueChange change) {
  while (changing_catalogue_) co_await catalogue_changed_.wait();
  changing_catalogue_ = true;
  Status changed = co_await change(*catalogue_);
  changing_catalogue_ = false;
  catalogue_changed_.notify_all();
  co_return changed;
}

void PointExports::remove_files(const restore::CloneEntry& entry) {
  host_.remove_backing(file_of(entry, "data"));
  host_.remove_backing(file_of(entry, "map"));
}

Task<Status> PointExports::remove_clone(std::string name) {
  if (problem_) co_return *problem_;
  const restore::CloneEntry* found = find_clone(name);
  if (found == nullptr) {
    co_return make_error(ENOENT, "there is no clone {}: `hindsight clone list` lists them", name);
  }
  const restore::CloneEntry entry = *found;
  CatalogueChange remove = [&name](restore::CloneCatalogue& list) { return list.remove(name); };
  Status removed = co_await change_catalogue(std::move(remove));
  if (!removed) co_return removed;
  if (const auto open = open_clones_.find(name); open != open_clones_.end()) {
    const std::shared_ptr<restore::Clone> clone = open->second;
    open_clones_.erase(open);
    // What it could not flush is thrown away in any case.
    (void)co_await clone->close();
  }
  remove_files(entry);
  co_return Status{};
}

}  // namespace tools
