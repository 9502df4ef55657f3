// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/roff.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace tools::manual {
namespace {

struct Escape {
  char character;
  std::string_view roff;
};

// Where a terminal knows more characters than ASCII, the formatter makes typographic ones of some:
// what was copied out of the page would then not work. A quotation mark also ends an argument.
constexpr Escape kEscapes[] = {
    {'\\', "\\(rs"}, {'-', "\\-"},   {'\'', "\\(aq"}, {'`', "\\(ga"},
    {'^', "\\(ha"},  {'~', "\\(ti"}, {'"', "\\(dq"},  {'\n', " "},
};

Markup in_font(std::string_view font, std::string_view text) {
  return {std::string("\\f") + std::string(font) + plain(text).roff + "\\fR"};
}

}  // namespace

Markup plain(std::string_view text) {
  std::string roff;
  for (const char c : text) {
    const auto* const escape =
        std::find_if(std::begin(kEscapes), std::end(kEscapes),
                     [c](const Escape& each) { return each.character == c; });
    if (escape == std::end(kEscapes)) {
      roff += c;
    } else {
      roff += escape->roff;
    }
  }
  return {std::move(roff)};
}

Markup bold(std::string_view text) { return in_font("B", text); }

Markup italic(std::string_view text) { return in_font("I", text); }

Markup prose(std::string_view text) {
  Markup markup;
  for (;;) {
    const std::size_t open = text.find('`');
    const std::size_t close = open == text.npos ? text.npos : text.find('`', open + 1);
    if (close == text.npos) return std::move(markup) + plain(text);
    markup += plain(text.substr(0, open)) + bold(text.substr(open + 1, close - open - 1));
    text.remove_prefix(close + 1);
  }
}

Markup operator+(Markup left, const Markup& right) {
  left += right;
  return left;
}

Markup& operator+=(Markup& left, const Markup& right) {
  left.roff += right.roff;
  return left;
}

RoffPage::RoffPage(std::string_view name, int section, std::string_view source) {
  text_ = ".\\\" SPDX-License-Identifier: Apache-2.0\n";
  request("TH", {name, std::to_string(section), "", source});
  // Words of a command must not be broken, and lines that are only as full as they get are read
  // more easily than those with gaps.
  text_ += ".nh\n.ad l\n";
}

void RoffPage::section(std::string_view heading) { request("SH", {heading}); }

void RoffPage::subsection(std::string_view heading) { request("SS", {heading}); }

void RoffPage::paragraph(const Markup& text) {
  text_ += ".PP\n";
  text_line(text);
}

void RoffPage::term(const Markup& tag, const std::vector<Markup>& explanation) {
  text_ += ".TP\n";
  text_line(tag);
  for (std::size_t i = 0; i < explanation.size(); ++i) {
    if (i > 0) text_ += ".br\n";
    text_line(explanation[i]);
  }
}

void RoffPage::example(const std::vector<std::string>& lines) {
  text_ += ".PP\n.RS 4\n.nf\n";
  for (const std::string& line : lines) text_line(plain(line));
  text_ += ".fi\n.RE\n";
}

void RoffPage::request(std::string_view name, const std::vector<std::string_view>& arguments) {
  text_ += "." + std::string(name);
  for (const std::string_view argument : arguments) text_ += " \"" + plain(argument).roff + "\"";
  text_ += '\n';
}

// A line of the page that begins with a dot, or is empty, would be a request.
void RoffPage::text_line(const Markup& line) {
  if (line.roff.empty() || line.roff.front() == '.') text_ += "\\&";
  text_ += line.roff + '\n';
}

}  // namespace tools::manual
