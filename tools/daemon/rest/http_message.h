// SPDX-License-Identifier: Apache-2.0
//
// Requests and responses as the API sees them, whatever brought them.
#pragma once

#include <sys/types.h>

#include <boost/json/value.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/task.h"

namespace tools {

// Who is at the other end of a connection.
struct HttpPeer {
  // What the kernel says of the process at the other end of a unix socket.
  struct Process {
    uid_t uid = 0;
    std::vector<gid_t> groups{};  // all that it is in
  };
  std::string name{};  // for the record: "root (uid 0)", "192.0.2.7:5312"
  // Whose connections and attempts are counted together: an IPv4 address, or the upper half of an
  // IPv6 one, as bytes; empty for a process.
  std::string network{};
  std::optional<Process> process{};  // at a unix socket only
  bool is_encrypted = false;
};

struct HttpRequest {
  std::string id{};    // 16 hexadecimal digits: of the log, the audit and the answer's X-Request-Id
  std::string method;  // "GET"
  std::vector<std::string> path;             // decoded segments: {"api", "volumes", "shop"}
  std::map<std::string, std::string> query;  // decoded
  boost::json::value body;                   // null where there was none
  // The header's fields that mean something here; empty where the request has them not.
  struct {
    std::string host;
    std::string authorization;
    std::string cookie;
    std::string csrf_token;  // X-CSRF-Token
    std::string origin;
    std::string fetch_site;  // Sec-Fetch-Site
    std::string idempotency_key;
    std::string accept_encoding;
  } header;
  HttpPeer peer;
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
  std::string problem{};  // what went wrong, for the log; the body has it too
  std::string content_type = "application/json";
  std::string content_encoding{};
  std::string cache_control = "no-store";
  std::string varies_by{};  // the request's fields that decide what the body is
  std::string content_security_policy = "default-src 'none'; frame-ancestors 'none'";
  std::string body;
  std::string allow;       // the methods that there are, where the one that was asked for is not
  std::string location{};  // of what was made, or is being done
  std::string set_cookie;  // a whole Set-Cookie field
  std::optional<std::chrono::seconds> retry_after;  // of a 429
  std::shared_ptr<BodySource> source;               // where set, sent instead of `body`, chunked
};

}  // namespace tools
