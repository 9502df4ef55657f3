// SPDX-License-Identifier: Apache-2.0
//
// The client against a TLS server of one connection, with certificates that a test makes as it
// likes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/object.hpp>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "tools/api/client.h"
#include "tools/api/server_address.h"
#include "tools/tls/certificate.h"

namespace tools::api {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::HasSubstr;

constexpr std::int64_t kDay = 24 * 3600;

class Authority {
 public:
  Authority()
      : key_(cdp::value_or_throw(tls::make_key())),
        certificate_(cdp::value_or_throw(
            tls::make_authority(key_.get(), "CA of a test", {now() - kDay, now() + kDay}))) {}
  static std::int64_t now() { return std::time(nullptr); }

  std::string pem() const { return tls::pem_of(certificate_.get()); }
  std::string sign(EVP_PKEY* key, tls::Purpose purpose, std::vector<std::string> names,
                   tls::Lifetime lifetime) const {
    const auto made = cdp::value_or_throw(tls::make_certificate(
        certificate_.get(), key_.get(), key, purpose, {"server", std::move(names)}, lifetime));
    return tls::pem_of(made.get());
  }

 private:
  tls::Key key_;
  tls::Certificate certificate_;
};

const std::string kFine =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

struct ServerOptions {
  std::vector<std::string> names{"localhost", "127.0.0.1"};
  tls::Lifetime lifetime{Authority::now() - kDay, Authority::now() + kDay};
  tls::Purpose purpose = tls::Purpose::kServer;
  bool is_old = false;    // no TLS 1.3
  bool is_plain = false;  // no TLS
  bool is_deaf = false;   // no TLS, and answers before anything is asked
  std::string answer = kFine;
};

// Answers one request, and then closes the connection without a word.
class Server {
 public:
  explicit Server(const Authority& authority) : Server(authority, ServerOptions{}) {}
  Server(const Authority& authority, const ServerOptions& options) : options_(options) {
    const tls::Key key = cdp::value_or_throw(tls::make_key());
    const std::string certificate =
        authority.sign(key.get(), options.purpose, options.names, options.lifetime);
    const std::string key_pem = tls::pem_of(key.get());
    tls_.use_certificate_chain(asio::buffer(certificate));
    tls_.use_private_key(asio::buffer(key_pem), asio::ssl::context::pem);
    if (options.is_old) ::SSL_CTX_set_max_proto_version(tls_.native_handle(), TLS1_2_VERSION);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~Server() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // nobody came
    thread_.join();
  }

  std::string at(const std::string& host, const std::string& scheme = "https") const {
    return fmt::format("{}://{}:{}", scheme, host, acceptor_.local_endpoint().port());
  }
  // Once the answer has been taken.
  const std::string& request() const { return request_; }

 private:
  void serve() {
    boost::system::error_code failed;
    tcp::socket socket{context_};
    acceptor_.accept(socket, failed);
    if (failed) return;
    if (options_.is_deaf) asio::write(socket, asio::buffer(options_.answer), failed);
    if (options_.is_plain) answer(socket);
    if (options_.is_plain || options_.is_deaf) return;
    asio::ssl::stream<tcp::socket> stream{std::move(socket), tls_};
    stream.handshake(asio::ssl::stream_base::server, failed);
    if (!failed) answer(stream);
  }
  template <typename Stream>
  void answer(Stream& stream) {
    boost::system::error_code failed;
    asio::read_until(stream, asio::dynamic_buffer(request_), "\r\n", failed);
    while (!failed && request_.find("\r\n\r\n") == request_.npos) {
      asio::read_until(stream, asio::dynamic_buffer(request_), "\r\n\r\n", failed);
    }
    asio::write(stream, asio::buffer(options_.answer), failed);
  }

  const ServerOptions options_;
  asio::io_context context_;
  tcp::acceptor acceptor_{context_, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  std::string request_;
  std::thread thread_;
};

cdp::Result<boost::json::value> ask(const std::string& server, const std::string& ca_pem,
                                    const std::string& token = {}) {
  return cdp::value_or_throw(Client::make(server, {token, ca_pem})).get({"api", "status"});
}

cdp::Error refusal(const std::string& server, const std::string& ca_pem) {
  const auto answer = ask(server, ca_pem);
  return answer.ok() ? cdp::Error{EIO, "it was answered"} : answer.error();
}

TEST(TlsClient, ATrustedServerIsAskedWithTheToken) {
  const Authority authority;
  const Server server{authority};
  const auto answer = ask(server.at("localhost"), authority.pem(), "hs_1");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(server.request(), HasSubstr("\r\nAuthorization: Bearer hs_1\r\n"));
  EXPECT_THAT(server.request(),
              HasSubstr("\r\nHost: " + server.at("localhost").substr(8) + "\r\n"));
}

TEST(TlsClient, AnAddressInTheCertificateWillDo) {
  const Authority authority;
  const Server server{authority};
  const auto answer = ask(server.at("127.0.0.1"), authority.pem());
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(server.request(), testing::Not(HasSubstr("Authorization")));
}

TEST(TlsClient, AnotherCaIsRefusedBeforeAnythingIsSaid) {
  const Authority authority;
  const Server server{authority};
  const cdp::Error refused = refusal(server.at("localhost"), Authority{}.pem());
  EXPECT_EQ(refused.code, EPROTO);
  EXPECT_THAT(refused.message, HasSubstr("--ca FILE"));
  EXPECT_EQ(server.request(), "");
}

TEST(TlsClient, ThoseOfTheSystemDoNotSignForIt) {
  const Authority authority;
  const Server server{authority};
  EXPECT_THAT(refusal(server.at("localhost"), "").message, HasSubstr("--ca FILE"));
}

TEST(TlsClient, AnotherNameIsRefusedWithThoseThatTheCertificateHas) {
  const Authority authority;
  ServerOptions options;
  options.names = {"vault.example", "192.0.2.7"};
  const Server server{authority, options};
  const cdp::Error refused = refusal(server.at("localhost"), authority.pem());
  EXPECT_THAT(refused.message, HasSubstr("is for vault.example, 192.0.2.7"));
  EXPECT_THAT(refused.message, HasSubstr("hindsight tls init --name localhost"));
}

TEST(TlsClient, AnotherAddressIsRefused) {
  const Authority authority;
  ServerOptions options;
  options.names = {"localhost", "192.0.2.7"};
  const Server server{authority, options};
  EXPECT_THAT(refusal(server.at("127.0.0.1"), authority.pem()).message,
              HasSubstr("is for localhost, 192.0.2.7"));
}

TEST(TlsClient, AnExpiredCertificateIsSaidToBe) {
  const Authority authority;
  ServerOptions options;
  options.lifetime = {Authority::now() - kDay, Authority::now() - 60};
  const Server server{authority, options};
  const cdp::Error refused = refusal(server.at("localhost"), authority.pem());
  EXPECT_EQ(refused.code, EKEYEXPIRED);
  EXPECT_THAT(refused.message, HasSubstr(tls::moment_text(options.lifetime.not_after)));
  EXPECT_THAT(refused.message, HasSubstr("hindsight tls init"));
}

TEST(TlsClient, ACertificateOfTomorrowAsksForTheClock) {
  const Authority authority;
  ServerOptions options;
  options.lifetime = {Authority::now() + 3600, Authority::now() + kDay};
  const Server server{authority, options};
  EXPECT_THAT(refusal(server.at("localhost"), authority.pem()).message, HasSubstr("clock"));
}

TEST(TlsClient, AClientsCertificateIsNoServers) {
  const Authority authority;
  ServerOptions options;
  options.purpose = tls::Purpose::kClient;
  const Server server{authority, options};
  EXPECT_THAT(refusal(server.at("localhost"), authority.pem()).message,
              HasSubstr("is not a server's"));
}

TEST(TlsClient, AServerOfTls12IsRefused) {
  const Authority authority;
  ServerOptions options;
  options.is_old = true;
  const Server server{authority, options};
  EXPECT_THAT(refusal(server.at("localhost"), authority.pem()).message,
              HasSubstr("does not speak TLS 1.3"));
}

TEST(TlsClient, AServerWithoutTlsIsNotTaken) {
  const Authority authority;
  ServerOptions options;
  options.is_deaf = true;
  options.answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
  const Server server{authority, options};
  EXPECT_THAT(refusal(server.at("localhost"), authority.pem()).message,
              HasSubstr("does not speak TLS: is the port right?"));
}

TEST(TlsClient, AConnectionThatIsCutIsAnError) {
  const Authority authority;
  for (const char* part :
       {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"}) {
    ServerOptions options;
    options.answer = part;
    const Server server{authority, options};
    EXPECT_THAT(refusal(server.at("localhost"), authority.pem()).message,
                HasSubstr("it closed the connection"))
        << part;
  }
  ServerOptions options;
  options.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
  const Server server{authority, options};
  const Client client =
      cdp::value_or_throw(Client::make(server.at("localhost"), {{}, authority.pem()}));
  const cdp::Status status =
      client.stream({"image"}, {}, [](std::span<const std::byte>) { return cdp::Status{}; });
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("it closed the connection"));
}

TEST(TlsClient, WhoIsNotKnownIsToldHowToSignIn) {
  const Authority authority;
  ServerOptions options;
  options.answer =
      "HTTP/1.1 401 Unauthorized\r\nContent-Length: 30\r\n\r\n{\"detail\": \"the token is old\"} ";
  const Server server{authority, options};
  const cdp::Error refused = refusal(server.at("localhost"), authority.pem());
  EXPECT_EQ(refused.code, EKEYREJECTED);
  EXPECT_EQ(refused.message, fmt::format("the token is old: sign in with `hindsight --server {} "
                                         "login USER`",
                                         server.at("localhost")));
}

TEST(TlsClient, APlainListenerOfThisMachineIsAskedTheSameWay) {
  ServerOptions options;
  options.is_plain = true;
  const Server server{Authority{}, options};
  const auto answer = ask(server.at("127.0.0.1", "http"), "", "hs_1");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(server.request(), HasSubstr("\r\nAuthorization: Bearer hs_1\r\n"));
}

TEST(TlsClient, NobodyListeningIsSaid) {
  std::string at;
  {
    const Server server{Authority{}};
    at = server.at("localhost");
  }
  EXPECT_THAT(refusal(at, "").message, HasSubstr("is hindsightd running there"));
  EXPECT_THAT(refusal("https://host.invalid:1", "").message, HasSubstr("cannot be resolved"));
}

TEST(TlsClient, WhatIsNoTokenIsNotSent) {
  for (const char* bad : {"a b", "a\r\nX: y", "a\n", "\xc3\xa4"}) {
    EXPECT_EQ(Client::make("https://host:1", {bad, {}}).error().code, EINVAL) << bad;
  }
}

TEST(ServerAddress, HasOneSpelling) {
  const auto text = [](std::string_view given) {
    return cdp::value_or_throw(parse_server_address(given)).text();
  };
  EXPECT_EQ(text("https://Vault.Example:8443/"), "https://vault.example:8443");
  EXPECT_EQ(text("https://vault"), "https://vault:443");
  EXPECT_EQ(text("https://[2001:DB8::7]:8443"), "https://[2001:db8::7]:8443");
  EXPECT_EQ(text("http://[::1]:80"), "http://[::1]:80");
  EXPECT_EQ(text("http://127.0.0.2:8080"), "http://127.0.0.2:8080");
  EXPECT_EQ(text("unix:/a b"), "unix:/a b");
}

TEST(ServerAddress, AnotherFormIsRefused) {
  for (const char* bad :
       {"", "unix:", "/path", "tcp:localhost:1", "https://", "https://:1", "https://a:0",
        "https://a:65536", "https://a:b", "https://a:1/x", "https://u@a:1", "https://a b:1",
        "https://[::1", "https://[a]:1", "https://[::1]x", "https://a?b", "HTTPS://a:1"}) {
    EXPECT_EQ(parse_server_address(bad).error().code, EINVAL) << bad;
  }
}

TEST(ServerAddress, HttpIsForThisMachineAlone) {
  EXPECT_TRUE(parse_server_address("http://localhost:1").ok());
  for (const char* bad : {"http://vault:1", "http://192.0.2.7:1", "http://[2001:db8::7]:1",
                          "http://localhost.example:1", "http://0.0.0.0:1"}) {
    const auto refused = parse_server_address(bad);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_THAT(refused.error().message, HasSubstr("use https://")) << bad;
  }
}

}  // namespace
}  // namespace tools::api
