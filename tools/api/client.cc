// SPDX-License-Identifier: Apache-2.0
#include "tools/api/client.h"

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cerrno>
#include <memory>

#include "tools/api/connection.h"

namespace tools::api {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;
using boost::system::error_code;
using cdp::make_error;
using cdp::Result;
using cdp::Status;

constexpr std::size_t kReadBytes = 1u << 20;
// Beast receives as much as its buffer has room for: 512 bytes where it has none yet, and never
// more than this.
constexpr std::size_t kReceiveBytes = 64u << 10;
constexpr std::uint64_t kDocumentBytesMax = 256u << 20;
constexpr std::size_t kProblemBytesMax = 64u << 10;

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", byte);
  }
  return encoded;
}

bool is_token(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// One request and what comes back, on a connection of its own.
class Exchange {
 public:
  Exchange(const ServerAddress& server, std::unique_ptr<Connection> connection)
      : server_(server), connection_(std::move(connection)) {
    buffer_.reserve(kReceiveBytes);
  }

  // What cannot be sent is not the end of it: a daemon that refuses a request before it has read
  // all of it says why, and closes. The error of sending is given only where no answer came.
  void send(const Client::Request& asked, const std::string& token) {
    http::request<http::string_body> request{http::string_to_verb(asked.method),
                                             make_target(asked.path, asked.query), 11};
    const bool is_local = server_.kind == ServerAddress::Kind::kUnix;
    request.set(http::field::host, is_local ? "localhost" : server_.authority());
    request.set(http::field::accept, "application/json");
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
    for (const auto& [name, value] : asked.fields) request.set(name, value);
    request.keep_alive(false);
    if (!asked.body.is_null()) {
      request.set(http::field::content_type, "application/json");
      request.body() = json::serialize(asked.body);
    }
    request.prepare_payload();
    error_code failed;
    http::write(*connection_, request, failed);
    if (failed) sent_ = broken("sending a request to", failed);
  }

  Result<Client::Answer> answer() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(kDocumentBytesMax);
    error_code failed;
    http::read(*connection_, buffer_, parser, failed);
    if (failed) return no_answer(failed);
    const auto& response = parser.get();
    const unsigned status = response.result_int();
    if (status < 200 || status > 299) {
      cdp::Error error = error_of_answer(status, response.body());
      // What the daemon's log has more of.
      const beast::string_view id = response["X-Request-Id"];
      if (status >= 500 && !id.empty()) {
        error.message += fmt::format(" (request {})", std::string_view{id.data(), id.size()});
      }
      return error;
    }
    Client::Answer answer;
    if (!response.body().empty()) answer.document = json::parse(response.body(), failed);
    if (failed) {
      return make_error(EBADMSG, "the daemon at {} answered with what is no JSON: {}",
                        server_.text(), failed.message());
    }
    answer.set_cookie = response[http::field::set_cookie];
    return answer;
  }

  Status stream(const std::function<Status(std::span<const std::byte>)>& take) {
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    error_code failed;
    http::read_header(*connection_, buffer_, parser, failed);
    if (failed) return no_answer(failed);
    const unsigned status = parser.get().result_int();
    const bool fine = status >= 200 && status <= 299;
    std::string problem;
    std::vector<std::byte> memory(kReadBytes);
    while (!parser.is_done()) {
      parser.get().body().data = memory.data();
      parser.get().body().size = memory.size();
      http::read(*connection_, buffer_, parser, failed);
      if (failed == http::error::need_buffer) failed = {};
      if (failed) return broken("reading the image from", failed);
      const std::span<const std::byte> got{memory.data(), memory.size() - parser.get().body().size};
      if (fine) {
        Status taken = take(got);
        if (!taken.ok()) return taken;
      } else if (problem.size() < kProblemBytesMax) {
        problem.append(reinterpret_cast<const char*>(got.data()), got.size());
      }
    }
    if (!fine) return error_of_answer(status, problem);
    return {};
  }

 private:
  cdp::Error no_answer(const error_code& failed) const {
    return sent_.ok() ? broken("reading the answer of", failed) : sent_.error();
  }
  cdp::Error broken(std::string_view doing, const error_code& failed) const {
    return make_error(EPIPE, "{} the daemon at {} failed: {}", doing, server_.text(),
                      reason_of(failed));
  }

  const ServerAddress& server_;
  std::unique_ptr<Connection> connection_;
  Status sent_{};
  beast::flat_buffer buffer_;
};

// An exchange whose request has been sent.
Result<Exchange> begin(const ServerAddress& server, const Client::Credentials& credentials,
                       const Client::Request& request) {
  Result<std::unique_ptr<Connection>> connection = Connection::open(server, credentials.ca_pem);
  if (!connection.ok()) return std::move(connection).error();
  Exchange exchange{server, std::move(connection).value()};
  exchange.send(request, credentials.token);
  return exchange;
}

}  // namespace

Result<Client> Client::make(std::string_view server, Credentials credentials) {
  Result<ServerAddress> address = parse_server_address(server);
  if (!address.ok()) return std::move(address).error();
  if (!is_token(credentials.token)) {
    return make_error(EINVAL, "the token holds characters that no token has");
  }
  return Client{std::move(address).value(), std::move(credentials)};
}

Result<Client::Answer> Client::ask(const Request& request) const {
  Result<Exchange> exchange = begin(server_, credentials_, request);
  if (!exchange.ok()) return std::move(exchange).error();
  return exchange->answer();
}

Result<json::value> Client::get(const Path& path, const Query& query) const {
  Request request;
  request.path = path;
  request.query = query;
  Result<Answer> answer = ask(request);
  if (!answer.ok()) return with_advice(std::move(answer).error());
  return std::move(answer->document);
}

Result<json::value> Client::send(std::string_view method, const Path& path,
                                 const json::value& body) const {
  Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  Result<Answer> answer = ask(request);
  if (!answer.ok()) return with_advice(std::move(answer).error());
  return std::move(answer->document);
}

Status Client::stream(const Path& path, const Query& query,
                      const std::function<Status(std::span<const std::byte>)>& take) const {
  Request request;
  request.path = path;
  request.query = query;
  Result<Exchange> exchange = begin(server_, credentials_, request);
  if (!exchange.ok()) return std::move(exchange).error();
  Status status = exchange->stream(take);
  if (!status.ok()) return with_advice(std::move(status).error());
  return status;
}

cdp::Error Client::with_advice(cdp::Error error) const {
  if (error.code == EKEYREJECTED && server_.kind != ServerAddress::Kind::kUnix) {
    error.message +=
        fmt::format(": sign in with `hindsight --server {} login USER`", server_.text());
  }
  return error;
}

std::string make_target(const Client::Path& path, const Client::Query& query) {
  std::string target;
  for (const std::string& segment : path) target += "/" + percent_encoded(segment);
  char separator = '?';
  for (const auto& [key, value] : query) {
    target += fmt::format("{}{}={}", separator, percent_encoded(key), percent_encoded(value));
    separator = '&';
  }
  return target;
}

cdp::Error error_of_answer(unsigned status, std::string_view body) {
  error_code failed;
  const json::value value = json::parse({body.data(), body.size()}, failed);
  if (!failed && value.is_object()) {
    const json::value* detail = value.as_object().if_contains("detail");
    if (detail != nullptr && detail->is_string() && !detail->as_string().empty()) {
      return {status == 401   ? EKEYREJECTED
              : status == 403 ? EPERM
              : status == 404 ? ENOENT
              : status == 409 ? EEXIST
              : status == 400 ? EINVAL
                              : EIO,
              std::string{detail->as_string()}};
    }
  }
  return make_error(status == 401 ? EKEYREJECTED : EIO,
                    "the daemon answered with HTTP status {} and no reason", status);
}

Result<json::object> object_of_answer(Result<json::value> answer) {
  if (!answer.ok()) return std::move(answer).error();
  if (answer->is_null()) return json::object{};
  if (!answer->is_object()) return make_error(EBADMSG, "the daemon's answer is no JSON object");
  return std::move(answer->as_object());
}

}  // namespace tools::api
