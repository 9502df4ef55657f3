// SPDX-License-Identifier: Apache-2.0
//
// Client: HTTP requests to a daemon, on this machine or another, one connection each. Blocking; for
// the command line. An answer of 4xx or 5xx comes as an Error whose sentence is the problem's
// detail.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cdp/base/result.h"
#include "tools/api/server_address.h"

namespace tools::api {

class Client {
 public:
  using Query = std::vector<std::pair<std::string, std::string>>;

  struct Credentials {
    std::string token{};   // shown to the daemon, where there is one
    std::string ca_pem{};  // the certificates that sign the daemon's; empty: those of the system
  };
  // See parse_server_address. EINVAL for a server of another form, and for a token that cannot be
  // one.
  static cdp::Result<Client> make(std::string_view server, Credentials credentials);
  static cdp::Result<Client> make(std::string_view server) { return make(server, Credentials{}); }

  const ServerAddress& server() const { return server_; }

  // `path` is a list of segments, not encoded: {"api", "volumes", "shop"}.
  using Path = std::vector<std::string>;
  cdp::Result<boost::json::value> get(const Path& path, const Query& query = {}) const;
  // method: "POST", "PATCH" or "DELETE"; a null body is none.
  cdp::Result<boost::json::value> send(std::string_view method, const Path& path,
                                       const boost::json::value& body) const;
  // Hands over the body of a GET in pieces as they come; an error of `take` ends it.
  cdp::Status stream(const Path& path, const Query& query,
                     const std::function<cdp::Status(std::span<const std::byte>)>& take) const;

  // Where more than the document matters: the fields of a header, both ways. Other requests say
  // after an EKEYREJECTED how to sign in; this one, which signing in is made of, does not.
  struct Request {
    std::string method = "GET";
    Path path{};
    Query query{};
    boost::json::value body{};
    std::vector<std::pair<std::string, std::string>> fields{};
  };
  struct Answer {
    boost::json::value document;
    std::string set_cookie;
  };
  cdp::Result<Answer> ask(const Request& request) const;

 private:
  Client(ServerAddress server, Credentials credentials)
      : server_(std::move(server)), credentials_(std::move(credentials)) {}
  cdp::Error with_advice(cdp::Error error) const;

  ServerAddress server_;
  Credentials credentials_;
};

// "/api/volumes/a%20b?at=lsn%3A7"
std::string make_target(const Client::Path& path, const Client::Query& query);

// The Error for an answer that is none of 2xx: EKEYREJECTED where the daemon does not know who
// asks, EPERM where who asks may not.
cdp::Error error_of_answer(unsigned status, std::string_view body);

// An answer as the object that it must be; one without a body is an empty object.
cdp::Result<boost::json::object> object_of_answer(cdp::Result<boost::json::value> answer);

}  // namespace tools::api
