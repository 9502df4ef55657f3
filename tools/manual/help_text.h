// SPDX-License-Identifier: Apache-2.0
//
// The texts of --help as a page shows them. They are written for a terminal, in a form that is read
// here: prose; commands behind "Example:" or indented; indented terms, each with its explanation
// behind two blanks or more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/manual/roff.h"

namespace tools::manual {

struct TextBlock {
  enum class Kind { kProse, kExample, kTerms };
  Kind kind;
  std::vector<std::string> lines;  // without what they are indented by

  bool operator==(const TextBlock&) const = default;
};

std::vector<TextBlock> blocks_of(std::string_view text);
void show(const TextBlock& block, RoffPage& page);
void show_all(std::string_view text, RoffPage& page);

}  // namespace tools::manual
