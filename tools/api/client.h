// SPDX-License-Identifier: Apache-2.0
//
// Client: HTTP requests to the daemon's control socket, one connection each. Blocking; for the
// command line. An answer of 4xx or 5xx comes as an Error whose sentence is the problem's detail.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cdp/base/result.h"

namespace tools::api {

class Client {
 public:
  using Query = std::vector<std::pair<std::string, std::string>>;

  // `server` is unix:PATH. EINVAL for anything else.
  static cdp::Result<Client> make(std::string_view server);

  // `path` is a list of segments, not encoded: {"api", "volumes", "shop"}.
  using Path = std::vector<std::string>;
  cdp::Result<boost::json::value> get(const Path& path, const Query& query = {}) const;
  // method: "POST", "PATCH" or "DELETE"; a null body is none.
  cdp::Result<boost::json::value> send(std::string_view method, const Path& path,
                                       const boost::json::value& body) const;
  // Hands over the body of a GET in pieces as they come; an error of `take` ends it.
  cdp::Status stream(const Path& path, const Query& query,
                     const std::function<cdp::Status(std::span<const std::byte>)>& take) const;

 private:
  explicit Client(std::string socket_path) : socket_path_(std::move(socket_path)) {}
  std::string socket_path_;
};

// "/api/volumes/a%20b?at=lsn%3A7"
std::string make_target(const Client::Path& path, const Client::Query& query);

// The Error for an answer that is none of 2xx.
cdp::Error error_of_answer(unsigned status, std::string_view body);

}  // namespace tools::api
