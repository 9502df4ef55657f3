// SPDX-License-Identifier: Apache-2.0
//
// The daemon's configuration file. What is accepted is written as a file that says the same; what
// is not is refused with the line of it.
#include <fmt/format.h>

#include "tests/fuzz/fuzz.h"
#include "tools/daemon/config/config_file.h"

FUZZ_TARGET(configuration) {
  fuzz::Input in(input);
  const std::string text = in.text_of_rest();
  tools::Configuration told;
  const std::vector<std::string> wrong = tools::read_config_text(text, "F", told);
  for (const std::string& sentence : wrong) {
    CHECK(sentence.starts_with("F:") && sentence.size() > 6);
    const std::size_t digits = sentence.find_first_not_of("0123456789", 2);
    CHECK(digits > 2 && digits != std::string::npos && sentence[digits] == ':');
  }
  if (!wrong.empty()) return;
  tools::Configuration again;
  CHECK(tools::read_config_text(tools::config_text(told), "G", again).empty());
  CHECK(again == told);
}
