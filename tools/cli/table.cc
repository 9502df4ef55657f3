// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cdp/base/check.h"

namespace tools::cli {
namespace {

constexpr std::size_t kBetweenColumns = 2;
// Shorter, a cell says nothing any more.
constexpr std::size_t kShortenedMin = 8;
// Narrower, values would be columns of words.
constexpr std::size_t kValueColumnsMin = 20;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

// Columns that a UTF-8 text takes on a terminal, counting each character as one.
std::size_t width(std::string_view text) {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

// The first `columns` characters, in bytes.
std::size_t bytes_of(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0;
  while (bytes < text.size() && (columns > 0 || continues_character(text[bytes]))) {
    if (!continues_character(text[bytes])) --columns;
    ++bytes;
  }
  return bytes;
}

std::string shortened(const std::string& text, std::size_t columns) {
  if (width(text) <= columns) return text;
  const std::string_view sign = is_locale_utf8() ? "…" : "...";
  return text.substr(0, bytes_of(text, columns - width(sign))) + std::string{sign};
}

// What a terminal would take for a command is no part of a cell: names and details are other
// people's words.
std::string harmless(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1: U+0080 to U+009F.
    const bool is_c1 =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (is_c1) text.erase(i + 1, 1);
    if (is_c1 || byte < 0x20 || byte == 0x7f) text[i] = '?';
  }
  return text;
}

void pad(std::string& line, std::string_view cell, std::size_t columns) {
  line += cell;
  line.append(columns - width(cell), ' ');
}

void end_line(std::string& text, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + "\n";
}

bool contains(const std::vector<std::size_t>& columns, std::size_t column) {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

// Of a table with columns so wide; a column of width 0 is left out.
std::size_t width_of(const std::vector<std::size_t>& widths) {
  const auto shown = static_cast<std::size_t>(
      std::count_if(widths.begin(), widths.end(), [](std::size_t each) { return each > 0; }));
  const std::size_t between = shown > 0 ? (shown - 1) * kBetweenColumns : 0;
  return std::accumulate(widths.begin(), widths.end(), between);
}

}  // namespace

std::size_t Table::column(std::string_view heading) const {
  const auto at = std::find(rows_.front().begin(), rows_.front().end(), heading);
  CHECK(at != rows_.front().end());
  return static_cast<std::size_t>(at - rows_.front().begin());
}

Table& Table::spare(std::string_view heading) {
  spared_.push_back(column(heading));
  return *this;
}

Table& Table::keep(std::string_view heading) {
  kept_.push_back(column(heading));
  return *this;
}

void Table::add(Row row) {
  CHECK(row.size() == rows_.front().size());
  for (std::string& cell : row) cell = harmless(std::move(cell));
  rows_.push_back(std::move(row));
}

std::string Table::text(std::optional<std::size_t> columns) const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  const auto is_too_wide = [&] { return columns && width_of(widths) > *columns; };
  for (const std::size_t spared : spared_) {
    if (is_too_wide()) widths[spared] = 0;
  }
  while (is_too_wide()) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool may_shrink = !contains(kept_, i) && widths[i] > kShortenedMin;
      if (may_shrink && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == widths.size()) break;
    --widths[widest];
  }
  std::string text;
  for (const Row& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths[i] > 0) pad(line, shortened(row[i], widths[i]), widths[i] + kBetweenColumns);
    }
    end_line(text, std::move(line));
  }
  return text;
}

void Fields::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), harmless(std::move(value))});
}

std::string Fields::text(std::optional<std::size_t> columns) const {
  std::size_t indent = 0;
  for (const Field& field : fields_) indent = std::max(indent, width(field.name));
  indent += kBetweenColumns;
  std::size_t room = SIZE_MAX;
  if (columns) room = std::max(*columns, indent + kValueColumnsMin) - indent;
  std::string text;
  for (const auto& [name, value] : fields_) {
    std::string line;
    pad(line, name, indent);
    std::string_view rest = value;
    while (width(rest) > room) {
      // Between words, where there is a place; the blank there is not shown.
      std::size_t end = rest.rfind(' ', bytes_of(rest, room));
      if (end == rest.npos || end == 0) end = rest.find(' ');
      if (end == rest.npos) break;
      end_line(text, line + std::string{rest.substr(0, end)});
      rest.remove_prefix(std::min(rest.find_first_not_of(' ', end), rest.size()));
      line.assign(indent, ' ');
    }
    end_line(text, line + std::string{rest});
  }
  return text;
}

}  // namespace tools::cli
