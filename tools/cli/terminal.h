// SPDX-License-Identifier: Apache-2.0
//
// What standard output is, and what it can show.
#pragma once

#include <cstddef>
#include <optional>

namespace tools::cli {

// Of the terminal; nothing where it is none, and nobody says a width for it: COLUMNS does, too.
std::optional<std::size_t> columns_of_stdout();
// A terminal that has colours, whose user has not set NO_COLOR (no-color.org).
bool stdout_has_colours();
// Whether the locale's characters are UTF-8.
bool is_locale_utf8();

}  // namespace tools::cli
