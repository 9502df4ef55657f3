// SPDX-License-Identifier: Apache-2.0
#include "tools/api/client.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
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
#include <limits>

namespace tools::api {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;
using boost::system::error_code;
using cdp::make_error;
using cdp::Result;
using cdp::Status;
using Local = boost::asio::local::stream_protocol;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kReadBytes = 1u << 20;
// Beast receives as much as its buffer has room for: 512 bytes where it has none yet, and never more
// than this.
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

// One request and what comes back, on a connection of its own.
class Exchange {
 public:
  explicit Exchange(const std::string& socket_path) : path_(socket_path), socket_(context_) {
    buffer_.reserve(kReceiveBytes);
  }

  Status connect() {
    error_code failed;
    if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return make_error(ENAMETOOLONG, "the path of the control socket is too long: {}", path_);
    }
    socket_.connect(Local::endpoint{path_}, failed);
    if (!failed) return {};
    if (failed.value() == EACCES || failed.value() == EPERM) {
      return make_error(failed.value(),
                        "connecting to {} is not allowed for this user: run the command as root, "
                        "or as a member of the socket's group",
                        path_);
    }
    return make_error(failed.value(),
                      "no daemon answers at unix:{} ({}): is hindsightd running? Name its control "
                      "socket with --server unix:PATH, or read a vault directly with --vault DIR",
                      path_, failed.message());
  }

  Status request(std::string_view method, const std::string& target, const json::value& body) {
    http::request<http::string_body> request{http::string_to_verb({method.data(), method.size()}),
                                             target, 11};
    request.set(http::field::host, "localhost");
    request.set(http::field::accept, "application/json");
    request.keep_alive(false);
    if (!body.is_null()) {
      request.set(http::field::content_type, "application/json");
      request.body() = json::serialize(body);
    }
    request.prepare_payload();
    error_code failed;
    http::write(socket_, request, failed);
    if (failed) return broken("sending a request to", failed);
    return {};
  }

  Result<json::value> document() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(kDocumentBytesMax);
    error_code failed;
    http::read(socket_, buffer_, parser, failed);
    if (failed) return broken("reading the answer of", failed);
    const auto& response = parser.get();
    const unsigned status = response.result_int();
    if (status < 200 || status > 299) return error_of_answer(status, response.body());
    if (response.body().empty()) return json::value{nullptr};
    json::value value = json::parse(response.body(), failed);
    if (failed) {
      return make_error(EBADMSG, "the daemon at {} answered with what is no JSON: {}", path_,
                        failed.message());
    }
    return value;
  }

  Status stream(const std::function<Status(std::span<const std::byte>)>& take) {
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    error_code failed;
    http::read_header(socket_, buffer_, parser, failed);
    if (failed) return broken("reading the answer of", failed);
    const unsigned status = parser.get().result_int();
    const bool fine = status >= 200 && status <= 299;
    std::string problem;
    std::vector<std::byte> memory(kReadBytes);
    while (!parser.is_done()) {
      parser.get().body().data = memory.data();
      parser.get().body().size = memory.size();
      http::read(socket_, buffer_, parser, failed);
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
  cdp::Error broken(std::string_view doing, const error_code& failed) const {
    return make_error(EPIPE, "{} the daemon at unix:{} failed: {}", doing, path_,
                      failed == http::error::end_of_stream || failed == http::error::partial_message
                          ? "it closed the connection"
                          : failed.message());
  }

  const std::string& path_;
  boost::asio::io_context context_;
  Local::socket socket_;
  beast::flat_buffer buffer_;
};

}  // namespace

Result<Client> Client::make(std::string_view server) {
  if (!server.starts_with(kUnixPrefix) || server.size() == kUnixPrefix.size()) {
    return make_error(EINVAL,
                      "the server \"{}\" is not of the form unix:PATH, such as "
                      "unix:/var/lib/hindsight/control.sock",
                      server);
  }
  return Client{std::string{server.substr(kUnixPrefix.size())}};
}

Result<json::value> Client::get(const Path& path, const Query& query) const {
  Exchange exchange{socket_path_};
  Status status = exchange.connect();
  if (status.ok()) status = exchange.request("GET", make_target(path, query), nullptr);
  if (!status.ok()) return std::move(status).error();
  return exchange.document();
}

Result<json::value> Client::send(std::string_view method, const Path& path,
                                 const json::value& body) const {
  Exchange exchange{socket_path_};
  Status status = exchange.connect();
  if (status.ok()) status = exchange.request(method, make_target(path, {}), body);
  if (!status.ok()) return std::move(status).error();
  return exchange.document();
}

Status Client::stream(const Path& path, const Query& query,
                      const std::function<Status(std::span<const std::byte>)>& take) const {
  Exchange exchange{socket_path_};
  Status status = exchange.connect();
  if (status.ok()) status = exchange.request("GET", make_target(path, query), nullptr);
  if (!status.ok()) return status;
  return exchange.stream(take);
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
      return {status == 404   ? ENOENT
              : status == 409 ? EEXIST
              : status == 400 ? EINVAL
                              : EIO,
              std::string{detail->as_string()}};
    }
  }
  return make_error(EIO, "the daemon answered with HTTP status {} and no reason", status);
}

}  // namespace tools::api
