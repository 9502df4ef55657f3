// SPDX-License-Identifier: Apache-2.0
//
// What hindsightd and hindsight-check (tools/check) say to each other, a line of JSON each, over
// the connected socket that the checker has as its standard input:
//
//   daemon    {"check": 1, "bytes": N}                       check a device of N bytes
//   checker   {"open": {"offset": N, "bytes": N}}            have this stretch of it
//   daemon    {"opened": true}, with a connected socket on which NBD serves it (SCM_RIGHTS); or
//             {"refused": SENTENCE}
//   checker   {"doing": SENTENCE}                            how far it is
//   checker   {"result": RESULT} or {"failed": SENTENCE}     the last line
//
//   RESULT    {"partition_table": null or {"type", "id"}, "file_systems": [{"offset", "bytes",
//             "partition"?, "type", "label"?, "uuid"?, "tool"?, "outcome", "reason"?, "output"?}],
//             "nothing_known"}
//
// The checker has parsed bytes that somebody may have written to break it, so that nothing of what
// it says is taken for true: what these functions let through has every member's type, length and
// range checked, and is made anew of those members. Pure functions.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "cdp/base/result.h"

namespace tools {

// Of a checker's lines: of one, of all together, and how many.
inline constexpr std::size_t kCheckerLineBytesMax = 1u << 20;
inline constexpr std::size_t kCheckerBytesMax = 4u << 20;
inline constexpr std::size_t kCheckerLinesMax = 4096;
inline constexpr std::size_t kCheckStretchesMax = 64;
inline constexpr std::size_t kCheckFileSystemsMax = 64;
inline constexpr std::size_t kCheckOutputBytesMax = 4096;  // of a tool

struct CheckerWants {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};
struct CheckerDoes {
  std::string what;
};
struct CheckerFailed {
  std::string why;
};
struct CheckerFound {
  boost::json::object result;
};
using CheckerWord = std::variant<CheckerWants, CheckerDoes, CheckerFailed, CheckerFound>;

// With its end of line, as the next.
std::string check_request(std::uint64_t device_bytes);
std::string stretch_opened();
std::string stretch_refused(std::string_view why);

// A line without its end. EPROTO, with what is wrong, for anything that a checker of ours does not
// say of a device of so many bytes; whether a stretch lies inside is for who opens it.
cdp::Result<CheckerWord> parse_checker_line(std::string_view line, std::uint64_t device_bytes);

// Leaves out tools' outputs, the longest first, and then reasons, until it is no longer than that.
void shorten_check(boost::json::object& result, std::size_t bytes_max);

}  // namespace tools
