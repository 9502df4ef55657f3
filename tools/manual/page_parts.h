// SPDX-License-Identifier: Apache-2.0
//
// What several pages have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/manual/roff.h"

namespace tools::manual {

// The text of an explanation, with a full stop where it lacks one.
Markup sentence(std::string_view text);

// "hindsight(1)"
struct Reference {
  std::string_view name;
  int section;
};
Markup reference(const Reference& to);
void see_also(const std::vector<Reference>& pages, RoffPage& page);

struct Example {
  std::string purpose;
  std::vector<std::string> lines;
};
void examples(const std::vector<Example>& all, RoffPage& page);

}  // namespace tools::manual
