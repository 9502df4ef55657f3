// SPDX-License-Identifier: Apache-2.0
//
// Requests and responses as they travel: HTTP/1.1 (RFC 9112), and HTTP/1.0 for proxies that speak
// it to the server behind them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cdp/base/result.h"
#include "tools/daemon/rest/http_message.h"

namespace tools {

inline constexpr std::size_t kMaxHeaderBytes = 16u << 10;
inline constexpr std::uint64_t kMaxBodyBytes = 1u << 20;

// Why a request is not one.
struct HttpRefusal {
  unsigned status = 400;
  std::string why;
};

// Parses one request, of which the header comes whole and the body as it is received.
class RequestReader {
 public:
  using Refusal = std::optional<HttpRefusal>;

  RequestReader();
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // What find_head_end has found. First.
  Refusal take_head(std::string_view head);
  // Takes of `bytes`, which begin where the last ones taken ended, and counts what it took; the
  // rest is the next request's, or wants more behind it.
  Refusal take_body(std::string_view bytes, std::size_t& taken);
  bool is_done() const;

  // Of what the header says:
  bool is_http_1_0() const;
  bool wants_head_only() const;
  // "GET /api/status", without the query: for the log.
  std::string line() const;
  // Whether another request may follow on the connection.
  bool keeps_alive() const { return keeps_alive_; }
  // Whether the client waits for a word before it sends the body.
  bool awaits_continue() const;

  // The request in our terms, once it is done; or the answer that says what is wrong with it.
  // Leaves `peer` to the caller.
  cdp::Result<HttpRequest> request() const;
  // Whether the body is said to be of a type that `request` does not parse.
  bool has_foreign_body() const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  decltype(HttpRequest::header) header_;
  bool keeps_alive_ = false;
};

struct ResponseFraming {
  std::string_view request_id{};
  bool keeps_alive = false;
  bool is_http_1_0 = false;  // of the request
  bool is_encrypted = false;
  bool is_chunked = false;  // else the body's length is known
  bool has_body = true;     // false: of HEAD, which is told the length all the same
};

// The header up to and with its empty line.
std::string response_head(const HttpResponse& response, const ResponseFraming& framing);
// What goes around each piece of a chunked body; an empty one is the end.
std::string chunk_of(std::string_view piece);

}  // namespace tools
