// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/http_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/parse.hpp>
#include <boost/url/parse.hpp>
#include <functional>

#include "cdp/base/utf8.h"
#include "tools/daemon/rest/request_head.h"

namespace tools {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

HttpRefusal refusal_of(const Error& error) {
  if (error == http::error::body_limit) {
    return {413, fmt::format("a request's body has at most {} bytes", kMaxBodyBytes)};
  }
  return {400, "this is not a valid HTTP request: " + error.message()};
}

// Extensions of chunks mean nothing to anybody, and servers differ in how they skip them.
void refuse_extension(std::uint64_t, beast::string_view extension, Error& error) {
  if (!extension.empty()) error = http::error::bad_chunk_extension;
}

bool is_json(std::string_view content_type) {
  const std::string_view media_type = content_type.substr(0, content_type.find(';'));
  return media_type.empty() || beast::iequals(media_type, "application/json");
}

}  // namespace

struct RequestReader::Parser {
  std::function<void(std::uint64_t, beast::string_view, Error&)> on_chunk = refuse_extension;
  http::request_parser<http::string_body> wire;
};

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {
  parser_->wire.header_limit(kMaxHeaderBytes);
  parser_->wire.body_limit(kMaxBodyBytes);
  parser_->wire.on_chunk_header(parser_->on_chunk);
}

RequestReader::~RequestReader() = default;

RequestReader::Refusal RequestReader::take_head(std::string_view head) {
  const cdp::Status checked = check_head(head);
  if (!checked) return HttpRefusal{.why = checked.error().message};
  Error error;
  const std::size_t taken = parser_->wire.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error) return refusal_of(error);
  if (taken != head.size() || !parser_->wire.is_header_done()) {
    return HttpRefusal{.why = "this is not a valid HTTP request"};
  }
  // Now: what the end of a chunked body adds to the fields is not the header's.
  const auto& wire = parser_->wire.get();
  header_.host = wire[http::field::host];
  header_.authorization = wire[http::field::authorization];
  header_.cookie = wire[http::field::cookie];
  header_.csrf_token = wire["X-CSRF-Token"];
  header_.origin = wire[http::field::origin];
  header_.fetch_site = wire["Sec-Fetch-Site"];
  header_.idempotency_key = wire["Idempotency-Key"];
  header_.accept_encoding = wire[http::field::accept_encoding];
  keeps_alive_ = wire.keep_alive();
  parser_->wire.eager(true);
  return {};
}

RequestReader::Refusal RequestReader::take_body(std::string_view bytes, std::size_t& taken) {
  // Beast asserts that a last chunk which it has seen the beginning of is whole, shorter than which
  // no end of a chunked body is.
  constexpr std::string_view kLastChunk = "0\r\n\r\n";
  if (parser_->wire.chunked() && bytes.size() < kLastChunk.size()) {
    taken = 0;
    return {};
  }
  Error error;
  taken = parser_->wire.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error && error != http::error::need_more) return refusal_of(error);
  return {};
}

bool RequestReader::is_done() const { return parser_->wire.is_done(); }

bool RequestReader::is_http_1_0() const { return parser_->wire.get().version() == 10; }

bool RequestReader::wants_head_only() const {
  return parser_->wire.get().method() == http::verb::head;
}

std::string RequestReader::line() const {
  const auto& wire = parser_->wire.get();
  const std::string_view target{wire.target().data(), wire.target().size()};
  const std::string_view method{wire.method_string().data(), wire.method_string().size()};
  return fmt::format("{} {}", method, target.substr(0, target.find('?')));
}

bool RequestReader::awaits_continue() const {
  const auto& wire = parser_->wire.get();
  return !is_done() && !is_http_1_0() && beast::iequals(wire[http::field::expect], "100-continue");
}

bool RequestReader::has_foreign_body() const {
  const auto& wire = parser_->wire.get();
  return !wire.body().empty() && !is_json(wire[http::field::content_type]);
}

cdp::Result<HttpRequest> RequestReader::request() const {
  const auto& wire = parser_->wire.get();
  HttpRequest request;
  request.header = header_;
  // Of HEAD, only the answer's body is left out.
  request.method = wants_head_only() ? "GET" : std::string{wire.method_string()};
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
    Error error;
    request.body = boost::json::parse(wire.body(), error);
    if (error) return cdp::make_error(EINVAL, "the request's body is not valid JSON");
  }
  return request;
}

std::string response_head(const HttpResponse& response, const ResponseFraming& framing) {
  std::string head;
  const auto add = [&head](std::string_view name, std::string_view value) {
    if (!value.empty()) head += fmt::format("{}: {}\r\n", name, value);
  };
  const beast::string_view reason = http::obsolete_reason(http::int_to_status(response.status));
  head = fmt::format("HTTP/1.1 {} {}\r\n", response.status,
                     std::string_view{reason.data(), reason.size()});
  add("Content-Type", response.content_type);
  add("X-Request-Id", framing.request_id);
  add("Content-Encoding", response.content_encoding);
  add("Cache-Control", response.cache_control);
  add("Vary", response.varies_by);
  add("Content-Security-Policy", response.content_security_policy);
  add("Referrer-Policy", "no-referrer");
  add("X-Content-Type-Options", "nosniff");
  if (framing.is_encrypted) add("Strict-Transport-Security", "max-age=31536000");
  add("Allow", response.allow);
  if (response.status == 401) add("WWW-Authenticate", "Bearer");
  if (response.retry_after) add("Retry-After", fmt::to_string(response.retry_after->count()));
  add("Location", response.location);
  add("Set-Cookie", response.set_cookie);
  if (!framing.keeps_alive) {
    add("Connection", "close");
  } else if (framing.is_http_1_0) {
    add("Connection", "keep-alive");
  }
  if (framing.is_chunked) {
    add("Transfer-Encoding", "chunked");
  } else {
    add("Content-Length", fmt::to_string(response.body.size()));
  }
  return head + "\r\n";
}

std::string chunk_of(std::string_view piece) {
  return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
}

}  // namespace tools
