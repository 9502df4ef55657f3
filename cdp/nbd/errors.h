// SPDX-License-Identifier: Apache-2.0
//
// The one map from errno values to the wire of NBD. The wire knows eight values; the sentence of
// the Error goes to the log and, with structured replies, to the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cdp::nbd {

// The specification's section "Error values". What it does not name is an I/O error.
std::uint32_t wire_error(int errno_value);

// "EINVAL" of a wire value, for logs.
std::string_view wire_error_name(std::uint32_t wire);

// `text`, cut at a character's boundary to at most `bytes_max` bytes of UTF-8.
std::string_view shortened(std::string_view text, std::size_t bytes_max);

// A client's text for logs and messages: short, and with control characters replaced.
std::string printable(std::string_view text);

}  // namespace cdp::nbd
