// SPDX-License-Identifier: Apache-2.0
//
// HttpPoster: posts JSON documents to URLs, one after the other, on a thread of its own (libcurl):
// the reactor's workers are not to wait for somebody else's server.
//
// On the reactor's thread. Nobody may be posting when it is destroyed.
#pragma once

#include <string>

#include "cdp/base/result.h"
#include "cdp/io/reactor.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "cdp/io/worker_pool.h"

namespace tools {

class HttpPoster {
 public:
  explicit HttpPoster(cdp::Reactor& reactor);
  ~HttpPoster();

  // Some seconds at most. The error says what came back instead of 2xx, and nothing of the URL.
  cdp::Task<cdp::Status> post(std::string url, std::string document);

 private:
  cdp::Reactor& reactor_;
  cdp::Signal posted_;
  cdp::WorkerPool thread_{1};
};

}  // namespace tools
