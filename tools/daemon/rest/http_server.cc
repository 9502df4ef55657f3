// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_server.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <random>
#include <thread>

#include "cdp/base/check.h"
#include "cdp/io/signal.h"
#include "tools/daemon/rest/http_connections.h"
#include "tools/daemon/rest/http_stream.h"
#include "tools/daemon/rest/http_wire.h"
#include "tools/daemon/rest/problem.h"
#include "tools/daemon/rest/request_head.h"
#include "tools/daemon/structured_log.h"

namespace tools {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr HttpConnections::Limits kLimits{.all = 256, .of_one_network = 64};
// What a client has time for.
constexpr std::chrono::seconds kHandshakeTimeout{10};
constexpr std::chrono::seconds kHeaderTimeout{10};  // from its first byte; of the first, from none
constexpr std::chrono::seconds kBodyTimeout{60};
constexpr std::chrono::seconds kIdleTimeout{60};     // between requests
constexpr std::chrono::seconds kSendTimeout{60};     // to take an answer, or a piece of one
constexpr std::chrono::seconds kLastSendTimeout{2};  // while the server stops
constexpr std::chrono::seconds kRefusalLogInterval{1};
constexpr std::size_t kReadBytes = 16u << 10;
constexpr unsigned kGone = 0;  // the status of a refusal that nobody would read

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// Awaits a coroutine of the reactor from one of this thread's.
template <typename T>
asio::awaitable<std::shared_ptr<T>> on_reactor(cdp::Reactor& reactor,
                                               std::function<cdp::Task<T>()> make) {
  const auto executor = co_await asio::this_coro::executor;
  auto start = [&reactor, &make, executor](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    std::function<void(std::shared_ptr<T>)> finish = [shared, executor](std::shared_ptr<T> value) {
      asio::post(executor,
                 [shared, value = std::move(value)]() mutable { (*shared)(std::move(value)); });
    };
    reactor.post_from_any_thread([&reactor, make, finish = std::move(finish)]() mutable {
      reactor.spawn([](std::function<cdp::Task<T>()> f,
                       std::function<void(std::shared_ptr<T>)> then) -> cdp::Task<void> {
        auto value = std::make_shared<T>(co_await f());
        then(std::move(value));
      }(std::move(make), std::move(finish)));
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(std::shared_ptr<T>)>(
      start, asio::use_awaitable);
}

struct Nothing {};

cdp::Task<Nothing> abandon(BodySource& source) {
  co_await source.abandon();
  co_return Nothing{};
}

// A connection with what was received on it and is not taken yet.
struct Connection {
  explicit Connection(std::unique_ptr<HttpStream> opened)
      : stream(std::move(opened)), member(stream->peer().network, [this] { close(); }) {}

  // What the handler has done, its client is still told.
  void close() {
    if (!awaits_answer) stream->close();
  }

  std::unique_ptr<HttpStream> stream;
  HttpConnections::Member member;
  std::string received{};
  std::string request_id{};  // of the one that is being served
  bool had_request = false;
  bool awaits_answer = false;  // of the handler
};

// However serving it ends.
struct Leaver {
  HttpConnections& connections;
  HttpConnections::Member& member;
  ~Leaver() { connections.remove(member); }
};

}  // namespace

class HttpServer::Implementation {
 public:
  Implementation(cdp::Reactor& reactor, cdp::ListeningSocket socket, TlsContext tls,
                 Handler handler)
      : reactor_(reactor),
        handler_(std::move(handler)),
        socket_(std::move(socket)),
        acceptor_(context_, protocol_of(socket_), socket_.release_fd()),
        tls_(std::move(tls)),
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

  const cdp::SocketAddress& address() const { return socket_.address(); }

  void renew(TlsContext tls) {
    asio::post(context_, [this, tls = std::move(tls)]() mutable { tls_ = std::move(tls); });
  }

  void request_stop() {
    asio::post(context_, [this] {
      stopping_ = true;
      Error ignored;
      acceptor_.close(ignored);
      connections_.close_all();
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
      auto connection = std::make_unique<Connection>(HttpStream::make(std::move(socket), tls_));
      if (!connections_.admit(connection->member)) {
        note_refused(connection->stream->peer());
        continue;
      }
      asio::co_spawn(context_, serve(std::move(connection)), asio::detached);
    }
  }

  // Who is refused may come again at once, and as often as he likes.
  void note_refused(const HttpPeer& peer) {
    ++refused_;
    const auto now = std::chrono::steady_clock::now();
    if (now < refusal_logged_ + kRefusalLogInterval) return;
    spdlog::warn(
        "http: no room for a connection of {}: none is idle of its address, or of all {}; "
        "{} refused",
        peer.name, connections_.size(), refused_);
    refusal_logged_ = now;
    refused_ = 0;
  }

  asio::awaitable<void> serve(std::unique_ptr<Connection> connection) {
    const Leaver leaver{connections_, connection->member};
    HttpStream& stream = *connection->stream;
    stream.expires_after(kHandshakeTimeout);
    const Error error = co_await stream.open();
    if (error) {
      spdlog::debug("http: {} did not open its connection: {}", stream.peer().name,
                    error.message());
      co_return;
    }
    while (co_await serve_one(*connection)) {
    }
  }

  // One request and its answer. False where no other one may follow.
  asio::awaitable<bool> serve_one(Connection& connection) {
    HttpStream& stream = *connection.stream;
    connection.request_id = fmt::format("{:016x}", request_ids_());
    RequestReader reader;
    const RequestReader::Refusal refusal = co_await receive(connection, reader);
    if (stopping_) co_return false;
    bool keeps_alive = false;
    if (refusal) {
      if (refusal->status == kGone) co_return false;
      const HttpResponse response = problem_response(refusal->status, refusal->why);
      const ResponseFraming framing{.request_id = connection.request_id,
                                    .is_encrypted = stream.peer().is_encrypted};
      log_answer(connection, "", response);
      co_await send_body(stream, response, framing);
    } else {
      keeps_alive = co_await respond(connection, reader);
    }
    connections_.become_quiet(connection.member);
    if (!keeps_alive) co_await stream.finish();
    co_return keeps_alive;
  }

  asio::awaitable<RequestReader::Refusal> receive(Connection& connection, RequestReader& reader) {
    HttpStream& stream = *connection.stream;
    const bool is_first = !std::exchange(connection.had_request, true);
    stream.expires_after(is_first ? kHeaderTimeout : kIdleTimeout);
    if (connection.received.empty() && !co_await receive_more(connection)) co_return gone();
    connections_.become_busy(connection.member);
    if (!is_first) stream.expires_after(kHeaderTimeout);
    RequestReader::Refusal refusal = co_await receive_head(connection, reader);
    if (refusal || reader.is_done()) co_return refusal;
    stream.expires_after(kBodyTimeout);
    if (reader.awaits_continue() && connection.received.empty()) {
      const Error error = co_await stream.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (error) co_return gone();
    }
    co_return co_await receive_body(connection, reader);
  }

  asio::awaitable<RequestReader::Refusal> receive_head(Connection& connection,
                                                       RequestReader& reader) {
    std::size_t looked_at = 0;
    for (;;) {
      const std::string_view received = connection.received;
      const auto head = find_head_end(received.substr(0, kMaxHeaderBytes), looked_at);
      if (!head) co_return HttpRefusal{.why = head.error().message};
      if (*head) {
        RequestReader::Refusal refusal = reader.take_head(received.substr(0, **head));
        connection.received.erase(0, **head);
        co_return refusal;
      }
      if (received.size() >= kMaxHeaderBytes) {
        co_return HttpRefusal{
            431, fmt::format("a request's header has at most {} bytes", kMaxHeaderBytes)};
      }
      if (!co_await receive_more(connection)) co_return gone();
    }
  }

  asio::awaitable<RequestReader::Refusal> receive_body(Connection& connection,
                                                       RequestReader& reader) {
    while (!reader.is_done()) {
      if (connection.received.empty() && !co_await receive_more(connection)) co_return gone();
      std::size_t taken = 0;
      const RequestReader::Refusal refusal = reader.take_body(connection.received, taken);
      connection.received.erase(0, taken);
      if (refusal || reader.is_done()) co_return refusal;
      if (connection.received.size() >= kMaxHeaderBytes) {
        co_return HttpRefusal{.why = "what stands between chunks is too long"};
      }
      if (!co_await receive_more(connection)) co_return gone();
    }
    co_return RequestReader::Refusal{};
  }

  // False where the peer has gone, or its time is over.
  static asio::awaitable<bool> receive_more(Connection& connection) {
    std::string& received = connection.received;
    const std::size_t before = received.size();
    received.resize(before + kReadBytes);
    const HttpStream::Received more =
        co_await connection.stream->read(asio::buffer(received.data() + before, kReadBytes));
    received.resize(before + more.bytes);
    co_return !more.error;
  }

  static HttpRefusal gone() { return {.status = kGone, .why = {}}; }

  // False where the connection is of no use after that.
  asio::awaitable<bool> respond(Connection& connection, const RequestReader& reader) {
    HttpStream& stream = *connection.stream;
    connection.awaits_answer = true;
    const std::shared_ptr<HttpResponse> response = co_await answer(connection, reader);
    connection.awaits_answer = false;
    log_answer(connection, reader.line(), *response);
    ResponseFraming framing{.request_id = connection.request_id,
                            .keeps_alive = reader.keeps_alive() && !stopping_,
                            .is_http_1_0 = reader.is_http_1_0(),
                            .is_encrypted = stream.peer().is_encrypted,
                            .has_body = !reader.wants_head_only()};
    if (response->source == nullptr) co_return co_await send_body(stream, *response, framing);
    co_return co_await send_source(stream, *response, framing);
  }

  // What failed is for the operator to see; all else only for who wants to see everything.
  static void log_answer(const Connection& connection, std::string_view line,
                         const HttpResponse& response) {
    const bool has_failed = response.status >= 500;
    const auto level = has_failed ? spdlog::level::err : spdlog::level::debug;
    if (!spdlog::should_log(level)) return;
    const std::string_view what = line.empty() ? "what is no request" : line;
    const std::string message =
        response.problem.empty()
            ? fmt::format("http: {}: {}", what, response.status)
            : fmt::format("http: {}: {}: {}", what, response.status, response.problem);
    log_event(level, message,
              {{"request", connection.request_id}, {"origin", connection.stream->peer().name}});
  }

  asio::awaitable<std::shared_ptr<HttpResponse>> answer(const Connection& connection,
                                                        const RequestReader& reader) {
    if (reader.has_foreign_body()) {
      co_return std::make_shared<HttpResponse>(
          problem_response(415, "the request's body must be JSON: Content-Type: application/json"));
    }
    cdp::Result<HttpRequest> request = reader.request();
    if (!request) {
      co_return std::make_shared<HttpResponse>(problem_response(request.error()));
    }
    request->id = connection.request_id;
    request->peer = connection.stream->peer();
    const auto shared = std::make_shared<HttpRequest>(*std::move(request));
    std::function<cdp::Task<HttpResponse>()> make = [this, shared] {
      return handler_(std::move(*shared));
    };
    co_return co_await on_reactor<HttpResponse>(reactor_, std::move(make));
  }

  asio::awaitable<bool> send_body(HttpStream& stream, const HttpResponse& response,
                                  ResponseFraming framing) {
    std::string text = response_head(response, framing);
    if (framing.has_body) text += response.body;
    give_time_to_send(stream);
    const Error error = co_await stream.write(text);
    co_return !error && framing.keeps_alive;
  }

  asio::awaitable<bool> send_source(HttpStream& stream, HttpResponse& response,
                                    ResponseFraming framing) {
    std::shared_ptr<BodySource> source = std::move(response.source);
    bool is_whole = false;
    bool keeps_alive = false;
    if (framing.is_http_1_0) {
      // It has no chunks, and what breaks off without them looks whole.
      const HttpResponse instead = problem_response(505, "this is answered to HTTP/1.1 only");
      keeps_alive = co_await send_body(stream, instead, framing);
    } else {
      framing.is_chunked = true;
      give_time_to_send(stream);
      const Error error = co_await stream.write(response_head(response, framing));
      if (!error && framing.has_body) is_whole = co_await send_pieces(stream, *source);
      keeps_alive = framing.keeps_alive && !error && (is_whole || !framing.has_body);
    }
    if (!is_whole) {
      std::function<cdp::Task<Nothing>()> make = [at = source.get()] { return abandon(*at); };
      co_await on_reactor<Nothing>(reactor_, std::move(make));
    }
    // What it is made of belongs to the reactor.
    reactor_.post_from_any_thread([source = std::move(source)] {});
    // What broke off must not look like an end.
    if (!is_whole && framing.is_chunked && framing.has_body) stream.close();
    co_return keeps_alive;
  }

  // Whether all of them were sent, and the end.
  asio::awaitable<bool> send_pieces(HttpStream& stream, BodySource& source) {
    using Piece = cdp::Result<std::optional<std::string>>;
    while (!stopping_) {
      std::function<cdp::Task<Piece>()> make = [&source] { return source.next(); };
      const std::shared_ptr<Piece> piece = co_await on_reactor<Piece>(reactor_, std::move(make));
      if (!*piece) {
        spdlog::warn("http: a stream broke off: {}", piece->error().message);
        co_return false;
      }
      const bool is_last = !(*piece)->has_value();
      if (!is_last && (**piece)->empty()) continue;  // as a chunk it would be the last
      const std::string chunk = chunk_of(is_last ? "" : ***piece);
      give_time_to_send(stream);
      const Error error = co_await stream.write(chunk);
      if (error || is_last) co_return !error;
    }
    co_return false;
  }

  void give_time_to_send(HttpStream& stream) {
    stream.expires_after(stopping_ ? kLastSendTimeout : kSendTimeout);
  }

  static HttpStream::Protocol protocol_of(const cdp::ListeningSocket& socket) {
    const bool is_unix = socket.address().kind == cdp::SocketAddress::Kind::kUnix;
    return {is_unix ? AF_UNIX : AF_INET, 0};
  }

  cdp::Reactor& reactor_;
  Handler handler_;
  cdp::ListeningSocket socket_;
  asio::io_context context_;
  asio::basic_socket_acceptor<HttpStream::Protocol> acceptor_;
  TlsContext tls_;
  HttpConnections connections_{kLimits};
  std::mt19937_64 request_ids_{std::random_device{}()};
  std::uint64_t refused_ = 0;  // since it was logged last
  std::chrono::steady_clock::time_point refusal_logged_{};
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
                                                          TlsContext tls, Handler handler) {
  cdp::Result<cdp::ListeningSocket> socket = cdp::ListeningSocket::open(std::move(address));
  if (!socket) return std::move(socket).error();
  return std::unique_ptr<HttpServer>{new HttpServer{std::make_unique<Implementation>(
      reactor, *std::move(socket), std::move(tls), std::move(handler))}};
}

HttpServer::~HttpServer() { CHECK(implementation_ == nullptr); }

const cdp::SocketAddress& HttpServer::address() const { return implementation_->address(); }

void HttpServer::renew(TlsContext tls) { implementation_->renew(std::move(tls)); }

cdp::Task<void> HttpServer::stop() {
  implementation_->request_stop();
  co_await implementation_->join();
  implementation_.reset();
}

}  // namespace tools
