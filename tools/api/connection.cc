// SPDX-License-Identifier: Apache-2.0
#include "tools/api/connection.h"

#include <fmt/ranges.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/un.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/http/error.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "tools/tls/certificate.h"

namespace tools::api {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using error_code = Connection::error_code;
using Local = asio::local::stream_protocol;
using Deadline = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kOpenTimeout{10};
// A peer that is gone without a word is noticed after a minute or so.
constexpr int kProbeIdleSeconds = 30;
constexpr int kProbeIntervalSeconds = 10;
constexpr int kProbes = 4;
constexpr int kUnansweredMs = 70'000;

// Begins something, and runs it to its end or to the deadline.
template <typename Begin>
error_code run_until(asio::io_context& context, Deadline deadline, Begin begin) {
  std::optional<error_code> ended;
  begin([&ended](const error_code& failed) { ended = failed; });
  context.restart();
  context.run_until(deadline);
  // What was not done goes with the context, unseen.
  return ended ? *ended : error_code{asio::error::timed_out};
}

// --- unix:PATH ----------------------------------------------------------------------------------

class LocalConnection final : public Connection {
 public:
  Status connect(const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return make_error(ENAMETOOLONG, "the path of the control socket is too long: {}", path);
    }
    error_code failed;
    socket_.connect(Local::endpoint{path}, failed);
    if (!failed) return {};
    if (failed.value() == EACCES || failed.value() == EPERM) {
      return make_error(failed.value(),
                        "connecting to {} is not allowed for this user: run the command as root, "
                        "or as a member of the socket's group",
                        path);
    }
    return make_error(
        failed.value(),
        "no daemon answers at unix:{} ({}): is hindsightd running? Name its control "
        "socket with --server unix:PATH, another machine's daemon with --server https://HOST:PORT, "
        "or read a vault directly with --vault DIR",
        path, failed.message());
  }

 private:
  std::size_t read_bytes(asio::mutable_buffer bytes, error_code& failed) override {
    return socket_.read_some(bytes, failed);
  }
  std::size_t write_bytes(asio::const_buffer bytes, error_code& failed) override {
    return socket_.write_some(bytes, failed);
  }

  asio::io_context context_;
  Local::socket socket_{context_};
};

// --- TCP ----------------------------------------------------------------------------------------

void watch_peer(tcp::socket& socket) {
  const int handle = socket.native_handle();
  const auto set = [handle](int level, int option, int value) {
    ::setsockopt(handle, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kProbeIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kProbeIntervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUnansweredMs);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
}

Status connect_socket(asio::io_context& context, tcp::socket& socket, const ServerAddress& address,
                      Deadline deadline) {
  tcp::resolver resolver{context};
  std::vector<tcp::endpoint> found;
  error_code failed = run_until(context, deadline, [&](auto end) {
    resolver.async_resolve(address.host, address.port,
                           [&found, end](const error_code& code, const auto& results) {
                             for (const auto& one : results) found.push_back(one.endpoint());
                             end(code);
                           });
  });
  if (failed) {
    return make_error(EHOSTUNREACH, "the name {} cannot be resolved ({}): is it spelt right?",
                      address.host, failed.message());
  }
  if (address.kind == ServerAddress::Kind::kHttp) {
    std::erase_if(found, [](const auto& endpoint) { return !endpoint.address().is_loopback(); });
  }
  failed = run_until(context, deadline, [&](auto end) {
    asio::async_connect(socket, found, [end](const error_code& code, const auto&) { end(code); });
  });
  if (failed) {
    return make_error(failed == asio::error::timed_out ? ETIMEDOUT : ECONNREFUSED,
                      "no daemon answers at {} ({}): is hindsightd running there, does it listen "
                      "there, and does no firewall stand between?",
                      address.text(),
                      failed == asio::error::timed_out ? "nothing came in 10 s" : failed.message());
  }
  watch_peer(socket);
  return {};
}

class TcpConnection final : public Connection {
 public:
  Status connect(const ServerAddress& address) {
    return connect_socket(context_, socket_, address,
                          std::chrono::steady_clock::now() + kOpenTimeout);
  }

 private:
  std::size_t read_bytes(asio::mutable_buffer bytes, error_code& failed) override {
    return socket_.read_some(bytes, failed);
  }
  std::size_t write_bytes(asio::const_buffer bytes, error_code& failed) override {
    return socket_.write_some(bytes, failed);
  }

  asio::io_context context_;
  tcp::socket socket_{context_};
};

// --- TLS ----------------------------------------------------------------------------------------

// Why a certificate was refused, and what of it the sentence needs.
struct Refusal {
  int code = X509_V_OK;  // of OpenSSL
  bool is_name = false;
  std::vector<std::string> names{};
  tls::Lifetime lifetime{};
};

Status trust(ssl::context& context, const std::string& ca_pem) {
  if (ca_pem.empty()) {
    error_code failed;
    context.set_default_verify_paths(failed);
    if (!failed) return {};
    return make_error(EIO, "reading the system's trusted certificates failed: {}",
                      failed.message());
  }
  Result<std::vector<tls::Certificate>> trusted = tls::certificates_of_pem(ca_pem);
  if (!trusted.ok()) return std::move(trusted).error();
  X509_STORE* const store = ::SSL_CTX_get_cert_store(context.native_handle());
  for (const tls::Certificate& one : *trusted) ::X509_STORE_add_cert(store, one.get());
  return {};
}

cdp::Error refused(const ServerAddress& address, const Refusal& why) {
  if (why.is_name) {
    return make_error(
        EPROTO,
        "the certificate of {} is for {}: use one of these names, or give it this one on the "
        "appliance with `hindsight tls init --name {}`",
        address.text(),
        why.names.empty() ? "no name at all" : fmt::format("{}", fmt::join(why.names, ", ")),
        address.host);
  }
  switch (why.code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return make_error(EKEYEXPIRED,
                        "the certificate of {} expired at {}: `hindsight tls init` on the "
                        "appliance renews it",
                        address.text(), tls::moment_text(why.lifetime.not_after));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return make_error(EPROTO,
                        "the certificate of {} is not valid before {}: is this machine's clock "
                        "right?",
                        address.text(), tls::moment_text(why.lifetime.not_before));
    case X509_V_ERR_INVALID_PURPOSE:
      return make_error(EPROTO, "the certificate of {} is not a server's", address.text());
    default:
      return make_error(EPROTO,
                        "the certificate of {} is not trusted here ({}): name the appliance's CA "
                        "with --ca FILE, a copy of its ca.crt",
                        address.text(), ::X509_verify_cert_error_string(why.code));
  }
}

cdp::Error handshake_failed(const ServerAddress& address, const error_code& failed) {
  if (failed == asio::error::timed_out) {
    return make_error(ETIMEDOUT,
                      "what listens at {} said nothing in 10 s: is it hindsightd, with TLS?",
                      address.text());
  }
  if (failed.category() == asio::error::get_ssl_category()) {
    const int reason = ERR_GET_REASON(static_cast<unsigned long>(failed.value()));
    if (reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION || reason == SSL_R_UNSUPPORTED_PROTOCOL) {
      return make_error(EPROTONOSUPPORT, "what listens at {} does not speak TLS 1.3",
                        address.text());
    }
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
      return make_error(EPROTO, "what listens at {} does not speak TLS: is the port right?",
                        address.text());
    }
  }
  return make_error(EPROTO, "agreeing on TLS with {} failed: {}", address.text(),
                    reason_of(failed));
}

class TlsConnection final : public Connection {
 public:
  Status connect(const ServerAddress& address, const std::string& ca_pem) {
    const Deadline deadline = std::chrono::steady_clock::now() + kOpenTimeout;
    Status status = trust(tls_, ca_pem);
    if (!status.ok()) return status;
    ::SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_3_VERSION);
    stream_.emplace(context_, tls_);
    stream_->set_verify_mode(ssl::verify_peer);
    Refusal why;
    stream_->set_verify_callback([&why, right_name = ssl::host_name_verification{address.host}](
                                     bool is_trusted, ssl::verify_context& context) mutable {
      return judge(is_trusted, context, right_name, why);
    });
    error_code no_address;
    asio::ip::make_address(address.host, no_address);
    // RFC 6066: names only.
    if (no_address) SSL_set_tlsext_host_name(stream_->native_handle(), address.host.c_str());
    status = connect_socket(context_, stream_->next_layer(), address, deadline);
    if (!status.ok()) return status;
    const error_code failed = run_until(context_, deadline, [this](auto end) {
      stream_->async_handshake(ssl::stream_base::client, end);
    });
    if (why.code != X509_V_OK || why.is_name) return refused(address, why);
    if (failed) return handshake_failed(address, failed);
    return {};
  }

 private:
  static bool judge(bool is_trusted, ssl::verify_context& context,
                    ssl::host_name_verification& right_name, Refusal& why) {
    if (right_name(is_trusted, context)) return true;
    X509_STORE_CTX* const store = context.native_handle();
    why.is_name = is_trusted;
    why.code = ::X509_STORE_CTX_get_error(store);
    if (X509* const certificate = ::X509_STORE_CTX_get_current_cert(store)) {
      why.names = tls::names_of(certificate);
      why.lifetime = tls::lifetime_of(certificate);
    }
    return false;
  }

  std::size_t read_bytes(asio::mutable_buffer bytes, error_code& failed) override {
    return stream_->read_some(bytes, failed);
  }
  std::size_t write_bytes(asio::const_buffer bytes, error_code& failed) override {
    return stream_->write_some(bytes, failed);
  }

  asio::io_context context_;
  ssl::context tls_{ssl::context::tls_client};
  std::optional<ssl::stream<tcp::socket>> stream_;
};

// The connection, connected.
template <typename Kind, typename... Arguments>
Result<std::unique_ptr<Connection>> connected(const Arguments&... arguments) {
  auto connection = std::make_unique<Kind>();
  Status status = connection->connect(arguments...);
  if (!status.ok()) return std::move(status).error();
  return std::unique_ptr<Connection>{std::move(connection)};
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const ServerAddress& address,
                                                     const std::string& ca_pem) {
  switch (address.kind) {
    case ServerAddress::Kind::kUnix:
      return connected<LocalConnection>(address.path);
    case ServerAddress::Kind::kHttp:
      return connected<TcpConnection>(address);
    case ServerAddress::Kind::kHttps:
      break;
  }
  return connected<TlsConnection>(address, ca_pem);
}

std::string reason_of(const error_code& failed) {
  namespace http = boost::beast::http;
  const bool closed = failed == asio::error::eof || failed == ssl::error::stream_truncated ||
                      failed == http::error::end_of_stream ||
                      failed == http::error::partial_message;
  return closed ? "it closed the connection" : failed.message();
}

}  // namespace tools::api
