// SPDX-License-Identifier: Apache-2.0
#include "tools/api/server_address.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>

namespace tools::api {
namespace {

using cdp::make_error;
using cdp::Result;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kHttpPrefix = "http://";
constexpr std::string_view kHttpsPrefix = "https://";
constexpr std::size_t kPortDigitsMax = 5;
constexpr int kPortMax = 65535;

bool is_port(const std::string& text) {
  return !text.empty() && text.size() <= kPortDigitsMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         std::stoi(text) >= 1 && std::stoi(text) <= kPortMax;
}

bool is_address(const std::string& host) {
  boost::system::error_code failed;
  boost::asio::ip::make_address(host, failed);
  return !failed;
}

bool is_host(const std::string& host) {
  if (host.find(':') != host.npos) return is_address(host);
  return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_');
  });
}

bool is_loopback(const std::string& host) {
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(host, failed);
  return failed ? host == "localhost" : address.is_loopback();
}

}  // namespace

std::string ServerAddress::authority() const {
  const bool is_v6 = host.find(':') != host.npos;
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string ServerAddress::text() const {
  if (kind == Kind::kUnix) return std::string{kUnixPrefix} + path;
  return std::string{kind == Kind::kHttp ? kHttpPrefix : kHttpsPrefix} + authority();
}

Result<ServerAddress> parse_server_address(std::string_view text) {
  const auto refused = [text] {
    return make_error(EINVAL,
                      "the server \"{}\" is not of the form unix:PATH, such as "
                      "unix:/var/lib/hindsight/control.sock, or https://HOST:PORT",
                      text);
  };
  ServerAddress address;
  if (text.starts_with(kUnixPrefix)) {
    address.path = text.substr(kUnixPrefix.size());
    if (address.path.empty()) return refused();
    return address;
  }
  const bool is_http = text.starts_with(kHttpPrefix);
  if (!is_http && !text.starts_with(kHttpsPrefix)) return refused();
  address.kind = is_http ? ServerAddress::Kind::kHttp : ServerAddress::Kind::kHttps;
  address.port = is_http ? "80" : "443";
  std::string_view rest = text.substr(is_http ? kHttpPrefix.size() : kHttpsPrefix.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view host = rest;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == rest.npos) return refused();
    host = rest.substr(1, end - 1);
    if (host.find(':') == host.npos) return refused();
    rest.remove_prefix(end + 1);
  } else {
    host = rest.substr(0, rest.find(':'));
    rest.remove_prefix(host.size());
  }
  if (!rest.empty()) {
    if (!rest.starts_with(':')) return refused();
    address.port = rest.substr(1);
  }
  address.host = host;
  std::transform(address.host.begin(), address.host.end(), address.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!is_host(address.host) || !is_port(address.port)) return refused();
  if (is_http && !is_loopback(address.host)) {
    return make_error(
        EINVAL,
        "http:// is for a daemon on this machine alone, since a token would cross the "
        "network in the clear: use https://{}",
        address.authority());
  }
  return address;
}

}  // namespace tools::api
