// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace tools::cli {
namespace {

// Empty where it is not set.
std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

}  // namespace

std::optional<std::size_t> columns_of_stdout() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0) {
    return size.ws_col;
  }
  const char* const said = std::getenv("COLUMNS");
  if (said == nullptr) return std::nullopt;
  const unsigned long columns = std::strtoul(said, nullptr, 10);
  return columns > 0 ? std::optional<std::size_t>{columns} : std::nullopt;
}

bool stdout_has_colours() {
  return ::isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
}

bool is_locale_utf8() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const std::string_view codeset = ::nl_langinfo_l(CODESET, locale);
  const bool is_utf8 = codeset == "UTF-8";
  ::freelocale(locale);
  return is_utf8;
}

}  // namespace tools::cli
