// SPDX-License-Identifier: Apache-2.0
//
// FrontEnds: all ways in which an appliance is reached, and tells of itself: NBD, the control
// socket, the API over the network, metrics, alerts. Opened together, and ended together.
//
// On the reactor's thread. All that it is given must outlive it; the configuration may change
// meanwhile, and renew() takes what can change live. After open() stop() must have returned before
// it is destroyed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/clock.h"
#include "cdp/base/result.h"
#include "cdp/io/reactor.h"
#include "cdp/io/signal.h"
#include "cdp/io/socket.h"
#include "cdp/nbd/server.h"
#include "tools/daemon/access/access.h"
#include "tools/daemon/alerts/alert_watch.h"
#include "tools/daemon/alerts/http_poster.h"
#include "tools/daemon/alerts/webhook.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/checks/point_checks.h"
#include "tools/daemon/config/configuration.h"
#include "tools/daemon/jobs/hydration_watch.h"
#include "tools/daemon/jobs/jobs.h"
#include "tools/daemon/nbd_security.h"
#include "tools/daemon/rest/api.h"
#include "tools/daemon/rest/http_server.h"

namespace tools {

class FrontEnds {
 public:
  FrontEnds(cdp::Reactor& reactor, const cdp::Clock& clock, Appliance& appliance,
            const Configuration& configuration);

  // Where it fails nothing is open.
  cdp::Task<cdp::Status> open();
  // As the configuration is now. Keys that cannot be served leave the old ones where they are.
  cdp::Task<void> renew();
  // Ends every connection.
  cdp::Task<void> stop();

 private:
  using Listeners = std::vector<std::unique_ptr<cdp::SocketListener>>;
  using OpenedHttp = cdp::Result<std::unique_ptr<HttpServer>>;

  cdp::Result<Listeners> listen() const;
  cdp::Status open_nbd_security();
  cdp::nbd::TlsTerms terms_of(const cdp::SocketAddress& address) const;
  cdp::Status open_http();
  OpenedHttp open_http_server(const std::string& listener, HttpServer::Handler handler,
                              TlsContext tls = {});
  OpenedHttp open_network(HttpServer::Handler handler);
  void say_where(const Listeners& listeners) const;
  cdp::Task<void> stop_http();
  cdp::Task<void> renew_certificate();
  cdp::Task<void> renew_nbd_security();

  cdp::Reactor& reactor_;
  const cdp::Clock& clock_;
  Appliance& appliance_;
  const Configuration& configuration_;
  std::unique_ptr<NbdSecurity> nbd_security_;  // null where NBD has no TLS
  cdp::nbd::Server nbd_;
  Access access_;
  HttpPoster poster_;
  Webhook webhook_;
  AlertWatch alerts_;
  Jobs jobs_;
  HydrationWatch hydrations_;
  PointChecks checks_;
  std::optional<Api> api_;
  std::unique_ptr<HttpServer> control_;
  std::unique_ptr<HttpServer> metrics_;  // null where it is not wanted, as the next
  std::unique_ptr<HttpServer> network_;
  bool is_encrypted_ = false;  // the API over the network
  cdp::TaskGroup serving_;
};

}  // namespace tools
