// SPDX-License-Identifier: Apache-2.0
//
// HttpServer: HTTP/1.1 on a unix socket, on a thread of its own; requests are answered by a handler
// that runs as a coroutine on the reactor, next to the volumes and the journal it asks about. A slow
// or hostile HTTP peer therefore never holds up a block client.
//
// Made and stopped on the reactor's thread. `handler` and the reactor must outlive the server.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/reactor.h"
#include "cdp/io/task.h"

namespace tools {

struct HttpRequest {
  std::string method;                          // "GET"
  std::vector<std::string> path;               // decoded segments: {"api", "volumes", "shop"}
  std::map<std::string, std::string> query;    // decoded
  boost::json::value body;                     // null where there was none
  std::string peer;                            // who asks, for the record: "root (uid 0)"
};

// A body that is made while it is sent. Used on the reactor only.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece; nothing at the end. An error breaks the connection off, so that the client
  // cannot take what it has for the whole.
  virtual cdp::Task<cdp::Result<std::optional<std::string>>> next() = 0;
  // The client has gone: no `next` will come. Returns when what the source had under way has ended.
  virtual cdp::Task<void> abandon() = 0;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<BodySource> source;  // where set, sent instead of `body`, chunked
};

class HttpServer {
 public:
  using Handler = std::function<cdp::Task<HttpResponse>(HttpRequest)>;

  // Listens on `socket_path`, replacing a socket that nobody serves; mode 0660. Throws
  // std::runtime_error with one sentence when it cannot.
  HttpServer(cdp::Reactor& reactor, const std::string& socket_path, Handler handler);
  ~HttpServer();  // stopped before
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Ends every connection, waits for what the handlers have under way, ends the thread.
  cdp::Task<void> stop();

 private:
  class Implementation;
  cdp::Reactor& reactor_;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tools
