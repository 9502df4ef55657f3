// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/request_head.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace tools {
namespace {

using cdp::make_error;

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kLengthDigitsMax = 19;  // what 64 bits hold

// The fields that this server goes by. Where there are two, another may go by the other one.
constexpr std::array<std::string_view, 11> kOnce = {
    "authorization", "content-length", "content-type",
    "cookie",        "expect",         "host",
    "origin",        "sec-fetch-site", "transfer-encoding",
    "x-csrf-token",  "idempotency-key"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool all_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return is_digit(c) || is_letter(c) || others.find(c) != std::string_view::npos;
  });
}

bool is_token(std::string_view text) { return !text.empty() && all_of(text, "!#$%&'*+-.^_`|~"); }

std::string in_lower_case(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), lower);
  return lowered;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

// Only the origin form of a target: the others are for proxies.
cdp::Status check_request_line(std::string_view line, bool& is_http_1_0) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || line.find(' ', first + 1) != last || first == last) {
    return make_error(EINVAL, "a request begins with METHOD PATH HTTP/1.1");
  }
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  is_http_1_0 = version == "HTTP/1.0";
  if (!is_http_1_0 && version != "HTTP/1.1") {
    return make_error(EINVAL, "the protocol is HTTP/1.1");
  }
  if (!is_token(line.substr(0, first))) return make_error(EINVAL, "the method is no word");
  if (!target.starts_with('/')) {
    return make_error(EINVAL, "the request's target is no path: this server is no proxy");
  }
  return {};
}

class FieldChecker {
 public:
  explicit FieldChecker(bool is_http_1_0) : is_http_1_0_(is_http_1_0) {}

  cdp::Status take(std::string_view line) {
    if (line.starts_with(' ') || line.starts_with('\t')) {
      return make_error(EINVAL, "a header field is one line");
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return make_error(EINVAL, "a header field is NAME: VALUE, without a blank before the colon");
    }
    const std::string name = in_lower_case(line.substr(0, colon));
    const auto* const found = std::find(kOnce.begin(), kOnce.end(), name);
    if (found == kOnce.end()) return {};
    bool& was_seen = seen_[static_cast<std::size_t>(found - kOnce.begin())];
    if (std::exchange(was_seen, true)) return make_error(EINVAL, "the header has two of {}", name);
    return check(name, trimmed(line.substr(colon + 1)));
  }

  cdp::Status finish() const {
    if (has_length_ && has_coding_) {
      return make_error(EINVAL, "a body has a Content-Length or a Transfer-Encoding, not both");
    }
    if (!has_host_ && !is_http_1_0_) return make_error(EINVAL, "the header has no Host");
    return {};
  }

 private:
  cdp::Status check(std::string_view name, std::string_view value) {
    if (name == "host") {
      has_host_ = true;
      if (!all_of(value, ".-_~:[]%")) return make_error(EINVAL, "the Host is HOST or HOST:PORT");
    }
    if (name == "content-length") {
      has_length_ = true;
      if (value.empty() || value.size() > kLengthDigitsMax ||
          !std::all_of(value.begin(), value.end(), is_digit)) {
        return make_error(EINVAL, "the Content-Length is a number of bytes");
      }
    }
    if (name == "transfer-encoding") {
      has_coding_ = true;
      if (is_http_1_0_) return make_error(EINVAL, "HTTP/1.0 has no Transfer-Encoding");
      if (in_lower_case(value) != "chunked") {
        return make_error(EINVAL, "the only Transfer-Encoding is chunked");
      }
    }
    return {};
  }

  const bool is_http_1_0_;
  std::array<bool, kOnce.size()> seen_{};
  bool has_host_ = false;
  bool has_length_ = false;
  bool has_coding_ = false;
};

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find(kLineEnd);
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), line.size() + kLineEnd.size()));
  return line;
}

}  // namespace

cdp::Result<std::optional<std::size_t>> find_head_end(std::string_view bytes,
                                                      std::size_t& looked_at) {
  for (; looked_at < bytes.size(); ++looked_at) {
    const auto c = static_cast<unsigned char>(bytes[looked_at]);
    const bool is_behind_return = looked_at > 0 && bytes[looked_at - 1] == '\r';
    if (is_behind_return != (c == '\n')) {
      return make_error(EINVAL, "a line of a header ends with a carriage return and a line feed");
    }
    if (c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n')) {
      return make_error(EINVAL, "a header has no control characters");
    }
    if (c == '\n' && bytes.substr(0, looked_at + 1).ends_with("\r\n\r\n")) {
      return std::optional{++looked_at};
    }
  }
  return std::optional<std::size_t>{};
}

cdp::Status check_head(std::string_view head) {
  bool is_http_1_0 = false;
  cdp::Status checked = check_request_line(take_line(head), is_http_1_0);
  FieldChecker fields{is_http_1_0};
  while (checked.ok() && !head.empty()) {
    const std::string_view line = take_line(head);
    checked = line.empty() ? fields.finish() : fields.take(line);
  }
  return checked;
}

}  // namespace tools
