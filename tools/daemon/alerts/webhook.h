// SPDX-License-Identifier: Apache-2.0
//
// Webhook: tells a URL of the operator's, by POST of a JSON document. What cannot be told is tried
// again, three times in all; who would wait behind too many is not told, which the log says. The
// URL may hold a secret: no log and no sentence has it.
//
// On the scheduler's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "cdp/base/result.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/task.h"

namespace tools {

class Webhook {
 public:
  // Of one document to the URL, in bounded time: HttpPoster's.
  using Post = std::function<cdp::Task<cdp::Status>(std::string url, std::string document)>;

  // An empty URL: nobody is told.
  Webhook(cdp::Scheduler& scheduler, std::string url, Post post);

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

  cdp::Scheduler& scheduler_;
  std::string url_;
  const Post post_;
  cdp::Signal stop_;
  bool stopping_ = false;
  cdp::TaskGroup telling_;
};

}  // namespace tools
