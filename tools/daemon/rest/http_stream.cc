// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <climits>
#include <cstring>
#include <vector>

#include "cdp/base/check.h"
#include "cdp/io/socket.h"

namespace tools {
namespace {

namespace asio = boost::asio;
using Error = HttpStream::Error;
using Socket = HttpStream::Protocol::socket;

constexpr std::chrono::seconds kLingerTimeout{2};
constexpr std::uint64_t kMaxLingerBytes = 8u << 20;
constexpr std::string_view kTcpPrefix = "tcp:";
constexpr unsigned char kTlsHandshake = 22;  // the first byte of a client that speaks TLS
constexpr std::string_view kNotTls =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: application/problem+json\r\n"
    "Content-Length: 91\r\n"
    "Connection: close\r\n"
    "\r\n"
    R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"this port speaks HTTPS"})";
static_assert(kNotTls.size() - kNotTls.find("{") == 91);

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

std::vector<gid_t> groups_of(Socket& socket, gid_t first) {
  std::vector<gid_t> groups(NGROUPS_MAX);
  auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  const int failed =
      getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  groups.resize(failed != 0 ? 0 : bytes / sizeof(gid_t));
  groups.push_back(first);
  return groups;
}

HttpPeer process_peer(Socket& socket, const ucred& credentials) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  getpwuid_r(credentials.uid, &entry, buffer, sizeof buffer, &found);
  return {
      .name = fmt::format("{} (uid {})", found != nullptr ? found->pw_name : "?", credentials.uid),
      .process = HttpPeer::Process{credentials.uid, groups_of(socket, credentials.gid)}};
}

std::string network_of(Socket& socket, const std::string& address) {
  sockaddr_storage peer{};
  socklen_t bytes = sizeof peer;
  const bool is_known =
      getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&peer), &bytes) == 0;
  if (!is_known || peer.ss_family != AF_INET6) return address;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return address;
  constexpr std::size_t kSubscriberBytes = 8;
  return {reinterpret_cast<const char*>(v6.s6_addr), kSubscriberBytes};
}

HttpPeer peer_of(Socket& socket, bool is_encrypted) {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  Error ignored;
  const bool is_unix = socket.local_endpoint(ignored).protocol().family() == AF_UNIX;
  if (is_unix &&
      getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) == 0) {
    return process_peer(socket, credentials);
  }
  std::string name = cdp::peer_of(socket.native_handle());
  if (name.starts_with(kTcpPrefix)) name.erase(0, kTcpPrefix.size());
  std::string network = network_of(socket, name.substr(0, name.rfind(':')));
  return {.name = std::move(name), .network = std::move(network), .is_encrypted = is_encrypted};
}

class PlainStream final : public HttpStream {
 public:
  explicit PlainStream(Socket socket) : HttpStream(std::move(socket), false) {}

  Awaitable<Error> open() override { co_return Error{}; }

  Awaitable<Received> read(asio::mutable_buffer into) override {
    const auto [error, bytes] = co_await transport_.async_read_some(into, kNoThrow);
    co_return Received{error, bytes};
  }

  Awaitable<Error> write(std::string_view text) override {
    const auto [error, bytes] =
        co_await asio::async_write(transport_, asio::buffer(text), kNoThrow);
    co_return error;
  }

  Awaitable<void> finish() override {
    expires_after(kLingerTimeout);
    co_await drain();
  }
};

class TlsStream final : public HttpStream {
 public:
  TlsStream(Socket socket, TlsContext context)
      : HttpStream(std::move(socket), true),
        context_(std::move(context)),
        tls_(transport_, new_session(context_.get())) {}

  Awaitable<Error> open() override {
    std::array<unsigned char, 4096> first;
    const auto [failed, received] =
        co_await transport_.async_read_some(asio::buffer(first), kNoThrow);
    if (failed) co_return failed;
    if (first[0] != kTlsHandshake) {
      [[maybe_unused]] const auto [ignored, sent] =
          co_await asio::async_write(transport_, asio::buffer(kNotTls), kNoThrow);
      expires_after(kLingerTimeout);
      co_await drain();
      co_return asio::error::make_error_code(asio::error::no_protocol_option);
    }
    const auto [error, used] = co_await tls_.async_handshake(
        asio::ssl::stream_base::server, asio::buffer(first, received), kNoThrow);
    co_return error;
  }

  Awaitable<Received> read(asio::mutable_buffer into) override {
    const auto [error, bytes] = co_await tls_.async_read_some(into, kNoThrow);
    co_return Received{error, bytes};
  }

  Awaitable<Error> write(std::string_view text) override {
    const auto [error, bytes] = co_await asio::async_write(tls_, asio::buffer(text), kNoThrow);
    co_return error;
  }

  // The end of both layers: TLS says that nothing was cut off.
  Awaitable<void> finish() override {
    expires_after(kLingerTimeout);
    [[maybe_unused]] const auto [ignored] = co_await tls_.async_shutdown(kNoThrow);
    co_await drain();
  }

 private:
  static SSL* new_session(SSL_CTX* context) {
    SSL* const session = SSL_new(context);
    CHECK(session != nullptr);
    return session;
  }

  const TlsContext context_;
  asio::ssl::stream<Transport&> tls_;
};

}  // namespace

HttpStream::HttpStream(Socket socket, bool is_encrypted)
    : transport_(std::move(socket)), peer_(peer_of(transport_.socket(), is_encrypted)) {
  // An answer waits for nothing; a unix socket knows no such thing.
  const int on = 1;
  (void)setsockopt(transport_.socket().native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

std::unique_ptr<HttpStream> HttpStream::make(Socket socket, TlsContext tls) {
  if (tls == nullptr) return std::make_unique<PlainStream>(std::move(socket));
  return std::make_unique<TlsStream>(std::move(socket), std::move(tls));
}

HttpStream::Awaitable<void> HttpStream::drain() {
  Error ignored;
  transport_.socket().shutdown(Socket::shutdown_send, ignored);
  std::array<char, 16384> rest;
  for (std::uint64_t total = 0; total < kMaxLingerBytes;) {
    const auto [error, bytes] = co_await transport_.async_read_some(asio::buffer(rest), kNoThrow);
    if (error) break;
    total += bytes;
  }
}

}  // namespace tools
