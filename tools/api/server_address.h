// SPDX-License-Identifier: Apache-2.0
//
// Where a daemon is spoken to: unix:PATH, https://HOST:PORT, or http://HOST:PORT on this machine,
// where nobody else can listen in.
#pragma once

#include <string>
#include <string_view>

#include "cdp/base/result.h"

namespace tools::api {

struct ServerAddress {
  enum class Kind { kUnix, kHttp, kHttps };
  Kind kind = Kind::kUnix;
  std::string path{};  // of a unix socket
  std::string host{};  // in lower case; an IPv6 address without its brackets
  std::string port{};

  // One spelling for one server: "https://host:8443", "https://[::1]:8443", "unix:/path".
  std::string text() const;
  // "host:8443", the Host field.
  std::string authority() const;
};

// EINVAL with what would be right. Without a port, 443 or 80.
cdp::Result<ServerAddress> parse_server_address(std::string_view text);

}  // namespace tools::api
