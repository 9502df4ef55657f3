// SPDX-License-Identifier: Apache-2.0
//
// What a checker says, who has parsed what an attacker wrote. The first bytes are the device's
// length (8); the rest comes as a checker's bytes come, in pieces. What is taken for a result reads
// back the same, lies in the device, and can be shortened to whatever is kept.
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "cdp/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tools/daemon/checks/checker_protocol.h"
#include "tools/daemon/checks/line_buffer.h"

namespace {

namespace json = boost::json;

void check_result(const json::object& result, std::uint64_t device_bytes) {
  const std::string line = json::serialize(json::object{{"result", result}});
  const auto again = tools::parse_checker_line(line, device_bytes);
  CHECK(again.ok());
  CHECK(std::get<tools::CheckerFound>(*again).result == result);
  CHECK(cdp::is_utf8(line));
  const json::array& systems = result.at("file_systems").as_array();
  CHECK(systems.size() <= tools::kCheckFileSystemsMax);
  for (const json::value& system : systems) {
    const auto offset = system.at("offset").to_number<std::uint64_t>();
    const auto bytes = system.at("bytes").to_number<std::uint64_t>();
    CHECK(bytes > 0 && offset < device_bytes && bytes <= device_bytes - offset);
  }
  json::object shortened = result;
  tools::shorten_check(shortened, 1);
  CHECK(shortened.at("file_systems").as_array().size() == systems.size());
}

}  // namespace

FUZZ_TARGET(checker_line) {
  fuzz::Input in(input);
  const auto device_bytes = in.number<std::uint64_t>();
  const std::size_t piece = 1 + in.u8();
  const std::string said = in.text_of_rest();
  tools::LineBuffer lines{{.line_bytes_max = 4096, .bytes_max = 16384, .lines_max = 64}};
  for (std::size_t at = 0; at < said.size(); at += piece) {
    if (!lines.feed(std::string_view{said}.substr(at, piece)).ok()) return;
    for (;;) {
      const auto line = lines.next();
      if (!line.ok()) return;
      if (!line->has_value()) break;
      CHECK((*line)->size() <= 4096 && (*line)->find('\n') == std::string::npos);
      const auto word = tools::parse_checker_line(**line, device_bytes);
      if (!word.ok()) continue;
      if (const auto* const found = std::get_if<tools::CheckerFound>(&*word))
        check_result(found->result, device_bytes);
    }
  }
}
