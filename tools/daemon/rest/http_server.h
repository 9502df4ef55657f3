// SPDX-License-Identifier: Apache-2.0
//
// HttpServer: HTTP/1.1 on a socket, on a thread of its own; requests are answered by a handler
// that runs as a coroutine on the reactor, next to the volumes and the journal it asks about. A
// slow or hostile HTTP peer therefore never holds up a block client. Nor does one hold up another:
// whatever a client has to do has its time, connections are counted (http_connections.h), and what
// could be read as two requests is refused (request_head.h).
//
// Made and stopped on the reactor's thread. `handler` and the reactor must outlive the server.
#pragma once

#include <functional>
#include <memory>

#include "cdp/base/result.h"
#include "cdp/io/reactor.h"
#include "cdp/io/socket.h"
#include "cdp/io/task.h"
#include "tools/daemon/rest/http_message.h"
#include "tools/daemon/tls/tls_context.h"

namespace tools {

class HttpServer {
 public:
  using Handler = std::function<cdp::Task<HttpResponse>(HttpRequest)>;

  // See cdp::ListeningSocket. Speaks HTTPS, or HTTP in clear where `tls` is null.
  static cdp::Result<std::unique_ptr<HttpServer>> open(cdp::Reactor& reactor,
                                                       cdp::SocketAddress address, TlsContext tls,
                                                       Handler handler);
  ~HttpServer();  // stopped before
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Where it listens, with the port that was chosen.
  const cdp::SocketAddress& address() const;
  // For connections to come. Of a server that speaks HTTPS only.
  void renew(TlsContext tls);

  // Ends every connection, waits for what the handlers have under way, ends the thread.
  cdp::Task<void> stop();

 private:
  class Implementation;
  explicit HttpServer(std::unique_ptr<Implementation> implementation);

  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tools
