// SPDX-License-Identifier: Apache-2.0
//
// Api: the REST API of the daemon. Each route is a coroutine on the reactor, next to the appliance
// it asks or changes; documents are those of tools/api, so that the command line prints the same
// with a daemon and without one.
//
// What the appliance alone knows is added to them:
//   volume  "state": "protected" | "fenced" | "unavailable", "problem", "uris", "backing_path",
//           "dirty_bytes", "last_lsn", "connections"
//   status  "journal": counters since the start and "lag_ns" (the recovery point objective right
//           now: how old the oldest change is that a crash would lose), "alerts": [sentence],
//           "server": {"version", "vault_path", "state_path"}
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "tools/api/queries.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/http_server.h"

namespace tools {

class Api {
 public:
  // All must outlive it.
  Api(cdp::Reactor& reactor, const cdp::Clock& clock, Appliance& appliance,
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
  cdp::Task<Answer> list_marks(HttpRequest request);
  cdp::Task<Answer> create_mark(HttpRequest request);
  cdp::Task<Answer> verify(HttpRequest request);

  // Makes what was answered durable, so that every moment up to now can be asked for. `zone` is
  // that of times in sentences; empty: UTC.
  cdp::Task<cdp::Result<restore::HistoryOptions>> durable_history(std::string zone);
  cdp::Result<const journal::VolumeState*> named_volume(const std::string& name) const;
  Document volume_document(const journal::VolumeState& volume) const;
  Document journal_document() const;
  std::string uri_of(const cdp::SocketAddress& address, const std::string& volume) const;

  cdp::Reactor& reactor_;
  const cdp::Clock& clock_;
  Appliance& appliance_;
  cdp::nbd::Server& nbd_;
  const std::vector<cdp::SocketAddress> nbd_addresses_;
  api::VaultQueries queries_;
};

}  // namespace tools
