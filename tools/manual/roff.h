// SPDX-License-Identifier: Apache-2.0
//
// A page of the manual in the language of man(7). What is text and what is markup are different
// types, so that no text gets onto a page unescaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tools::manual {

// A part of a line, ready for the formatter.
struct Markup {
  std::string roff;
};

// Every character stands for itself, as it is typed into a shell; line breaks become blanks.
Markup plain(std::string_view text);
Markup bold(std::string_view text);
Markup italic(std::string_view text);
// Plain, but what stands between two backquotes is bold, without them.
Markup prose(std::string_view text);
Markup operator+(Markup left, const Markup& right);
Markup& operator+=(Markup& left, const Markup& right);

class RoffPage {
 public:
  // `source` is at the foot of the page: the release. No date is, so that builds are alike.
  RoffPage(std::string_view name, int section, std::string_view source);

  void section(std::string_view heading);
  void subsection(std::string_view heading);
  void paragraph(const Markup& text);
  // What is explained, and below it, indented, the lines of its explanation.
  void term(const Markup& tag, const std::vector<Markup>& explanation);
  // Indented, and with the line breaks that it has.
  void example(const std::vector<std::string>& lines);

  const std::string& text() const { return text_; }

 private:
  void request(std::string_view name, const std::vector<std::string_view>& arguments);
  void text_line(const Markup& line);

  std::string text_;
};

}  // namespace tools::manual
