// SPDX-License-Identifier: Apache-2.0
//
// PointExports: the devices that show points of volumes: views, which are opened by their name when
// a client asks for NAME@POINT and go after the last one has left, and clones, which are made and
// removed by an operator and survive restarts. Both read history; nothing here changes it.
//
// A view that is open is a lease on the history that it shows: status tells how many there are and
// the oldest point. Their number is limited.
//
// On the source's scheduler; clock, host and source must outlive it. `close` must have returned
// before it is destroyed, with no client left.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "cdp/block_device.h"
#include "cdp/io/disk.h"
#include "cdp/io/pages.h"
#include "cdp/io/signal.h"
#include "restore/clone.h"
#include "restore/clone_catalogue.h"
#include "restore/point_reader.h"
#include "restore/view.h"
#include "tools/api/queries.h"
#include "tools/daemon/host.h"

namespace tools {

// In the state directory: the overlays of clones, and the list of them.
inline constexpr char kClonesDirectory[] = "/clones";

class PointExports {
 public:
  static constexpr std::size_t kViewsMax = 256;
  static constexpr std::size_t kClonesMax = 256;

  // Reads which clones there are; their files lie in `state_path`/clones. A list that cannot be
  // read is a problem of the clones alone.
  static cdp::Task<cdp::Result<std::unique_ptr<PointExports>>> open(const cdp::Clock& clock,
                                                                    Host& host,
                                                                    api::VaultSource& source,
                                                                    std::string state_path);
  cdp::Task<cdp::Status> close();

  // A clone, or a view NAME@POINT (lsn:N, a time with its offset, or mark:LABEL). Null: neither.
  cdp::Task<cdp::Result<std::shared_ptr<cdp::BlockDevice>>> find(std::string name);

  // A view that is open.
  struct OpenView {
    cdp::VolumeId volume;
    cdp::Stamp at;      // without its time where a clone alone has asked for it
    cdp::Nanos opened;  // wall clock
    std::shared_ptr<const restore::View> device;
  };
  // By volume and place.
  std::vector<OpenView> views() const;
  // That of the device; none where it is no view that is open.
  std::optional<OpenView> view_of(const cdp::BlockDevice& device) const;

  // Why no clone is served, and none can be made, if so.
  const std::optional<cdp::Error>& problem() const { return problem_; }
  const std::vector<restore::CloneEntry>& clones() const;
  // Those that are being made included.
  bool has_clone(const std::string& name) const {
    return find_clone(name) != nullptr || creating_.contains(name);
  }
  // Null where no client has asked for it since the start.
  std::shared_ptr<const cdp::BlockDevice> opened_clone(std::string_view name) const {
    const auto open = open_clones_.find(name);
    return open == open_clones_.end() ? nullptr : open->second;
  }
  // `at` is what `name` shows; the name is free among volumes.
  cdp::Task<cdp::Result<restore::CloneEntry>> create_clone(std::string name,
                                                           restore::ResolvedPoint at);
  // Its clients must have been disconnected.
  cdp::Task<cdp::Status> remove_clone(std::string name);

  // What reads the volume there, for a device of another kind. `name` is for messages.
  cdp::Task<cdp::Result<std::shared_ptr<const restore::PointReader>>> reader_of(
      cdp::VolumeId volume, cdp::Lsn lsn, std::uint64_t size_bytes, std::string name);

  struct Leases {
    std::size_t views = 0;
    std::optional<cdp::Lsn> oldest;  // that a view or a clone needs
  };
  Leases leases() const;

 private:
  struct ViewKey {
    cdp::VolumeId volume;
    cdp::Lsn lsn;
    auto operator<=>(const ViewKey&) const = default;
  };

  PointExports(const cdp::Clock& clock, Host& host, api::VaultSource& source,
               std::string clones_path);

  // What is kept of a view, which lives as long as somebody has its device.
  struct KnownView {
    cdp::Stamp at;
    cdp::Nanos opened;
    std::weak_ptr<restore::View> device;
  };
  cdp::Task<cdp::Result<std::shared_ptr<restore::View>>> shared_view(cdp::VolumeId volume,
                                                                     cdp::Stamp at,
                                                                     std::uint64_t size_bytes,
                                                                     std::string name);
  cdp::Task<cdp::Result<std::shared_ptr<cdp::BlockDevice>>> open_view(std::string volume,
                                                                      std::string point);
  cdp::Task<cdp::Result<std::shared_ptr<cdp::BlockDevice>>> open_clone(restore::CloneEntry entry);
  cdp::Task<cdp::Result<std::shared_ptr<restore::Clone>>> open_files(restore::CloneEntry entry);
  cdp::Task<cdp::Status> create_files(restore::CloneEntry entry);
  using CatalogueChange = std::function<cdp::Task<cdp::Status>(restore::CloneCatalogue&)>;
  // Changes come one after the other.
  cdp::Task<cdp::Status> change_catalogue(CatalogueChange change);
  void remove_files(const restore::CloneEntry& entry);
  const restore::CloneEntry* find_clone(std::string_view name) const;
  std::string file_of(const restore::CloneEntry& entry, const char* kind) const;
  void forget_closed_views();

  const cdp::Clock& clock_;
  Host& host_;
  api::VaultSource& source_;
  api::VaultQueries queries_;
  const std::string clones_path_;
  std::unique_ptr<cdp::Directory> directory_;
  std::optional<restore::CloneCatalogue> catalogue_;  // or
  std::optional<cdp::Error> problem_;
  cdp::PagePool view_pages_;
  cdp::PagePool clone_pages_;
  cdp::TaskGroup reading_ahead_;
  std::map<ViewKey, KnownView> views_;
  std::map<std::string, std::shared_ptr<restore::Clone>, std::less<>> open_clones_;
  std::set<std::string> creating_;
  std::set<std::string> opening_;
  bool changing_catalogue_ = false;  // which takes one change at a time
  cdp::Signal catalogue_changed_;
  cdp::Signal opened_;  // or failed to
};

}  // namespace tools
