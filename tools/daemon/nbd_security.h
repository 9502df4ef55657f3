// SPDX-License-Identifier: Apache-2.0
//
// NbdSecurity: TLS for the NBD server, and what the appliance has for a client that has proved its
// name. To such a client, what it has no right to is not there. Keys and rights can be replaced;
// connections that are there keep what they have.
//
// Rights are to volumes, not to words: a view is checked by the volume that it shows, as another
// may have had the name at that point. A volume is called what it is called now.
//
// On the scheduler's thread; the appliance must outlive it, and it the connections.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cdp/io/tls_stream.h"
#include "cdp/nbd/channel.h"
#include "tools/daemon/appliance.h"
#include "tools/daemon/tls/client_rights.h"

namespace tools {

class NbdSecurity final : public cdp::nbd::Security {
 public:
  NbdSecurity(cdp::Scheduler& scheduler, Appliance& appliance, cdp::TlsContext context,
              const std::vector<std::string>& rights)
      : appliance_(appliance),
        acceptor_(scheduler, std::move(context)),
        rights_(std::make_shared<const ClientRights>(rights)) {}

  void renew(cdp::TlsContext context) { acceptor_.renew(std::move(context)); }
  void set_rights(const std::vector<std::string>& rights) {
    rights_ = std::make_shared<const ClientRights>(rights);
  }

  cdp::Task<cdp::Result<Secured>> secure(cdp::Stream& below) override;

 private:
  Appliance& appliance_;
  cdp::TlsAcceptor acceptor_;
  std::shared_ptr<const ClientRights> rights_;
};

}  // namespace tools
