// SPDX-License-Identifier: Apache-2.0
//
// Requests and responses as the API sees them, whatever brought them.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/io/task.h"

namespace tools {

struct HttpRequest {
  std::string method;                        // "GET"
  std::vector<std::string> path;             // decoded segments: {"api", "volumes", "shop"}
  std::map<std::string, std::string> query;  // decoded
  boost::json::value body;                   // null where there was none
  std::string peer;                          // who asks, for the record: "root (uid 0)"
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
  std::string allow;  // the methods that there are, where the one that was asked for is not
  std::shared_ptr<BodySource> source;  // where set, sent instead of `body`, chunked
};

}  // namespace tools
