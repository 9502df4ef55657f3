// SPDX-License-Identifier: Apache-2.0
//
// Api: the REST API of the daemon. Each route is a coroutine on the reactor, next to the appliance
// it asks or changes; documents are those of tools/api, so that the command line prints the same
// with a daemon and without one.
//
// What the appliance alone knows is added to them:
//   volume  "state": "protected" | "hydrating" | "fenced" | "unavailable", "problem", "uris",
//           "backing_path", "dirty_bytes", "last_lsn", "connections", "writers_refused",
//           "hydration": {"remaining_bytes", "hydrated_bytes", "problem"} while it goes on
//   status  "journal": counters since the start and "lag_ns" (the recovery point objective right
//           now: how old the oldest change is that a crash would lose), "alerts": [sentence],
//           "index": {"lsn", "runs", "entries", "bytes", "merges", "repairs",
//           "open_views", "oldest_leased_lsn"}, "server": {"version", "vault_path", "state_path"}
//
// api.cc has the routes of volumes, and api_points.cc those of views, clones and rollback.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "tools/api/queries.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/http_server.h"

namespace tools {

class Api {
 public:
  // All must outlive it.
  Api(cdp::Scheduler& scheduler, const cdp::Clock& clock, Appliance& appliance,
      cdp::nbd::Server& nbd, std::vector<cdp::SocketAddress> nbd_addresses);

  cdp::Task<HttpResponse> answer(HttpRequest request);

 private:
  using Document = boost::json::object;
  using Answer = cdp::Result<HttpResponse>;
  struct Route;

  cdp::Task<Answer> get_status(HttpRequest request);
  cdp::Task<Answer> list_volumes(HttpRequest request);
  cdp::Task<Answer> create_volume(HttpRequest request);
  cdp::Task<Answer> get_volume(HttpRequest request);
  cdp::Task<Answer> change_volume(HttpRequest request);
  cdp::Task<Answer> remove_volume(HttpRequest request);
  cdp::Task<Answer> resume_volume(HttpRequest request);
  cdp::Task<Answer> get_points(HttpRequest request);
  cdp::Task<Answer> get_image(HttpRequest request);
  cdp::Task<Answer> get_diff(HttpRequest request);
  cdp::Task<Answer> create_view(HttpRequest request);
  cdp::Task<Answer> list_clones(HttpRequest request);
  cdp::Task<Answer> create_clone(HttpRequest request);
  cdp::Task<Answer> remove_clone(HttpRequest request);
  cdp::Task<Answer> roll_back(HttpRequest request);
  cdp::Task<Answer> list_marks(HttpRequest request);
  cdp::Task<Answer> create_mark(HttpRequest request);
  cdp::Task<Answer> verify(HttpRequest request);

  struct ResolvedVolume {
    restore::ResolvedPoint point;
    journal::JournalState newest;
    restore::TimeZone zone;
  };
  // Where "at" is for "volume", both members of `given`.
  cdp::Task<cdp::Result<ResolvedVolume>> resolve_member(boost::json::value given,
                                                        cdp::Result<restore::TimeZone> zone);
  Document rolled_back_document(const journal::VolumeState& now,
                                const restore::ResolvedPoint& point) const;
  // EBUSY where a client that may write is connected to one of the volumes.
  cdp::Status no_writers(const std::vector<Appliance::VolumePoint>& points) const;
  // The volume's device; null where it is not served.
  std::shared_ptr<const cdp::BlockDevice> device_of(cdp::VolumeId id) const;
  // Its connections, by whatever name they were made.
  std::vector<cdp::nbd::Server::Connection> connections_of(cdp::VolumeId id) const;
  // Those that may write to it.
  std::size_t writers_of(cdp::VolumeId id) const;
  cdp::Result<const journal::VolumeState*> named_volume(const std::string& name) const;
  Document volume_document(const journal::VolumeState& volume) const;
  Document journal_document() const;
  Document index_document() const;
  Document clone_document(const restore::CloneEntry& clone) const;
  boost::json::array uris_of(const std::string& export_name) const;
  std::string uri_of(const cdp::SocketAddress& address, const std::string& volume) const;

  cdp::Scheduler& scheduler_;
  const cdp::Clock& clock_;
  Appliance& appliance_;
  cdp::nbd::Server& nbd_;
  const std::vector<cdp::SocketAddress> nbd_addresses_;
  api::VaultQueries queries_;
};

}  // namespace tools
