// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_server.h"

#include <pwd.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>
#include <boost/url/parse.hpp>
#include <chrono>
#include <set>
#include <thread>

#include "cdp/base/check.h"
#include "cdp/base/utf8.h"
#include "cdp/io/signal.h"
#include "tools/daemon/rest/problem.h"

namespace tools {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = asio::generic::stream_protocol;  // unix or TCP
using Stream = beast::basic_stream<Socket, asio::any_io_executor>;

constexpr std::size_t kMaxConnections = 64;
constexpr std::uint64_t kMaxBodyBytes = 1u << 20;
constexpr std::uint32_t kMaxHeaderBytes = 16u << 10;
constexpr std::chrono::seconds kIdleTimeout{60};
constexpr std::chrono::seconds kLingerTimeout{2};
constexpr std::uint64_t kMaxLingerBytes = 8u << 20;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

HttpPeer peer_of(Socket::socket& socket) {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  boost::system::error_code ignored;
  const bool is_unix = socket.local_endpoint(ignored).protocol().family() == AF_UNIX;
  if (!is_unix ||
      getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
    std::string name = cdp::peer_of(socket.native_handle());
    std::string address = name.substr(0, name.rfind(':'));
    return {.name = std::move(name), .address = std::move(address)};
  }
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  getpwuid_r(credentials.uid, &entry, buffer, sizeof buffer, &found);
  return {
      .name = fmt::format("{} (uid {})", found != nullptr ? found->pw_name : "?", credentials.uid),
      .process = HttpPeer::Process{credentials.uid, credentials.gid}};
}

// The status that answers what cannot be read as a request; 0 where the client has gone.
unsigned refusal_of(const boost::system::error_code& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  return error.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

bool is_json(std::string_view content_type) {
  const std::string_view media_type = content_type.substr(0, content_type.find(';'));
  return media_type.empty() || beast::iequals(media_type, "application/json");
}

// The request in our terms, or the problem with it.
cdp::Result<HttpRequest> translate(const http::request<http::string_body>& wire) {
  HttpRequest request;
  // Of HEAD, only the answer's body is left out.
  request.method = wire.method() == http::verb::head ? "GET" : std::string{wire.method_string()};
  const auto url = boost::urls::parse_origin_form(wire.target());
  if (!url) return cdp::make_error(EINVAL, "the request's target is not a valid URL path");
  for (const auto& segment : url->segments()) request.path.push_back(segment);
  for (const auto& parameter : url->params()) request.query[parameter.key] = parameter.value;
  // What an escape sequence stands for may be anything, and comes back in sentences, which are
  // JSON.
  const bool is_text =
      std::all_of(request.path.begin(), request.path.end(), cdp::is_utf8) &&
      std::all_of(request.query.begin(), request.query.end(), [](const auto& parameter) {
        return cdp::is_utf8(parameter.first) && cdp::is_utf8(parameter.second);
      });
  if (!is_text) return cdp::make_error(EINVAL, "the request's target is not UTF-8");
  if (!wire.body().empty()) {
    boost::system::error_code error;
    request.body = boost::json::parse(wire.body(), error);
    if (error) return cdp::make_error(EINVAL, "the request's body is not valid JSON");
  }
  return request;
}

// Awaits a coroutine of the reactor from one of this thread's.
template <typename T>
asio::awaitable<std::shared_ptr<T>> on_reactor(cdp::Reactor& reactor,
                                               std::function<cdp::Task<T>()> make) {
  const auto executor = co_await asio::this_coro::executor;
  auto start = [&reactor, &make, executor](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    std::function<void(std::shared_ptr<T>)> finish = [shared, executor](std::shared_ptr<T> value) {
      asio::post(executor, [shared, value = std::move(value)]() mutable {
        (*shared)(std::move(value));
      });
    };
    reactor.post_from_any_thread([&reactor, make, finish = std::move(finish)]() mutable {
      reactor.spawn([](std::function<cdp::Task<T>()> f,
                       std::function<void(std::shared_ptr<T>)> then) -> cdp::Task<void> {
        auto value = std::make_shared<T>(co_await f());
        then(std::move(value));
      }(std::move(make), std::move(finish)));
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&,
                                          void(std::shared_ptr<T>)>(start, asio::use_awaitable);
}

struct Nothing {};

cdp::Task<Nothing> abandon(BodySource& source) {
  co_await source.abandon();
  co_return Nothing{};
}

}  // namespace

class HttpServer::Implementation {
 public:
  Implementation(cdp::Reactor& reactor, cdp::ListeningSocket socket, Handler handler)
      : reactor_(reactor),
        handler_(std::move(handler)),
        socket_(std::move(socket)),
        acceptor_(context_, protocol_of(socket_), socket_.release_fd()),
        ended_(reactor) {
    asio::co_spawn(context_, accept_all(), asio::detached);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread{[this] {
      context_.run();
      reactor_.post_from_any_thread([this] {
        thread_ended_ = true;
        ended_.notify_all();
      });
    }};
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void request_stop() {
    asio::post(context_, [this] {
      stopping_ = true;
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      for (Stream* stream : open_) stream->cancel();
    });
  }

  // On the reactor, which the thread may still need to answer what it has begun.
  cdp::Task<void> join() {
    while (!thread_ended_) co_await ended_.wait();
    thread_.join();
  }

 private:
  asio::awaitable<void> accept_all() {
    while (!stopping_) {
      auto [error, socket] = co_await acceptor_.async_accept(kNoThrow);
      if (stopping_) co_return;
      if (error) {
        // Out of descriptors, most likely: others will end.
        asio::steady_timer pause{context_, std::chrono::milliseconds{100}};
        co_await pause.async_wait(kNoThrow);
        continue;
      }
      if (open_.size() >= kMaxConnections) {
        spdlog::warn("http: refused a connection, {} are open already", open_.size());
        continue;
      }
      asio::co_spawn(context_, serve(Stream{std::move(socket)}), asio::detached);
    }
  }

  asio::awaitable<void> serve(Stream stream) {
    open_.insert(&stream);
    const HttpPeer peer = peer_of(stream.socket());
    beast::flat_buffer buffer;
    bool keep = true;
    while (keep && !stopping_) {
      http::request_parser<http::string_body> parser;
      parser.body_limit(kMaxBodyBytes);
      parser.header_limit(kMaxHeaderBytes);
      stream.expires_after(kIdleTimeout);
      auto [error, bytes] = co_await http::async_read(stream, buffer, parser, kNoThrow);
      if (error) {
        co_await refuse(stream, error);
        break;
      }
      const http::request<http::string_body> wire = parser.release();
      std::shared_ptr<HttpResponse> response = co_await answer(wire, peer);
      if (response->source != nullptr) {
        keep = co_await send_source(stream, wire, *response) && wire.keep_alive();
        // What it is made of belongs to the reactor.
        reactor_.post_from_any_thread([source = std::move(response->source)] {});
      } else {
        keep = co_await send_body(stream, wire, *response) && wire.keep_alive();
      }
    }
    open_.erase(&stream);
  }

  asio::awaitable<std::shared_ptr<HttpResponse>> answer(
      const http::request<http::string_body>& wire, const HttpPeer& peer) {
    if (!wire.body().empty() && !is_json(wire[http::field::content_type])) {
      co_return std::make_shared<HttpResponse>(
          problem_response(415, "the request's body must be JSON: Content-Type: application/json"));
    }
    cdp::Result<HttpRequest> request = translate(wire);
    if (!request) {
      co_return std::make_shared<HttpResponse>(problem_response(request.error()));
    }
    request->peer = peer;
    const auto shared = std::make_shared<HttpRequest>(*std::move(request));
    std::function<cdp::Task<HttpResponse>()> make = [this, shared] {
      return handler_(std::move(*shared));
    };
    co_return co_await on_reactor<HttpResponse>(reactor_, std::move(make));
  }

  // Says what is wrong with what cannot be read; the connection is of no use after that.
  static asio::awaitable<void> refuse(Stream& stream, boost::system::error_code why) {
    const unsigned status = refusal_of(why);
    if (status == 0) co_return;
    http::request<http::string_body> unread;
    unread.version(11);
    unread.keep_alive(false);
    HttpResponse response = problem_response(
        status, status == 413 ? fmt::format("a request's body has at most {} bytes", kMaxBodyBytes)
                : status == 431
                    ? fmt::format("a request's header has at most {} bytes", kMaxHeaderBytes)
                    : "this is not a valid HTTP request: " + why.message());
    co_await send_body(stream, unread, response);
    // What is closed with bytes unread is reset, and the answer may be lost.
    boost::system::error_code ignored;
    stream.socket().shutdown(Socket::socket::shutdown_send, ignored);
    stream.expires_after(kLingerTimeout);
    std::array<char, 16384> rest;
    for (std::uint64_t total = 0; total < kMaxLingerBytes;) {
      auto [error, bytes] = co_await stream.async_read_some(asio::buffer(rest), kNoThrow);
      if (error) break;
      total += bytes;
    }
  }

  static asio::awaitable<bool> send_body(Stream& stream,
                                         const http::request<http::string_body>& wire,
                                         HttpResponse& response) {
    http::response<http::string_body> out{http::int_to_status(response.status), wire.version()};
    set_fields(out, response);
    out.keep_alive(wire.keep_alive());
    out.body() = std::move(response.body);
    out.prepare_payload();
    if (wire.method() == http::verb::head) out.body().clear();  // its length stays
    stream.expires_after(kIdleTimeout);
    auto [error, bytes] = co_await http::async_write(stream, out, kNoThrow);
    co_return !error;
  }

  template <typename Message>
  static void set_fields(Message& out, const HttpResponse& response) {
    out.set(http::field::content_type, response.content_type);
    out.set(http::field::cache_control, "no-store");
    if (!response.allow.empty()) out.set(http::field::allow, response.allow);
  }

  asio::awaitable<bool> send_source(Stream& stream, const http::request<http::string_body>& wire,
                                    const HttpResponse& response) {
    http::response<http::empty_body> head{http::int_to_status(response.status), wire.version()};
    set_fields(head, response);
    head.chunked(true);
    http::response_serializer<http::empty_body> serializer{head};
    stream.expires_after(kIdleTimeout);
    auto [error, bytes] = co_await http::async_write_header(stream, serializer, kNoThrow);
    BodySource* const source = response.source.get();
    while (!error && wire.method() != http::verb::head) {
      using Piece = cdp::Result<std::optional<std::string>>;
      std::function<cdp::Task<Piece>()> make = [source] { return source->next(); };
      const std::shared_ptr<Piece> piece = co_await on_reactor<Piece>(reactor_, std::move(make));
      if (!*piece) {
        spdlog::warn("http: a stream broke off: {}", piece->error().message);
        break;
      }
      stream.expires_after(kIdleTimeout);
      if (!(*piece)->has_value()) {
        auto [failed, sent] = co_await asio::async_write(stream, http::make_chunk_last(), kNoThrow);
        if (failed) break;
        co_return true;
      }
      const std::string& data = ***piece;
      auto [failed, sent] =
          co_await asio::async_write(stream, http::make_chunk(asio::buffer(data)), kNoThrow);
      error = failed;
    }
    std::function<cdp::Task<Nothing>()> make = [source] { return abandon(*source); };
    co_await on_reactor<Nothing>(reactor_, std::move(make));
    co_return false;
  }

  static Socket protocol_of(const cdp::ListeningSocket& socket) {
    const bool is_unix = socket.address().kind == cdp::SocketAddress::Kind::kUnix;
    return {is_unix ? AF_UNIX : AF_INET, 0};
  }

  cdp::Reactor& reactor_;
  Handler handler_;
  cdp::ListeningSocket socket_;
  asio::io_context context_;
  asio::basic_socket_acceptor<Socket> acceptor_;
  std::set<Stream*> open_;
  bool stopping_ = false;
  std::thread thread_;

  // The reactor's.
  cdp::Signal ended_;
  bool thread_ended_ = false;
};

HttpServer::HttpServer(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}

cdp::Result<std::unique_ptr<HttpServer>> HttpServer::open(cdp::Reactor& reactor,
                                                          cdp::SocketAddress address,
                                                          Handler handler) {
  cdp::Result<cdp::ListeningSocket> socket = cdp::ListeningSocket::open(std::move(address));
  if (!socket) return std::move(socket).error();
  return std::unique_ptr<HttpServer>{new HttpServer{
      std::make_unique<Implementation>(reactor, *std::move(socket), std::move(handler))}};
}

HttpServer::~HttpServer() { CHECK(implementation_ == nullptr); }

cdp::Task<void> HttpServer::stop() {
  implementation_->request_stop();
  co_await implementation_->join();
  implementation_.reset();
}

}  // namespace tools
