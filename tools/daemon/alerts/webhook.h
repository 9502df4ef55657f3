// SPDX-License-Identifier: Apache-2.0
//
// Webhook: tells a URL of the operator's, by POST of a JSON document, on a thread of its own
// (libcurl). What cannot be told is tried again, three times in all; who would wait behind too many
// is not told, which the log says. The URL may hold a secret: no log and no sentence has it.
//
// On the reactor's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/reactor.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"
#include "cdp/io/worker_pool.h"

namespace tools {

class Webhook {
 public:
  // An empty URL: nobody is told.
  Webhook(cdp::Reactor& reactor, std::string url);
  ~Webhook();

  // Of what is told from now on.
  void set_url(std::string url) { url_ = std::move(url); }
  bool has_url() const { return !url_.empty(); }

  // At once, and once; the error says what came back instead of 2xx.
  cdp::Task<cdp::Status> try_once(std::string document);
  // Returns before it is told.
  void tell(std::string document);
  // Waits for what is under way, some seconds at most; tells nothing any more.
  cdp::Task<void> stop();

 private:
  cdp::Task<void> tell_patiently(std::string document);
  cdp::Task<cdp::Status> post(std::string document);

  cdp::Reactor& reactor_;
  std::string url_;
  cdp::Signal changed_;
  bool stopping_ = false;
  std::size_t posts_ = 0;  // that the thread has
  cdp::TaskGroup telling_;
  cdp::WorkerPool thread_{1};
};

}  // namespace tools
