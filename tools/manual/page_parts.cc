// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/page_parts.h"

#include <cctype>
#include <string>

namespace tools::manual {

// Behind a list of characters a full stop would look like one of them.
Markup sentence(std::string_view text) {
  const bool lacks_stop = !text.empty() && (std::isalnum(static_cast<unsigned char>(text.back())) ||
                                            text.back() == ')');
  return prose(text) + plain(lacks_stop ? "." : "");
}

Markup reference(const Reference& to) {
  return bold(to.name) + plain("(" + std::to_string(to.section) + ")");
}

void see_also(const std::vector<Reference>& pages, RoffPage& page) {
  page.section("SEE ALSO");
  Markup list;
  for (const Reference& to : pages) {
    list += plain(list.roff.empty() ? "" : ", ") + reference(to);
  }
  page.paragraph(list);
}

void examples(const std::vector<Example>& all, RoffPage& page) {
  page.section("EXAMPLES");
  for (const Example& each : all) {
    if (!each.purpose.empty()) page.paragraph(prose(each.purpose));
    page.example(each.lines);
  }
}

}  // namespace tools::manual
