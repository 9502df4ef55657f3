// SPDX-License-Identifier: Apache-2.0
//
// CheckerLink: the connection to one run of hindsight-check, which systemd starts for it
// (tools/packaging/hindsight-check.socket): lines both ways, and sockets to the checker
// (checker_protocol.h).
//
// On the reactor's thread. One receive and one send at a time; nobody may be doing either when it
// is destroyed.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/file_disk.h"
#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "tools/daemon/checks/line_buffer.h"

namespace tools {

class CheckerLink {
 public:
  // At once. ESHUTDOWN where nobody listens there, with what to do.
  static cdp::Result<std::unique_ptr<CheckerLink>> connect(cdp::Reactor& reactor,
                                                           const std::string& path);

  // The next line without its end; EPIPE where the checker has gone, EPROTO beyond its limits.
  cdp::Task<cdp::Result<std::string>> receive();
  cdp::Task<cdp::Status> send(std::string line);
  // With the line, one end of a new socket; the other one is what this gives.
  cdp::Task<cdp::Result<std::unique_ptr<cdp::Stream>>> send_socket(std::string line);
  // Both directions; the checker ends, and so do its tools.
  void end() { stream_->shutdown(); }

 private:
  CheckerLink(cdp::Reactor& reactor, int fd, std::unique_ptr<cdp::SocketStream> stream);
  cdp::Task<cdp::Status> send_with(std::string line, std::optional<int> passed);

  cdp::Reactor& reactor_;
  const int fd_;  // the stream's
  const std::unique_ptr<cdp::SocketStream> stream_;
  LineBuffer lines_;
};

}  // namespace tools
