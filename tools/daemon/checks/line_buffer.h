// SPDX-License-Identifier: Apache-2.0
//
// LineBuffer: lines out of the bytes of a checker, who is not trusted. It holds no more than it was
// told to, whatever comes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cdp/base/result.h"

namespace tools {

class LineBuffer {
 public:
  struct Limits {
    std::size_t line_bytes_max;
    std::size_t bytes_max;  // of all lines together
    std::size_t lines_max;
  };
  explicit LineBuffer(Limits limits) : limits_(limits) {}

  // EPROTO beyond a limit, and from then on.
  cdp::Status feed(std::string_view bytes) {
    total_bytes_ += bytes.size();
    if (total_bytes_ > limits_.bytes_max)
      return cdp::make_error(EPROTO, "the checker says more than {} bytes", limits_.bytes_max);
    buffer_ += bytes;
    if (buffer_.size() > limits_.line_bytes_max && buffer_.find('\n') > limits_.line_bytes_max)
      return cdp::make_error(EPROTO, "a line of the checker is longer than {} bytes",
                             limits_.line_bytes_max);
    return {};
  }
  // The next line without its end; nothing where there is none yet.
  cdp::Result<std::optional<std::string>> next() {
    const std::size_t end = buffer_.find('\n');
    if (end == std::string::npos) return std::optional<std::string>{};
    if (end > limits_.line_bytes_max || ++lines_ > limits_.lines_max)
      return cdp::make_error(EPROTO, "the checker says more than {} lines, or too long ones",
                             limits_.lines_max);
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return std::optional{std::move(line)};
  }

 private:
  const Limits limits_;
  std::string buffer_;
  std::size_t total_bytes_ = 0;
  std::size_t lines_ = 0;
};

}  // namespace tools
